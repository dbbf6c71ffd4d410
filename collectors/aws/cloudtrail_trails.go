package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/tallystick/tallystick/collectors"
)

// cloudtrailTrails reads the trails that record this account: its own, and an
// organisation's, which shows in every member account as a shadow.
//
// A trail of all regions is listed in each of them, and emitted once: from its
// home region where that is looked at, otherwise from the first region that
// is. Its status and selectors are asked for in its home region, by ARN. What
// a member account may not see of an organisation's trail is a gap, and
// TrailNotFoundException must not drop such a trail: it says "not here".
//
// The account itself is a kind of its own, so that an account without any
// trail still has something to be judged. It is known without a call.
func cloudtrailTrails(e *Estate) *collector {
	const kind = "aws.cloudtrail.trail"
	return &collector{estate: e, read: readTrails, spec: collectors.Spec{
		Name:    "aws.cloudtrail_trails",
		Summary: "CloudTrail trails, the organisation's too: settings, whether they log and deliver, and which events they record.",
		Kinds:   []string{"aws.cloudtrail.account", kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "cloudtrail:DescribeTrails", Kind: kind},
			{Operation: "cloudtrail:GetTrailStatus", Kind: kind, Field: "Status"},
			{Operation: "cloudtrail:GetEventSelectors", Kind: kind, Field: "EventSelectors"},
		},
	}}
}

func readTrails(ctx context.Context, r *reader) error {
	if err := readTrailAccount(ctx, r); err != nil {
		return err
	}
	client := cloudtrail.NewFromConfig(r.config)
	out, err := client.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{IncludeShadowTrails: aws.Bool(true)})
	if err != nil {
		return err
	}
	list := r.page(out)
	for i, t := range out.TrailList {
		if aws.ToString(t.TrailARN) == "" {
			return unidentified("cloudtrail:DescribeTrails", "trailList", i)
		}
		home := aws.ToString(t.HomeRegion)
		if home != r.region && (slices.Contains(r.looked, home) || !r.first) {
			continue
		}
		o := r.resource("aws.cloudtrail.trail", *t.TrailARN, list, map[string]any{"Trail": list.item("TrailList", i)})
		if home != "" {
			o.region = home
		}
		if err := r.each(ctx, func() error {
			readTrail(ctx, client, t.TrailARN, o)
			return o.emit(ctx)
		}); err != nil {
			return err
		}
	}
	r.listed("aws.cloudtrail.trail")
	return nil
}

func readTrailAccount(ctx context.Context, r *reader) error {
	if r.first {
		o := r.resource("aws.cloudtrail.account", r.account, page{exchange: r.caller}, map[string]any{"AccountId": r.account})
		o.region = ""
		if err := o.emit(ctx); err != nil {
			return err
		}
	}
	r.listed("aws.cloudtrail.account")
	return nil
}

func readTrail(ctx context.Context, client *cloudtrail.Client, arn *string, o *resource) {
	atHome := func(opts *cloudtrail.Options) { opts.Region = o.region }
	status, err := client.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: arn}, atHome)
	o.set("cloudtrail:GetTrailStatus", status, err)
	selectors, err := client.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: arn}, atHome)
	o.set("cloudtrail:GetEventSelectors", selectors, err)
}
