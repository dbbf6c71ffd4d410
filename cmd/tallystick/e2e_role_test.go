package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	collectors "github.com/tallystick/tallystick/collectors/aws"
)

// role deploys what `tallystick permissions` prints and looks at the role that
// then is there.
func (w world) role(t *testing.T) {
	t.Parallel()
	c := open(t, w.moto, place{account: deployed, region: "us-east-1"})
	b := w.bench(t, w.moto, `aws: {accounts: [{id: "`+deployed+`"}]}
`)
	for name, externalID := range map[string]string{"E2EStack": "", "E2EStackWithID": testExternal} {
		t.Run("cloudformation/"+name, func(t *testing.T) {
			r := b.run(t, "permissions", "--output", "cloudformation")
			r.want(t, 0)
			createStack(t, c, name, r.stdout, map[string]string{
				"TrustedPrincipalArn": agentRole, "ExternalId": externalID, "RoleName": name,
			})
			wantRole(t, c, name, externalID)
		})
	}
	t.Run("terraform", func(t *testing.T) {
		terraform(t, w.moto, b, c)
		wantRole(t, c, "E2ETerraform", testExternal)
	})
}

// agentRole is the identity that tallystick runs as.
const agentRole = "arn:aws:iam::" + ambient + ":role/tallystick"

// createStack has moto's CloudFormation deploy a template.
func createStack(t *testing.T, c cloud, name, template string, parameters map[string]string) {
	t.Helper()
	form := url.Values{
		"Action": {"CreateStack"}, "Version": {"2010-05-15"},
		"StackName": {name}, "TemplateBody": {template}, "Capabilities.member.1": {"CAPABILITY_NAMED_IAM"},
	}
	for i, key := range slices.Sorted(maps.Keys(parameters)) {
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterKey", i+1), key)
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterValue", i+1), parameters[key])
	}
	if _, err := queryCall(t.Context(), c, "cloudformation", form); err != nil {
		t.Fatal(err)
	}
	answer, err := queryCall(t.Context(), c, "cloudformation", url.Values{
		"Action": {"DescribeStacks"}, "Version": {"2010-05-15"}, "StackName": {name},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<StackStatus>CREATE_COMPLETE</StackStatus>",
		"<OutputValue>arn:aws:iam::" + deployed + ":role/" + name + "</OutputValue>",
	} {
		if !strings.Contains(answer, want) {
			t.Errorf("the stack does not say %s:\n%s", want, answer)
		}
	}
}

// queryCall makes a call of the AWS query protocol. It stands in for the SDK's client
// of a service that the program does not use.
func queryCall(ctx context.Context, c cloud, service string, form url.Values) (string, error) {
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, *c.config.BaseEndpoint+"/", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), service, c.config.Region, time.Now()); err != nil {
		return "", err
	}
	resp, err := client().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", form.Get("Action"), resp.Status, answer)
	}
	return string(answer), err
}

// terraform applies the Terraform text, where there are terraform and the
// provider, which is too large to be fetched for a test.
func terraform(t *testing.T, moto string, b *bench, c cloud) {
	t.Helper()
	path, err := exec.LookPath("terraform")
	plugins := os.Getenv("TALLYSTICK_TERRAFORM_PLUGINS")
	if err != nil || plugins == "" {
		t.Skip("to apply the Terraform text, put terraform on the PATH and set TALLYSTICK_TERRAFORM_PLUGINS " +
			"to a folder with the provider, as for `terraform init -plugin-dir`")
	}
	r := b.run(t, "permissions", "--output", "terraform")
	r.want(t, 0)
	credentials, err := c.config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"role.tf": r.stdout,
		"moto.tf": `provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  endpoints {
    iam = "` + moto + `"
    sts = "` + moto + `"
  }
}
`,
		"terraform.tfvars": `trusted_principal_arn = "` + agentRole + `"
external_id = "` + testExternal + `"
role_name = "E2ETerraform"
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-plugin-dir=" + plugins}, {"validate"}, {"apply", "-auto-approve"}, {"plan", "-detailed-exitcode"}} {
		cmd := b.command(t.Context(), append([]string{path}, append(args, "-no-color")...)...)
		cmd.Dir = dir
		cmd.Env = append(slices.Clone(b.env), "TF_CLI_CONFIG_FILE=", "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1",
			"AWS_ACCESS_KEY_ID="+credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+credentials.SecretAccessKey,
			"AWS_SESSION_TOKEN="+credentials.SessionToken)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("terraform %v: %v\n%s", args, err, out)
		}
	}
}

// wantRole holds a role of moto's against what it must allow, and to whom.
func wantRole(t *testing.T, c cloud, name, externalID string) {
	t.Helper()
	client, ctx := iam.NewFromConfig(c.config), t.Context()
	role, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		t.Fatal(err)
	}
	principal := map[string]any{"AWS": agentRole}
	assume := map[string]any{"Sid": "TallystickAssumesTheRole", "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
	if externalID != "" {
		assume["Condition"] = map[string]any{"StringEquals": map[string]any{"sts:ExternalId": externalID}}
	}
	keep := map[string]any{"Sid": "TallystickKeepsItsSourceIdentity", "Effect": "Allow", "Principal": principal, "Action": "sts:SetSourceIdentity"}
	trust := map[string]any{"Version": "2012-10-17", "Statement": []any{assume, keep}}
	if got := document(t, role.Role.AssumeRolePolicyDocument); !reflect.DeepEqual(got, trust) {
		t.Errorf("it trusts\n%v, want\n%v", got, trust)
	}

	inline, err := client.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if len(inline.PolicyNames) > 0 {
		t.Errorf("inline policies %v, want none", inline.PolicyNames)
	}
	attached, err := client.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, p := range attached.AttachedPolicies {
		if want := fmt.Sprintf("%s-%d", name, i+1); *p.PolicyName != want {
			t.Errorf("a policy is called %s, want %s", *p.PolicyName, want)
		}
		version, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: p.PolicyArn, VersionId: aws.String("v1")})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range document(t, version.PolicyVersion.Document)["Statement"].([]any) {
			s := s.(map[string]any)
			if s["Effect"] != "Allow" || s["Resource"] != "*" || len(s) != 4 {
				t.Errorf("a statement is %v", s)
			}
			for _, action := range s["Action"].([]any) {
				got = append(got, action.(string))
			}
		}
	}
	want := map[string]bool{}
	for _, spec := range collectors.Specs() {
		for _, call := range spec.Calls {
			want[call.Needs()] = true
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("it allows\n%v, the collectors need\n%v", got, slices.Sorted(maps.Keys(want)))
	}
}

// document reads a policy document as IAM answers it, percent-encoded.
func document(t *testing.T, text *string) map[string]any {
	t.Helper()
	plain, err := url.PathUnescape(aws.ToString(text))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(plain), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}
