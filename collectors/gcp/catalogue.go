package gcp

import "github.com/tallystick/tallystick/collectors"

// Catalogue lists every Google Cloud collector over the estate, in order of name.
func Catalogue(e *Estate) []collectors.Collector {
	return []collectors.Collector{
		cloudassetIAMPolicies(e),
		cloudassetOrgPolicies(e),
		cloudassetResources(e),
		cloudresourcemanagerProjects(e),
		directoryUsers(e),
		loggingEntries(e),
		networkmanagementFlowLogs(e),
		orgpolicyProjects(e),
		securityServices(e),
		sqlBackupRuns(e),
	}
}
