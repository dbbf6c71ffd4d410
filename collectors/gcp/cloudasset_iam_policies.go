package gcp

import (
	"context"
	"slices"

	"github.com/tallystick/tallystick/collectors"
)

// cloudassetIAMPolicies lists every IAM policy of a scope, and with those of
// organisations, folders and projects their audit configuration. Policies come
// with their conditions. Those that containers hold, which all beneath inherits,
// are observed a second time as a kind of their own, so that a check of them need
// not look at every bucket.
//
// Limits: ancestors of the scope itself are not in it: of a project alone, what
// it inherits from its folders is not seen.
// Source: Cloud Asset API reference, assets.list, contentType IAM_POLICY.
func cloudassetIAMPolicies(e *Estate) *collector {
	return &collector{estate: e, read: readIAMPolicies, spec: collectors.Spec{
		Name:    "gcp.cloudasset_iam_policies",
		Summary: "IAM policies of all resources of a scope, with the audit configuration of organisations, folders and projects.",
		Kinds:   []string{containerPolicyKind, policyKind},
		Reach:   collectors.Global,
		Calls:   assetCall("cloudasset.assets.listIamPolicy"),
	}}
}

const (
	containerPolicyKind = "gcp.iam.container_policy"
	policyKind          = "gcp.iam.policy"
)

func readIAMPolicies(ctx context.Context, t *task) error {
	err := t.assets(ctx, "IAM_POLICY", nil, func(asset map[string]any, page answer) error {
		if err := t.observeAsset(ctx, policyKind, asset, page); err != nil {
			return err
		}
		if slices.Contains(containerTypes(), text(asset, "assetType")) {
			return t.observeAsset(ctx, containerPolicyKind, asset, page)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, kind := range t.spec.Kinds {
		t.emit.Listed(kind, "")
	}
	return nil
}

// containerTypes are the types of asset whose policies all beneath inherits.
func containerTypes() []string {
	return []string{"cloudresourcemanager.googleapis.com/Organization", "cloudresourcemanager.googleapis.com/Folder", projectAsset}
}
