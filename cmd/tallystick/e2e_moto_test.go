package main_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// plant makes the estate and gives the id of each thing by name.
func plant(t *testing.T, at map[place]cloud, all []planted) map[string]string {
	t.Helper()
	known := map[string]string{}
	for _, p := range all {
		c := at[p.at]
		c.known = known
		if known[p.name] != "" {
			t.Fatalf("two things are called %s", p.name)
		}
		id, err := p.make(t.Context(), c)
		if err != nil {
			t.Fatalf("plant %s: %v", p.name, err)
		}
		known[p.name] = id
	}
	return known
}

// subject is what a verdict is about.
type subject struct{ account, region, check, resource string }

func (s subject) String() string {
	return fmt.Sprintf("%s on %s in %s %s", s.check, s.resource, s.account, s.region)
}

// estateAccounts are the accounts and regions that are looked at.
const estateAccounts = `aws:
  accounts:
    - id: "` + ambient + `"
    - {id: "` + member + `", role: "arn:aws:iam::` + member + `:role/TallystickReader", external_id: ` + testExternal + `}
  regions: [us-east-1, eu-west-1]
`

func (w world) estate(t *testing.T) {
	t.Parallel()
	at := map[place]cloud{}
	for _, p := range allPlaces {
		at[p] = open(t, w.moto, p)
	}
	all := estate()
	ids := plant(t, at, all)
	want := expected(all, ids)
	strangers(t, at, want)
	b := w.bench(t, w.moto, estateAccounts+parameters(estateParameters()))
	// The account id is a part of the host of S3 Control, which has no address
	// here: moto takes the request as the proxy that it is sent through. Go sends
	// no request to a loopback address, which all others go to, through a proxy.
	b.env = append(b.env, "HTTP_PROXY="+w.moto)
	r := b.run(t, "collect", "--output", "json")
	r.want(t, 3) // moto does not serve every call
	var collected tasks
	r.json(t, &collected)
	wantTasks(t, collected)
	wantVerdicts(t, b, want)
	wantFormats(t, b)
	wantReconsidered(t, b, want, ids)

	b.wantVerified(t)
	other := b.init(t, filepath.Join(b.folder, "other")) // the same name, and another key
	b.run(t, "verify", "--output", "json", "--key", other, b.dir).want(t, 2)
	b.run(t, "results", "--output", "csv", "--fail-on-fail").want(t, 4)
	b.run(t, "results", "--output", "csv", "--fail-on-fail", "--check", "aws-iam-root-no-keys").want(t, 0)

	// One collector of one account, which moto answers whole.
	r = b.run(t, "collect", "--output", "json", "--collector", "aws.s3_buckets", "--account", member)
	r.want(t, 0)
	collected = tasks{}
	r.json(t, &collected)
	if one := collected.one(t); one.Collector != "aws.s3_buckets" || one.Account != member || one.Outcome != "complete" || one.Observations != 2 {
		t.Errorf("asked for the buckets of one account, got %+v", one)
	}
	b.run(t, "collect", "--output", "json", "--collector", "aws.s3_buckets", "--account", member, "--fail-on-fail").want(t, 4)
	b.run(t, "collect", "--collector", "aws.s3_bucket").want(t, 1)
	b.run(t, "collect", "--account", "999999999999").want(t, 1)
	wantStatus(t, b)
	b.wantVerified(t)
}

// follows gives the verdicts that follow from things of the estate.
func follows(all []planted, ids map[string]string) map[subject]string {
	want := map[subject]string{}
	for _, p := range all {
		region := p.at.region
		if strings.HasPrefix(ids[p.name], "arn:aws:s3:::") {
			region = "" // moto's list of buckets does not name their regions
		}
		for check, says := range p.says {
			want[subject{p.at.account, region, check, ids[p.name]}] = says
		}
	}
	return want
}

