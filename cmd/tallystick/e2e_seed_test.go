package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// place is where something is planted. A global thing has no region.
type place struct{ account, region string }

// cloud plants things at one place with the SDK's own clients.
type cloud struct {
	place
	config aws.Config
	known  map[string]string // what was planted before: id by name
}

// open gives the way into an account of moto: the ambient identity, or a role.
func open(t *testing.T, moto string, at place) cloud {
	t.Helper()
	region := at.region
	if region == "" {
		region = "us-east-1"
	}
	c := aws.Config{
		Region: region, BaseEndpoint: aws.String(moto), HTTPClient: client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(testKeyID, testSecretKey, ""),
	}
	if at.account != ambient {
		out, err := sts.NewFromConfig(c).AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String(roleIn(at.account)), RoleSessionName: aws.String("seed"),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Credentials = credentials.NewStaticCredentialsProvider(
			*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	}
	return cloud{place: at, config: c, known: map[string]string{}}
}

func roleIn(account string) string { return "arn:aws:iam::" + account + ":role/TallystickReader" }

func (c cloud) s3() *s3.Client {
	return s3.NewFromConfig(c.config, func(o *s3.Options) { o.UsePathStyle = true })
}

// id gives what was planted under a name.
func (c cloud) id(name string) *string {
	if c.known[name] == "" {
		panic(fmt.Sprintf("%q was not planted before it is used", name))
	}
	return aws.String(c.known[name])
}

// A maker plants one thing and gives its id as tallystick names it.
type maker func(ctx context.Context, c cloud) (id string, err error)

// a step is one setting of a thing called name.
type step func(ctx context.Context, c cloud, name string) error

func steps(ctx context.Context, c cloud, name string, all []step) error {
	for i, s := range all {
		if err := s(ctx, c, name); err != nil {
			return fmt.Errorf("step %d of %s: %w", i+1, name, err)
		}
	}
	return nil
}

func user(name string, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := iam.NewFromConfig(c.config).CreateUser(ctx, &iam.CreateUserInput{UserName: &name})
		if err != nil {
			return "", err
		}
		return *out.User.Arn, steps(ctx, c, name, settings)
	}
}

func password(ctx context.Context, c cloud, name string) error {
	_, err := iam.NewFromConfig(c.config).CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{
		UserName: &name, Password: aws.String("correct-horse-battery-Staple-1"),
	})
	return err
}

func mfa(ctx context.Context, c cloud, name string) error {
	client := iam.NewFromConfig(c.config)
	out, err := client.CreateVirtualMFADevice(ctx, &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name})
	if err != nil {
		return err
	}
	_, err = client.EnableMFADevice(ctx, &iam.EnableMFADeviceInput{
		UserName: &name, SerialNumber: out.VirtualMFADevice.SerialNumber,
		AuthenticationCode1: aws.String("123456"), AuthenticationCode2: aws.String("654321"),
	})
	return err
}

func accessKey(status iamtypes.StatusType) step {
	return func(ctx context.Context, c cloud, name string) error {
		client := iam.NewFromConfig(c.config)
		out, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
		if err != nil {
			return err
		}
		_, err = client.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &name, AccessKeyId: out.AccessKey.AccessKeyId, Status: status})
		return err
	}
}

func passwordPolicy(length, remembered int32) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		_, err := iam.NewFromConfig(c.config).UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{
			MinimumPasswordLength: &length, PasswordReusePrevention: &remembered,
		})
		return c.account, err
	}
}

func bucket(name string, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(name == "e2e-locked")}
		if c.config.Region != "us-east-1" {
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(c.config.Region)}
		}
		if _, err := c.s3().CreateBucket(ctx, in); err != nil {
			return "", err
		}
		return "arn:aws:s3:::" + name, steps(ctx, c, name, settings)
	}
}

func versioning(status s3types.BucketVersioningStatus) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := c.s3().PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: &name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: status},
		})
		return err
	}
}

