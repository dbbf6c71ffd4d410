package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/tallystick/tallystick/collectors"
)

// organizationsAccounts reads an organisation from the account that answers for
// it: its management account or a delegated administrator. Any other member is
// refused everything but DescribeOrganization.
//
// Where an account stands in the tree is in Paths of ListAccounts, and where a
// unit stands in its Path, both as AWS sends them:
// "o-exampleorgid/r-ab12/ou-ab12-11111111/444455556666/". No call for each
// account or unit is needed for it. AWS sends no path of a root. ParentId of a
// unit is the parent whose units were asked for.
// Source: Organizations API reference, Account, OrganizationalUnit.
//
// State says what an account is. A check must not read Status, whose retirement
// AWS announced for 9 September 2026.
//
// Email of an account and MasterAccountEmail name the mailbox that owns an
// account's root user. They are evidence of who answers for it, and stay.
func organizationsAccounts(e *Estate) *collector {
	const (
		organization = "aws.organizations.organization"
		account      = "aws.organizations.account"
		unit         = "aws.organizations.unit"
		delegated    = "aws.organizations.delegated_administrator"
	)
	return &collector{estate: e, read: readOrganization, spec: collectors.Spec{
		Name:    "aws.organizations_accounts",
		Summary: "The organisation: its accounts, units, delegated administrators and trusted services.",
		Kinds:   []string{organization, account, unit, delegated},
		Reach:   collectors.Organization,
		Calls: []collectors.Call{
			{Operation: "organizations:DescribeOrganization", Kind: organization, Absent: []string{"AWSOrganizationsNotInUseException"}},
			{Operation: "organizations:ListAWSServiceAccessForOrganization", Kind: organization, Field: "EnabledServices"},
			{Operation: "organizations:ListAccounts", Kind: account},
			{Operation: "organizations:ListTagsForResource", Kind: account, Field: "Tags", Vanished: []string{"TargetNotFoundException"}},
			{Operation: "organizations:ListRoots", Kind: unit},
			{Operation: "organizations:ListOrganizationalUnitsForParent", Kind: unit, Vanished: []string{"ParentNotFoundException"}},
			{Operation: "organizations:ListDelegatedAdministrators", Kind: delegated},
			{Operation: "organizations:ListDelegatedServicesForAccount", Kind: delegated, Field: "Services", Vanished: []string{"AccountNotFoundException", "AccountNotRegisteredException"}},
		},
	}}
}

// organizationsPage is the most that the lists of Organizations give at a time.
const organizationsPage = 20

func readOrganization(ctx context.Context, r *reader) error {
	client := organizations.NewFromConfig(r.config)
	out, err := client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if call, _ := r.spec.Call("organizations:DescribeOrganization"); hasCode(err, call.Absent) {
		// The account belongs to no organisation, so that there is nothing to list.
		for _, kind := range r.spec.Kinds {
			r.listed(kind)
		}
		return nil
	}
	for _, read := range []func(context.Context, *reader) error{
		func(ctx context.Context, r *reader) error { return readOrganizationItself(ctx, r, client, out, err) },
		func(ctx context.Context, r *reader) error { return readOrganizationAccounts(ctx, r, client) },
		func(ctx context.Context, r *reader) error { return readRoots(ctx, r, client) },
		func(ctx context.Context, r *reader) error { return readDelegatedAdministrators(ctx, r, client) },
	} {
		if _, err := r.apart(ctx, read); err != nil {
			return err
		}
	}
	return nil
}

func readOrganizationItself(ctx context.Context, r *reader, client *organizations.Client, out *organizations.DescribeOrganizationOutput, err error) error {
	if err != nil {
		return err
	}
	if out.Organization == nil || aws.ToString(out.Organization.Arn) == "" {
		return unidentified("organizations:DescribeOrganization", "Organization", 0)
	}
	p := r.page(out)
	v, _ := p.field("Organization")
	body, _ := v.(map[string]any)
	o := r.resource("aws.organizations.organization", *out.Organization.Arn, p, body)
	setPager(ctx, o, "organizations:ListAWSServiceAccessForOrganization", "EnabledServicePrincipals",
		organizations.NewListAWSServiceAccessForOrganizationPaginator(client,
			&organizations.ListAWSServiceAccessForOrganizationInput{MaxResults: aws.Int32(organizationsPage)}))
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.organizations.organization")
	return nil
}

func readOrganizationAccounts(ctx context.Context, r *reader, client *organizations.Client) error {
	pages := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{MaxResults: aws.Int32(organizationsPage)})
	return readDetailed(ctx, r, "organizations:ListAccounts", pages, "Accounts", func(out *organizations.ListAccountsOutput) (ids []string) {
		for _, a := range out.Accounts {
			ids = append(ids, aws.ToString(a.Arn))
		}
		return ids
	}, func(ctx context.Context, out *organizations.ListAccountsOutput, i int, o *resource) {
		setPager(ctx, o, "organizations:ListTagsForResource", "Tags",
			organizations.NewListTagsForResourcePaginator(client, &organizations.ListTagsForResourceInput{ResourceId: out.Accounts[i].Id}))
	})
}

func readDelegatedAdministrators(ctx context.Context, r *reader, client *organizations.Client) error {
	pages := organizations.NewListDelegatedAdministratorsPaginator(client, &organizations.ListDelegatedAdministratorsInput{MaxResults: aws.Int32(organizationsPage)})
	return readDetailed(ctx, r, "organizations:ListDelegatedAdministrators", pages, "DelegatedAdministrators", func(out *organizations.ListDelegatedAdministratorsOutput) (ids []string) {
		for _, a := range out.DelegatedAdministrators {
			ids = append(ids, aws.ToString(a.Arn))
		}
		return ids
	}, func(ctx context.Context, out *organizations.ListDelegatedAdministratorsOutput, i int, o *resource) {
		setPager(ctx, o, "organizations:ListDelegatedServicesForAccount", "DelegatedServices",
			organizations.NewListDelegatedServicesForAccountPaginator(client, &organizations.ListDelegatedServicesForAccountInput{
				AccountId: out.DelegatedAdministrators[i].Id, MaxResults: aws.Int32(organizationsPage),
			}))
	})
}
