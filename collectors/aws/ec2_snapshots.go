package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2Snapshots reads the EBS snapshots that the account owns. Without the
// owner the call would answer the public snapshots of the world.
func ec2Snapshots(e *Estate) *collector {
	const kind = "aws.ec2.snapshot"
	return &collector{estate: e, read: readSnapshots, spec: collectors.Spec{
		Name:    "aws.ec2_snapshots",
		Summary: "EBS snapshots owned by the account: encryption and its key, state, age, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "ec2:DescribeSnapshots", Kind: kind}},
	}}
}

func readSnapshots(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeSnapshotsPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeSnapshotsInput{
		OwnerIds:   []string{"self"},
		MaxResults: aws.Int32(1000),
	})
	return readMembers(ctx, r, "ec2:DescribeSnapshots", pages, "Snapshots", func(out *ec2.DescribeSnapshotsOutput) (ids []string) {
		for _, s := range out.Snapshots {
			ids = append(ids, r.ec2PlainARN("snapshot", s.SnapshotId))
		}
		return ids
	})
}
