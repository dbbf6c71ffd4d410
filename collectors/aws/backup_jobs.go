package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"

	"github.com/tallystick/tallystick/collectors"
)

// backupJobs reads the backup jobs that AWS Backup still keeps: those of the
// last 30 days (API_ListBackupJobs). It asks for all of them, without a filter
// on time: a time of the clock in the request could not be made again when the
// run is replayed. Jobs have no ARN; their id is BackupJobId.
//
// Using AWS Backup in a region is a kind of its own, so that a region without
// any job still has something to be judged. It is known without a call.
func backupJobs(e *Estate) *collector {
	const kind = "aws.backup.job"
	return &collector{estate: e, read: readBackupJobs, spec: collectors.Spec{
		Name:    "aws.backup_jobs",
		Summary: "AWS Backup jobs of the last 30 days: resource, plan, state, dates.",
		Kinds:   []string{kind, "aws.backup.region"},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "backup:ListBackupJobs", Kind: kind}},
	}}
}

func readBackupJobs(ctx context.Context, r *reader) error {
	const region = "aws.backup.region"
	o := r.resource(region, r.account+"/"+r.region, page{exchange: r.caller}, map[string]any{"AccountId": r.account})
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed(region)
	pages := backup.NewListBackupJobsPaginator(backup.NewFromConfig(r.config), &backup.ListBackupJobsInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "backup:ListBackupJobs", pages, "BackupJobs", func(out *backup.ListBackupJobsOutput) (ids []string) {
		for _, j := range out.BackupJobs {
			ids = append(ids, aws.ToString(j.BackupJobId))
		}
		return ids
	})
}
