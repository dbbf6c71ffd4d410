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
	err := readPages(ctx, r, pages, func(out *iam.ListUsersOutput, list page) error {
		for i, u := range out.Users {
			if aws.ToString(u.Arn) == "" {
				return unidentified("iam:ListUsers", "Users", i)
			}
			o := r.resource("aws.iam.user", *u.Arn, list, list.item("Users", i))
			if err := r.each(ctx, func() error {
				readUser(ctx, client, u.UserName, o)
				return o.emit(ctx)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.iam.user")
	}
	return err
}

func readUser(ctx context.Context, client *iam.Client, name *string, o *resource) {
	profile, err := client.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: name})
	o.setMember("iam:GetLoginProfile", "LoginProfile", profile, err)
	devices := iam.NewListMFADevicesPaginator(client, &iam.ListMFADevicesInput{UserName: name})
	o.setPages("iam:ListMFADevices", "MFADevices", func() (any, bool, error) {
		out, err := devices.NextPage(ctx)
		return out, devices.HasMorePages(), err
	})
}
