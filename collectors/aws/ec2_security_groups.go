package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2SecurityGroups reads security groups with their rules. A group that
// another account shares with this one is listed too; its ARN and OwnerId name
// the owner.
func ec2SecurityGroups(e *Estate) *collector {
	const kind = "aws.ec2.security_group"
	return &collector{estate: e, read: readSecurityGroups, spec: collectors.Spec{
		Name:    "aws.ec2_security_groups",
		Summary: "Security groups: inbound and outbound rules, VPC, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "ec2:DescribeSecurityGroups", Kind: kind}},
	}}
}

func readSecurityGroups(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeSecurityGroupsPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeSecurityGroupsInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "ec2:DescribeSecurityGroups", pages, "SecurityGroups", func(out *ec2.DescribeSecurityGroupsOutput) (ids []string) {
		for _, g := range out.SecurityGroups {
			ids = append(ids, r.ec2ARN("security-group", g.GroupId, g.OwnerId))
		}
		return ids
	})
}
