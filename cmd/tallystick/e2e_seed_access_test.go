package main_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	storetypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
)

func user(name string, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := iam.NewFromConfig(c.config).CreateUser(ctx, &iam.CreateUserInput{UserName: &name})
		if err != nil {
			return "", err
		}
		return *out.User.Arn, steps(ctx, c, name, settings)
	}
}

func password(ctx context.Context, c cloud, name string) error {
	_, err := iam.NewFromConfig(c.config).CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{
		UserName: &name, Password: aws.String("correct-horse-battery-Staple-1"),
	})
	return err
}

func mfa(ctx context.Context, c cloud, name string) error {
	client := iam.NewFromConfig(c.config)
	out, err := client.CreateVirtualMFADevice(ctx, &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name})
	if err != nil {
		return err
	}
	_, err = client.EnableMFADevice(ctx, &iam.EnableMFADeviceInput{
		UserName: &name, SerialNumber: out.VirtualMFADevice.SerialNumber,
		AuthenticationCode1: aws.String("123456"), AuthenticationCode2: aws.String("654321"),
	})
	return err
}

func accessKey(status iamtypes.StatusType) step {
	return func(ctx context.Context, c cloud, name string) error {
		client := iam.NewFromConfig(c.config)
		out, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
		if err != nil {
			return err
		}
		_, err = client.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &name, AccessKeyId: out.AccessKey.AccessKeyId, Status: status})
		return err
	}
}

func passwordPolicy(length, remembered int32) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		_, err := iam.NewFromConfig(c.config).UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{
			MinimumPasswordLength: &length, PasswordReusePrevention: &remembered,
		})
		return c.account, err
	}
}

