package main_test

import (
	"context"
	"fmt"
	"slices"

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
		{
			"bucket with everything", hereUS, bucket("e2e-full", versioning(on), encryption(withKey, "rotated key"), noPublicAccess, accessLogsTo("e2e-bare"), expireAfter(400), bucketTag("data", "customer")),
			says{encrypted: "pass", versions: "pass"},
		},
		{"public bucket", hereUS, bucket("e2e-public", encryption(aes, ""), publicPolicy), says{encrypted: "pass provider_default", versions: "fail"}},
		{"suspended bucket", hereEU, bucket("e2e-suspended", versioning(on), versioning(suspended)), says{encrypted: "fail", versions: "fail"}},
		{"locked bucket", hereUS, bucket("e2e-locked", encryption(aes, ""), objectLock), says{encrypted: "pass provider_default", versions: "pass"}},
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
		{
			"trail of all regions", hereUS, trail("everything", "e2e-trail", true, true, allManagementEvents, startLogging),
			says{delivering: "pass", validation: "unknown", bucket: "pass"},
		},
		{
			"stopped trail", thereUS, trail("stopped", "e2e-trail-short", false, false, allManagementEvents, startLogging, stopLogging),
			says{delivering: "fail", validation: "fail", bucket: "fail"},
		},

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
