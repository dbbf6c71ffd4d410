package main_test

import (
	"maps"
	"strings"
	"testing"
)

// wantTasks holds what collect printed against what moto can and can not do.
func wantTasks(t *testing.T, got tasks) {
	t.Helper()
	// moto does not serve these, so they are gaps, one for each account, region
	// or vault. What speaks XML it answers with status 500; what speaks JSON it
	// answers with a page of HTML, with status 404 or 500.
	const unavailable, malformed = "unavailable", "malformed"
	missing := map[string]map[string]int{
		"aws.account_regions":            {"account:ListRegions " + malformed: 1},
		"aws.backup_jobs":                {"backup:ListBackupJobs " + malformed: 2},
		"aws.backup_protected_resources": {"backup:ListProtectedResources " + malformed: 2},
		"aws.backup_recovery_points":     {"backup:ListRecoveryPointsByBackupVault " + malformed: 1},
		"aws.config_recorders":           {"config:ListConfigurationRecorders " + malformed: 2},
		"aws.dlm_policies":               {"dlm:GetLifecyclePolicies " + malformed: 2},
		"aws.ec2_ebs_defaults": {
			"ec2:GetEbsDefaultKmsKeyId " + unavailable: 2, "ec2:GetSnapshotBlockPublicAccessState " + unavailable: 2,
		},
		"aws.iam_account_summary": {"iam:ListOrganizationsFeatures " + unavailable: 1},
		"aws.inspector2_coverage": {"inspector2:ListCoverage " + malformed: 2},
		// These it serves. Its automated backups, which one region of each account
		// has, have neither an ARN nor an id. The ARN of its permission sets is
		// formed otherwise than AWS does, so that there is no id for an assignment.
		"aws.rds_snapshots":   {"rds:DescribeDBInstanceAutomatedBackups " + malformed: 1},
		"aws.sso_assignments": {"sso:ListAccountAssignments " + malformed: 1},
	}
	// What only the one account has: a vault, an assignment.
	onlyHere := map[string]bool{"aws.backup_recovery_points": true, "aws.sso_assignments": true}
	// Where nothing else of the collector's could be read.
	failed := map[string]bool{"aws.account_regions": true, "aws.backup_protected_resources": true, "aws.dlm_policies": true}
	// What was planted, where nothing of moto's own is among it.
	seen := map[string]map[string]int{
		ambient: {
			"aws.account_contacts": 1, "aws.acm_certificates": 3, "aws.backup_jobs": 2, "aws.backup_plans": 1, "aws.backup_recovery_points": 0,
			"aws.backup_vaults": 1, "aws.cloudtrail_trails": 2, "aws.config_recorders": 2, "aws.dynamodb_tables": 3, "aws.ec2_ebs_defaults": 2,
			"aws.ec2_images": 1, "aws.ec2_instances": 4, "aws.ec2_security_groups": 14, "aws.ec2_volumes": 5, "aws.efs_file_systems": 2,
			"aws.elb_listeners": 6, "aws.events_rules": 4, "aws.guardduty_detectors": 4, "aws.iam_account_summary": 1,
			"aws.iam_authorization_details": 31, "aws.iam_credential_report": 11, "aws.iam_password_policy": 1, "aws.iam_users": 11,
			"aws.identitystore_groups": 1, "aws.identitystore_users": 1, "aws.inspector2_coverage": 2, "aws.logs_deliveries": 0,
			"aws.logs_log_groups": 3, "aws.organizations_accounts": 4, "aws.organizations_membership": 1, "aws.rds_clusters": 2,
			"aws.rds_instances": 5, "aws.rds_snapshots": 11, "aws.s3_account": 1, "aws.s3_buckets": 14, "aws.sns_topics": 1,
			"aws.sso_assignments": 0, "aws.sso_instances": 2, "aws.sso_permission_sets": 1,
		},
		member: {
			"aws.account_contacts": 1, "aws.acm_certificates": 0, "aws.backup_jobs": 2, "aws.backup_plans": 0, "aws.backup_recovery_points": 0,
			"aws.backup_vaults": 0, "aws.cloudtrail_trails": 2, "aws.config_recorders": 2, "aws.dynamodb_tables": 1, "aws.ec2_ebs_defaults": 2,
			"aws.ec2_images": 1, "aws.ec2_instances": 1, "aws.ec2_security_groups": 5, "aws.ec2_volumes": 2, "aws.efs_file_systems": 0,
			"aws.elb_listeners": 0, "aws.events_rules": 4, "aws.guardduty_detectors": 3, "aws.iam_account_summary": 1,
			"aws.iam_authorization_details": 4, "aws.iam_credential_report": 1, "aws.iam_password_policy": 1, "aws.iam_users": 1,
			"aws.identitystore_groups": 0, "aws.identitystore_users": 0, "aws.inspector2_coverage": 2, "aws.logs_deliveries": 0,
			"aws.logs_log_groups": 1, "aws.organizations_membership": 1, "aws.rds_clusters": 0,
			"aws.rds_instances": 1, "aws.rds_snapshots": 1, "aws.s3_account": 1, "aws.s3_buckets": 2, "aws.sns_topics": 1,
			"aws.sso_assignments": 0, "aws.sso_instances": 2, "aws.sso_permission_sets": 0,
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
		if onlyHere[task.Collector] && task.Account == member {
			want = nil
		}
		outcome := "complete"
		switch {
		case failed[task.Collector]:
			outcome = "failed"
		case len(want) > 0:
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
