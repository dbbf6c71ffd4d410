package aws_test

import (
	"fmt"
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tallystick/tallystick/collectors/aws"
)

// TestIdentityCenterLosses loses single answers about IAM Identity Center. The
// account 444455556666 has an instance of its own, which knows no permission
// sets, and sees that of its organisation.
func TestIdentityCenterLosses(t *testing.T) {
	const (
		a, b = "111122223333", "444455556666"
		set  = "aws.sso.permission_set arn:aws:sso:::permissionSet/ssoins-7223a1b2c3d4e5f6/ps-0a1b2c3d4e5f6a01"
	)
	text := func(code, message string) string { return fmt.Sprintf(`{"__type":%q,"Message":%q}`, code, message) }
	tests := []struct {
		name, collector, account, operation string
		nth                                 int
		body                                string
		gaps                                []string // kind class
		vanished                            []string
		observed                            int
	}{
		{
			"an account's own instance, in the words of 2026", "aws.sso_assignments", b, "sso:ListPermissionSets", 1,
			text("ValidationException", "Permission sets are not supported for account instances of IAM Identity Center"), nil, nil, 0,
		},
		{
			"a request that is wrong", "aws.sso_permission_sets", b, "sso:ListPermissionSets", 1,
			text("ValidationException", "1 validation error detected"),
			[]string{"aws.sso.permission_set unavailable"},
			nil, 0,
		},
		{
			"a detail that is wrong", "aws.sso_assignments", a, "sso:ListAccountAssignments", 1,
			text("ValidationException", "not supported for this"),
			[]string{"aws.sso.assignment unavailable"},
			nil, 0,
		},
		{
			"a set that was deleted in between", "aws.sso_permission_sets", a, "sso:DescribePermissionSet", 1,
			jsonError("ResourceNotFoundException"), nil,
			[]string{set},
			2,
		},
		{
			"the accounts of a set that was deleted in between", "aws.sso_assignments", a, "sso:ListAccountsForProvisionedPermissionSet", 1,
			jsonError("ResourceNotFoundException"), nil, nil, 1,
		},
		{
			"the assignments in an account that is gone", "aws.sso_assignments", a, "sso:ListAccountAssignments", 1,
			jsonError("ResourceNotFoundException"), nil, nil, 2,
		},
		{
			"the last account", "aws.sso_assignments", a, "sso:ListAccountAssignments", 5,
			jsonError("AccessDeniedException"),
			[]string{"aws.sso.assignment denied"},
			nil, 4,
		},
		{
			"a group that was deleted in between", "aws.identitystore_groups", a, "identitystore:ListGroupMemberships", 3,
			jsonError("ResourceNotFoundException"), nil,
			[]string{"aws.identitystore.group arn:aws:identitystore:::group/c0ffee01-0000-4000-8000-000000000002"},
			2,
		},
		{
			"a page that says nothing", "aws.identitystore_users", a, "identitystore:ListUsers", 2,
			`{}`,
			[]string{"aws.identitystore.user unavailable"},
			nil, 2,
		},
	}
	e := estateWith(t, 1)
	for _, tt := range tests {
		t.Run(tt.collector+"/"+tt.name, func(t *testing.T) {
			c := named(t, e, tt.collector)
			l := loss{tt.operation, "eu-west-1", tt.nth, 400, "application/x-amz-json-1.1", tt.body}
			got, _ := replayWith(t, c, tt.account, l.intercept(), 1)
			var gaps []string
			for _, g := range got.gaps {
				gaps = append(gaps, g.Kind+" "+string(g.Class))
				if g.Operation != tt.operation || g.Region != "eu-west-1" || g.Resource != "" || got.listed[g.Kind+"@eu-west-1"] {
					t.Errorf("the gap is %+v, listed %v; want the list by %s", g, got.listed, tt.operation)
				}
			}
			if !slices.Equal(gaps, tt.gaps) {
				t.Errorf("gaps %q, want %q", gaps, tt.gaps)
			}
			if !slices.Equal(got.vanished, tt.vanished) {
				t.Errorf("vanished %q, want %q", got.vanished, tt.vanished)
			}
			if len(got.observations) != tt.observed {
				t.Errorf("%d resources, want %d", len(got.observations), tt.observed)
			}
		})
	}
}

// TestReplicatedInstance looks at a region to which an instance is replicated,
// and not at its primary one: the instance must not be lost.
func TestReplicatedInstance(t *testing.T) {
	e, err := aws.New(t.Context(), aws.Settings{
		Accounts: []aws.Account{{ID: "111122223333"}}, Regions: []string{"us-east-1"},
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "test", "")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := replay(t, named(t, e, "aws.sso_instances"), "111122223333", nil)
	if len(got.gaps) != 0 || len(got.observations) != 1 || got.observations[0].Region != "us-east-1" {
		t.Errorf("observed %v, gaps %v; want the instance in us-east-1", got.observations, got.gaps)
	}
}
