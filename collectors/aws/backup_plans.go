package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"

	"github.com/tallystick/tallystick/collectors"
)

// backupPlans reads the plans of AWS Backup with their rules.
func backupPlans(e *Estate) *collector {
	const kind = "aws.backup.plan"
	return &collector{estate: e, read: readBackupPlans, spec: collectors.Spec{
		Name:    "aws.backup_plans",
		Summary: "AWS Backup plans: rules, schedules, lifecycles, copies.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "backup:ListBackupPlans", Kind: kind},
			{Operation: "backup:GetBackupPlan", Kind: kind, Field: "Plan", Vanished: []string{"ResourceNotFoundException"}},
		},
	}}
}

func readBackupPlans(ctx context.Context, r *reader) error {
	const list = "backup:ListBackupPlans"
	client := backup.NewFromConfig(r.config)
	pages := backup.NewListBackupPlansPaginator(client, &backup.ListBackupPlansInput{MaxResults: aws.Int32(1000)})
	return readDetailed(ctx, r, list, pages, "BackupPlansList", func(out *backup.ListBackupPlansOutput) (ids []string) {
		for _, plan := range out.BackupPlansList {
			ids = append(ids, aws.ToString(plan.BackupPlanArn))
		}
		return ids
	}, func(ctx context.Context, out *backup.ListBackupPlansOutput, i int, o *resource) {
		plan := out.BackupPlansList[i]
		detail, err := client.GetBackupPlan(ctx, &backup.GetBackupPlanInput{BackupPlanId: plan.BackupPlanId})
		o.set("backup:GetBackupPlan", detail, err)
	})
}
