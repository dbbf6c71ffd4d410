package aws

import "github.com/tallystick/tallystick/collectors"

// Catalogue lists every AWS collector over the estate, in order of name.
func Catalogue(e *Estate) []collectors.Collector {
	return []collectors.Collector{
		accountContacts(e),
		accountRegions(e),
		acmCertificates(e),
		backupJobs(e),
		backupPlans(e),
		backupProtectedResources(e),
		backupRecoveryPoints(e),
		backupVaults(e),
		cloudtrailTrails(e),
		configRecorders(e),
		dlmPolicies(e),
		dynamodbTables(e),
		ec2EBSDefaults(e),
		ec2Images(e),
		ec2Instances(e),
		ec2PublicSnapshots(e),
		ec2SecurityGroups(e),
		ec2Snapshots(e),
		ec2Volumes(e),
		ec2VPCs(e),
		efsFileSystems(e),
		elbListeners(e),
		elbLoadBalancers(e),
		eventsRules(e),
		guarddutyDetectors(e),
		iamAccountSummary(e),
		iamAuthorizationDetails(e),
		iamCredentialReport(e),
		iamPasswordPolicy(e),
		iamUsers(e),
		identitystoreGroups(e),
		identitystoreUsers(e),
		inspector2Coverage(e),
		kmsKeys(e),
		logsDeliveries(e),
		logsLogGroups(e),
		organizationsAccounts(e),
		organizationsMembership(e),
		rdsClusters(e),
		rdsInstances(e),
		rdsSnapshots(e),
		s3Account(e),
		s3Buckets(e),
		snsTopics(e),
		ssoAssignments(e),
		ssoInstances(e),
		ssoPermissionSets(e),
	}
}

// Specs gives what every collector declares. It needs no credentials.
func Specs() []collectors.Spec {
	var specs []collectors.Spec
	for _, c := range Catalogue(nil) {
		specs = append(specs, c.Spec())
	}
	return specs
}
