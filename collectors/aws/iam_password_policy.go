package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/tallystick/tallystick/collectors"
)

// iamPasswordPolicy reads the rules for passwords of IAM users. There is one
// such setting in every account, so it is listed without a call; what could
// not be read is a gap in its field. Null: the account has no policy of its
// own, and the default of AWS applies.
func iamPasswordPolicy(e *Estate) *collector {
	const kind = "aws.iam.password_policy"
	return &collector{estate: e, read: readPasswordPolicy, spec: collectors.Spec{
		Name:    "aws.iam_password_policy",
		Summary: "The account's rules for passwords of IAM users.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "iam:GetAccountPasswordPolicy", Kind: kind, Field: "PasswordPolicy", Absent: []string{"NoSuchEntity"}},
		},
	}}
}

func readPasswordPolicy(ctx context.Context, r *reader) error {
	o := r.resource("aws.iam.password_policy", r.account, page{exchange: r.caller}, nil)
	out, err := iam.NewFromConfig(r.config).GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{})
	o.setMember("iam:GetAccountPasswordPolicy", "PasswordPolicy", out, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.iam.password_policy")
	return nil
}
