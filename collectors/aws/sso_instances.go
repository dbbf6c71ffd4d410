package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"github.com/tallystick/tallystick/collectors"
)

// ssoInstances reads the instances of IAM Identity Center that an account can
// see: its own, and in a member account that of its organisation, which another
// account owns. OwnerAccountId says whose each is.
//
// How an instance demands MFA can not be read: no public API has it.
func ssoInstances(e *Estate) *collector {
	const kind = "aws.sso.instance"
	return &collector{estate: e, read: readSSOInstances, spec: collectors.Spec{
		Name:    "aws.sso_instances",
		Summary: "Instances of IAM Identity Center, the organisation's too: owner, status, regions, identity store.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "sso:ListInstances", Kind: kind},
		},
	}}
}

func readSSOInstances(ctx context.Context, r *reader) error {
	err := eachInstance(ctx, r, func(in types.InstanceMetadata, list page, i int) error {
		return r.resource("aws.sso.instance", *in.InstanceArn, list, list.item("Instances", i)).emit(ctx)
	})
	if err == nil {
		r.listed("aws.sso.instance")
	}
	return err
}

// eachInstance hands over the instances that are to be read in this region. An
// instance that is replicated answers in each of its regions with the same
// facts; it is read in its primary one where that is looked at.
// Source: IAM Identity Center user guide, using IAM Identity Center across
// multiple Regions.
func eachInstance(ctx context.Context, r *reader, each func(in types.InstanceMetadata, list page, i int) error) error {
	pages := ssoadmin.NewListInstancesPaginator(ssoadmin.NewFromConfig(r.config), &ssoadmin.ListInstancesInput{MaxResults: aws.Int32(100)})
	return readPages(ctx, r, pages, func(out *ssoadmin.ListInstancesOutput, list page) error {
		for i, in := range out.Instances {
			if aws.ToString(in.InstanceArn) == "" {
				return unidentified("sso:ListInstances", "Instances", i)
			}
			if primary := aws.ToString(in.PrimaryRegion); primary != r.region && slices.Contains(r.looked, primary) {
				continue
			}
			if err := each(in, list, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// readOwned reads the list of kind from each instance that this account owns.
// To a member account the details of its organisation's instance are refused,
// whatever its permissions, so they are not asked for there: they are read in
// the account that owns it. A list that is lost in one instance is a gap, and
// the others are read.
//
// Limits: an account to which the administration of the instance is delegated
// could read them too, and is treated as any other member.
func readOwned(ctx context.Context, r *reader, kind string, read func(context.Context, *reader, types.InstanceMetadata) error) error {
	whole := true
	err := eachInstance(ctx, r, func(in types.InstanceMetadata, _ page, _ int) error {
		if owner := aws.ToString(in.OwnerAccountId); owner != "" && owner != r.account {
			return nil
		}
		all, err := r.apart(ctx, func(ctx context.Context, r *reader) error { return read(ctx, r, in) })
		whole = whole && all
		return err
	})
	if err == nil && whole {
		r.listed(kind)
	}
	return err
}
