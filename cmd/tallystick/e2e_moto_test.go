package main_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The places of the estate. The member account is entered by a role.
var (
	here      = place{ambient, ""}
	hereUS    = place{ambient, "us-east-1"}
	hereEU    = place{ambient, "eu-west-1"}
	there     = place{member, ""}
	thereUS   = place{member, "us-east-1"}
	thereEU   = place{member, "eu-west-1"}
	allPlaces = []place{here, hereUS, hereEU, there, thereUS, thereEU}
)

// planted is a fact of the estate and what follows from it.
type planted struct {
	name string
	at   place
	make maker

	// says is the verdict that each check must reach on it, followed by the
	// basis where that is not customer_config. No other check may speak of it.
	says map[string]string
}

type says = map[string]string

// estate is what the program has to find out. What moto can not express is
// in the comments that begin with "moto".
func estate() []planted {
	return slices.Concat(people(), keys(), storage(), disks(), logging(), networks(), databases(), backups())
}

func people() []planted {
	const console, idle, age = "aws-iam-user-console-mfa", "aws-iam-unused-credentials", "aws-iam-access-key-age"
	const active, inactive = iamtypes.StatusTypeActive, iamtypes.StatusTypeInactive
	account := says{
		"aws-iam-root-no-keys": "pass",
		// moto has no AccountPasswordPresent and no root row in the report, so
		// that neither question can be decided.
		"aws-iam-root-mfa":    "unknown",
		"aws-iam-root-unused": "unknown",
	}
	return []planted{
		{"user with password and MFA", here, user("ana", password, mfa), says{console: "pass", idle: "pass", age: "not_applicable"}},
		{"user with password only", here, user("bob", password), says{console: "fail", idle: "pass", age: "not_applicable"}},
		{"user with MFA and no password", here, user("cho", mfa), says{console: "not_applicable", idle: "not_applicable", age: "not_applicable"}},
		{"user with a key", here, user("deploy", accessKey(active)), says{console: "not_applicable", idle: "pass", age: "pass"}},
		{"user with two keys", here, user("rotating", accessKey(inactive), accessKey(active)), says{console: "not_applicable", idle: "pass", age: "pass"}},
		{"user with a disabled key", here, user("former", accessKey(inactive)), says{console: "not_applicable", idle: "not_applicable", age: "not_applicable"}},
		{"password policy", here, passwordPolicy(14, 24), says{"aws-iam-password-policy": "pass"}},
		{"account", here, nothing(ambient), account},
		{"other user with password only", there, user("bob", password), says{console: "fail", idle: "pass", age: "not_applicable"}},
		{"no password policy", there, nothing(member), says{"aws-iam-password-policy": "fail"}},
		{"other account", there, nothing(member), account},
	}
}

func keys() []planted {
	const rotation, doomed = "aws-kms-rotation", "aws-kms-pending-deletion"
	const symmetric = kmstypes.KeySpecSymmetricDefault
	// moto takes no rotation period and answers none.
	return []planted{
		{"rotated key", hereUS, kmsKey(symmetric, rotate), says{rotation: "pass", doomed: "pass"}},
		{"key without rotation", hereUS, kmsKey(symmetric), says{rotation: "fail", doomed: "pass"}},
		{"signing key", hereUS, kmsKey(kmstypes.KeySpecRsa2048), says{rotation: "not_applicable", doomed: "pass"}},
		{"disabled key", hereUS, kmsKey(symmetric, disableKey), says{rotation: "not_applicable", doomed: "pass"}},
		{"doomed key", hereEU, kmsKey(symmetric, rotate, deleteKey), says{rotation: "not_applicable", doomed: "fail"}},
		{"european key", hereEU, kmsKey(symmetric, rotate), says{rotation: "pass", doomed: "pass"}},
	}
}

