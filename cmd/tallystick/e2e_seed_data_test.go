package main_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"
	backuptypes "github.com/aws/aws-sdk-go-v2/service/backup/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	cloudtrailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

func dbInstance(name string, change func(*rds.CreateDBInstanceInput)) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &name, DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"),
			AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("e2e"), MasterUserPassword: aws.String("not-a-real-password-17"),
			PubliclyAccessible: aws.Bool(false),
		}
		change(in)
		out, err := rds.NewFromConfig(c.config).CreateDBInstance(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.DBInstance.DBInstanceArn, nil
	}
}

func dbReplica(name, source string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := rds.NewFromConfig(c.config).CreateDBInstanceReadReplica(ctx, &rds.CreateDBInstanceReadReplicaInput{
			DBInstanceIdentifier: &name, SourceDBInstanceIdentifier: &source, PubliclyAccessible: aws.Bool(false),
		})
		if err != nil {
			return "", err
		}
		return *out.DBInstance.DBInstanceArn, nil
	}
}

func dbCluster(name string, change func(*rds.CreateDBClusterInput)) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &rds.CreateDBClusterInput{
			DBClusterIdentifier: &name, Engine: aws.String("aurora-postgresql"),
			MasterUsername: aws.String("e2e"), MasterUserPassword: aws.String("not-a-real-password-17"),
		}
		change(in)
		out, err := rds.NewFromConfig(c.config).CreateDBCluster(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.DBCluster.DBClusterArn, nil
	}
}

// automatedSnapshotOf finds the snapshot that moto makes of a DB instance as
// soon as it is there.
func automatedSnapshotOf(instance string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := rds.NewFromConfig(c.config).DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{
			DBInstanceIdentifier: &instance, SnapshotType: aws.String("automated"),
		})
		if err != nil {
			return "", err
		}
		if len(out.DBSnapshots) != 1 {
			return "", fmt.Errorf("%s has %d automated snapshots", instance, len(out.DBSnapshots))
		}
		return *out.DBSnapshots[0].DBSnapshotArn, nil
	}
}

// automatedClusterSnapshotOf does so for a cluster.
func automatedClusterSnapshotOf(cluster string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := rds.NewFromConfig(c.config).DescribeDBClusterSnapshots(ctx, &rds.DescribeDBClusterSnapshotsInput{
			DBClusterIdentifier: &cluster, SnapshotType: aws.String("automated"),
		})
		if err != nil {
			return "", err
		}
		if len(out.DBClusterSnapshots) != 1 {
			return "", fmt.Errorf("%s has %d automated snapshots", cluster, len(out.DBClusterSnapshots))
		}
		return *out.DBClusterSnapshots[0].DBClusterSnapshotArn, nil
	}
}

// dbSnapshot is a manual snapshot, shared with those named: accounts, or all.
func dbSnapshot(name, instance string, with ...string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := rds.NewFromConfig(c.config)
		out, err := client.CreateDBSnapshot(ctx, &rds.CreateDBSnapshotInput{DBSnapshotIdentifier: &name, DBInstanceIdentifier: &instance})
		if err != nil {
			return "", err
		}
		if len(with) > 0 {
			_, err = client.ModifyDBSnapshotAttribute(ctx, &rds.ModifyDBSnapshotAttributeInput{
				DBSnapshotIdentifier: &name, AttributeName: aws.String("restore"), ValuesToAdd: with,
			})
		}
		return *out.DBSnapshot.DBSnapshotArn, err
	}
}

func dbClusterSnapshot(name, cluster string, with ...string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := rds.NewFromConfig(c.config)
		out, err := client.CreateDBClusterSnapshot(ctx, &rds.CreateDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &name, DBClusterIdentifier: &cluster})
		if err != nil {
			return "", err
		}
		if len(with) > 0 {
			_, err = client.ModifyDBClusterSnapshotAttribute(ctx, &rds.ModifyDBClusterSnapshotAttributeInput{
				DBClusterSnapshotIdentifier: &name, AttributeName: aws.String("restore"), ValuesToAdd: with,
			})
		}
		return *out.DBClusterSnapshot.DBClusterSnapshotArn, err
	}
}

// dbTable is planted with point-in-time recovery for a number of days, with
// none for 0, and with a planted KMS key unless that is empty.
func dbTable(name string, recovery int32, key string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := dynamodb.NewFromConfig(c.config)
		in := &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: dynamodbtypes.BillingModePayPerRequest,
			AttributeDefinitions: []dynamodbtypes.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: dynamodbtypes.ScalarAttributeTypeS}},
			KeySchema:            []dynamodbtypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: dynamodbtypes.KeyTypeHash}},
		}
		if key != "" {
			in.SSESpecification = &dynamodbtypes.SSESpecification{Enabled: aws.Bool(true), SSEType: dynamodbtypes.SSETypeKms, KMSMasterKeyId: c.id(key)}
		}
		out, err := client.CreateTable(ctx, in)
		if err != nil {
			return "", err
		}
		if recovery > 0 {
			_, err = client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
				TableName: &name, PointInTimeRecoverySpecification: &dynamodbtypes.PointInTimeRecoverySpecification{
					PointInTimeRecoveryEnabled: aws.Bool(true), RecoveryPeriodInDays: &recovery,
				},
			})
		}
		return *out.TableDescription.TableArn, err
	}
}

