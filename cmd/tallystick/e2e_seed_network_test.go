package main_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func vpc(ctx context.Context, c cloud) (string, error) {
	out, err := ec2.NewFromConfig(c.config).CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16")})
	if err != nil {
		return "", err
	}
	return c.ec2ARN("vpc", *out.Vpc.VpcId), nil
}

// subnetIn also connects an interface to the subnet, so that the VPC is in use.
func subnetIn(vpc, cidr string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := ec2.NewFromConfig(c.config)
		out, err := client.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: last(c.id(vpc)), CidrBlock: &cidr})
		if err != nil {
			return "", err
		}
		_, err = client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: out.Subnet.SubnetId})
		return c.ec2ARN("subnet", *out.Subnet.SubnetId), err
	}
}

func flowLog(on string, of ec2types.FlowLogsResourceType, traffic ec2types.TrafficType, group string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).CreateFlowLogs(ctx, &ec2.CreateFlowLogsInput{
			ResourceIds: []string{*last(c.id(on))}, ResourceType: of, TrafficType: traffic,
			LogGroupName: &group, DeliverLogsPermissionArn: aws.String("arn:aws:iam::" + c.account + ":role/flow"),
		})
		if err != nil {
			return "", err
		}
		if len(out.FlowLogIds) != 1 {
			return "", fmt.Errorf("no flow log was made: %v", out.Unsuccessful)
		}
		return c.ec2ARN("vpc-flow-log", out.FlowLogIds[0]), nil
	}
}

// defaultGroupOf finds the default security group of a planted VPC.
func defaultGroupOf(vpc string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{
			{Name: aws.String("vpc-id"), Values: []string{*last(c.id(vpc))}}, {Name: aws.String("group-name"), Values: []string{"default"}},
		}})
		if err != nil {
			return "", err
		}
		if len(out.SecurityGroups) != 1 {
			return "", fmt.Errorf("%s has %d default groups", vpc, len(out.SecurityGroups))
		}
		return c.ec2ARN("security-group", *out.SecurityGroups[0].GroupId), nil
	}
}

// closed takes away all rules of a group that is found by a maker.
func closed(group maker) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		id, err := group(ctx, c)
		if err != nil {
			return "", err
		}
		client := ec2.NewFromConfig(c.config)
		out, err := client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*last(&id)}})
		if err != nil {
			return "", err
		}
		for _, g := range out.SecurityGroups {
			if len(g.IpPermissions) > 0 {
				return "", fmt.Errorf("moto's default group has inbound rules now, as that of AWS has: %+v", g.IpPermissions)
			}
			if _, err := client.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: g.GroupId, IpPermissions: g.IpPermissionsEgress}); err != nil {
				return "", err
			}
		}
		return id, nil
	}
}

func securityGroup(name, vpc string, inbound ...ec2types.IpPermission) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := ec2.NewFromConfig(c.config)
		out, err := client.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &name, VpcId: last(c.id(vpc))})
		if err != nil {
			return "", err
		}
		for i := range inbound {
			for k, l := range inbound[i].PrefixListIds {
				inbound[i].PrefixListIds[k].PrefixListId = c.id(*l.PrefixListId)
			}
		}
		_, err = client.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: out.GroupId, IpPermissions: inbound})
		return c.ec2ARN("security-group", *out.GroupId), err
	}
}

// opens is an inbound rule for a range of TCP ports; without any it is one for
// all protocols.
func opens(from, to int32, ranges ...string) ec2types.IpPermission {
	rule := ec2types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: &from, ToPort: &to}
	if from == 0 {
		rule = ec2types.IpPermission{IpProtocol: aws.String("-1")}
	}
	for _, r := range ranges {
		switch {
		case strings.Contains(r, ":"):
			rule.Ipv6Ranges = append(rule.Ipv6Ranges, ec2types.Ipv6Range{CidrIpv6: aws.String(r)})
		case strings.Contains(r, "/"):
			rule.IpRanges = append(rule.IpRanges, ec2types.IpRange{CidrIp: aws.String(r)})
		default:
			rule.PrefixListIds = append(rule.PrefixListIds, ec2types.PrefixListId{PrefixListId: aws.String(r)})
		}
	}
	return rule
}

func prefixList(name string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).CreateManagedPrefixList(ctx, &ec2.CreateManagedPrefixListInput{
			PrefixListName: &name, AddressFamily: aws.String("IPv4"), MaxEntries: aws.Int32(1),
			Entries: []ec2types.AddPrefixListEntry{{Cidr: aws.String("0.0.0.0/0")}},
		})
		if err != nil {
			return "", err
		}
		return *out.PrefixList.PrefixListId, nil
	}
}

// instance is started from a planted image in a planted subnet.
func instance(image, subnet string, metadata *ec2types.InstanceMetadataOptionsRequest, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: last(c.id(image)), SubnetId: last(c.id(subnet)), InstanceType: ec2types.InstanceTypeT3Micro,
			MinCount: aws.Int32(1), MaxCount: aws.Int32(1), MetadataOptions: metadata,
		})
		if err != nil {
			return "", err
		}
		id := *out.Instances[0].InstanceId
		return c.ec2ARN("instance", id), steps(ctx, c, id, settings)
	}
}

func metadata(tokens ec2types.HttpTokensState, endpoint ec2types.InstanceMetadataEndpointState) *ec2types.InstanceMetadataOptionsRequest {
	return &ec2types.InstanceMetadataOptionsRequest{HttpTokens: tokens, HttpEndpoint: endpoint}
}

func terminate(ctx context.Context, c cloud, id string) error {
	_, err := ec2.NewFromConfig(c.config).TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	return err
}

// rootVolumeOf finds the volume that a planted instance was started with.
func rootVolumeOf(instance string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{
			{Name: aws.String("attachment.instance-id"), Values: []string{*last(c.id(instance))}},
		}})
		if err != nil {
			return "", err
		}
		if len(out.Volumes) != 1 {
			return "", fmt.Errorf("%s has %d volumes", instance, len(out.Volumes))
		}
		return c.ec2ARN("volume", *out.Volumes[0].VolumeId), nil
	}
}
