package gcp

import (
	"context"
	"net/url"

	"github.com/tallystick/tallystick/collectors"
)

const listSecurityServices = "securitycentermanagement.projects.locations.securityCenterServices.list"

// securityServices asks each project which services of Security Command Center
// are in effect there. The inventory holds what was set at some level; what is in
// effect at a project follows from its ancestors and from the tier that is paid for.
//
// Limits: there is no generated REST client of this service.
// Source: Security Center Management API reference,
// projects.locations.securityCenterServices.list.
func securityServices(e *Estate) *collector {
	return &collector{estate: e, read: readSecurityServices, spec: collectors.Spec{
		Name:    "gcp.securitycentermanagement_services",
		Summary: "Services of Security Command Center and whether they are in effect, of each project.",
		Kinds:   []string{securityKind},
		Reach:   collectors.Global,
		Calls: append(assetCall("cloudasset.assets.listResource"), collectors.Call{
			Operation: listSecurityServices, Permission: "securitycentermanagement.securityCenterServices.list",
			Kind: securityKind, Field: "securityCenterServices", Absent: []string{serviceOff},
		}),
	}}
}

const securityKind = "gcp.securitycentermanagement.project"

func readSecurityServices(ctx context.Context, t *task) error {
	return t.details(ctx, securityKind, projectAsset, detail{listSecurityServices, func(ctx context.Context, s subject) (found, error) {
		return t.list(ctx, listSecurityServices, "securityCenterServices", "name", func(ctx context.Context, token string) error {
			query := url.Values{"pageSize": {"100"}}
			if token != "" {
				query.Set("pageToken", token)
			}
			return t.get(ctx, "securitycentermanagement", "v1/"+s.project+"/locations/global/securityCenterServices", query)
		})
	}})
}
