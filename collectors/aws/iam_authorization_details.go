package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/tallystick/tallystick/collectors"
)

// iamAuthorizationDetails reads who may do what: users, groups and roles with
// their policies, and the policies that the customer manages. One call lists
// all four, so that a page that is lost is a gap in each of the lists.
//
// Policies stay as sent, percent-encoded. Those that AWS manages are left out:
// their text is the provider's, and their ARN says which one is attached.
//
// Limits: the pages are read one after the other, and IAM gives no snapshot
// over them. What changed in between may be named and not be there.
// Source: IAM API reference, GetAccountAuthorizationDetails.
func iamAuthorizationDetails(e *Estate) *collector {
	return &collector{estate: e, read: readAuthorizationDetails, spec: collectors.Spec{
		Name:    "aws.iam_authorization_details",
		Summary: "IAM users, groups and roles with their policies, trust and last use, and customer managed policies.",
		Kinds:   []string{"aws.iam.user_detail", "aws.iam.group", "aws.iam.role", "aws.iam.policy"},
		Reach:   collectors.Global,
		Calls:   []collectors.Call{{Operation: "iam:GetAccountAuthorizationDetails"}}, // no kind: it lists them all
	}}
}

// detailsPage is how many members are asked for at a time, of 1,000 that the
// API would give. A policy may have five versions of 6,144 characters, three
// times that when encoded, and an answer must fit what capture keeps.
// Source: IAM and AWS STS quotas.
const detailsPage = 250

func readAuthorizationDetails(ctx context.Context, r *reader) error {
	pages := iam.NewGetAccountAuthorizationDetailsPaginator(iam.NewFromConfig(r.config), &iam.GetAccountAuthorizationDetailsInput{
		Filter:   []types.EntityType{types.EntityTypeUser, types.EntityTypeRole, types.EntityTypeGroup, types.EntityTypeLocalManagedPolicy},
		MaxItems: aws.Int32(detailsPage),
	})
	err := readPages(ctx, r, pages, func(out *iam.GetAccountAuthorizationDetailsOutput, p page) error {
		for _, list := range detailLists(out) {
			for i, arn := range list.arns {
				if arn == "" {
					return unidentified("iam:GetAccountAuthorizationDetails", list.field, i)
				}
				if err := r.resource(list.kind, arn, p, p.item(list.field, i)).emit(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, kind := range r.spec.Kinds {
		r.listed(kind)
	}
	return nil
}

// detailList is one of the lists of a page: its kind, its field, and the ids of
// its members in their order.
type detailList struct {
	kind, field string
	arns        []string
}

func detailLists(out *iam.GetAccountAuthorizationDetailsOutput) []detailList {
	users := detailList{kind: "aws.iam.user_detail", field: "UserDetailList"}
	for _, u := range out.UserDetailList {
		users.arns = append(users.arns, aws.ToString(u.Arn))
	}
	groups := detailList{kind: "aws.iam.group", field: "GroupDetailList"}
	for _, g := range out.GroupDetailList {
		groups.arns = append(groups.arns, aws.ToString(g.Arn))
	}
	roles := detailList{kind: "aws.iam.role", field: "RoleDetailList"}
	for _, role := range out.RoleDetailList {
		roles.arns = append(roles.arns, aws.ToString(role.Arn))
	}
	policies := detailList{kind: "aws.iam.policy", field: "Policies"}
	for _, p := range out.Policies {
		policies.arns = append(policies.arns, aws.ToString(p.Arn))
	}
	return []detailList{users, groups, roles, policies}
}