// expected gives all the verdicts that follow from what was planted.
func expected(all []planted, ids map[string]string) map[subject]string {
	want := follows(all, ids)
	spoken := map[string]map[string]bool{} // check → account
	for at := range want {
		if spoken[at.check] == nil {
			spoken[at.check] = map[string]bool{}
		}
		spoken[at.check][at.account] = true
	}
	// Where nothing of the kind was planted, the check says so, once.
	for check, in := range spoken {
		for _, account := range []string{ambient, member} {
			if !in[account] {
				want[subject{account, "", check, "*"}] = "not_applicable"
			}
		}
	}
	return want
}

// wantVerdicts compares the results with what was planted, both ways.
func wantVerdicts(t *testing.T, b *bench, want map[subject]string) {
	t.Helper()
	want = maps.Clone(want)
	// What the reason of an unknown verdict must name: the call, where moto does
	// not serve it or answers nothing of use, or what has to be said by people.
	whyUnknown := map[string][]string{
		"aws-backup-coverage":           {"backup:ListProtectedResources malformed", "no FileSystemProtection"},
		"aws-backup-jobs":               {"backup:ListBackupJobs malformed"},
		"aws-backup-recovery-encrypted": {"backup:ListRecoveryPointsByBackupVault malformed"},
		"aws-cloudtrail-validation":     {"no Status.LatestDigestDeliveryTime"},
		"aws-config-recorder":           {"config:ListConfigurationRecorders malformed"},
		"aws-dynamodb-pitr":             {"backup:ListProtectedResources malformed"},
		"aws-elb-access-logs":           {"no attribute access_logs.s3.enabled"},
		"aws-iam-access-listing":        {"sso:ListAccountAssignments malformed", "needs evidence: no review of access"},
		"aws-iam-root-mfa":              {"no SummaryMap.AccountPasswordPresent"},
		"aws-iam-root-unused":           {"no row for the root user"},
		"aws-inspector-enabled":         {"inspector2:ListCoverage malformed", "inspector2:BatchGetAccountStatus does not tell the status"},
		"aws-org-inventory":             {"account:ListRegions malformed"},
		"aws-rds-snapshot-encrypted":    {"rds:DescribeDBInstanceAutomatedBackups malformed"},
		"aws-s3-bucket-public":          {"no PolicyStatus.PolicyStatus.IsPublic"},
		"aws-s3-lifecycle":              {"no tag retention-days"},
		"aws-sg-admin-ports":            {"takes its ranges from a prefix list"},
		"aws-snapshot-public":           {"ec2:GetSnapshotBlockPublicAccessState unavailable"},
		"aws-sso-mfa-evidence":          {"needs evidence: AWS has no public API"},
	}
	// The time that every credential report of moto claims to be from.
	motoReport := time.Date(2015, time.February, 2, 20, 2, 2, 0, time.UTC)
	for _, v := range b.verdicts(t) {
		if v.Control == "" || v.Provider != "aws" || v.Kind == "" || v.Reason == "" {
			t.Errorf("a verdict lacks something: %+v", v)
		}
		if decided := v.Status == "pass" || v.Status == "fail"; decided != (v.Basis != "") {
			t.Errorf("status %s with basis %q: %+v", v.Status, v.Basis, v)
		}
		if v.Kind == "aws.iam.credential" && v.Resource != "*" && (v.AsOf == nil || !v.AsOf.Equal(motoReport)) {
			t.Errorf("a verdict from the credential report is as of %v, want %v: %+v", v.AsOf, motoReport, v)
		}
		at := subject{v.Account, v.Region, v.Check, v.Resource}
		said, planted := want[at]
		delete(want, at)
		got := v.Status
		if v.Basis != "" && v.Basis != "customer_config" {
			got += " " + v.Basis
		}
		if words := whyUnknown[v.Check]; got == "unknown" && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(v.Reason, w) }) {
			t.Errorf("%s: unknown for %q, want %q", at, v.Reason, words)
		}
		switch {
		case !planted:
			t.Errorf("not planted: %s: %s (%s)", at, got, v.Reason)
		case got != said:
			t.Errorf("%s: %s, want %s (%s)", at, got, said, v.Reason)
		}
	}
	for at, says := range want {
		t.Errorf("%s: no verdict, want %s", at, says)
	}
}

