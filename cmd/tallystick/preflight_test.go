package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/preflight"
)

const organizationConfig = `
organization: Example, Inc.
period: {start: 2026-07-01, end: 2026-12-31}
aws:
  organization:
    management_role: arn:aws:iam::111122223333:role/TallystickReader
    member_role: TallystickReader
    exclude: [{unit: Sandbox, reason: experiments, approver: the auditor}]
  regions: [eu-west-1, us-east-1]
limits: {rate: {default: 0, account: 0, iam: 0, organizations: 0, s3: 0}}
`

// newFlight gives a preflight of the recorded estate, whose accounts are those
// that follow from what was seen.
func newFlight(t *testing.T, text string, refuse func(l capture.Labels, account string) bool) (*flight, *[][]string) {
	t.Helper()
	file, err := config.Parse("tallystick.yaml", []byte(text), known(), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	clock := agent.NewSimulatedClock(recordedAt())
	var asked [][]string
	return &flight{config: file.Config, clock: clock, bar: &bar{}, estate: func(ctx context.Context, known agent.Known) ([]agent.Provider, error) {
		f, err := find(file.Config.AWS, known)
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, a := range f.Accounts {
			ids = append(ids, a.ID)
		}
		asked = append(asked, ids)
		providers, err := recorded(ctx, file, clock)
		if err != nil {
			return nil, err
		}
		p := &providers[0]
		p.Accounts = slices.DeleteFunc(p.Accounts, func(id string) bool { return !slices.Contains(ids, id) })
		p.Central, p.Listing = f.Central, f.listing
		base := p.Transport
		p.Transport = tripper(func(req *http.Request) (*http.Response, error) {
			if _, by, _ := strings.Cut(req.Header.Get("Authorization"), "Credential="); refuse != nil && refuse(aws.Describe(req), by[:12]) {
				resp := capture.Respond(req, http.StatusForbidden, "application/x-amz-json-1.1",
					`{"__type":"AccessDeniedException","message":"User: x is not authorized to perform: y with an explicit deny in a service control policy"}`)
				return resp, nil
			}
			return base.RoundTrip(req)
		})
		return providers, nil
	}}, &asked
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// told runs a flight and gives what it prints and the code that it ends with.
func (f *flight) told(t *testing.T, as format, everything bool) (out, errs string, code int) {
	t.Helper()
	found, err := f.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	switch err := found.tell(&o, &e, as, everything).(type) { //nolint:errorlint // it is the error itself
	case nil:
	case exitError:
		code = err.code
	default:
		t.Fatal(err)
	}
	return o.String(), e.String(), code
}

func TestPreflight(t *testing.T) {
	f, _ := newFlight(t, demoConfig, nil)
	out, errs, code := f.told(t, asTable, false)
	if code != 0 || errs != "" {
		t.Errorf("exit code %d, %q", code, errs)
	}
	if !strings.Contains(out, " allowed in 3 accounts: 0 denied, 0 failed, ") {
		t.Errorf("the summary is not there:\n%s", out)
	}
	for _, not := range []string{"ec2:DescribeVolumes", "sso:ListPermissionSets", "denied "} {
		if strings.Contains(out, not) {
			t.Errorf("the table has %q, which is allowed:\n%s", not, out)
		}
	}
	if !strings.Contains(out, "sns:ListSubscriptionsByTopic") {
		t.Errorf("the table does not have what could not be tried:\n%s", out)
	}
	if testing.Verbose() {
		t.Logf("\n%s", out)
	}
	f, _ = newFlight(t, demoConfig, nil)
	if out, _, _ = f.told(t, asTable, true); !strings.Contains(out, "ec2:DescribeVolumes") {
		t.Errorf("--all leaves out what is allowed:\n%s", out)
	}
}

func TestPreflightDenied(t *testing.T) {
	refuse := func(l capture.Labels, account string) bool {
		return l.Operation == "kms:ListKeys" || l.Operation == "backup:ListBackupPlans" && account == "444455556666" && l.Region == "us-east-1"
	}
	f, _ := newFlight(t, demoConfig, refuse)
	out, _, code := f.told(t, asTable, false)
	if code != exitGaps {
		t.Errorf("exit code %d", code)
	}
	if testing.Verbose() {
		t.Logf("\n%s", out)
	}
	fields := func(line string) string { return strings.Join(strings.Fields(line), " ") }
	var lines []string
	for line := range strings.Lines(out) {
		lines = append(lines, fields(line))
	}
	for i, want := range []string{
		"denied backup:ListBackupPlans 444455556666 us-east-1 AccessDeniedException: a service control policy refuses it",
		"denied kms:ListKeys 111122223333 444455556666 eu-west-1 us-east-1 AccessDeniedException: a service control policy refuses it",
	} {
		if lines[i+1] != want {
			t.Errorf("line %d is %q, want %q", i+1, lines[i+1], want)
		}
	}
	if !slices.Contains(lines, "not tried kms:DescribeKey 111122223333 444455556666 it rests on kms:ListKeys, which is denied") {
		t.Errorf("the details of a list that was denied:\n%s", out)
	}

	f, _ = newFlight(t, demoConfig, refuse)
	out, errs, code := f.told(t, asJSON, false)
	var got struct {
		Permissions []preflight.Permission `json:"permissions"`
		Calls       int                    `json:"calls"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitGaps {
		t.Fatalf("%v, exit code %d", err, code)
	}
	if !strings.Contains(errs, "3 denied") || got.Calls == 0 {
		t.Errorf("%d calls, %q", got.Calls, errs)
	}
	denied := 0
	for _, p := range got.Permissions {
		if p.Result == preflight.Denied {
			denied++
			if p.Policy != "service control policy" || p.Region == "" {
				t.Errorf("%+v", p)
			}
		}
	}
	if denied != 5 {
		t.Errorf("%d entries are denied, want 5", denied)
	}

	f, _ = newFlight(t, demoConfig, refuse)
	f.collectors, f.accounts = []string{"aws.kms_keys"}, []string{"111122223333"}
	out, _, _ = f.told(t, asCSV, false)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[3] != "111122223333" || !strings.Contains(row[9], "aws.kms_keys") {
			t.Errorf("not asked for: %q", row)
		}
	}
	// The two that everything rests on, one list in two regions, two details.
	if len(rows) != 1+2+2+2 {
		t.Errorf("%d rows: %q", len(rows), rows)
	}
}

// TestPreflightOff: what the configuration switches off is not tried.
func TestPreflightOff(t *testing.T) {
	f, _ := newFlight(t, demoConfig+"schedule: {collectors: {aws.kms_keys: \"off\"}}\n", nil)
	if out, _, _ := f.told(t, asTable, true); strings.Contains(out, "kms:") || !strings.Contains(out, "ec2:DescribeVolumes") {
		t.Errorf("the table:\n%s", out)
	}
}

// TestPreflightOrganization: the accounts are those of a listing that was made
// a moment ago, and without a ledger.
func TestPreflightOrganization(t *testing.T) {
	f, asked := newFlight(t, organizationConfig, nil)
	out, _, code := f.told(t, asTable, true)
	if code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if first := (*asked)[0]; !slices.Equal(first, []string{"111122223333"}) {
		t.Errorf("before the listing there is %v", first)
	}
	if then := (*asked)[1]; len(then) < 2 || !slices.Contains(then, "444455556666") {
		t.Errorf("the listing gives %v", then)
	}
	for _, want := range []string{"organizations:ListAccounts", "444455556666"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in the table:\n%s", want, out)
		}
	}

	// One collector in one account: the listing is needed and not shown.
	f, _ = newFlight(t, organizationConfig, nil)
	f.collectors, f.accounts = []string{"aws.ec2_volumes"}, []string{"444455556666"}
	if out, _, code = f.told(t, asTable, true); code != 0 || strings.Contains(out, "organizations:") || !strings.Contains(out, "ec2:DescribeVolumes") {
		t.Errorf("exit code %d:\n%s", code, out)
	}

	// Where it can not be listed, that is what is missing.
	f, _ = newFlight(t, organizationConfig, func(l capture.Labels, _ string) bool { return l.Operation == "organizations:ListAccounts" })
	f.collectors, f.accounts = []string{"aws.ec2_volumes"}, []string{"444455556666"}
	found, err := f.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = found.tell(&b, &b, asTable, false)
	if err == nil || !strings.Contains(err.Error(), `--account "444455556666" is not among`) ||
		!strings.Contains(b.String(), "could not be listed") || !strings.Contains(b.String(), "organizations:ListAccounts") {
		t.Errorf("%v\n%s", err, b.String())
	}

	f, _ = newFlight(t, organizationConfig, nil)
	f.accounts = []string{"999999999999"}
	if found, err = f.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := found.tell(&b, &b, asTable, false); err == nil || !strings.Contains(err.Error(), "999999999999") {
		t.Errorf("an account that is not there: %v", err)
	}
}

// TestPreflightRole: a role that can not be assumed is one line, after one call.
func TestPreflightRole(t *testing.T) {
	var mu sync.Mutex
	actions := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if err := req.ParseForm(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		actions[req.Form.Get("Action")]++
		mu.Unlock()
		rw.Header().Set("Content-Type", "text/xml")
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprint(rw, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: x is not authorized to perform: sts:AssumeRole</Message></Error><RequestId>r</RequestId></ErrorResponse>`)
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_SESSION_TOKEN": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	path := filepath.Join(t.TempDir(), "tallystick.yaml")
	if err := os.WriteFile(path, []byte(demoConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"preflight", "--config", path})
	root.SetOut(&out)
	if err := root.ExecuteContext(t.Context()); err == nil {
		t.Error("nothing is missing")
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "sts:AssumeRole") || !strings.Contains(lines[1], "111122223333 444455556666") {
		t.Errorf("printed\n%s", out.String())
	}
	if len(actions) != 1 || actions["AssumeRole"] != 2 {
		t.Errorf("calls: %v, want one of AssumeRole for each account", actions)
	}
}
