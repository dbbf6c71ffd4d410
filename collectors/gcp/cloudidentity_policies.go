package gcp

import (
	"context"

	cloudidentity "google.golang.org/api/cloudidentity/v1"

	"github.com/tallystick/tallystick/collectors"
)

const listPolicies = "cloudidentity.policies.list"

// identityPage is the most that one page of policies, assignments or profiles may have.
// Source: Cloud Identity API reference, policies.list, inboundSsoAssignments.list,
// inboundSamlSsoProfiles.list and inboundOidcSsoProfiles.list, pageSize.
const identityPage = 100

// cloudIdentityPolicies reads the policies of the Workspace or Cloud Identity
// domain on passwords and on 2-Step Verification. Each sets one setting for the
// users of an organisational unit and of all beneath it, or for those of them who
// are in a group or have a licence.
//
// Limits: only policies that were set are there, and what holds for a user is for
// the reader to work out: of those that match, the one with the greatest
// sortOrder. The API answers super administrators only, so the subject of the
// delegation must be one.
// Source: Cloud Identity API reference, policies.list; Policy API overview, Policy
// API concepts, Policy API supported settings.
func cloudIdentityPolicies(e *Estate) *collector {
	return &collector{estate: e, read: readPolicies, spec: collectors.Spec{
		Name:    "gcp.cloudidentity_policies",
		Summary: "Policies of the Workspace or Cloud Identity domain on 2-Step Verification and passwords, as set for units and groups. The subject of the delegation must be a super administrator.",
		Kinds:   []string{settingKind},
		Reach:   collectors.Organization,
		Calls:   []collectors.Call{{Operation: listPolicies, Permission: policiesScope, Kind: settingKind}},
	}}
}

const settingKind = "gcp.cloudidentity.policy"

func readPolicies(ctx context.Context, t *task) error {
	domain := t.workspace()
	if domain == nil {
		return nil
	}
	service, err := cloudidentity.NewService(ctx, t.estate.client("cloudidentity", t, t.estate.identity.delegated[policiesScope])...)
	if err != nil {
		return errRunner{err}
	}
	filter := ofCustomer(domain) + ` && (setting.type.matches('^settings/security.two_step_verification_.*$') || setting.type.matches('^settings/security.password$'))`
	return domainList{settingKind, listPolicies, "policies", "name", func(ctx context.Context, token string) error {
		_, err := service.Policies.List().Filter(filter).PageSize(identityPage).Context(ctx).Do(after(token)...)
		return err
	}}.read(ctx, t)
}

// ofCustomer is the clause of a filter that names the customer.
func ofCustomer(w *Workspace) string { return `customer == "customers/` + w.Customer + `"` }