// wantReconsidered has other parameters take effect, and looks at all verdicts
// again. A check is judged anew with a collector that it reads.
func wantReconsidered(t *testing.T, b *bench, want map[subject]string, ids map[string]string) {
	t.Helper()
	said := estateParameters()
	maps.Copy(said, reconsidered(ids))
	b.configure(t, estateAccounts+parameters(said))
	b.run(t, "collect", "--collector", "aws.cloudtrail_trails", "--collector", "aws.ec2_security_groups", "--collector", "aws.ec2_volumes",
		"--collector", "aws.iam_authorization_details", "--collector", "aws.s3_account", "--collector", "aws.sns_topics", "--collector", "aws.sso_instances").want(t, 0)
	b.run(t, "collect", "--collector", "aws.inspector2_coverage").want(t, 3) // moto does not serve it whole

	now := maps.Clone(want)
	for at, says := range follows(reconsideredEstate(), ids) {
		if want[at] == "" {
			t.Errorf("%s: nothing was wanted before", at)
		}
		now[at] = says
	}
	wantVerdicts(t, b, now)

	b.configure(t, estateAccounts+parameters(estateParameters()))
}

// wantFormats reads the verdicts in every other format.
func wantFormats(t *testing.T, b *bench) {
	t.Helper()
	failing := b.verdicts(t, "--status", "fail", "--account", ambient)
	if len(failing) == 0 {
		t.Fatal("nothing fails")
	}
	for _, v := range failing {
		if v.Status != "fail" || v.Account != ambient {
			t.Errorf("filtered for what fails in %s, got %+v", ambient, v)
		}
	}
	r := b.run(t, "results", "--output", "csv", "--status", "fail", "--account", ambient)
	r.want(t, 0)
	rows, err := csv.NewReader(strings.NewReader(r.stdout)).ReadAll()
	if err != nil {
		t.Fatalf("the CSV can not be read: %v", err)
	}
	if len(rows) != len(failing)+1 {
		t.Errorf("%d lines of CSV and %d verdicts in JSON", len(rows)-1, len(failing))
	}
	if want := []string{"check", "control", "provider", "account", "region", "kind", "resource", "status", "basis", "reason"}; !slices.Equal(rows[0][:len(want)], want) {
		t.Errorf("the columns are %v", rows[0])
	}
	r = b.run(t, "results", "--check", "aws-s3-versioning")
	r.want(t, 0)
	r.says(t, "backup-storage", "e2e-bare", "e2e-suspended", "versioning is Suspended")
	if strings.Contains(r.stdout, "e2e-full") {
		t.Errorf("the table lists what passes without being asked: %s", r)
	}
	b.run(t, "results", "--check", "aws-s3-versioning", "--all").says(t, "e2e-full")
}

func wantStatus(t *testing.T, b *bench) {
	t.Helper()
	r := b.run(t, "status", "--output", "json")
	r.want(t, 0)
	var status struct {
		Organization string `json:"organization"`
		Records      uint64 `json:"records"`
		Holder       string `json:"holder"`
		Simulated    bool   `json:"simulated"`
		Streams      []struct {
			Collector, Account, Outcome, Schedule string
			Gaps, Missed, Overdue                 int
		} `json:"streams"`
	}
	r.json(t, &status)
	if status.Organization != "Example, Inc." || status.Records == 0 || status.Holder != "" || status.Simulated {
		t.Errorf("status: %+v", status)
	}
	accounts := map[string]int{}
	for _, s := range status.Streams {
		accounts[s.Account]++
		if s.Outcome == "" || s.Schedule != "" || s.Missed+s.Overdue > 0 {
			t.Errorf("a stream that was only run by hand: %+v", s)
		}
	}
	// One account lists the organisation, too.
	if accounts[member] == 0 || accounts[ambient] != accounts[member]+1 {
		t.Errorf("streams by account: %v", accounts)
	}
	b.run(t, "status").says(t, "aws.s3_buckets", member, "no agent holds the directory")
}