func storage() []planted {
	const encrypted, versions = "aws-s3-encryption-default", "aws-s3-versioning"
	const on, suspended = s3types.BucketVersioningStatusEnabled, s3types.BucketVersioningStatusSuspended
	const aes, withKey = s3types.ServerSideEncryptionAes256, s3types.ServerSideEncryptionAwsKms
	return []planted{
		// moto gives a fresh bucket no default encryption, as S3 did until 2023.
		{"bare bucket", hereUS, bucket("e2e-bare"), says{encrypted: "fail", versions: "fail"}},
		{"bucket with everything", hereUS, bucket("e2e-full", versioning(on), encryption(withKey, "rotated key"), noPublicAccess, accessLogsTo("e2e-bare"), expireAfter(400), bucketTag("data", "customer")),
			says{encrypted: "pass", versions: "pass"}},
		{"public bucket", hereUS, bucket("e2e-public", encryption(aes, ""), publicPolicy), says{encrypted: "pass provider_default", versions: "fail"}},
		{"suspended bucket", hereEU, bucket("e2e-suspended", versioning(on), versioning(suspended)), says{encrypted: "fail", versions: "fail"}},
		{"european bucket", hereEU, bucket("e2e-europe", versioning(on), encryption(aes, "")), says{encrypted: "pass provider_default", versions: "pass"}},
		{"bucket of the trail", hereUS, bucket("e2e-trail", versioning(on), encryption(aes, ""), noPublicAccess, trailPolicy), says{encrypted: "pass provider_default", versions: "pass"}},
		{"short-lived bucket of a trail", thereUS, bucket("e2e-trail-short", versioning(on), noPublicAccess, expireAfter(30)), says{encrypted: "fail", versions: "pass"}},
	}
}

func disks() []planted {
	const byDefault, volumes, snapshots = "aws-ebs-encryption-default", "aws-ebs-volume-encrypted", "aws-ebs-snapshot-encrypted"
	return []planted{
		{"encryption by default", hereUS, ebsDefault(true), says{byDefault: "pass"}},
		{"no encryption by default", hereEU, ebsDefault(false), says{byDefault: "fail"}},
		{"untouched default", thereUS, ebsDefault(false), says{byDefault: "fail"}},
		{"other default", thereEU, ebsDefault(true), says{byDefault: "pass"}},
		{"encrypted volume", hereEU, volume("european key"), says{volumes: "pass"}},
		{"plain volume", hereEU, volume(""), says{volumes: "fail"}},
		{"other plain volume", thereUS, volume(""), says{volumes: "fail"}},
		{"encrypted snapshot", hereEU, snapshotOf("encrypted volume"), says{snapshots: "pass"}},
		{"plain snapshot", hereEU, snapshotOf("plain volume"), says{snapshots: "fail"}},
		{"other plain snapshot", thereUS, snapshotOf("other plain volume"), says{snapshots: "fail"}},
	}
}

func networks() []planted {
	const logged = "aws-vpc-flow-logs"
	const network, subnet = ec2types.FlowLogsResourceTypeVpc, ec2types.FlowLogsResourceTypeSubnet
	return []planted{
		{"default VPC", hereUS, defaultVPC, says{logged: "not_applicable"}},
		{"european default VPC", hereEU, defaultVPC, says{logged: "not_applicable"}},
		{"other default VPC", thereUS, defaultVPC, says{logged: "not_applicable"}},
		{"other european default VPC", thereEU, defaultVPC, says{logged: "not_applicable"}},

		{"logged VPC", hereUS, vpc, says{logged: "pass"}},
		{"its subnet", hereUS, subnetIn("logged VPC", "10.7.1.0/24"), nil},
		{"its flow log", hereUS, flowLog("logged VPC", network, ec2types.TrafficTypeAll, "/e2e/year"), nil},

		{"VPC logged by subnet", hereUS, vpc, says{logged: "pass"}},
		{"only subnet", hereUS, subnetIn("VPC logged by subnet", "10.7.1.0/24"), nil},
		{"flow log of the subnet", hereUS, flowLog("only subnet", subnet, ec2types.TrafficTypeReject, "/e2e/year"), nil},

		{"half logged VPC", hereUS, vpc, says{logged: "fail"}},
		{"first half", hereUS, subnetIn("half logged VPC", "10.7.1.0/24"), nil},
		{"second half", hereUS, subnetIn("half logged VPC", "10.7.2.0/24"), nil},
		{"flow log of the first half", hereUS, flowLog("first half", subnet, ec2types.TrafficTypeAll, "/e2e/year"), nil},

		{"VPC whose logs reach nobody", hereUS, vpc, says{logged: "fail"}},
		{"subnet without readers", hereUS, subnetIn("VPC whose logs reach nobody", "10.7.1.0/24"), nil},
		{"flow log to no log group", hereUS, flowLog("VPC whose logs reach nobody", network, ec2types.TrafficTypeAll, "/e2e/none"), nil},

		{"VPC that logs what it accepts", hereEU, vpc, says{logged: "fail"}},
		{"subnet in it", hereEU, subnetIn("VPC that logs what it accepts", "10.7.1.0/24"), nil},
		{"flow log of what it accepts", hereEU, flowLog("VPC that logs what it accepts", network, ec2types.TrafficTypeAccept, "/e2e/month"), nil},

		{"unlogged VPC", thereEU, vpc, says{logged: "fail"}},
		{"subnet of it", thereEU, subnetIn("unlogged VPC", "10.7.1.0/24"), nil},
		{"empty VPC", thereEU, vpc, says{logged: "not_applicable"}},
	}
}

