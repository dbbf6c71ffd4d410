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
			for i, g := range out.Groups {
				id := r.storeARN("group", g.GroupId)
				if id == "" {
					return unidentified("identitystore:ListGroups", "Groups", i)
				}
				o := r.resource("aws.identitystore.group", id, list, list.item("Groups", i))
				if err := r.each(ctx, func() error {
					readMemberships(ctx, client, in.IdentityStoreId, g.GroupId, o)
					return o.emit(ctx)
				}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func readMemberships(ctx context.Context, client *identitystore.Client, store, group *string, o *resource) {
	members := identitystore.NewListGroupMembershipsPaginator(client, &identitystore.ListGroupMembershipsInput{
		IdentityStoreId: store, GroupId: group, MaxResults: aws.Int32(100),
	})
	o.setPages("identitystore:ListGroupMemberships", "GroupMemberships", func() (any, bool, error) {
		out, err := members.NextPage(ctx)
		return out, members.HasMorePages(), err
	})
}
