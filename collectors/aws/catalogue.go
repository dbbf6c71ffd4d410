package aws

import "github.com/tallystick/tallystick/collectors"

// Catalogue lists every AWS collector over the estate, in order of name.
func Catalogue(e *Estate) []collectors.Collector {
	return []collectors.Collector{
		backupPlans(e),
		backupRecoveryPoints(e),
		backupVaults(e),
		cloudtrailTrails(e),
		dynamodbTables(e),
		ec2EBSDefaults(e),
		ec2Snapshots(e),
		ec2Volumes(e),
		ec2VPCs(e),
		iamAccountSummary(e),
		iamAuthorizationDetails(e),
		iamCredentialReport(e),
		iamPasswordPolicy(e),
		iamUsers(e),
		kmsKeys(e),
		logsLogGroups(e),
		rdsClusters(e),
		rdsInstances(e),
		s3Buckets(e),
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
