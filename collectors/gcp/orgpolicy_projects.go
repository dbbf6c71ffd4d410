package gcp

import (
	"context"

	orgpolicy "google.golang.org/api/orgpolicy/v2"

	"github.com/tallystick/tallystick/collectors"
)

// constraint is a constraint of organisation policy, and the field of the project
// that holds its effective policy.
type constraint struct{ name, field string }

// constraints lists what is asked of each project. To ask for another, add its
// line, a recorded answer and a check.
func constraints() []constraint {
	return []constraint{
		{"storage.publicAccessPrevention", "storagePublicAccessPrevention"},
	}
}

// operation names the call for one constraint: each fills a field of its own.
func (c constraint) operation() string {
	return "orgpolicy.projects.policies.getEffectivePolicy(" + c.name + ")"
}

// orgpolicyProjects asks each project which organisation policy is in effect
// there. That follows from all policies above it, from their conditions and from
// the default of the constraint, and only the service works it out.
//
// Limits: conditions are evaluated for the project. Tags of a resource in it, to
// which a condition may refer as well, are not.
// Source: Organization Policy API reference, projects.policies.getEffectivePolicy.
func orgpolicyProjects(e *Estate) *collector {
	calls := assetCall("cloudasset.assets.listResource")
	for _, c := range constraints() {
		calls = append(calls, collectors.Call{Operation: c.operation(), Permission: "orgpolicy.policy.get", Kind: orgpolicyKind, Field: c.field})
	}
	return &collector{estate: e, read: readEffectivePolicies, spec: collectors.Spec{
		Name:    "gcp.orgpolicy_projects",
		Summary: "Organisation policies in effect at each project.",
		Kinds:   []string{orgpolicyKind},
		Reach:   collectors.Global,
		Calls:   calls,
	}}
}

const orgpolicyKind = "gcp.orgpolicy.project"

func readEffectivePolicies(ctx context.Context, t *task) error {
	service, err := orgpolicy.NewService(ctx, t.estate.client("orgpolicy", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	var all []detail
	for _, c := range constraints() {
		all = append(all, detail{c.operation(), func(ctx context.Context, s subject) (found, error) {
			policy, err := t.read(ctx, c.operation(), func(ctx context.Context) error {
				_, err := service.Projects.Policies.GetEffectivePolicy(s.project + "/policies/" + c.name).Context(ctx).Do()
				return err
			})
			if err != nil {
				return found{}, err
			}
			if text(policy.document, "name") == "" {
				return found{}, malformed(c.operation(), "the policy has no name")
			}
			return found{policy.document, []string{policy.exchange}}, nil
		}})
	}
	return t.details(ctx, orgpolicyKind, projectAsset, all...)
}
