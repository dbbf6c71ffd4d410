package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/tallystick/tallystick/collectors"
)

// ec2EBSDefaults reads what a region does with new EBS volumes, and with the
// sharing of snapshots. There is one such setting in every region, so it is
// listed without a call; what could not be read is a gap in its fields.
func ec2EBSDefaults(e *Estate) *collector {
	const kind = "aws.ec2.ebs_defaults"
	return &collector{estate: e, read: readEBSDefaults, spec: collectors.Spec{
		Name:    "aws.ec2_ebs_defaults",
		Summary: "EBS encryption by default, its default key, and whether sharing snapshots with everyone is blocked, in each region.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "ec2:GetEbsEncryptionByDefault", Kind: kind, Field: "Encryption"},
			{Operation: "ec2:GetEbsDefaultKmsKeyId", Kind: kind, Field: "KmsKey"},
			{Operation: "ec2:GetSnapshotBlockPublicAccessState", Kind: kind, Field: "SnapshotBlockPublicAccess"},
		},
	}}
}

func readEBSDefaults(ctx context.Context, r *reader) error {
	client := ec2.NewFromConfig(r.config)
	o := r.resource("aws.ec2.ebs_defaults", r.account+"/"+r.region, page{}, nil)
	encryption, err := client.GetEbsEncryptionByDefault(ctx, &ec2.GetEbsEncryptionByDefaultInput{})
	o.set("ec2:GetEbsEncryptionByDefault", encryption, err)
	key, err := client.GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{})
	o.set("ec2:GetEbsDefaultKmsKeyId", key, err)
	block, err := client.GetSnapshotBlockPublicAccessState(ctx, &ec2.GetSnapshotBlockPublicAccessStateInput{})
	o.set("ec2:GetSnapshotBlockPublicAccessState", block, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.ec2.ebs_defaults")
	return nil
}
