package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2VPCs reads networks and the flow logs over them. A network that another
// account shares with this one is listed too; its ARN and OwnerId name the
// owner, whose flow logs are not to be seen from here. Of the network interfaces,
// those too are listed that an AWS service manages and the account's settings hide.
func ec2VPCs(e *Estate) *collector {
	return &collector{estate: e, read: readNetworks, spec: collectors.Spec{
		Name:    "aws.ec2_vpcs",
		Summary: "VPCs, their subnets and network interfaces, and the flow logs over them.",
		Kinds:   []string{"aws.ec2.vpc", "aws.ec2.subnet", "aws.ec2.flow_log", "aws.ec2.network_interface"},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "ec2:DescribeVpcs", Kind: "aws.ec2.vpc"},
			{Operation: "ec2:DescribeSubnets", Kind: "aws.ec2.subnet"},
			{Operation: "ec2:DescribeFlowLogs", Kind: "aws.ec2.flow_log"},
			{Operation: "ec2:DescribeNetworkInterfaces", Kind: "aws.ec2.network_interface"},
		},
	}}
}

func readNetworks(ctx context.Context, r *reader) error {
	for _, read := range []func(context.Context, *reader) error{readVPCs, readSubnets, readFlowLogs, readNetworkInterfaces} {
		if _, err := r.apart(ctx, read); err != nil {
			return err
		}
	}
	return nil
}

func readVPCs(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeVpcsPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeVpcsInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "ec2:DescribeVpcs", pages, "Vpcs", func(out *ec2.DescribeVpcsOutput) (ids []string) {
		for _, v := range out.Vpcs {
			ids = append(ids, r.ec2ARN("vpc", v.VpcId, v.OwnerId))
		}
		return ids
	})
}

func readSubnets(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeSubnetsPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "ec2:DescribeSubnets", pages, "Subnets", func(out *ec2.DescribeSubnetsOutput) (ids []string) {
		for _, s := range out.Subnets {
			ids = append(ids, r.ec2ARN("subnet", s.SubnetId, s.OwnerId))
		}
		return ids
	})
}

func readFlowLogs(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeFlowLogsPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeFlowLogsInput{MaxResults: aws.Int32(1000)})
	return readMembers(ctx, r, "ec2:DescribeFlowLogs", pages, "FlowLogs", func(out *ec2.DescribeFlowLogsOutput) (ids []string) {
		for _, f := range out.FlowLogs {
			ids = append(ids, r.ec2ARN("vpc-flow-log", f.FlowLogId, nil))
		}
		return ids
	})
}

func readNetworkInterfaces(ctx context.Context, r *reader) error {
	pages := ec2.NewDescribeNetworkInterfacesPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeNetworkInterfacesInput{
		IncludeManagedResources: aws.Bool(true),
		MaxResults:              aws.Int32(1000),
	})
	return readMembers(ctx, r, "ec2:DescribeNetworkInterfaces", pages, "NetworkInterfaces", func(out *ec2.DescribeNetworkInterfacesOutput) (ids []string) {
		for _, n := range out.NetworkInterfaces {
			ids = append(ids, r.ec2ARN("network-interface", n.NetworkInterfaceId, n.OwnerId))
		}
		return ids
	})
}
