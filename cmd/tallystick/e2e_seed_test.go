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
	"github.com/aws/aws-sdk-go-v2/service/s3"
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

// arn gives what was planted under a name, or an ARN as it is.
func (c cloud) arn(name string) *string {
	if strings.HasPrefix(name, "arn:") {
		return &name
	}
	return c.id(name)
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

// plainARN is that of a snapshot or image, which names no account.
// Source: service authorization reference, resource types of Amazon EC2.
func (c cloud) plainARN(resource, id string) string {
	return fmt.Sprintf("arn:aws:ec2:%s::%s/%s", c.region, resource, id)
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
		return c.plainARN("snapshot", *out.SnapshotId), nil
	}
}

// shared lets everyone restore a planted snapshot.
func shared(snapshot string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		_, err := ec2.NewFromConfig(c.config).ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId: last(c.id(snapshot)), Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission,
			OperationType: ec2types.OperationTypeAdd, GroupNames: []string{"all"},
		})
		return *c.id(snapshot), err
	}
}

// image is registered by its root device, of which moto makes a snapshot.
func image(name string, public bool) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := ec2.NewFromConfig(c.config)
		out, err := client.RegisterImage(ctx, &ec2.RegisterImageInput{Name: &name, RootDeviceName: aws.String("/dev/sda1")})
		if err != nil {
			return "", err
		}
		if public {
			_, err = client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
				ImageId: out.ImageId, LaunchPermission: &ec2types.LaunchPermissionModifications{
					Add: []ec2types.LaunchPermission{{Group: ec2types.PermissionGroupAll}},
				},
			})
		}
		return c.plainARN("image", *out.ImageId), err
	}
}

// snapshotBehind finds the snapshot of a planted image.
func snapshotBehind(image string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := ec2.NewFromConfig(c.config).DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*last(c.id(image))}})
		if err != nil {
			return "", err
		}
		if len(out.Images) != 1 || len(out.Images[0].BlockDeviceMappings) != 1 {
			return "", fmt.Errorf("%s has not one device: %+v", image, out.Images)
		}
		return c.plainARN("snapshot", *out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId), nil
	}
}
