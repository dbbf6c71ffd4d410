package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dlm"

	"github.com/tallystick/tallystick/collectors"
)

// dlmPolicies reads the policies of Amazon Data Lifecycle Manager, which make
// EBS snapshots and images: custom ones, default ones and those that copy what
// others share. GetLifecyclePolicies gives all in one answer; it has no pages.
func dlmPolicies(e *Estate) *collector {
	const kind = "aws.dlm.policy"
	return &collector{estate: e, read: readLifecyclePolicies, spec: collectors.Spec{
		Name:    "aws.dlm_policies",
		Summary: "Policies of Amazon Data Lifecycle Manager: state, targets, exclusions, schedules.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "dlm:GetLifecyclePolicies", Kind: kind},
			{Operation: "dlm:GetLifecyclePolicy", Kind: kind, Field: "Policy", Vanished: []string{"ResourceNotFoundException"}},
		},
	}}
}

func readLifecyclePolicies(ctx context.Context, r *reader) error {
	const kind = "aws.dlm.policy"
	client := dlm.NewFromConfig(r.config)
	out, err := client.GetLifecyclePolicies(ctx, &dlm.GetLifecyclePoliciesInput{})
	if err != nil {
		return err
	}
	list := r.page(out)
	for i, p := range out.Policies {
		if aws.ToString(p.PolicyId) == "" {
			return unidentified("dlm:GetLifecyclePolicies", "Policies", i)
		}
		o := r.resource(kind, r.arn("dlm", "policy/"+*p.PolicyId), list, list.item("Policies", i))
		if err := r.each(ctx, func() error {
			policy, err := client.GetLifecyclePolicy(ctx, &dlm.GetLifecyclePolicyInput{PolicyId: p.PolicyId})
			o.setMember("dlm:GetLifecyclePolicy", "Policy", policy, err)
			return o.emit(ctx)
		}); err != nil {
			return err
		}
	}
	r.listed(kind)
	return nil
}
