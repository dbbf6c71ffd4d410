package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2Instances reads instances, those too that an AWS service manages and the
// account's settings hide. An instance that was terminated within about the
// last hour is still listed. User data is not part of the answer.
func ec2Instances(e *Estate) *collector {
	const kind = "aws.ec2.instance"
	return &collector{estate: e, read: readInstances, spec: collectors.Spec{
		Name:    "aws.ec2_instances",
		Summary: "EC2 instances: state, image, metadata options, networks, role, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "ec2:DescribeInstances", Kind: kind}},
	}}
}

func readInstances(ctx context.Context, r *reader) error {
	const list, kind = "ec2:DescribeInstances", "aws.ec2.instance"
	pages := ec2.NewDescribeInstancesPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeInstancesInput{
		IncludeManagedResources: aws.Bool(true),
		MaxResults:              aws.Int32(1000),
	})
	err := readPages(ctx, r, pages, func(out *ec2.DescribeInstancesOutput, p page) error {
		for i, reservation := range out.Reservations {
			// The owner is the reservation's: the instance does not name it.
			of := p.within("Reservations", i)
			for k, instance := range reservation.Instances {
				id := r.ec2ARN("instance", instance.InstanceId, reservation.OwnerId)
				if id == "" {
					return unidentified(list, fmt.Sprintf("Reservations[%d].Instances", i), k)
				}
				if err := r.resource(kind, id, p, of.item("Instances", k)).emit(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		r.listed(kind)
	}
	return err
}
