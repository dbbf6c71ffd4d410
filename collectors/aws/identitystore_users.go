package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"github.com/tallystick/tallystick/collectors"
)

// identitystoreUsers reads the users in the identity stores of the instances of
// IAM Identity Center that this account owns.
//
// A review of access needs to know who somebody is, and not more: names,
// e-mail addresses, status and type of user are kept, and what else a directory
// may hold of a person is not.
//
// Limits: where a customer managed key encrypts the identity store, reading it
// may take kms:Decrypt on that key too; a refusal is a gap. No API says when a
// user last signed in, nor whether MFA is registered.
func identitystoreUsers(e *Estate) *collector {
	const kind = "aws.identitystore.user"
	return &collector{estate: e, read: readStoreUsers, spec: collectors.Spec{
		Name:    "aws.identitystore_users",
		Summary: "Users in the identity stores of IAM Identity Center: names, e-mail addresses, status.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "sso:ListInstances", Kind: kind},
			{Operation: "identitystore:ListUsers", Kind: kind},
		},
		// Source: Identity Store API reference, User.
		Sensitive: []string{
			"Addresses", "Birthdate", "Extensions", "Locale", "PhoneNumbers", "Photos", "PreferredLanguage",
			"ProfileUrl", "Roles", "Timezone", "Title", "Website",
		},
	}}
}

func readStoreUsers(ctx context.Context, r *reader) error {
	const list = "identitystore:ListUsers"
	client := identitystore.NewFromConfig(r.config)
	return readOwned(ctx, r, "aws.identitystore.user", func(ctx context.Context, r *reader, in types.InstanceMetadata) error {
		pages := identitystore.NewListUsersPaginator(client, &identitystore.ListUsersInput{IdentityStoreId: in.IdentityStoreId, MaxResults: aws.Int32(100)})
		return readPages(ctx, r, pages, func(out *identitystore.ListUsersOutput, p page) error {
			var ids []string
			for _, u := range out.Users {
				ids = append(ids, r.storeARN("user", u.UserId))
			}
			return r.members(ctx, list, p, "Users", ids)
		})
	})
}

// storeARN makes the ARN of a user or group of an identity store, which has
// neither region nor account. It is empty without an id.
// Source: service authorization reference, AWS Identity Store.
func (r *reader) storeARN(sort string, id *string) string {
	if aws.ToString(id) == "" {
		return ""
	}
	return "arn:" + r.partition + ":identitystore:::" + sort + "/" + *id
}