func kmsKey(spec kmstypes.KeySpec, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &kms.CreateKeyInput{KeySpec: spec}
		if spec != kmstypes.KeySpecSymmetricDefault {
			in.KeyUsage = kmstypes.KeyUsageTypeSignVerify
		}
		out, err := kms.NewFromConfig(c.config).CreateKey(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.KeyMetadata.Arn, steps(ctx, c, *out.KeyMetadata.Arn, settings)
	}
}

func rotate(ctx context.Context, c cloud, key string) error {
	_, err := kms.NewFromConfig(c.config).EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: last(&key)})
	return err
}

func disableKey(ctx context.Context, c cloud, key string) error {
	_, err := kms.NewFromConfig(c.config).DisableKey(ctx, &kms.DisableKeyInput{KeyId: last(&key)})
	return err
}

func deleteKey(ctx context.Context, c cloud, key string) error {
	_, err := kms.NewFromConfig(c.config).ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: last(&key), PendingWindowInDays: aws.Int32(7)})
	return err
}

// trail encrypts with a planted KMS key unless that is empty.
func trail(name, bucket, key string, everywhere, validated bool, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &cloudtrail.CreateTrailInput{
			Name: &name, S3BucketName: &bucket, IsMultiRegionTrail: &everywhere, EnableLogFileValidation: &validated,
		}
		if key != "" {
			in.KmsKeyId = c.id(key)
		}
		out, err := cloudtrail.NewFromConfig(c.config).CreateTrail(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.TrailARN, steps(ctx, c, name, settings)
	}
}

func startLogging(ctx context.Context, c cloud, name string) error {
	_, err := cloudtrail.NewFromConfig(c.config).StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &name})
	return err
}

func stopLogging(ctx context.Context, c cloud, name string) error {
	_, err := cloudtrail.NewFromConfig(c.config).StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: &name})
	return err
}

// events has a trail record all management events, and the data events of the
// planted buckets and tables.
func events(stores ...string) step {
	return func(ctx context.Context, c cloud, name string) error {
		selector := cloudtrailtypes.EventSelector{IncludeManagementEvents: aws.Bool(true), ReadWriteType: cloudtrailtypes.ReadWriteTypeAll}
		for _, s := range stores {
			of := cloudtrailtypes.DataResource{Type: aws.String("AWS::DynamoDB::Table"), Values: []string{*c.id(s)}}
			if strings.HasPrefix(*c.id(s), "arn:aws:s3:::") {
				of = cloudtrailtypes.DataResource{Type: aws.String("AWS::S3::Object"), Values: []string{*c.id(s) + "/"}}
			}
			selector.DataResources = append(selector.DataResources, of)
		}
		_, err := cloudtrail.NewFromConfig(c.config).PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{
			TrailName: &name, EventSelectors: []cloudtrailtypes.EventSelector{selector},
		})
		return err
	}
}

// fileSystem is planted encrypted with a planted KMS key, or plain when that is empty.
func fileSystem(token, key string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &efs.CreateFileSystemInput{CreationToken: &token, Encrypted: aws.Bool(key != "")}
		if key != "" {
			in.KmsKeyId = c.id(key)
		}
		out, err := efs.NewFromConfig(c.config).CreateFileSystem(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.FileSystemArn, nil
	}
}

// logGroup is planted with a retention in days, or without one for 0.
func logGroup(name string, days int32) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := cloudwatchlogs.NewFromConfig(c.config)
		_, err := client.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
		if err == nil && days > 0 {
			_, err = client.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: &days})
		}
		return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", c.region, c.account, name), err
	}
}

func vault(name string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := backup.NewFromConfig(c.config).CreateBackupVault(ctx, &backup.CreateBackupVaultInput{BackupVaultName: &name})
		if err != nil {
			return "", err
		}
		return *out.BackupVaultArn, nil
	}
}

func plan(name, vault string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := backup.NewFromConfig(c.config).CreateBackupPlan(ctx, &backup.CreateBackupPlanInput{BackupPlan: &backuptypes.BackupPlanInput{
			BackupPlanName: &name, Rules: []backuptypes.BackupRuleInput{{
				RuleName: aws.String("daily"), TargetBackupVaultName: &vault, ScheduleExpression: aws.String("cron(0 5 * * ? *)"),
				Lifecycle: &backuptypes.Lifecycle{DeleteAfterDays: aws.Int64(35)},
			}},
		}})
		if err != nil {
			return "", err
		}
		return *out.BackupPlanArn, nil
	}
}
