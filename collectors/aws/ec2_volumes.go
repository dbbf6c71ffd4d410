package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2Volumes reads the EBS volumes, those too that an AWS service manages and
// the account's settings hide.
func ec2Volumes(e *Estate) *collector {
	const kind = "aws.ec2.volume"
	return &collector{estate: e, read: readVolumes, spec: collectors.Spec{
		Name:    "aws.ec2_volumes",
		Summary: "EBS volumes: encryption and its key, attachments, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "ec2:DescribeVolumes", Kind: kind}},
	}}
}

func readVolumes(ctx context.Context, r *reader) error {
	// Without a page size EC2 may answer everything at once.
	pages := ec2.NewDescribeVolumesPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeVolumesInput{
		IncludeManagedResources: aws.Bool(true),
		MaxResults:              aws.Int32(500),
	})
	return readMembers(ctx, r, "ec2:DescribeVolumes", pages, "Volumes", func(out *ec2.DescribeVolumesOutput) (ids []string) {
		for _, v := range out.Volumes {
			ids = append(ids, r.ec2ARN("volume", v.VolumeId, nil))
		}
		return ids
	})
}
