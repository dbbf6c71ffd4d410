package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"

	"github.com/tallystick/tallystick/collectors"
)

// backupRecoveryPoints reads what AWS Backup holds, vault by vault.
func backupRecoveryPoints(e *Estate) *collector {
	const kind = "aws.backup.recovery_point"
	return &collector{estate: e, read: readRecoveryPoints, spec: collectors.Spec{
		Name:    "aws.backup_recovery_points",
		Summary: "AWS Backup recovery points: resource, status, dates, encryption, lifecycle.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "backup:ListBackupVaults", Kind: kind},
			{Operation: "backup:ListRecoveryPointsByBackupVault", Kind: kind, Vanished: []string{"ResourceNotFoundException"}},
		},
	}}
}

func readRecoveryPoints(ctx context.Context, r *reader) error {
	client := backup.NewFromConfig(r.config)
	vaults := backup.NewListBackupVaultsPaginator(client, &backup.ListBackupVaultsInput{MaxResults: aws.Int32(1000)})
	points := r.lists()
	err := readPages(ctx, r, vaults, func(out *backup.ListBackupVaultsOutput, _ page) error {
		for _, v := range out.BackupVaultList {
			points.add(ctx, func(ctx context.Context, r *reader) error {
				return readVault(ctx, r, client, v.BackupVaultName)
			})
		}
		return nil
	})
	whole, failed := points.wait()
	if failed != nil {
		return failed
	}
	if err == nil && whole {
		r.listed("aws.backup.recovery_point")
	}
	return err
}

func readVault(ctx context.Context, r *reader, client *backup.Client, vault *string) error {
	const list = "backup:ListRecoveryPointsByBackupVault"
	pages := backup.NewListRecoveryPointsByBackupVaultPaginator(client, &backup.ListRecoveryPointsByBackupVaultInput{
		BackupVaultName: vault, MaxResults: aws.Int32(1000),
	})
	err := readPages(ctx, r, pages, func(out *backup.ListRecoveryPointsByBackupVaultOutput, p page) error {
		var ids []string
		for _, point := range out.RecoveryPoints {
			ids = append(ids, aws.ToString(point.RecoveryPointArn))
		}
		return r.members(ctx, list, p, "RecoveryPoints", ids)
	})
	if call, _ := r.spec.Call(list); hasCode(err, call.Vanished) {
		// Only an empty vault can be deleted. Source: API_DeleteBackupVault.
		return nil
	}
	return err
}
