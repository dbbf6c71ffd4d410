package gcp

import (
	"context"

	cloudidentity "google.golang.org/api/cloudidentity/v1"

	"github.com/tallystick/tallystick/collectors"
)

const (
	listAssignments  = "cloudidentity.inboundSsoAssignments.list"
	listOIDCProfiles = "cloudidentity.inboundOidcSsoProfiles.list"
	listSAMLProfiles = "cloudidentity.inboundSamlSsoProfiles.list"
)

// cloudIdentitySSO reads which organisational units and groups of the domain sign
// in through an identity provider of a third party, and the profiles of those
// providers: names and URLs. Certificates are not in them.
//
// Limits: the older profile of the whole domain is not in the API; an assignment
// can only say that it is used if there is one.
// Source: Cloud Identity API reference, inboundSsoAssignments.list,
// inboundSamlSsoProfiles.list and inboundOidcSsoProfiles.list.
func cloudIdentitySSO(e *Estate) *collector {
	return &collector{estate: e, read: readSSO, spec: collectors.Spec{
		Name:    "gcp.cloudidentity_sso",
		Summary: "Assignments of the Workspace or Cloud Identity domain to identity providers of third parties, with their profiles.",
		Kinds:   []string{assignmentKind, oidcKind, samlKind},
		Reach:   collectors.Organization,
		Calls: []collectors.Call{
			{Operation: listAssignments, Permission: ssoScope, Kind: assignmentKind},
			{Operation: listOIDCProfiles, Permission: ssoScope, Kind: oidcKind},
			{Operation: listSAMLProfiles, Permission: ssoScope, Kind: samlKind},
		},
		Sensitive: []string{"clientSecret"},
	}}
}

const (
	assignmentKind = "gcp.cloudidentity.sso_assignment"
	oidcKind       = "gcp.cloudidentity.oidc_profile"
	samlKind       = "gcp.cloudidentity.saml_profile"
)

func readSSO(ctx context.Context, t *task) error {
	domain := t.workspace()
	if domain == nil {
		return nil
	}
	service, err := cloudidentity.NewService(ctx, t.estate.client("cloudidentity", t, t.estate.identity.delegated[ssoScope])...)
	if err != nil {
		return errRunner{err}
	}
	filter := ofCustomer(domain)
	for _, list := range []domainList{
		{assignmentKind, listAssignments, "inboundSsoAssignments", "name", func(ctx context.Context, token string) error {
			_, err := service.InboundSsoAssignments.List().Filter(filter).PageSize(identityPage).Context(ctx).Do(after(token)...)
			return err
		}},
		{oidcKind, listOIDCProfiles, "inboundOidcSsoProfiles", "name", func(ctx context.Context, token string) error {
			_, err := service.InboundOidcSsoProfiles.List().Filter(filter).PageSize(identityPage).Context(ctx).Do(after(token)...)
			return err
		}},
		{samlKind, listSAMLProfiles, "inboundSamlSsoProfiles", "name", func(ctx context.Context, token string) error {
			_, err := service.InboundSamlSsoProfiles.List().Filter(filter).PageSize(identityPage).Context(ctx).Do(after(token)...)
			return err
		}},
	} {
		if err := list.read(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
