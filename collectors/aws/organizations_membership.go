package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/tallystick/tallystick/collectors"
)

// organizationsMembership reads which organisation an account belongs to,
// which every member may ask. The account is known without a call; null says
// that it belongs to none.
//
// MasterAccountEmail names the mailbox that owns the management account. It is
// evidence of who answers for the organisation, and stays.
func organizationsMembership(e *Estate) *collector {
	const kind = "aws.organizations.membership"
	return &collector{estate: e, read: readMembership, spec: collectors.Spec{
		Name:    "aws.organizations_membership",
		Summary: "The organisation that the account belongs to, and its management account.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "organizations:DescribeOrganization", Kind: kind, Field: "Organization", Absent: []string{"AWSOrganizationsNotInUseException"}},
		},
	}}
}

func readMembership(ctx context.Context, r *reader) error {
	o := r.resource("aws.organizations.membership", r.account, page{exchange: r.caller}, map[string]any{"AccountId": r.account})
	organization, err := organizations.NewFromConfig(r.config).DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	o.setMember("organizations:DescribeOrganization", "Organization", organization, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.organizations.membership")
	return nil
}
