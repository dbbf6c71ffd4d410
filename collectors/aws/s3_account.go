package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3control"

	"github.com/tallystick/tallystick/collectors"
)

// s3Account reads what an account forbids for all of its buckets. There is one
// such setting in every account, so it is listed without a call; what could
// not be read is a gap in its field. Null: nothing is set. The answer is what
// is in effect, be it set in the account or by its organisation.
// Source: S3 API reference, GetPublicAccessBlock of S3 Control.
//
// The client puts the account before the host, which a custom endpoint must be
// able to resolve.
func s3Account(e *Estate) *collector {
	const kind = "aws.s3.account"
	return &collector{estate: e, read: readS3Account, spec: collectors.Spec{
		Name:    "aws.s3_account",
		Summary: "The account's block of public access to S3.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "s3control:GetPublicAccessBlock", Permission: "s3:GetAccountPublicAccessBlock", Kind: kind, Field: "PublicAccessBlock", Absent: []string{"NoSuchPublicAccessBlockConfiguration"}},
		},
	}}
}

func readS3Account(ctx context.Context, r *reader) error {
	o := r.resource("aws.s3.account", r.account, page{exchange: r.caller}, nil)
	block, err := s3control.NewFromConfig(r.config).GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String(r.account)})
	o.set("s3control:GetPublicAccessBlock", block, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.s3.account")
	return nil
}
