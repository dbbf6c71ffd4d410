package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2Images reads the machine images (AMIs) that the account owns, those that
// are deprecated or disabled too. Without the owner the call would answer the
// public images of the world.
func ec2Images(e *Estate) *collector {
	const kind = "aws.ec2.image"
	return &collector{estate: e, read: readImages, spec: collectors.Spec{
		Name:    "aws.ec2_images",
		Summary: "Machine images (AMIs) owned by the account: whether they are public, state, snapshots, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "ec2:DescribeImages", Kind: kind}},
	}}
}

func readImages(ctx context.Context, r *reader) error {
	// An owner is answered the deprecated images in any case, the disabled
	// ones on demand. Source: API_DescribeImages.
	pages := ec2.NewDescribeImagesPaginator(ec2.NewFromConfig(r.config), &ec2.DescribeImagesInput{
		Owners:          []string{"self"},
		IncludeDisabled: aws.Bool(true),
		MaxResults:      aws.Int32(1000),
	})
	return readMembers(ctx, r, "ec2:DescribeImages", pages, "Images", func(out *ec2.DescribeImagesOutput) (ids []string) {
		for _, i := range out.Images {
			ids = append(ids, r.ec2PlainARN("image", i.ImageId))
		}
		return ids
	})
}
