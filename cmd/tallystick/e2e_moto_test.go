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
func plant(t *testing.T, moto string, all []planted) map[string]string {
	t.Helper()
	at, known := map[place]cloud{}, map[string]string{}
	for _, p := range allPlaces {
		at[p] = open(t, moto, p)
	}
	for _, p := range all {
		c := at[p.at]
		c.known = known
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

func (w world) estate(t *testing.T) {
	t.Parallel()
	all := estate()
	ids := plant(t, w.moto, all)
	b := w.bench(t, w.moto, `aws:
  accounts:
    - id: "`+ambient+`"
    - {id: "`+member+`", role: "`+roleIn(member)+`", external_id: `+testExternal+`}
  regions: [us-east-1, eu-west-1]
`)
	r := b.run(t, "collect", "--output", "json")
	r.want(t, 3) // moto does not serve every call
	var collected tasks
	r.json(t, &collected)
	wantTasks(t, collected)
	wantVerdicts(t, b, all, ids)
	wantFormats(t, b)

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
	if one := collected.one(t); one.Collector != "aws.s3_buckets" || one.Account != member || one.Outcome != "complete" || one.Observations != 1 {
		t.Errorf("asked for the buckets of one account, got %+v", one)
	}
	b.run(t, "collect", "--output", "json", "--collector", "aws.s3_buckets", "--account", member, "--fail-on-fail").want(t, 4)
	b.run(t, "collect", "--collector", "aws.s3_bucket").want(t, 1)
	b.run(t, "collect", "--account", "999999999999").want(t, 1)
	wantStatus(t, b)
	b.wantVerified(t)
}

// wantTasks holds what collect printed against what moto can and can not do.
func wantTasks(t *testing.T, got tasks) {
	t.Helper()
	// moto does not serve these, so they are gaps, one for each region or vault:
	// it answers two with status 500 and the last with a page that is not JSON.
	missing := map[string]map[string]int{
		"aws.ec2_ebs_defaults":       {"ec2:GetEbsDefaultKmsKeyId unavailable": 2},
		"aws.iam_account_summary":    {"iam:ListOrganizationsFeatures unavailable": 1},
		"aws.backup_recovery_points": {"backup:ListRecoveryPointsByBackupVault malformed": 1},
	}
	// What was planted, where nothing of moto's own is among it.
	seen := map[string]map[string]int{
		ambient: {
			"aws.iam_users": 6, "aws.iam_credential_report": 6, "aws.iam_password_policy": 1, "aws.iam_account_summary": 1,
			"aws.s3_buckets": 7, "aws.ec2_ebs_defaults": 2, "aws.ec2_volumes": 2, "aws.rds_instances": 4, "aws.rds_clusters": 2,
			"aws.dynamodb_tables": 3, "aws.cloudtrail_trails": 2, "aws.logs_log_groups": 3,
			"aws.backup_plans": 1, "aws.backup_vaults": 1, "aws.backup_recovery_points": 0,
		},
		member: {
			"aws.iam_users": 1, "aws.iam_credential_report": 1, "aws.iam_password_policy": 1, "aws.iam_account_summary": 1,
			"aws.s3_buckets": 1, "aws.ec2_ebs_defaults": 2, "aws.ec2_volumes": 1, "aws.rds_instances": 1, "aws.rds_clusters": 0,
			"aws.dynamodb_tables": 1, "aws.cloudtrail_trails": 2, "aws.logs_log_groups": 1,
			"aws.backup_plans": 0, "aws.backup_vaults": 0, "aws.backup_recovery_points": 0,
		},
	}
	streams := map[string]bool{}
	for _, task := range got.Tasks {
		stream := task.Collector + "@" + task.Provider + "/" + task.Account
		if streams[stream] || !strings.HasPrefix(task.ID, stream+"@") {
			t.Errorf("task %q is not the only one of %s", task.ID, stream)
		}
		streams[stream] = true
		want := maps.Clone(missing[task.Collector])
		if task.Collector == "aws.backup_recovery_points" && task.Account == member {
			want = nil // it has no vault
		}
		outcome := "complete"
		if len(want) > 0 {
			outcome = "partial"
		}
		if task.Outcome != outcome || task.Record == nil {
			t.Errorf("%s: outcome %s, record %v, want %s and a record", stream, task.Outcome, task.Record, outcome)
		}
		gaps := map[string]int{}
		for _, cause := range task.Causes {
			gaps[cause.Operation+" "+cause.Class] += cause.Count
		}
		if !maps.Equal(gaps, want) {
			t.Errorf("%s: gaps %v, want %v", stream, gaps, want)
		}
		if n, counted := seen[task.Account][task.Collector]; counted && n != task.Observations {
			t.Errorf("%s: %d observations, planted %d", stream, task.Observations, n)
		}
	}
	for account, collectors := range seen {
		for collector := range collectors {
			if !streams[collector+"@aws/"+account] {
				t.Errorf("no task of %s in %s", collector, account)
			}
		}
	}
}

// wantVerdicts compares the results with what was planted, both ways.
func wantVerdicts(t *testing.T, b *bench, all []planted, ids map[string]string) {
	t.Helper()
	want := map[subject]string{}
	spoken := map[string]map[string]bool{} // check → account
	for _, p := range all {
		for check, says := range p.says {
			region := p.at.region
			if strings.HasPrefix(ids[p.name], "arn:aws:s3:::") {
				region = "" // moto's list of buckets does not name their regions
			}
			want[subject{p.at.account, region, check, ids[p.name]}] = says
			if spoken[check] == nil {
				spoken[check] = map[string]bool{}
			}
			spoken[check][p.at.account] = true
		}
	}
	// Where nothing of the kind was planted, the check says so, once.
	for check, in := range spoken {
		for _, account := range []string{ambient, member} {
			if !in[account] {
				want[subject{account, "", check, "*"}] = "not_applicable"
			}
		}
	}

	// The time that every credential report of moto claims to be from.
	motoReport := time.Date(2015, time.February, 2, 20, 2, 2, 0, time.UTC)
	foreign := 0
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
		// moto also answers the snapshots behind its public images when asked
		// for those of the account. They belong to others.
		if v.Check == "aws-ebs-snapshot-encrypted" && v.Resource != "*" && !strings.Contains(v.Resource, v.Account) {
			foreign++
			if v.Status != "not_applicable" {
				t.Errorf("the snapshot of another account is judged: %+v", v)
			}
			continue
		}
		at := subject{v.Account, v.Region, v.Check, v.Resource}
		said, planted := want[at]
		delete(want, at)
		got := v.Status
		if v.Basis != "" && v.Basis != "customer_config" {
			got += " " + v.Basis
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
	if foreign == 0 {
		t.Error("moto answers no foreign snapshots any more: look at what this test says of them")
	}
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
	if accounts[ambient] == 0 || accounts[ambient] != accounts[member] {
		t.Errorf("streams by account: %v", accounts)
	}
	b.run(t, "status").says(t, "aws.s3_buckets", member, "no agent holds the directory")
}