// policyDocument gives a policy document of statements.
func policyDocument(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// Statements of IAM policies.
const (
	allowsAll       = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	allowsAllByMFA  = `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`
	allowsAllButIAM = `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`
	readsOneBucket  = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::e2e-full/*"}`
)

// awsAdministrator is a policy that AWS manages.
const awsAdministrator = "arn:aws:iam::aws:policy/AdministratorAccess"

func iamPolicy(name, statement string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := iam.NewFromConfig(c.config).CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &name, PolicyDocument: aws.String(policyDocument(statement))})
		if err != nil {
			return "", err
		}
		return *out.Policy.Arn, nil
	}
}

// secondVersion gives a planted policy another version, which is the default one.
func secondVersion(policy, statement string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := iam.NewFromConfig(c.config).CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{
			PolicyArn: c.id(policy), PolicyDocument: aws.String(policyDocument(statement)), SetAsDefault: true,
		})
		if err != nil {
			return "", err
		}
		return *out.PolicyVersion.VersionId, nil
	}
}

func userPolicy(policy string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &name, PolicyArn: c.arn(policy)})
		return err
	}
}

func userInline(statement string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).PutUserPolicy(ctx, &iam.PutUserPolicyInput{
			UserName: &name, PolicyName: aws.String("own"), PolicyDocument: aws.String(policyDocument(statement)),
		})
		return err
	}
}

func inGroup(group string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: &name, GroupName: &group})
		return err
	}
}

func group(name string, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := iam.NewFromConfig(c.config).CreateGroup(ctx, &iam.CreateGroupInput{GroupName: &name})
		if err != nil {
			return "", err
		}
		return *out.Group.Arn, steps(ctx, c, name, settings)
	}
}

func groupPolicy(policy string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: &name, PolicyArn: c.arn(policy)})
		return err
	}
}

func groupInline(statement string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{
			GroupName: &name, PolicyName: aws.String("own"), PolicyDocument: aws.String(policyDocument(statement)),
		})
		return err
	}
}

// role is planted with its trust policy, in which ORGANIZED stands for the
// account of the organisation.
func role(name, trust string, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		if strings.Contains(trust, "ORGANIZED") {
			trust = strings.ReplaceAll(trust, "ORGANIZED", *c.id("account of the organisation"))
		}
		out, err := iam.NewFromConfig(c.config).CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(policyDocument(trust))})
		if err != nil {
			return "", err
		}
		return *out.Role.Arn, steps(ctx, c, name, settings)
	}
}

func rolePolicy(policy string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: c.arn(policy)})
		return err
	}
}

func roleInline(statement string) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := iam.NewFromConfig(c.config).PutRolePolicy(ctx, &iam.PutRolePolicyInput{
			RoleName: &name, PolicyName: aws.String("own"), PolicyDocument: aws.String(policyDocument(statement)),
		})
		return err
	}
}

func serviceRole(service string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := iam.NewFromConfig(c.config).CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: &service})
		if err != nil {
			return "", err
		}
		return *out.Role.Arn, nil
	}
}

func organization(ctx context.Context, c cloud) (string, error) {
	out, err := organizations.NewFromConfig(c.config).CreateOrganization(ctx, &organizations.CreateOrganizationInput{})
	if err != nil {
		return "", err
	}
	return *out.Organization.Arn, nil
}

// organized is an account that the organisation makes; moto chooses its number.
func organized(name string, tags ...orgtypes.Tag) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := organizations.NewFromConfig(c.config).CreateAccount(ctx, &organizations.CreateAccountInput{
			AccountName: &name, Email: aws.String(name + "@example.com"), Tags: tags,
		})
		if err != nil {
			return "", err
		}
		return *out.CreateAccountStatus.AccountId, nil
	}
}

func securityContact(ctx context.Context, c cloud) (string, error) {
	_, err := account.NewFromConfig(c.config).PutAlternateContact(ctx, &account.PutAlternateContactInput{
		AlternateContactType: accounttypes.AlternateContactTypeSecurity, Name: aws.String("Sam Roe"), Title: aws.String("CISO"),
		EmailAddress: aws.String("security@example.com"), PhoneNumber: aws.String("+1-555-0100"),
	})
	return c.account + "/SECURITY", err
}

// identityCenter finds the instance of IAM Identity Center. moto has one in each
// region of each account.
func identityCenter(ctx context.Context, c cloud) (string, error) {
	in, err := c.instance(ctx)
	if err != nil {
		return "", err
	}
	return *in.InstanceArn, nil
}

func (c cloud) instance(ctx context.Context) (ssotypes.InstanceMetadata, error) {
	out, err := ssoadmin.NewFromConfig(c.config).ListInstances(ctx, &ssoadmin.ListInstancesInput{})
	if err != nil {
		return ssotypes.InstanceMetadata{}, err
	}
	if len(out.Instances) != 1 {
		return ssotypes.InstanceMetadata{}, fmt.Errorf("moto has %d instances of IAM Identity Center in %s", len(out.Instances), c.region)
	}
	return out.Instances[0], nil
}

// assigned makes a user, a group with that user, and a permission set that the
// group has in the account.
func assigned(ctx context.Context, c cloud) (string, error) {
	in, err := c.instance(ctx)
	if err != nil {
		return "", err
	}
	store, center := identitystore.NewFromConfig(c.config), ssoadmin.NewFromConfig(c.config)
	user, err := store.CreateUser(ctx, &identitystore.CreateUserInput{
		IdentityStoreId: in.IdentityStoreId, UserName: aws.String("dee"), DisplayName: aws.String("Dee Roe"),
		Name: &storetypes.Name{GivenName: aws.String("Dee"), FamilyName: aws.String("Roe")},
	})
	if err != nil {
		return "", err
	}
	group, err := store.CreateGroup(ctx, &identitystore.CreateGroupInput{IdentityStoreId: in.IdentityStoreId, DisplayName: aws.String("auditors")})
	if err != nil {
		return "", err
	}
	if _, err := store.CreateGroupMembership(ctx, &identitystore.CreateGroupMembershipInput{
		IdentityStoreId: in.IdentityStoreId, GroupId: group.GroupId, MemberId: &storetypes.MemberIdMemberUserId{Value: *user.UserId},
	}); err != nil {
		return "", err
	}
	// moto answers a number for a session length that nobody gave.
	set, err := center.CreatePermissionSet(ctx, &ssoadmin.CreatePermissionSetInput{
		InstanceArn: in.InstanceArn, Name: aws.String("Audit"), SessionDuration: aws.String("PT1H"),
	})
	if err != nil {
		return "", err
	}
	if _, err := center.CreateAccountAssignment(ctx, &ssoadmin.CreateAccountAssignmentInput{
		InstanceArn: in.InstanceArn, PermissionSetArn: set.PermissionSet.PermissionSetArn,
		PrincipalId: group.GroupId, PrincipalType: ssotypes.PrincipalTypeGroup, TargetId: &c.account, TargetType: ssotypes.TargetTypeAwsAccount,
	}); err != nil {
		return "", err
	}
	// With AWS the assignment does this, too.
	_, err = center.ProvisionPermissionSet(ctx, &ssoadmin.ProvisionPermissionSetInput{
		InstanceArn: in.InstanceArn, PermissionSetArn: set.PermissionSet.PermissionSetArn, TargetType: ssotypes.ProvisionTargetTypeAwsAccount, TargetId: &c.account,
	})
	return *set.PermissionSet.PermissionSetArn, err
}
