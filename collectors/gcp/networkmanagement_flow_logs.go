package gcp

import (
	"context"
	"strings"
	"sync"

	networkmanagement "google.golang.org/api/networkmanagement/v1"

	"github.com/tallystick/tallystick/collectors"
)

const (
	listFlowLogs             = "networkmanagement.projects.locations.vpcFlowLogsConfigs.list"
	listOrganizationFlowLogs = "networkmanagement.organizations.locations.vpcFlowLogsConfigs.list"
)

// networkmanagementFlowLogs asks each project, and the organisation above it, for
// the configurations of VPC Flow Logs. They are resources of their own: for a
// subnetwork, for a whole network, or for all networks of the organisation. The
// subnetwork shows none of them.
//
// Limits: of a folder or a project alone, the organisation above it is asked as
// well, and is a gap where the role is not granted there.
// Source: Network Management API reference, projects.locations.vpcFlowLogsConfigs.list
// and organizations.locations.vpcFlowLogsConfigs.list.
func networkmanagementFlowLogs(e *Estate) *collector {
	const permission = "networkmanagement.vpcflowlogsconfigs.list"
	return &collector{estate: e, read: readFlowLogs, spec: collectors.Spec{
		Name:    "gcp.networkmanagement_flow_logs",
		Summary: "Configurations of VPC Flow Logs that stand beside subnetworks, of each project and of its organisation.",
		Kinds:   []string{networkmanagementKind},
		Reach:   collectors.Global,
		Calls: append(assetCall("cloudasset.assets.listResource"),
			collectors.Call{Operation: listFlowLogs, Permission: permission, Kind: networkmanagementKind, Field: "vpcFlowLogsConfigs", Absent: []string{serviceOff}},
			collectors.Call{Operation: listOrganizationFlowLogs, Permission: permission, Kind: networkmanagementKind, Field: "organizationVpcFlowLogsConfigs"},
		),
	}}
}

const networkmanagementKind = "gcp.networkmanagement.project"

func readFlowLogs(ctx context.Context, t *task) error {
	service, err := networkmanagement.NewService(ctx, t.estate.client("networkmanagement", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	ofProject := func(ctx context.Context, s subject) (found, error) {
		return t.list(ctx, listFlowLogs, "vpcFlowLogsConfigs", "name", func(ctx context.Context, token string) error {
			_, err := service.Projects.Locations.VpcFlowLogsConfigs.List(s.project + "/locations/global").PageSize(100).Context(ctx).Do(after(token)...)
			return err
		})
	}
	// Whatever is beneath one root belongs to one organisation, which is asked once.
	var once sync.Once
	var answer found
	var refused error
	ofOrganization := func(ctx context.Context, s subject) (found, error) {
		organization := organizationOf(s.asset)
		if organization == "" {
			return found{}, nil
		}
		once.Do(func() {
			answer, refused = t.list(ctx, listOrganizationFlowLogs, "vpcFlowLogsConfigs", "name", func(ctx context.Context, token string) error {
				_, err := service.Organizations.Locations.VpcFlowLogsConfigs.List(organization + "/locations/global").PageSize(100).Context(ctx).Do(after(token)...)
				return err
			})
		})
		return answer, refused
	}
	return t.details(ctx, networkmanagementKind, projectAsset, detail{listFlowLogs, ofProject}, detail{listOrganizationFlowLogs, ofOrganization})
}

// organizationOf gives the organisation above a project; empty: it stands alone.
func organizationOf(asset map[string]any) string {
	_, ancestry := project(asset)
	top := ancestry[strings.LastIndex(ancestry, " ")+1:]
	if !strings.HasPrefix(top, "organizations/") {
		return ""
	}
	return top
}
