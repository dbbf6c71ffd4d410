package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2PublicSnapshots reads which of the account's EBS snapshots everyone may
// make a volume of: one list in place of a question for each snapshot. It is
// the list of aws.ec2_snapshots under another condition, so its resources are
// a kind of their own.
//
// The list says how snapshots are shared. A region that blocks all sharing
// leaves that as it is and keeps everyone out all the same, which
// aws.ec2_ebs_defaults shows. Source: API_EnableSnapshotBlockPublicAccess.
func ec2PublicSnapshots(e *Estate) *collector {
	const kind = "aws.ec2.public_snapshot"
	return &collector{estate: e, read: readPublicSnapshots, spec: collectors.Spec{
		Name:    "aws.ec2_public_snapshots",
		Summary: "Those EBS snapshots owned by the account that are shared with everyone.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "ec2:DescribeSnapshots", Kind: kind}},
	}}
}

func readPublicSnapshots(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeSnapshotsPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeSnapshotsInput{
		OwnerIds:            []string{"self"},
		RestorableByUserIds: []string{"all"},
		MaxResults:          aws.Int32(1000),
	})
	return readMembers(ctx, r, "ec2:DescribeSnapshots", pages, "Snapshots", func(out *ec2.DescribeSnapshotsOutput) (ids []string) {
		for _, s := range out.Snapshots {
			ids = append(ids, r.ec2PlainARN("snapshot", s.SnapshotId))
		}
		return ids
	})
}
