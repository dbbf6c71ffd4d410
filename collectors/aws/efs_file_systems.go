package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs"

	"github.com/tallystick/tallystick/collectors"
)

// efsFileSystems reads how file systems are configured, never a file. The
// file systems of Amazon FSx are in another API.
func efsFileSystems(e *Estate) *collector {
	const kind = "aws.efs.file_system"
	return &collector{estate: e, read: readFileSystems, spec: collectors.Spec{
		Name:    "aws.efs_file_systems",
		Summary: "EFS file systems: encryption and its key, state, protection, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "elasticfilesystem:DescribeFileSystems", Kind: kind}},
	}}
}

func readFileSystems(ctx context.Context, r *reader) error {
	pages := efs.NewDescribeFileSystemsPaginator(efs.NewFromConfig(r.config), &efs.DescribeFileSystemsInput{
		MaxItems: aws.Int32(100), // what EFS gives in any case
	})
	return readMembers(ctx, r, "elasticfilesystem:DescribeFileSystems", pages, "FileSystems", func(out *efs.DescribeFileSystemsOutput) (ids []string) {
		for _, f := range out.FileSystems {
			ids = append(ids, aws.ToString(f.FileSystemArn))
		}
		return ids
	})
}
