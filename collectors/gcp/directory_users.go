package gcp

import (
	"context"

	admin "google.golang.org/api/admin/directory/v1"

	"github.com/tallystick/tallystick/collectors"
)

const listUsers = "directory.users.list"

// userFields are what is asked for of each user: how it signs in and what it
// may, and nothing else of the person.
const userFields = "nextPageToken,users(id,customerId,primaryEmail,isAdmin,isDelegatedAdmin,isEnrolledIn2Sv,isEnforcedIn2Sv,suspended,archived,orgUnitPath,creationTime,lastLoginTime)"

// directoryUsers reads the users of the Workspace or Cloud Identity domain with
// their 2-Step Verification. No IAM role opens the directory: a super
// administrator delegates it to a service account, which then acts as a
// dedicated user. Where nobody did, that is the gap.
// Source: Admin SDK, Directory API reference, users.list.
func directoryUsers(e *Estate) *collector {
	return &collector{estate: e, read: readUsers, spec: collectors.Spec{
		Name:    "gcp.directory_users",
		Summary: "Users of the Workspace or Cloud Identity domain: 2-Step Verification, administrators, suspended users.",
		Kinds:   []string{userKind},
		Reach:   collectors.Organization,
		Calls:   []collectors.Call{{Operation: listUsers, Permission: directoryScope, Kind: userKind}},
	}}
}

const userKind = "gcp.directory.user"

func readUsers(ctx context.Context, t *task) error {
	domain := t.workspace()
	if domain == nil {
		return nil
	}
	service, err := admin.NewService(ctx, t.estate.client("directory", t, t.estate.identity.delegated[directoryScope])...)
	if err != nil {
		return errRunner{err}
	}
	return domainList{userKind, listUsers, "users", "id", func(ctx context.Context, token string) error {
		_, err := service.Users.List().Customer(domain.Customer).MaxResults(500).OrderBy("email").Fields(userFields).Context(ctx).Do(after(token)...)
		return err
	}}.read(ctx, t)
}
