package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"github.com/tallystick/tallystick/collectors"
)

// identitystoreGroups reads the groups in the identity stores of the instances
// of IAM Identity Center that this account owns, and who is in each. A group
// holds users only, never another group. The limit about customer managed keys
// at identitystoreUsers holds here too.
func identitystoreGroups(e *Estate) *collector {
	const kind = "aws.identitystore.group"
	return &collector{estate: e, read: readStoreGroups, spec: collectors.Spec{
		Name:    "aws.identitystore_groups",
		Summary: "Groups in the identity stores of IAM Identity Center and their members.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "sso:ListInstances", Kind: kind},
			{Operation: "identitystore:ListGroups", Kind: kind},
			{Operation: "identitystore:ListGroupMemberships", Kind: kind, Field: "Memberships", Vanished: []string{"ResourceNotFoundException"}},
		},
	}}
}

func readStoreGroups(ctx context.Context, r *reader) error {
	client := identitystore.NewFromConfig(r.config)
	return readOwned(ctx, r, "aws.identitystore.group", func(ctx context.Context, r *reader, in types.InstanceMetadata) error {
		pages := identitystore.NewListGroupsPaginator(client, &identitystore.ListGroupsInput{IdentityStoreId: in.IdentityStoreId, MaxResults: aws.Int32(100)})
		return readPages(ctx, r, pages, func(out *identitystore.ListGroupsOutput, list page) error {
			var ids []string
			for _, g := range out.Groups {
				ids = append(ids, r.storeARN("group", g.GroupId))
			}
			return r.detailed(ctx, "identitystore:ListGroups", list, "Groups", ids, func(ctx context.Context, i int, o *resource) {
				readMemberships(ctx, client, in.IdentityStoreId, out.Groups[i].GroupId, o)
			})
		})
	})
}

func readMemberships(ctx context.Context, client *identitystore.Client, store, group *string, o *resource) {
	setPager(ctx, o, "identitystore:ListGroupMemberships", "GroupMemberships", identitystore.NewListGroupMembershipsPaginator(client, &identitystore.ListGroupMembershipsInput{
		IdentityStoreId: store, GroupId: group, MaxResults: aws.Int32(100),
	}))
}
