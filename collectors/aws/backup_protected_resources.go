package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"

	"github.com/tallystick/tallystick/collectors"
)

// backupProtectedResources reads of what AWS Backup holds recovery points, and
// when each resource was last saved. It is what was backed up, not what a plan
// selects.
//
// A resource stays in the list as long as a recovery point of it is kept, also
// when the resource itself is gone, and in whatever status that point is.
// Source: API_ListProtectedResources.
func backupProtectedResources(e *Estate) *collector {
	const kind = "aws.backup.protected_resource"
	return &collector{estate: e, read: readProtectedResources, spec: collectors.Spec{
		Name:    "aws.backup_protected_resources",
		Summary: "Resources of which AWS Backup holds recovery points, with the time of the last backup.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "backup:ListProtectedResources", Kind: kind}},
	}}
}

func readProtectedResources(ctx context.Context, r *reader) error {
	pages := backup.NewListProtectedResourcesPaginator(backup.NewFromConfig(r.config), &backup.ListProtectedResourcesInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "backup:ListProtectedResources", pages, "Results", func(out *backup.ListProtectedResourcesOutput) (ids []string) {
		for _, p := range out.Results {
			ids = append(ids, aws.ToString(p.ResourceArn))
		}
		return ids
	})
}
