package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"

	"github.com/tallystick/tallystick/collectors"
)

// backupVaults reads the vaults of AWS Backup.
func backupVaults(e *Estate) *collector {
	const kind = "aws.backup.vault"
	return &collector{estate: e, read: readBackupVaults, spec: collectors.Spec{
		Name:    "aws.backup_vaults",
		Summary: "AWS Backup vaults: lock and its dates, retention bounds, key, number of recovery points.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "backup:ListBackupVaults", Kind: kind}},
	}}
}

func readBackupVaults(ctx context.Context, r *reader) error {
	pages := backup.NewListBackupVaultsPaginator(backup.NewFromConfig(r.config), &backup.ListBackupVaultsInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "backup:ListBackupVaults", pages, "BackupVaultList", func(out *backup.ListBackupVaultsOutput) (ids []string) {
		for _, v := range out.BackupVaultList {
			ids = append(ids, aws.ToString(v.BackupVaultArn))
		}
		return ids
	})
}
