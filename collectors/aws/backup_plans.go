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
	err := readPages(ctx, r, pages, func(out *backup.ListBackupPlansOutput, p page) error {
		for i, plan := range out.BackupPlansList {
			if aws.ToString(plan.BackupPlanArn) == "" {
				return unidentified(list, "BackupPlansList", i)
			}
			o := r.resource("aws.backup.plan", *plan.BackupPlanArn, p, p.item("BackupPlansList", i))
			if err := r.each(ctx, func() error {
				out, err := client.GetBackupPlan(ctx, &backup.GetBackupPlanInput{BackupPlanId: plan.BackupPlanId})
				o.set("backup:GetBackupPlan", out, err)
				return o.emit(ctx)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.backup.plan")
	}
	return err
}