func databases() []planted {
	const (
		encrypted, clusterEncrypted, tableEncrypted = "aws-rds-instance-encrypted", "aws-rds-cluster-encrypted", "aws-dynamodb-encrypted"
		retention, clusterRetention, pitr           = "aws-rds-backup-retention", "aws-rds-cluster-backup-retention", "aws-dynamodb-pitr"
		restorable, protected, private              = "aws-rds-restorable", "aws-rds-deletion-protection", "aws-rds-not-public"
	)
	good := func(in *rds.CreateDBInstanceInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod, in.DeletionProtection = aws.Bool(true), aws.Int32(7), aws.Bool(true)
	}
	bad := func(in *rds.CreateDBInstanceInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod, in.PubliclyAccessible = aws.Bool(false), aws.Int32(0), aws.Bool(true)
	}
	brief := func(in *rds.CreateDBInstanceInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod = aws.Bool(true), aws.Int32(1)
	}
	memberOf := func(cluster string) func(*rds.CreateDBInstanceInput) {
		return func(in *rds.CreateDBInstanceInput) {
			in.DBClusterIdentifier, in.Engine = &cluster, aws.String("aurora-postgresql")
			in.MasterUsername, in.MasterUserPassword, in.AllocatedStorage = nil, nil, nil
		}
	}
	goodCluster := func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod, in.DeletionProtection = aws.Bool(true), aws.Int32(14), aws.Bool(true)
	}
	badCluster := func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod = aws.Bool(false), aws.Int32(1)
	}
	return []planted{
		{"good database", hereUS, dbInstance("orders", good), says{encrypted: "pass", retention: "pass", restorable: "pass", protected: "pass", private: "pass"}},
		{"bad database", hereUS, dbInstance("scratch", bad), says{encrypted: "fail", retention: "fail", restorable: "not_applicable", protected: "fail", private: "fail"}},
		{"replica", hereUS, dbReplica("orders-replica", "orders"), says{encrypted: "pass", retention: "not_applicable", restorable: "pass", protected: "pass", private: "pass"}},
		{"good cluster", hereUS, dbCluster("ledger", goodCluster), says{clusterEncrypted: "pass", clusterRetention: "pass", restorable: "pass", protected: "pass"}},
		{"member of the cluster", hereUS, dbInstance("ledger-1", memberOf("ledger")), says{encrypted: "not_applicable", retention: "not_applicable", restorable: "not_applicable", protected: "not_applicable", private: "pass"}},
		{"bad cluster", hereEU, dbCluster("drafts", badCluster), says{clusterEncrypted: "fail", clusterRetention: "fail", restorable: "pass", protected: "fail"}},
		{"brief database", thereEU, dbInstance("brief", brief), says{encrypted: "pass", retention: "fail", restorable: "pass", protected: "fail", private: "pass"}},

		{"table with recovery", hereUS, dbTable("carts", 35, ""), says{tableEncrypted: "pass provider_default", pitr: "pass"}},
		{"table with a key", hereUS, dbTable("keyed", 7, "rotated key"), says{tableEncrypted: "pass", pitr: "pass"}},
		{"table with a short window", hereEU, dbTable("short", 3, ""), says{tableEncrypted: "pass provider_default", pitr: "fail"}},
		{"table without recovery", thereUS, dbTable("carts", 0, ""), says{tableEncrypted: "pass provider_default", pitr: "fail"}},
	}
}

