package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"github.com/tallystick/tallystick/collectors"
)

// ssoAssignments reads who has which permission set in which account, for the
// instances that this account owns. That a set is provisioned in an account
// gives nobody access; only an assignment does, to a user or to a group of the
// identity store.
func ssoAssignments(e *Estate) *collector {
	const kind = "aws.sso.assignment"
	gone := []string{"ResourceNotFoundException"}
	return &collector{estate: e, read: readAssignments, spec: collectors.Spec{
		Name:    "aws.sso_assignments",
		Summary: "Assignments of IAM Identity Center: which user or group has which permission set in which account.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "sso:ListInstances", Kind: kind},
			{Operation: "sso:ListPermissionSets", Kind: kind, Absent: []string{"ValidationException"}},
			{Operation: "sso:ListAccountsForProvisionedPermissionSet", Kind: kind, Vanished: gone},
			{Operation: "sso:ListAccountAssignments", Kind: kind, Vanished: gone},
		},
	}}
}

func readAssignments(ctx context.Context, r *reader) error {
	client := ssoadmin.NewFromConfig(r.config)
	return readOwned(ctx, r, "aws.sso.assignment", func(ctx context.Context, r *reader, in types.InstanceMetadata) error {
		return eachPermissionSet(ctx, r, client, in.InstanceArn, func(set string, _ page) error {
			return readSetAssignments(ctx, r, client, in.InstanceArn, set)
		})
	})
}

func readSetAssignments(ctx context.Context, r *reader, client *ssoadmin.Client, instance *string, set string) error {
	const list = "sso:ListAccountsForProvisionedPermissionSet"
	pages := ssoadmin.NewListAccountsForProvisionedPermissionSetPaginator(client, &ssoadmin.ListAccountsForProvisionedPermissionSetInput{
		InstanceArn: instance, PermissionSetArn: &set, MaxResults: aws.Int32(100),
	})
	err := readPages(ctx, r, pages, func(out *ssoadmin.ListAccountsForProvisionedPermissionSetOutput, _ page) error {
		for _, account := range out.AccountIds {
			if err := readAccountAssignments(ctx, r, client, instance, set, account); err != nil {
				return err
			}
		}
		return nil
	})
	if call, _ := r.spec.Call(list); hasCode(err, call.Vanished) {
		// A set can be deleted only once nobody has it. Source: API_DeletePermissionSet.
		return nil
	}
	return err
}

func readAccountAssignments(ctx context.Context, r *reader, client *ssoadmin.Client, instance *string, set, account string) error {
	const list = "sso:ListAccountAssignments"
	pages := ssoadmin.NewListAccountAssignmentsPaginator(client, &ssoadmin.ListAccountAssignmentsInput{
		InstanceArn: instance, PermissionSetArn: &set, AccountId: &account, MaxResults: aws.Int32(100),
	})
	err := readPages(ctx, r, pages, func(out *ssoadmin.ListAccountAssignmentsOutput, p page) error {
		var ids []string
		for _, a := range out.AccountAssignments {
			ids = append(ids, assignmentID(set, account, aws.ToString(a.PrincipalId)))
		}
		return r.members(ctx, list, p, "AccountAssignments", ids)
	})
	if call, _ := r.spec.Call(list); hasCode(err, call.Vanished) {
		// The set or the account is gone, and with it what was assigned there;
		// the other accounts are still to be read.
		return nil
	}
	return err
}

// assignmentID gives "ssoins-7223/ps-8f21/444455556666/PRINCIPAL", since an
// assignment has no ARN. It is empty without a principal.
func assignmentID(set, account, principal string) string {
	_, name, found := strings.Cut(set, ":permissionSet/")
	if !found || principal == "" {
		return ""
	}
	return name + "/" + account + "/" + principal
}
