package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/tallystick/tallystick/collectors"
)

// iamAccountSummary reads the counters of an account, among them those of its
// root user, and what its organisation does centrally about root users.
//
// The four errors that ListOrganizationsFeatures documents are answers: there
// is no organisation, it has no such features, or this account is not one that
// administers them. No permission changes them, so they are no gap. Null means
// that this account lists no features; it does not say that the organisation
// has none. A refusal stays a gap.
func iamAccountSummary(e *Estate) *collector {
	const kind = "aws.iam.account"
	return &collector{estate: e, read: readAccountSummary, spec: collectors.Spec{
		Name:    "aws.iam_account_summary",
		Summary: "The account's counters of IAM (root MFA, root password and keys) and the organisation's central root features.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "iam:GetAccountSummary", Kind: kind},
			{Operation: "iam:ListOrganizationsFeatures", Kind: kind, Field: "OrganizationsFeatures", Absent: []string{
				"AccountNotManagementOrDelegatedAdministratorException", "OrganizationNotFoundException",
				"OrganizationNotInAllFeaturesModeException", "ServiceAccessNotEnabledException",
			}},
		},
	}}
}

func readAccountSummary(ctx context.Context, r *reader) error {
	client := iam.NewFromConfig(r.config)
	summary, err := client.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil {
		return err
	}
	p := r.page(summary)
	o := r.resource("aws.iam.account", r.account, p, p.body())
	features, err := client.ListOrganizationsFeatures(ctx, &iam.ListOrganizationsFeaturesInput{})
	o.set("iam:ListOrganizationsFeatures", features, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.iam.account")
	return nil
}
