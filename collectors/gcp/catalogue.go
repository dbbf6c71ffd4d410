package gcp

import "github.com/tallystick/tallystick/collectors"

// Catalogue lists every Google Cloud collector over the estate, in order of name.
func Catalogue(e *Estate) []collectors.Collector {
	return []collectors.Collector{
		cloudassetIAMPolicies(e),
		cloudassetOrgPolicies(e),
		cloudassetResources(e),
		cloudIdentityGroups(e),
		cloudIdentityPolicies(e),
		cloudIdentitySSO(e),
		cloudresourcemanagerProjects(e),
		directoryOrgUnits(e),
		directoryUsers(e),
		iamServiceAccounts(e),
		loggingEntries(e),
		networkmanagementFlowLogs(e),
		orgpolicyProjects(e),
		securityServices(e),
		sqlBackupRuns(e),
	}
}