// encryption sets the default encryption; key names a planted KMS key.
func encryption(algorithm s3types.ServerSideEncryption, key string) step {
	return func(ctx context.Context, c cloud, name string) error {
		byDefault := &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm}
		if key != "" {
			byDefault.KMSMasterKeyID = c.id(key)
		}
		_, err := c.s3().PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
			Bucket: &name, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
				Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: aws.Bool(true)}},
			},
		})
		return err
	}
}

func noPublicAccess(ctx context.Context, c cloud, name string) error {
	yes := aws.Bool(true)
	_, err := c.s3().PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: &name, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
			BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes,
		},
	})
	return err
}

func publicPolicy(ctx context.Context, c cloud, name string) error {
	_, err := c.s3().PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + name + `/*"}]}`)})
	return err
}

// trailPolicy lets CloudTrail write into the bucket.
func trailPolicy(ctx context.Context, c cloud, name string) error {
	_, err := c.s3().PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + name + `/*"}]}`)})
	return err
}

func accessLogsTo(target string) step {
	return func(ctx context.Context, c cloud, name string) error {
		if _, err := c.s3().PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: &target, ACL: s3types.BucketCannedACL("log-delivery-write")}); err != nil {
			return err
		}
		_, err := c.s3().PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: &name, BucketLoggingStatus: &s3types.BucketLoggingStatus{
			LoggingEnabled: &s3types.LoggingEnabled{TargetBucket: &target, TargetPrefix: aws.String(name + "/")},
		}})
		return err
	}
}

func expireAfter(days int32) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := c.s3().PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
			Bucket: &name, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: []s3types.LifecycleRule{{
				ID: aws.String("expire"), Status: s3types.ExpirationStatusEnabled,
				Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &s3types.LifecycleExpiration{Days: &days},
			}}},
		})
		return err
	}
}

// objectLock also turns versioning on: the one is not to be had without the other.
func objectLock(ctx context.Context, c cloud, name string) error {
	if err := versioning(s3types.BucketVersioningStatusEnabled)(ctx, c, name); err != nil {
		return err
	}
	_, err := c.s3().PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{
		Bucket: &name, ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled},
	})
	return err
}

func bucketTag(key, value string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := c.s3().PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: &s3types.Tagging{
			TagSet: []s3types.Tag{{Key: &key, Value: &value}},
		}})
		return err
	}
}

func ebsDefault(on bool) maker {
	return func(ctx context.Context, c cloud) (id string, err error) {
		client := ec2.NewFromConfig(c.config)
		if on {
			_, err = client.EnableEbsEncryptionByDefault(ctx, &ec2.EnableEbsEncryptionByDefaultInput{})
		} else {
			_, err = client.DisableEbsEncryptionByDefault(ctx, &ec2.DisableEbsEncryptionByDefaultInput{})
		}
		return c.account + "/" + c.region, err
	}
}

func (c cloud) ec2ARN(resource, id string) string {
	return fmt.Sprintf("arn:aws:ec2:%s:%s:%s/%s", c.region, c.account, resource, id)
}

// volume is planted encrypted with a planted KMS key, or plain when that is empty.
func volume(key string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String(c.region + "a"), Size: aws.Int32(1)}
		if key != "" {
			in.Encrypted, in.KmsKeyId = aws.Bool(true), c.id(key)
		}
		out, err := ec2.NewFromConfig(c.config).CreateVolume(ctx, in)
		if err != nil {
			return "", err
		}
		return c.ec2ARN("volume", *out.VolumeId), nil
	}
}

// last gives what follows the last slash of an ARN.
func last(arn *string) *string { return aws.String((*arn)[strings.LastIndex(*arn, "/")+1:]) }

func snapshotOf(volume string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: last(c.id(volume))})
		if err != nil {
			return "", err
		}
		return c.ec2ARN("snapshot", *out.SnapshotId), nil
	}
}

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
