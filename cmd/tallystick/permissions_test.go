package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/config"
)

// output runs the program and gives what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var b bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&b)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// needed gives the permissions of every call that the collectors of a provider
// declare.
func needed(provider string) []string {
	all := map[string]bool{}
	for _, spec := range declaredBy(provider) {
		for _, call := range spec.Calls {
			all[call.Needs()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// actionsIn gives everything in a text that reads like an IAM action, in order,
// but for what the trust policy is about.
func actionsIn(text string) []string {
	var found []string
	for _, action := range regexp.MustCompile(`\b[a-z][a-z0-9-]*:[A-Z*][A-Za-z0-9*]*`).FindAllString(text, -1) {
		if !slices.Contains([]string{"sts:AssumeRole", "sts:SetSourceIdentity", "sts:ExternalId"}, action) {
			found = append(found, action)
		}
	}
	return found
}

// TestPermissionsAreThoseDeclared: in each form, what a collector needs is
// there, once and sorted, and nothing else is.
func TestPermissionsAreThoseDeclared(t *testing.T) {
	for _, form := range []string{"table", "csv", "json", "terraform", "cloudformation"} {
		t.Run(form, func(t *testing.T) {
			if got, want := actionsIn(output(t, "permissions", "--output", form)), needed("aws"); !slices.Equal(got, want) {
				t.Errorf("it allows\n%v\nthe collectors need\n%v", got, want)
			}
		})
	}
}

// TestEveryCollectorOff: a policy without actions is none that IAM takes.
func TestEveryCollectorOff(t *testing.T) {
	file := &config.File{Config: config.Default()}
	file.Config.Schedule.Collectors = map[string]string{}
	for _, name := range known().Collectors {
		file.Config.Schedule.Collectors[name] = config.Off
	}
	if specs, err := chosenSpecs(file, "", nil); err == nil || !strings.Contains(err.Error(), "switches every collector off") {
		t.Errorf("%d collectors and the error %v", len(specs), err)
	}
	specs, err := chosenSpecs(file, "", []string{"aws.s3_buckets"})
	if err != nil || len(specs) != 1 {
		t.Errorf("asked for one: %d collectors and the error %v", len(specs), err)
	}
}

// TestGooglePermissions: in each form are the permissions that the collectors
// need, planted here by hand; OAuth scopes and APIs are in no role.
func TestGooglePermissions(t *testing.T) {
	role := []string{"cloudasset.assets.listIamPolicy", "cloudasset.assets.listOrgPolicy", "cloudasset.assets.listResource"}
	const scope = "https://www.googleapis.com/auth/admin.directory.user.readonly"
	apis := []string{"admin.googleapis.com", "cloudasset.googleapis.com", "cloudidentity.googleapis.com", "iamcredentials.googleapis.com"}
	for _, form := range []string{"table", "csv", "json", "yaml", "terraform"} {
		t.Run(form, func(t *testing.T) {
			text := output(t, "permissions", "--provider", "gcp", "--output", form)
			if got := regexp.MustCompile(`\bcloudasset\.assets\.\w+`).FindAllString(text, -1); !slices.Equal(got, role) {
				t.Errorf("it allows %v, want %v", got, role)
			}
			if inRole := form == "table" || form == "csv"; strings.Contains(text, scope) != inRole {
				t.Errorf("it has the OAuth scope: %v, want %v:\n%s", !inRole, inRole, text)
			}
			var wanted []string
			if form == "table" || form == "csv" || form == "terraform" {
				wanted = apis
			}
			if got := regexp.MustCompile(`\b(?:admin|cloudasset|cloudidentity|iamcredentials)\.googleapis\.com`).FindAllString(text, -1); !slices.Equal(got, wanted) {
				t.Errorf("it enables %v, want %v", got, wanted)
			}
			if strings.Contains(text, "{{") || len(actionsIn(text)) > 0 {
				t.Errorf("there are places not filled in, or actions of AWS:\n%s", text)
			}
		})
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(output(t, "permissions", "--provider", "gcp", "--output", "json")), &r); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(r)); !slices.Equal(got, []string{"description", "includedPermissions", "stage", "title"}) || r["stage"] != "GA" {
		t.Errorf("the role is %v", r)
	}
}

// TestPermissionsAreNeverMixed: of two providers, only a list can be made.
func TestPermissionsAreNeverMixed(t *testing.T) {
	both := append(declaredBy("aws"), declaredBy("gcp")...)
	for _, form := range []format{asJSON, asYAML, asTerraform, asCloudFormation} {
		if err := writePermissions(io.Discard, form, both); err == nil || !strings.Contains(err.Error(), "say --provider aws or --provider gcp") {
			t.Errorf("%s: %v", form, err)
		}
	}
	var b bytes.Buffer
	if err := writePermissions(&b, asCSV, both); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"provider,what,name,collectors\n",
		"\naws,permission,s3:ListAllMyBuckets,aws.s3_buckets\n",
		"\ngcp,permission,resourcemanager.folders.list,gcp.cloudresourcemanager_projects\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no line %q", line)
		}
	}
}

