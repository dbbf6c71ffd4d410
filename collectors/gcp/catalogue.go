package gcp

import "github.com/tallystick/tallystick/collectors"

// Catalogue lists every Google Cloud collector over the estate, in order of name.
func Catalogue(e *Estate) []collectors.Collector {
	return []collectors.Collector{
		cloudassetIAMPolicies(e),
		cloudassetOrgPolicies(e),
		cloudassetResources(e),
		directoryUsers(e),
		networkmanagementFlowLogs(e),
		orgpolicyProjects(e),
		securityServices(e),
	}
}
