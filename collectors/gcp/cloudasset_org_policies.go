package gcp

import (
	"context"

	"github.com/tallystick/tallystick/collectors"
)

// cloudassetOrgPolicies lists the organisation policies of a scope where they are
// set: each organisation, folder or project that has any, with all of them. What is
// in effect at a project follows from all above it; orgpolicyProjects asks for that.
//
// Limits: policies come in the form of version 1 of the service, which has no
// conditions. Ancestors of the scope itself are not in it.
// Source: Cloud Asset API reference, assets.list, contentType ORG_POLICY.
func cloudassetOrgPolicies(e *Estate) *collector {
	return &collector{estate: e, read: readOrgPolicies, spec: collectors.Spec{
		Name:    "gcp.cloudasset_org_policies",
		Summary: "Organisation policies of a scope, at the organisation, folder or project where they are set.",
		Kinds:   []string{orgPolicyKind},
		Reach:   collectors.Global,
		Calls:   assetCall("cloudasset.assets.listOrgPolicy"),
	}}
}

const orgPolicyKind = "gcp.orgpolicy.policy"

func readOrgPolicies(ctx context.Context, t *task) error {
	err := t.assets(ctx, "ORG_POLICY", nil, func(asset map[string]any, page answer) error {
		return t.observeAsset(ctx, orgPolicyKind, asset, page)
	})
	if err != nil {
		return err
	}
	t.emit.Listed(orgPolicyKind, "")
	return nil
}