// TestPermissionsFitIntoAPolicy: who makes a role by hand makes one policy of
// what --output json prints.
func TestPermissionsFitIntoAPolicy(t *testing.T) {
	const inline = 10240 // IAM user guide, IAM and AWS STS quotas
	doc := strings.Join(strings.Fields(output(t, "permissions", "--output", "json")), "")
	t.Logf("%d actions, %d characters", len(needed("aws")), len(doc))
	if len(doc) > inline {
		t.Errorf("the policy has %d characters, IAM takes %d in a role: --output json must print several", len(doc), inline)
	}
}

// manyActions gives made-up actions that need more than one policy.
func manyActions() []string {
	var actions []string
	for i := range 400 {
		actions = append(actions, fmt.Sprintf("madeup:DescribeSomethingNumber%03d", i))
	}
	return actions
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name    string
		actions []string
		limit   int
		want    []int // how many actions in each
	}{
		{"one", []string{"a:B"}, 6144, []int{1}},
		{"all fit", manyActions()[:150], 6144, []int{150}},
		{"some policies", manyActions(), 6144, []int{167, 167, 66}},
		{"nothing fits", []string{"a:B", "a:C"}, 1, []int{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts, err := split(tt.actions, tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			var sizes []int
			for _, p := range parts {
				sizes = append(sizes, len(p))
			}
			if !slices.Equal(sizes, tt.want) {
				t.Errorf("policies of %v actions, want %v", sizes, tt.want)
			}
			if all := slices.Concat(parts...); !slices.Equal(all, tt.actions) {
				t.Errorf("the policies together are not the actions in order: %v", all)
			}
		})
	}
	// The frame and each action with its quotes and a comma, counted by hand.
	const frame, each = len(`{"Version":"2012-10-17","Statement":[{"Sid":"TallystickReadsConfiguration","Effect":"Allow","Action":[],"Resource":"*"}]}`), 36
	if n := frame + 167*each - 1; n > maxPolicy || n+each <= maxPolicy {
		t.Errorf("167 actions are %d characters, which is not the most that fits into %d", n, maxPolicy)
	}
}

// TestSplitRole: a role that needs several policies has them, each attached.
func TestSplitRole(t *testing.T) {
	for name, tt := range map[string]struct{ text, policy, attached string }{
		"terraform":      {terraformRole, `resource "aws_iam_policy" `, `resource "aws_iam_role_policy_attachment" `},
		"cloudformation": {cloudFormationRole, "AWS::IAM::ManagedPolicy\n", "- !Ref Role\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := writeRole(&b, tt.text, manyActions()); err != nil {
				t.Fatal(err)
			}
			if got := actionsIn(b.String()); !slices.Equal(got, manyActions()) {
				t.Errorf("it allows %v", got)
			}
			for _, what := range []string{tt.policy, tt.attached} {
				if n := strings.Count(b.String(), what); n != 3 {
					t.Errorf("%d times %q, want 3", n, what)
				}
			}
			if name == "terraform" {
				wantFormatted(t, b.String())
			}
		})
	}
}

func TestTerraformIsFormatted(t *testing.T) {
	wantFormatted(t, output(t, "permissions", "--output", "terraform"))
	wantFormatted(t, output(t, "permissions", "--output", "terraform", "--provider", "gcp"))
	wantFormatted(t, output(t, "permissions", "--output", "terraform", "--collector", "aws.ec2_volumes"))
}

func wantFormatted(t *testing.T, text string) {
	t.Helper()
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("terraform is not on the PATH, so the text is not held against `terraform fmt -check`")
	}
	cmd := exec.CommandContext(t.Context(), terraform, "fmt", "-check", "-diff", "-")
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(text)
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE=", "CHECKPOINT_DISABLE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("terraform fmt -check: %v\n%s", err, out)
	}
}
