package main_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

func databases() []planted {
	const (
		encrypted, clusterEncrypted, tableEncrypted = "aws-rds-instance-encrypted", "aws-rds-cluster-encrypted", "aws-dynamodb-encrypted"
		retention, clusterRetention, pitr           = "aws-rds-backup-retention", "aws-rds-cluster-backup-retention", "aws-dynamodb-pitr"
		restorable, protected, private              = "aws-rds-restorable", "aws-rds-deletion-protection", "aws-rds-not-public"
		zones, logs, backed                         = "aws-rds-multi-az", "aws-rds-log-exports", "aws-backup-coverage"
		data                                        = "aws-cloudtrail-data-events"
	)
	good := func(in *rds.CreateDBInstanceInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod, in.DeletionProtection = aws.Bool(true), aws.Int32(7), aws.Bool(true)
		in.MultiAZ, in.EnableCloudwatchLogsExports = aws.Bool(true), []string{"postgresql"}
	}
	bad := func(in *rds.CreateDBInstanceInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod, in.PubliclyAccessible = aws.Bool(false), aws.Int32(0), aws.Bool(true)
	}
	brief := func(in *rds.CreateDBInstanceInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod = aws.Bool(true), aws.Int32(1)
	}
	memberOf := func(cluster, zone string) func(*rds.CreateDBInstanceInput) {
		return func(in *rds.CreateDBInstanceInput) {
			in.DBClusterIdentifier, in.Engine, in.AvailabilityZone = &cluster, aws.String("aurora-postgresql"), &zone
			in.MasterUsername, in.MasterUserPassword, in.AllocatedStorage = nil, nil, nil
		}
	}
	goodCluster := func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod, in.DeletionProtection = aws.Bool(true), aws.Int32(14), aws.Bool(true)
		in.EnableCloudwatchLogsExports = []string{"postgresql"}
	}
	badCluster := func(in *rds.CreateDBClusterInput) {
		in.StorageEncrypted, in.BackupRetentionPeriod = aws.Bool(false), aws.Int32(1)
	}
	best := says{encrypted: "pass", retention: "pass", restorable: "pass", protected: "pass", private: "pass", zones: "pass", logs: "pass", backed: "not_applicable"}
	worst := says{encrypted: "fail", retention: "fail", restorable: "not_applicable", protected: "fail", private: "fail", zones: "fail", logs: "fail", backed: "not_applicable"}
	// Its cluster is judged instead.
	inCluster := says{
		encrypted: "not_applicable", retention: "not_applicable", restorable: "not_applicable", protected: "not_applicable", private: "pass",
		zones: "not_applicable", logs: "not_applicable", backed: "not_applicable",
	}
	table := says{tableEncrypted: "pass provider_default", backed: "not_applicable", data: "not_applicable"}
	return []planted{
		{"good database", hereUS, dbInstance("orders", good), best},
		{"bad database", hereUS, dbInstance("scratch", bad), worst},
		{"replica", hereUS, dbReplica("orders-replica", "orders"), best.and(says{retention: "not_applicable", zones: "not_applicable"})},
		{"good cluster", hereUS, dbCluster("ledger", goodCluster), says{
			clusterEncrypted: "pass", clusterRetention: "pass", restorable: "pass", protected: "pass", zones: "pass", logs: "pass", backed: "not_applicable",
		}},
		{"member of the cluster", hereUS, dbInstance("ledger-1", memberOf("ledger", "us-east-1a")), inCluster},
		{"other member of the cluster", hereUS, dbInstance("ledger-2", memberOf("ledger", "us-east-1b")), inCluster},
		{"bad cluster", hereEU, dbCluster("drafts", badCluster), says{
			clusterEncrypted: "fail", clusterRetention: "fail", restorable: "pass", protected: "fail", zones: "fail", logs: "fail", backed: "not_applicable",
		}},
		{"brief database", thereEU, dbInstance("brief", brief), worst.and(says{encrypted: "pass", restorable: "pass", private: "pass"})},

		// moto does not tell which tables AWS Backup saves, so that a table
		// without recovery of its own can not be judged.
		{"table with recovery", hereUS, dbTable("carts", 35, ""), table.and(says{pitr: "pass", data: "fail"})},
		{"table with a key", hereUS, dbTable("keyed", 7, "rotated key"), table.and(says{tableEncrypted: "pass", pitr: "pass", data: "pass"})},
		{"table with a short window", hereEU, dbTable("short", 3, ""), table.and(says{pitr: "unknown"})},
		{"table without recovery", thereUS, dbTable("carts", 0, ""), table.and(says{pitr: "unknown"})},
	}
}

func databaseSnapshots() []planted {
	const encrypted, public = "aws-rds-snapshot-encrypted", "aws-snapshot-public"
	automated := says{encrypted: "pass", public: "pass provider_default"}
	plain := says{encrypted: "fail"}
	return []planted{
		{"automated snapshot", hereUS, automatedSnapshotOf("orders"), automated},
		// moto makes one of every instance, of one without backups and of a
		// member of a cluster too; RDS does not.
		{"automated snapshot without backups", hereUS, automatedSnapshotOf("scratch"), automated.and(plain)},
		{"automated snapshot of a member", hereUS, automatedSnapshotOf("ledger-1"), automated},
		{"automated snapshot of the other member", hereUS, automatedSnapshotOf("ledger-2"), automated},
		{"automated snapshot of a cluster", hereUS, automatedClusterSnapshotOf("ledger"), automated},
		{"automated snapshot of the bad cluster", hereEU, automatedClusterSnapshotOf("drafts"), automated.and(plain)},
		{"automated snapshot of the brief database", thereEU, automatedSnapshotOf("brief"), automated},

		{"snapshot", hereUS, dbSnapshot("orders-kept", "orders"), says{encrypted: "pass", public: "pass"}},
		{"snapshot for one account", hereUS, dbSnapshot("orders-lent", "orders", vendor), says{encrypted: "pass", public: "pass"}},
		{"snapshot for everyone", hereUS, dbSnapshot("scratch-given", "scratch", "all"), says{encrypted: "fail", public: "fail"}},
		{"snapshot of a cluster", hereUS, dbClusterSnapshot("ledger-kept", "ledger"), says{encrypted: "pass", public: "pass"}},
		{"snapshot of a cluster for everyone", hereEU, dbClusterSnapshot("drafts-given", "drafts", "all"), says{encrypted: "fail", public: "fail"}},

		// moto's automated backups have neither an ARN nor an id.
		{"automated backups", hereUS, nothing("*"), says{encrypted: "unknown"}},
		{"other automated backups", thereEU, nothing("*"), says{encrypted: "unknown"}},
	}
}