func logging() []planted {
	const (
		everywhere, delivering = "aws-cloudtrail-multiregion", "aws-cloudtrail-delivering"
		validation, bucket     = "aws-cloudtrail-validation", "aws-cloudtrail-bucket"
		retention              = "aws-logs-retention"
	)
	return []planted{
		{"account with a trail of all regions", here, nothing(ambient), says{everywhere: "pass"}},
		{"account without one", there, nothing(member), says{everywhere: "fail"}},
		// moto never states when a digest was delivered, so that validation can
		// be refuted but not confirmed.
		{"trail of all regions", hereUS, trail("everything", "e2e-trail", true, true, allManagementEvents, startLogging),
			says{delivering: "pass", validation: "unknown", bucket: "pass"}},
		{"stopped trail", thereUS, trail("stopped", "e2e-trail-short", false, false, allManagementEvents, startLogging, stopLogging),
			says{delivering: "fail", validation: "fail", bucket: "fail"}},

		{"log group that never expires", hereUS, logGroup("/e2e/forever", 0), says{retention: "pass provider_default"}},
		{"log group of a year", hereUS, logGroup("/e2e/year", 365), says{retention: "pass"}},
		{"log group of a month", hereEU, logGroup("/e2e/month", 30), says{retention: "fail"}},
		{"other log group of a week", thereEU, logGroup("/e2e/week", 7), says{retention: "fail"}},
	}
}

func backups() []planted {
	return []planted{
		{"vault", hereEU, vault("nightly"), nil},
		{"plan", hereEU, plan("nightly", "nightly"), nil},
	}
}

// nothing stands for what is there without being planted.
func nothing(id string) maker {
	return func(context.Context, cloud) (string, error) { return id, nil }
}

func defaultVPC(ctx context.Context, c cloud) (string, error) {
	out, err := ec2.NewFromConfig(c.config).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		return "", err
	}
	for _, v := range out.Vpcs {
		if aws.ToBool(v.IsDefault) {
			return c.ec2ARN("vpc", *v.VpcId), nil
		}
	}
	return "", fmt.Errorf("moto made no default VPC in %s", c.region)
}

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
	wantTasks(t, b, collected)
	wantVerdicts(t, b, all, ids)
	wantFormats(t, b)

	b.wantVerified(t)
	if r := b.run(t, "verify", "--output", "json", "--key", "example.com/e2e+00000000+AAAA", b.dir); r.code == 0 {
		t.Errorf("verified with a key that is none: %s", r)
	}
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
func wantTasks(t *testing.T, b *bench, got tasks) {
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
			"aws.s3_buckets": 6, "aws.ec2_ebs_defaults": 2, "aws.ec2_volumes": 2, "aws.rds_instances": 4, "aws.rds_clusters": 2,
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

	foreign := 0
	for _, v := range b.verdicts(t) {
		if v.Control == "" || v.Provider != "aws" || v.Kind == "" || v.Reason == "" {
			t.Errorf("a verdict lacks something: %+v", v)
		}
		if decided := v.Status == "pass" || v.Status == "fail"; decided != (v.Basis != "") {
			t.Errorf("status %s with basis %q: %+v", v.Status, v.Basis, v)
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
	r.says(t, "backup-storage", "arn:aws:s3:::e2e-bare", "arn:aws:s3:::e2e-suspended", "Suspended")
	if strings.Contains(r.stdout, "arn:aws:s3:::e2e-full") {
		t.Errorf("the table lists what passes without being asked: %s", r)
	}
	b.run(t, "results", "--check", "aws-s3-versioning", "--all").says(t, "arn:aws:s3:::e2e-full")
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
