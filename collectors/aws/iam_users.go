package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/tallystick/tallystick/collectors"
)

// iamUsers reads the users of an account and how each signs in to the console.
// Unlike the credential report it is live, and passkeys are among the devices.
//
// NoSuchEntity on a login profile means that the user has no password, or that
// the user is gone; the list of devices, asked next, tells which.
func iamUsers(e *Estate) *collector {
	const kind = "aws.iam.user"
	return &collector{estate: e, read: readUsers, spec: collectors.Spec{
		Name:    "aws.iam_users",
		Summary: "IAM users: console password and MFA devices.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "iam:ListUsers", Kind: kind},
			{Operation: "iam:GetLoginProfile", Kind: kind, Field: "LoginProfile", Absent: []string{"NoSuchEntity"}},
			{Operation: "iam:ListMFADevices", Kind: kind, Field: "MFADevices", Vanished: []string{"NoSuchEntity"}},
		},
	}}
}

func readUsers(ctx context.Context, r *reader) error {
	client := iam.NewFromConfig(r.config)
	pages := iam.NewListUsersPaginator(client, &iam.ListUsersInput{MaxItems: aws.Int32(1000)})
	return readDetailed(ctx, r, "iam:ListUsers", pages, "Users", func(out *iam.ListUsersOutput) (ids []string) {
		for _, u := range out.Users {
			ids = append(ids, aws.ToString(u.Arn))
		}
		return ids
	}, func(ctx context.Context, out *iam.ListUsersOutput, i int, o *resource) {
		u := out.Users[i]
		readUser(ctx, client, u.UserName, o)
	})
}

func readUser(ctx context.Context, client *iam.Client, name *string, o *resource) {
	profile, err := client.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: name})
	o.setMember("iam:GetLoginProfile", "LoginProfile", profile, err)
	setPager(ctx, o, "iam:ListMFADevices", "MFADevices", iam.NewListMFADevicesPaginator(client, &iam.ListMFADevicesInput{UserName: name}))
}
