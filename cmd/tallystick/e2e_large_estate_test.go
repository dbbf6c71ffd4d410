package main

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// This file is the estate of BenchmarkLarge: how much there is of what, where,
// and what AWS says of it, in the forms of the API references. Nothing is kept:
// what is said of a resource follows from its number. Half of everything is in
// the first region, a quarter in the second, the rest in the other eighteen.

const (
	largeAccount   = "111122223333"
	largeResources = 100_000
)

func largeRegions() []string {
	return []string{
		"us-east-1", "eu-west-1", "af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
		"ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-south-1",
		"eu-west-2", "eu-west-3", "me-south-1", "sa-east-1", "us-east-2", "us-west-1",
	}
}

// largeOf is how many there are of something.
type largeOf struct {
	name   string
	n      int
	global bool // not of a region
}

// largeMix is the whole estate. What is left to 100,000 are volumes.
func largeMix() []largeOf {
	mix := []largeOf{
		{"snapshot", 20_000, false},
		{"eni", 15_000, false},
		{"sg", 10_000, false},
		{"log", 5_000, false},
		{"instance", 2_000, false},
		{"dbsnapshot", 1_500, false},
		{"image", 800, false},
		{"recovery", 700, false},
		{"key", 500, false},
		{"backedup", 500, false},
		{"job", 500, false},
		{"listener", 400, false},
		{"subnet", 360, false},
		{"table", 300, false},
		{"topic", 300, false},
		{"db", 300, false},
		{"automated", 300, false},
		{"cert", 200, false},
		{"lb", 200, false},
		{"rule", 100, false},
		{"vpc", 60, false},
		{"flowlog", 60, false},
		{"fs", 50, false},
		{"vault", 20, false},
		{"plan", 20, false},
		{"detector", 20, false},
		{"recorder", 20, false},
		{"bucket", 5_000, true},
		{"role", 5_000, true},
		{"policy", 1_000, true},
		{"user", 500, true},
		{"group", 50, true},
		{"trail", 1, true},
	}
	volumes := largeOf{"volume", largeResources, false}
	for _, of := range mix {
		volumes.n -= of.n
	}
	return append(mix, volumes)
}

// largeCount is how many there are in a region; of what is global, in all.
func largeCount(name, region string) int {
	mix := largeMix()
	i := slices.IndexFunc(mix, func(of largeOf) bool { return of.name == name })
	if i < 0 {
		return 0
	}
	of := mix[i]
	regions := len(largeRegions())
	switch place := largeRegion(region); {
	case of.global:
		return of.n
	case of.n == regions:
		return 1
	case place == 1:
		return of.n / 4
	case place > 1:
		return of.n / 4 / (regions - 2)
	default:
		return of.n - of.n/4 - of.n/4/(regions-2)*(regions-2)
	}
}

// largeHash is a number that follows from a name and another number, and looks
// like chance.
func largeHash(name string, i int) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, name, "/", i) // never fails
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// largeValue is what stands for a name in a template of number i in a region:
// "volume" is the id of the volume of that number, or of another one where
// there are fewer, "uuid:key" the same in the form of keys, and "n:policy" the
// number itself.
func largeValue(name, region string, i int) string {
	chance := largeHash(region, i)
	now := time.Now().UTC().Truncate(time.Hour)
	past := now.Add(-time.Duration(chance%(700*24)) * time.Hour)
	recent := now.Add(-time.Duration(i%20+1) * time.Hour)
	switch name {
	case "account":
		return largeAccount
	case "region":
		return region
	case "home": // of what is global
		return largeRegions()[chance%20]
	case "n":
		return fmt.Sprintf("%05d", i)
	case "byte":
		return fmt.Sprint(chance % 250)
	case "hash":
		return fmt.Sprintf("%016x", chance)
	case "mostly":
		return fmt.Sprint(chance%16 != 0)
	case "logged":
		if chance%16 == 0 {
			return ""
		}
		return fmt.Sprintf(`<LoggingEnabled><TargetBucket>estate-%05d</TargetBucket><TargetPrefix>%016x/</TargetPrefix></LoggingEnabled>`, chance%100, chance)
	case "time":
		return past.Format(time.RFC3339)
	case "epoch":
		return fmt.Sprint(past.Unix())
	case "recent":
		return recent.Format(time.RFC3339)
	case "recentepoch":
		return fmt.Sprint(recent.Unix())
	}
	if of, ok := strings.CutPrefix(name, "n:"); ok {
		return fmt.Sprintf("%05d", i%max(1, largeCount(of, region)))
	}
	of, uuid := strings.CutPrefix(name, "uuid:")
	count := max(1, largeCount(of, region))
	id := largeHash(of+region, i%count)
	if uuid {
		return fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(id), uint16(id>>32), id>>16)
	}
	return fmt.Sprintf("0%016x", id)
}

// largeList is a list that comes in pages.
type largeList struct {
	op    string
	of    string
	most  int    // on a page; source: the API references
	field string // in the answer
	token string // for the next page, in the answer
	item  string // template

	truncated string // field that says whether there is more; may be empty
	details   int    // how many more calls each takes
}

func largeLists() []largeList {
	const tags = `<tagSet><item><key>Name</key><value>@hash@-@n@</value></item><item><key>team</key><value>team-@byte@</value></item><item><key>cost-center</key><value>cc-@byte@</value></item><item><key>aws:cloudformation:stack-name</key><value>stack-@byte@-@region@</value></item></tagSet>`
	const key = `arn:aws:kms:@region@:@account@:key/@uuid:key@`
	const lb = `arn:aws:elasticloadbalancing:@region@:@account@:loadbalancer/app/lb-@n@/@hash@`
	return []largeList{
		{op: "ec2:DescribeVolumes", of: "volume", most: 500, field: "volumeSet", token: "nextToken", item: `<item><volumeId>vol-@volume@</volumeId><size>@byte@</size><snapshotId>snap-@snapshot@</snapshotId><availabilityZone>@region@a</availabilityZone><status>in-use</status><createTime>@time@</createTime><attachmentSet><item><volumeId>vol-@volume@</volumeId><instanceId>i-@instance@</instanceId><device>/dev/xvda</device><status>attached</status><attachTime>@time@</attachTime><deleteOnTermination>true</deleteOnTermination></item></attachmentSet><volumeType>gp3</volumeType><iops>3000</iops><throughput>125</throughput><encrypted>@mostly@</encrypted><kmsKeyId>` + key + `</kmsKeyId><multiAttachEnabled>false</multiAttachEnabled>` + tags + `<operator><managed>false</managed></operator></item>`},
		{op: "ec2:DescribeSnapshots", of: "snapshot", most: 1000, field: "snapshotSet", token: "nextToken", item: `<item><snapshotId>snap-@snapshot@</snapshotId><volumeId>vol-@volume@</volumeId><status>completed</status><startTime>@recent@</startTime><completionTime>@recent@</completionTime><progress>100%</progress><ownerId>@account@</ownerId><volumeSize>@byte@</volumeSize><description>Created by CreateImage(i-@instance@) for ami-@image@</description><encrypted>@mostly@</encrypted><kmsKeyId>` + key + `</kmsKeyId><storageTier>standard</storageTier><transferType>standard</transferType><fullSnapshotSizeInBytes>@epoch@</fullSnapshotSizeInBytes>` + tags + `</item>`},
		{op: "ec2:DescribeNetworkInterfaces", of: "eni", most: 1000, field: "networkInterfaceSet", token: "nextToken", item: `<item><networkInterfaceId>eni-@eni@</networkInterfaceId><subnetId>subnet-@subnet@</subnetId><vpcId>vpc-@vpc@</vpcId><availabilityZone>@region@a</availabilityZone><description>Primary network interface</description><ownerId>@account@</ownerId><requesterManaged>false</requesterManaged><status>in-use</status><macAddress>02:00:00:@hash@</macAddress><privateIpAddress>10.@byte@.7.@byte@</privateIpAddress><privateDnsName>ip-10-@byte@-7-@byte@.@region@.compute.internal</privateDnsName><sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-@sg@</groupId><groupName>workload</groupName></item></groupSet><attachment><attachmentId>eni-attach-@hash@</attachmentId><instanceId>i-@instance@</instanceId><instanceOwnerId>@account@</instanceOwnerId><deviceIndex>0</deviceIndex><status>attached</status><attachTime>@time@</attachTime><deleteOnTermination>true</deleteOnTermination></attachment><privateIpAddressesSet><item><privateIpAddress>10.@byte@.7.@byte@</privateIpAddress><primary>true</primary></item></privateIpAddressesSet><ipv6AddressesSet/><interfaceType>interface</interfaceType>` + tags + `</item>`},
		{op: "ec2:DescribeSecurityGroups", of: "sg", most: 1000, field: "securityGroupInfo", token: "nextToken", item: `<item><ownerId>@account@</ownerId><groupId>sg-@sg@</groupId><groupName>group-@n@</groupName><groupDescription>of workload @hash@</groupDescription><vpcId>vpc-@vpc@</vpcId><securityGroupArn>arn:aws:ec2:@region@:@account@:security-group/sg-@sg@</securityGroupArn><ipPermissions><item><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort><groups/><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp><description>web</description></item></ipRanges><ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges><prefixListIds/></item><item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort><groups/><ipRanges><item><cidrIp>10.@byte@.0.0/16</cidrIp><description>within the VPC</description></item></ipRanges><ipv6Ranges/><prefixListIds/></item></ipPermissions><ipPermissionsEgress><item><ipProtocol>-1</ipProtocol><groups/><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges><ipv6Ranges/><prefixListIds/></item></ipPermissionsEgress>` + tags + `</item>`},
		{op: "ec2:DescribeInstances", of: "instance", most: 1000, field: "reservationSet", token: "nextToken", item: `<item><reservationId>r-@instance@</reservationId><ownerId>@account@</ownerId><groupSet/><instancesSet><item><instanceId>i-@instance@</instanceId><imageId>ami-@image@</imageId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>ip-10-@byte@-7-@byte@.@region@.compute.internal</privateDnsName><dnsName></dnsName><reason></reason><amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>m7i.large</instanceType><launchTime>@time@</launchTime><placement><availabilityZone>@region@a</availabilityZone><groupName></groupName><tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring><subnetId>subnet-@subnet@</subnetId><vpcId>vpc-@vpc@</vpcId><privateIpAddress>10.@byte@.7.@byte@</privateIpAddress><sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-@sg@</groupId><groupName>workload</groupName></item></groupSet><architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-@volume@</volumeId><status>attached</status><attachTime>@time@</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping><virtualizationType>hvm</virtualizationType><hypervisor>xen</hypervisor><ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><networkInterfaceSet><item><networkInterfaceId>eni-@eni@</networkInterfaceId><subnetId>subnet-@subnet@</subnetId><vpcId>vpc-@vpc@</vpcId><ownerId>@account@</ownerId><status>in-use</status><privateIpAddress>10.@byte@.7.@byte@</privateIpAddress><sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-@sg@</groupId><groupName>workload</groupName></item></groupSet></item></networkInterfaceSet><metadataOptions><state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint><httpProtocolIpv6>disabled</httpProtocolIpv6><instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions>` + tags + `<operator><managed>false</managed></operator></item></instancesSet></item>`},
		{op: "ec2:DescribeImages", of: "image", most: 1000, field: "imagesSet", token: "nextToken", item: `<item><imageId>ami-@image@</imageId><imageLocation>@account@/base-@n@</imageLocation><imageState>available</imageState><imageOwnerId>@account@</imageOwnerId><isPublic>false</isPublic><architecture>x86_64</architecture><imageType>machine</imageType><name>base-@n@</name><description></description><creationDate>@time@</creationDate><imdsSupport>v2.0</imdsSupport><platformDetails>Linux/UNIX</platformDetails><usageOperation>RunInstances</usageOperation><enaSupport>true</enaSupport><hypervisor>xen</hypervisor><virtualizationType>hvm</virtualizationType><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><deleteOnTermination>true</deleteOnTermination><snapshotId>snap-@snapshot@</snapshotId><volumeSize>8</volumeSize><volumeType>gp3</volumeType><encrypted>true</encrypted></ebs></item></blockDeviceMapping>` + tags + `</item>`},
		{op: "ec2:DescribeVpcs", of: "vpc", most: 1000, field: "vpcSet", token: "nextToken", item: `<item><vpcId>vpc-@vpc@</vpcId><ownerId>@account@</ownerId><state>available</state><cidrBlock>10.@byte@.0.0/16</cidrBlock><dhcpOptionsId>dopt-@hash@</dhcpOptionsId><instanceTenancy>default</instanceTenancy><isDefault>false</isDefault>` + tags + `</item>`},
		{op: "ec2:DescribeSubnets", of: "subnet", most: 1000, field: "subnetSet", token: "nextToken", item: `<item><subnetId>subnet-@subnet@</subnetId><subnetArn>arn:aws:ec2:@region@:@account@:subnet/subnet-@subnet@</subnetArn><state>available</state><ownerId>@account@</ownerId><vpcId>vpc-@vpc@</vpcId><cidrBlock>10.@byte@.2.0/24</cidrBlock><ipv6CidrBlockAssociationSet/><availableIpAddressCount>250</availableIpAddressCount><availabilityZone>@region@b</availabilityZone><defaultForAz>false</defaultForAz><mapPublicIpOnLaunch>false</mapPublicIpOnLaunch><assignIpv6AddressOnCreation>false</assignIpv6AddressOnCreation>` + tags + `</item>`},
		{op: "ec2:DescribeFlowLogs", of: "flowlog", most: 1000, field: "flowLogSet", token: "nextToken", item: `<item><flowLogId>fl-@flowlog@</flowLogId><resourceId>vpc-@vpc@</resourceId><trafficType>ALL</trafficType><flowLogStatus>ACTIVE</flowLogStatus><deliverLogsStatus>SUCCESS</deliverLogsStatus><creationTime>@time@</creationTime><logDestinationType>s3</logDestinationType><logDestination>arn:aws:s3:::estate-00000</logDestination><logFormat>${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${action} ${log-status}</logFormat><maxAggregationInterval>600</maxAggregationInterval>` + tags + `</item>`},

		{op: "elasticloadbalancing:DescribeLoadBalancers", of: "lb", most: 400, field: "LoadBalancers", token: "NextMarker", details: 1, item: `<member><LoadBalancerArn>` + lb + `</LoadBalancerArn><LoadBalancerName>lb-@n@</LoadBalancerName><Type>application</Type><Scheme>internal</Scheme><DNSName>internal-lb-@n@-@hash@.@region@.elb.amazonaws.com</DNSName><CanonicalHostedZoneId>Z0EXAMPLEELB0</CanonicalHostedZoneId><State><Code>active</Code></State><VpcId>vpc-@vpc@</VpcId><IpAddressType>ipv4</IpAddressType><CreatedTime>@time@</CreatedTime><AvailabilityZones><member><SubnetId>subnet-@subnet@</SubnetId><ZoneName>@region@a</ZoneName></member></AvailabilityZones><SecurityGroups><member>sg-@sg@</member></SecurityGroups></member>`},
		{op: "rds:DescribeDBInstances", of: "db", most: 100, field: "DBInstances", token: "Marker", item: `<DBInstance><DBInstanceIdentifier>db-@n@</DBInstanceIdentifier><DBInstanceArn>arn:aws:rds:@region@:@account@:db:db-@n@</DBInstanceArn><DbiResourceId>db-@db@</DbiResourceId><DBInstanceClass>db.m6g.large</DBInstanceClass><Engine>postgres</Engine><EngineVersion>16.9</EngineVersion><DBInstanceStatus>available</DBInstanceStatus><MasterUsername>dbadmin</MasterUsername><MultiAZ>@mostly@</MultiAZ><AvailabilityZone>@region@a</AvailabilityZone><InstanceCreateTime>@time@</InstanceCreateTime><Endpoint><Address>db-@n@.c9example0000.@region@.rds.amazonaws.com</Address><Port>5432</Port><HostedZoneId>Z0EXAMPLE0000</HostedZoneId></Endpoint><AllocatedStorage>200</AllocatedStorage><StorageType>gp3</StorageType><StorageEncrypted>@mostly@</StorageEncrypted><KmsKeyId>` + key + `</KmsKeyId><BackupRetentionPeriod>14</BackupRetentionPeriod><PreferredBackupWindow>02:10-02:40</PreferredBackupWindow><LatestRestorableTime>@recent@</LatestRestorableTime><PubliclyAccessible>false</PubliclyAccessible><DeletionProtection>@mostly@</DeletionProtection><AutoMinorVersionUpgrade>true</AutoMinorVersionUpgrade><CopyTagsToSnapshot>true</CopyTagsToSnapshot><EnabledCloudwatchLogsExports><member>postgresql</member></EnabledCloudwatchLogsExports><VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-@sg@</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership></VpcSecurityGroups><DBSecurityGroups/><PendingModifiedValues/><TagList><Tag><Key>team</Key><Value>team-@byte@</Value></Tag></TagList></DBInstance>`},
		{op: "rds:DescribeDBSnapshots", of: "dbsnapshot", most: 100, field: "DBSnapshots", token: "Marker", details: 1, item: `<DBSnapshot><DBSnapshotIdentifier>before-@n@</DBSnapshotIdentifier><DBSnapshotArn>arn:aws:rds:@region@:@account@:snapshot:before-@n@</DBSnapshotArn><DBInstanceIdentifier>db-@n:db@</DBInstanceIdentifier><DbiResourceId>db-@db@</DbiResourceId><SnapshotType>manual</SnapshotType><Status>available</Status><PercentProgress>100</PercentProgress><SnapshotCreateTime>@time@</SnapshotCreateTime><OriginalSnapshotCreateTime>@time@</OriginalSnapshotCreateTime><InstanceCreateTime>@time@</InstanceCreateTime><Engine>postgres</Engine><EngineVersion>16.9</EngineVersion><MasterUsername>dbadmin</MasterUsername><AvailabilityZone>@region@a</AvailabilityZone><AllocatedStorage>200</AllocatedStorage><StorageType>gp3</StorageType><SnapshotTarget>region</SnapshotTarget><Encrypted>@mostly@</Encrypted><KmsKeyId>` + key + `</KmsKeyId><ProcessorFeatures/><TagList/></DBSnapshot>`},
		{op: "rds:DescribeDBInstanceAutomatedBackups", of: "automated", most: 100, field: "DBInstanceAutomatedBackups", token: "Marker", item: `<DBInstanceAutomatedBackup><DBInstanceArn>arn:aws:rds:@region@:@account@:db:db-@n@</DBInstanceArn><DbiResourceId>db-@db@</DbiResourceId><Region>@region@</Region><DBInstanceIdentifier>db-@n@</DBInstanceIdentifier><Status>active</Status><RestoreWindow><EarliestTime>@time@</EarliestTime><LatestTime>@recent@</LatestTime></RestoreWindow><BackupRetentionPeriod>14</BackupRetentionPeriod><BackupTarget>region</BackupTarget><InstanceCreateTime>@time@</InstanceCreateTime><Engine>postgres</Engine><EngineVersion>16.9</EngineVersion><AllocatedStorage>200</AllocatedStorage><Encrypted>@mostly@</Encrypted><KmsKeyId>` + key + `</KmsKeyId><DBInstanceAutomatedBackupsReplications/><TagList/></DBInstanceAutomatedBackup>`},
		{op: "sns:ListTopics", of: "topic", most: 100, field: "Topics", token: "NextToken", details: 1, item: `<member><TopicArn>arn:aws:sns:@region@:@account@:topic-@n@</TopicArn></member>`},
		{op: "iam:ListUsers", of: "user", most: 1000, field: "Users", token: "Marker", truncated: "IsTruncated", details: 1, item: `<member><Path>/</Path><UserName>user-@n@</UserName><UserId>AIDAEXAMPLE@n@</UserId><Arn>arn:aws:iam::@account@:user/user-@n@</Arn><CreateDate>@time@</CreateDate><PasswordLastUsed>@recent@</PasswordLastUsed></member>`},

		{op: "logs:DescribeLogGroups", of: "log", most: 50, field: "logGroups", token: "nextToken", item: `{"logGroupName":"/aws/lambda/function-@n@","creationTime":@epoch@000,"retentionInDays":365,"metricFilterCount":0,"arn":"arn:aws:logs:@region@:@account@:log-group:/aws/lambda/function-@n@:*","storedBytes":@epoch@,"logGroupClass":"STANDARD","logGroupArn":"arn:aws:logs:@region@:@account@:log-group:/aws/lambda/function-@n@"}`},
		{op: "kms:ListKeys", of: "key", most: 1000, field: "Keys", token: "NextMarker", truncated: "Truncated", details: 1, item: `{"KeyId":"@uuid:key@","KeyArn":"` + key + `"}`},
		{op: "acm:ListCertificates", of: "cert", most: 1000, field: "CertificateSummaryList", token: "NextToken", details: 1, item: `{"CertificateArn":"arn:aws:acm:@region@:@account@:certificate/@uuid:cert@","DomainName":"www-@n@.example.com","SubjectAlternativeNameSummaries":["www-@n@.example.com"],"HasAdditionalSubjectAlternativeNames":false,"Status":"ISSUED","Type":"AMAZON_ISSUED","KeyAlgorithm":"RSA_2048","InUse":true,"Exported":false,"RenewalEligibility":"ELIGIBLE","NotBefore":@epoch@,"NotAfter":1890000000,"CreatedAt":@epoch@,"IssuedAt":@epoch@}`},
		{op: "dynamodb:ListTables", of: "table", most: 100, field: "TableNames", token: "LastEvaluatedTableName", details: 1, item: `"table-@n@"`},
		{op: "events:ListRules", of: "rule", most: 100, field: "Rules", token: "NextToken", details: 1, item: `{"Arn":"arn:aws:events:@region@:@account@:rule/rule-@n@","EventBusName":"default","Name":"rule-@n@","State":"ENABLED","EventPattern":"{\"source\":[\"aws.guardduty\"],\"detail-type\":[\"GuardDuty Finding\"]}"}`},
		{op: "config:ListConfigurationRecorders", of: "recorder", most: 20, field: "ConfigurationRecorderSummaries", token: "NextToken", details: 1, item: `{"arn":"arn:aws:config:@region@:@account@:configuration-recorder/default/@hash@","name":"default","recordingScope":"PAID"}`},
		{op: "guardduty:ListDetectors", of: "detector", most: 50, field: "detectorIds", token: "nextToken", details: 1, item: `"@hash@@hash@"`},
		{op: "elasticfilesystem:DescribeFileSystems", of: "fs", most: 100, field: "FileSystems", token: "NextMarker", item: `{"OwnerId":"@account@","CreationToken":"@hash@","FileSystemId":"fs-@fs@","FileSystemArn":"arn:aws:elasticfilesystem:@region@:@account@:file-system/fs-@fs@","CreationTime":@epoch@,"LifeCycleState":"available","Name":"share-@n@","NumberOfMountTargets":2,"SizeInBytes":{"Value":6144,"Timestamp":@recentepoch@},"PerformanceMode":"generalPurpose","Encrypted":@mostly@,"KmsKeyId":"` + key + `","ThroughputMode":"elastic","Tags":[{"Key":"Name","Value":"share-@n@"}]}`},
		{op: "backup:ListBackupVaults", of: "vault", most: 1000, field: "BackupVaultList", token: "NextToken", details: 1, item: `{"BackupVaultName":"primary","BackupVaultArn":"arn:aws:backup:@region@:@account@:backup-vault:primary","VaultType":"BACKUP_VAULT","VaultState":"AVAILABLE","CreationDate":@epoch@,"EncryptionKeyArn":"` + key + `","NumberOfRecoveryPoints":35,"Locked":true,"MinRetentionDays":7,"MaxRetentionDays":400,"LockDate":@epoch@}`},
		{op: "backup:ListBackupPlans", of: "plan", most: 1000, field: "BackupPlansList", token: "NextToken", details: 1, item: `{"BackupPlanArn":"arn:aws:backup:@region@:@account@:backup-plan:@uuid:plan@","BackupPlanId":"@uuid:plan@","CreationDate":@epoch@,"VersionId":"@hash@","BackupPlanName":"daily","LastExecutionDate":@recentepoch@}`},
		{op: "backup:ListRecoveryPointsByBackupVault", of: "recovery", most: 1000, field: "RecoveryPoints", token: "NextToken", item: `{"RecoveryPointArn":"arn:aws:backup:@region@:@account@:recovery-point:@uuid:recovery@","BackupVaultName":"primary","BackupVaultArn":"arn:aws:backup:@region@:@account@:backup-vault:primary","ResourceArn":"arn:aws:elasticfilesystem:@region@:@account@:file-system/fs-@fs@","ResourceType":"EFS","IamRoleArn":"arn:aws:iam::@account@:role/service-role/AWSBackupDefaultServiceRole","Status":"COMPLETED","CreationDate":@recentepoch@,"CompletionDate":@recentepoch@,"BackupSizeInBytes":107374182400,"Lifecycle":{"DeleteAfterDays":365},"IsEncrypted":@mostly@,"IsParent":false,"VaultType":"BACKUP_VAULT","EncryptionKeyArn":"` + key + `"}`},
		{op: "backup:ListProtectedResources", of: "backedup", most: 1000, field: "Results", token: "NextToken", item: `{"ResourceArn":"arn:aws:ec2:@region@:@account@:volume/vol-@volume@","ResourceType":"EBS","LastBackupTime":@recentepoch@,"ResourceName":"@hash@","LastBackupVaultArn":"arn:aws:backup:@region@:@account@:backup-vault:primary","LastRecoveryPointArn":"arn:aws:ec2:@region@::snapshot/snap-@snapshot@"}`},
		{op: "backup:ListBackupJobs", of: "job", most: 1000, field: "BackupJobs", token: "NextToken", item: `{"AccountId":"@account@","BackupJobId":"@uuid:job@","BackupVaultName":"primary","BackupVaultArn":"arn:aws:backup:@region@:@account@:backup-vault:primary","VaultType":"BACKUP_VAULT","RecoveryPointArn":"arn:aws:ec2:@region@::snapshot/snap-@snapshot@","ResourceArn":"arn:aws:ec2:@region@:@account@:volume/vol-@volume@","ResourceType":"EBS","CreationDate":@recentepoch@,"CompletionDate":@recentepoch@,"State":"COMPLETED","PercentDone":"100.0","BackupSizeInBytes":107374182400,"IamRoleArn":"arn:aws:iam::@account@:role/service-role/AWSBackupDefaultServiceRole","StartBy":@recentepoch@,"IsParent":false,"InitiationDate":@recentepoch@,"MessageCategory":"SUCCESS"}`},
	}
}

// largeAnswers are the answers that are not lists, as templates.
func largeAnswers() map[string]string {
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	const listener = `arn:aws:elasticloadbalancing:@region@:@account@:listener/`
	var regions strings.Builder
	for _, region := range largeRegions() {
		fmt.Fprintf(&regions, `<item><regionName>%s</regionName><regionEndpoint>ec2.%s.amazonaws.com</regionEndpoint><optInStatus>opt-in-not-required</optInStatus></item>`, region, region)
	}
	return map[string]string{
		"sts:GetCallerIdentity": `<Arn>arn:aws:sts::@account@:assumed-role/TallystickReader/tallystick</Arn><UserId>AROAEXAMPLEEXAMPLE111:tallystick</UserId><Account>@account@</Account>`,
		"ec2:DescribeRegions":   `<regionInfo>` + regions.String() + `</regionInfo>`,

		"ec2:GetEbsEncryptionByDefault":         `<ebsEncryptionByDefault>true</ebsEncryptionByDefault>`,
		"ec2:GetEbsDefaultKmsKeyId":             `<kmsKeyId>alias/aws/ebs</kmsKeyId>`,
		"ec2:GetSnapshotBlockPublicAccessState": `<state>block-all-sharing</state><managedBy>account</managedBy>`,

		"elasticloadbalancing:DescribeLoadBalancerAttributes": `<Attributes><member><Key>access_logs.s3.enabled</Key><Value>@mostly@</Value></member><member><Key>access_logs.s3.bucket</Key><Value>estate-00000</Value></member><member><Key>access_logs.s3.prefix</Key><Value>lb</Value></member><member><Key>idle_timeout.timeout_seconds</Key><Value>60</Value></member><member><Key>deletion_protection.enabled</Key><Value>true</Value></member></Attributes>`,
		"elasticloadbalancing:DescribeListeners": `<Listeners><member><ListenerArn>` + listener + `@tail:LoadBalancerArn@/a@hash@</ListenerArn><LoadBalancerArn>@LoadBalancerArn@</LoadBalancerArn><Port>443</Port><Protocol>HTTPS</Protocol><SslPolicy>ELBSecurityPolicy-TLS13-1-2-2021-06</SslPolicy><DefaultActions><member><Type>forward</Type><Order>1</Order></member></DefaultActions></member>` +
			`<member><ListenerArn>` + listener + `@tail:LoadBalancerArn@/b@hash@</ListenerArn><LoadBalancerArn>@LoadBalancerArn@</LoadBalancerArn><Port>80</Port><Protocol>HTTP</Protocol><DefaultActions><member><Type>redirect</Type><Order>1</Order><RedirectConfig><Protocol>HTTPS</Protocol><Port>443</Port><StatusCode>HTTP_301</StatusCode></RedirectConfig></member></DefaultActions></member></Listeners>`,
		"elasticloadbalancing:DescribeRules":       `<Rules><member><RuleArn>arn:aws:elasticloadbalancing:@region@:@account@:listener-rule/@tail:ListenerArn@/@hash@</RuleArn><Priority>default</Priority><IsDefault>true</IsDefault><Conditions/><Actions><member><Type>forward</Type><Order>1</Order></member></Actions></member></Rules>`,
		"elasticloadbalancing:DescribeSSLPolicies": `<SslPolicies><member><Name>ELBSecurityPolicy-TLS13-1-2-2021-06</Name><SslProtocols><member>TLSv1.2</member><member>TLSv1.3</member></SslProtocols><Ciphers><member><Name>TLS_AES_128_GCM_SHA256</Name><Priority>1</Priority></member><member><Name>ECDHE-ECDSA-AES128-GCM-SHA256</Name><Priority>2</Priority></member></Ciphers><SupportedLoadBalancerTypes><member>application</member></SupportedLoadBalancerTypes></member></SslPolicies>`,
		"rds:DescribeDBSnapshotAttributes":         `<DBSnapshotAttributesResult><DBSnapshotIdentifier>@DBSnapshotIdentifier@</DBSnapshotIdentifier><DBSnapshotAttributes><DBSnapshotAttribute><AttributeName>restore</AttributeName><AttributeValues/></DBSnapshotAttribute></DBSnapshotAttributes></DBSnapshotAttributesResult>`,
		"sns:ListSubscriptionsByTopic":             `<Subscriptions><member><Owner>@account@</Owner><Protocol>email</Protocol><Endpoint>on-call@@example.com</Endpoint><SubscriptionArn>@TopicArn@:@uuid:topic@</SubscriptionArn><TopicArn>@TopicArn@</TopicArn></member></Subscriptions>`,

		"iam:GetAccountSummary":         `<SummaryMap><entry><key>AccountAccessKeysPresent</key><value>0</value></entry><entry><key>AccountMFAEnabled</key><value>1</value></entry><entry><key>AccountPasswordPresent</key><value>1</value></entry><entry><key>Users</key><value>500</value></entry></SummaryMap>`,
		"iam:ListOrganizationsFeatures": `<OrganizationId>o-exampleorgid</OrganizationId><EnabledFeatures/>`,
		"iam:GetAccountPasswordPolicy":  `<PasswordPolicy><AllowUsersToChangePassword>true</AllowUsersToChangePassword><ExpirePasswords>false</ExpirePasswords><MinimumPasswordLength>14</MinimumPasswordLength><PasswordReusePrevention>24</PasswordReusePrevention><RequireLowercaseCharacters>true</RequireLowercaseCharacters><RequireNumbers>true</RequireNumbers><RequireSymbols>true</RequireSymbols><RequireUppercaseCharacters>true</RequireUppercaseCharacters></PasswordPolicy>`,
		"iam:GenerateCredentialReport":  `<State>COMPLETE</State>`,
		"iam:GetLoginProfile":           `<LoginProfile><UserName>@UserName@</UserName><CreateDate>@time@</CreateDate><PasswordResetRequired>false</PasswordResetRequired></LoginProfile>`,
		"iam:ListMFADevices":            `<MFADevices><member><UserName>@UserName@</UserName><SerialNumber>arn:aws:iam::@account@:mfa/@UserName@</SerialNumber><EnableDate>@time@</EnableDate></member></MFADevices><IsTruncated>false</IsTruncated>`,

		"account:GetAlternateContact":                `"AlternateContact":{"AlternateContactType":"SECURITY","EmailAddress":"security@@example.com","Name":"Ana Example","PhoneNumber":"+1 555 555 0100","Title":"Security lead"}`,
		"organizations:DescribeOrganization":         `"Organization":{"Arn":"arn:aws:organizations::999900001111:organization/o-exampleorgid","FeatureSet":"ALL","Id":"o-exampleorgid","MasterAccountArn":"arn:aws:organizations::999900001111:account/o-exampleorgid/999900001111","MasterAccountEmail":"aws@@example.com","MasterAccountId":"999900001111"}`,
		"acm:DescribeCertificate":                    `"Certificate":{"CertificateArn":"@CertificateArn@","DomainName":"www.example.com","SubjectAlternativeNames":["www.example.com"],"DomainValidationOptions":[{"DomainName":"www.example.com","ValidationStatus":"SUCCESS","ResourceRecord":{"Name":"_@hash@.www.example.com.","Type":"CNAME","Value":"_@hash@.acm-validations.aws."},"ValidationMethod":"DNS"}],"Serial":"@hash@","Subject":"CN=www.example.com","Issuer":"Amazon","CreatedAt":@epoch@,"IssuedAt":@epoch@,"Status":"ISSUED","NotBefore":@epoch@,"NotAfter":1890000000,"KeyAlgorithm":"RSA_2048","SignatureAlgorithm":"SHA256WITHRSA","InUseBy":["arn:aws:elasticloadbalancing:@region@:@account@:loadbalancer/app/lb-@n@/@hash@"],"Type":"AMAZON_ISSUED","RenewalSummary":{"RenewalStatus":"SUCCESS","UpdatedAt":@epoch@},"RenewalEligibility":"ELIGIBLE","Options":{"CertificateTransparencyLoggingPreference":"ENABLED"}}`,
		"kms:DescribeKey":                            `"KeyMetadata":{"AWSAccountId":"@account@","KeyId":"@tail:KeyId@","Arn":"@KeyId@","CreationDate":@epoch@,"Enabled":true,"Description":"of workload @hash@","KeyUsage":"ENCRYPT_DECRYPT","KeyState":"Enabled","Origin":"AWS_KMS","KeyManager":"CUSTOMER","CustomerMasterKeySpec":"SYMMETRIC_DEFAULT","KeySpec":"SYMMETRIC_DEFAULT","EncryptionAlgorithms":["SYMMETRIC_DEFAULT"],"MultiRegion":false}`,
		"kms:GetKeyRotationStatus":                   `"KeyId":"@KeyId@","KeyRotationEnabled":@mostly@,"RotationPeriodInDays":365`,
		"dynamodb:DescribeTable":                     `"Table":{"TableName":"@TableName@","TableArn":"arn:aws:dynamodb:@region@:@account@:table/@TableName@","TableId":"@uuid:table@","TableStatus":"ACTIVE","CreationDateTime":@epoch@,"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST"},"ItemCount":@epoch@,"TableSizeBytes":@epoch@,"DeletionProtectionEnabled":@mostly@,"SSEDescription":{"Status":"ENABLED","SSEType":"KMS","KMSMasterKeyArn":"arn:aws:kms:@region@:@account@:key/@uuid:key@"}}`,
		"dynamodb:DescribeContinuousBackups":         `"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"ENABLED","EarliestRestorableDateTime":@epoch@,"LatestRestorableDateTime":@recentepoch@,"RecoveryPeriodInDays":35}}`,
		"dynamodb:ListTagsOfResource":                `"Tags":[{"Key":"team","Value":"team-@byte@"}]`,
		"events:ListTargetsByRule":                   `"Targets":[{"Arn":"arn:aws:sns:@region@:@account@:topic-00000","Id":"alerts"}]`,
		"cloudtrail:DescribeTrails":                  `"trailList":[{"Name":"main","S3BucketName":"estate-00000","IncludeGlobalServiceEvents":true,"IsMultiRegionTrail":true,"HomeRegion":"us-east-1","TrailARN":"arn:aws:cloudtrail:us-east-1:@account@:trail/main","LogFileValidationEnabled":true,"HasCustomEventSelectors":true,"HasInsightSelectors":false,"IsOrganizationTrail":false,"KmsKeyId":"arn:aws:kms:us-east-1:@account@:key/@uuid:key@"}]`,
		"cloudtrail:GetTrailStatus":                  `"IsLogging":true,"LatestDeliveryTime":@recentepoch@,"StartLoggingTime":@epoch@,"LatestDigestDeliveryTime":@recentepoch@`,
		"cloudtrail:GetEventSelectors":               `"TrailARN":"@TrailName@","EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true,"DataResources":[],"ExcludeManagementEventSources":[]}]`,
		"config:DescribeConfigurationRecorders":      `"ConfigurationRecorders":[{"arn":"@Arn@","name":"default","roleARN":"arn:aws:iam::@account@:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig","recordingGroup":{"allSupported":true,"includeGlobalResourceTypes":true,"recordingStrategy":{"useOnly":"ALL_SUPPORTED_RESOURCE_TYPES"},"resourceTypes":[]},"recordingMode":{"recordingFrequency":"CONTINUOUS"},"recordingScope":"PAID"}]`,
		"config:DescribeConfigurationRecorderStatus": `"ConfigurationRecordersStatus":[{"arn":"@Arn@","name":"default","lastStartTime":@epoch@,"lastStatus":"SUCCESS","lastStatusChangeTime":@recentepoch@,"recording":true}]`,
		"guardduty:GetDetector":                      `"createdAt":"@time@","findingPublishingFrequency":"FIFTEEN_MINUTES","serviceRole":"arn:aws:iam::@account@:role/aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDuty","status":"ENABLED","updatedAt":"@time@","tags":{},"features":[{"name":"CLOUD_TRAIL","status":"ENABLED"},{"name":"DNS_LOGS","status":"ENABLED"},{"name":"FLOW_LOGS","status":"ENABLED"},{"name":"S3_DATA_EVENTS","status":"ENABLED"}]`,
		"inspector2:BatchGetAccountStatus":           `"accounts":[{"accountId":"@account@","resourceState":{"ec2":{"status":"ENABLED"},"ecr":{"status":"ENABLED"},"lambda":{"status":"ENABLED"},"lambdaCode":{"status":"DISABLED"},"codeRepository":{"status":"DISABLED"}},"state":{"status":"ENABLED"}}],"failedAccounts":[]`,
		"backup:GetBackupPlan":                       `"BackupPlan":{"BackupPlanName":"daily","Rules":[{"RuleName":"daily-35","TargetBackupVaultName":"primary","ScheduleExpression":"cron(0 5 ? * * *)","StartWindowMinutes":60,"CompletionWindowMinutes":180,"Lifecycle":{"DeleteAfterDays":35},"RuleId":"@uuid:plan@","EnableContinuousBackup":true,"ScheduleExpressionTimezone":"Etc/UTC"}]},"BackupPlanId":"@id@","BackupPlanArn":"arn:aws:backup:@region@:@account@:backup-plan:@id@","VersionId":"@hash@","CreationDate":@epoch@`,
		"s3control:publicAccessBlock":                `<PublicAccessBlockConfiguration` + ns + `><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`,

		"s3:GetBucketEncryption":             `<ServerSideEncryptionConfiguration` + ns + `><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:@region@:@account@:key/@uuid:key@</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
		"s3:GetBucketVersioning":             `<VersioningConfiguration` + ns + `><Status>Enabled</Status></VersioningConfiguration>`,
		"s3:GetBucketLogging":                `<BucketLoggingStatus` + ns + `>@logged@</BucketLoggingStatus>`,
		"s3:GetPublicAccessBlock":            `<PublicAccessBlockConfiguration` + ns + `><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>@mostly@</RestrictPublicBuckets></PublicAccessBlockConfiguration>`,
		"s3:GetBucketPolicyStatus":           `<PolicyStatus` + ns + `><IsPublic>FALSE</IsPublic></PolicyStatus>`,
		"s3:GetBucketPolicy":                 `{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::@Bucket@","arn:aws:s3:::@Bucket@/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}},{"Sid":"Reader","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::@account@:role/role-@n@"},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::@Bucket@","arn:aws:s3:::@Bucket@/*"]}]}`,
		"s3:GetBucketAcl":                    `<AccessControlPolicy` + ns + `><Owner><ID>ExampleCanonicalUserId1111</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>ExampleCanonicalUserId1111</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`,
		"s3:GetObjectLockConfiguration":      `<ObjectLockConfiguration` + ns + `><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`,
		"s3:GetBucketLifecycleConfiguration": `<LifecycleConfiguration` + ns + `><Rule><ID>expire</ID><Filter/><Status>Enabled</Status><Expiration><Days>400</Days></Expiration></Rule></LifecycleConfiguration>`,
		"s3:GetBucketTagging":                `<Tagging` + ns + `><TagSet><Tag><Key>data</Key><Value>customer</Value></Tag><Tag><Key>retention-days</Key><Value>400</Value></Tag><Tag><Key>team</Key><Value>team-@byte@</Value></Tag></TagSet></Tagging>`,
	}
}

// largeBucketCalls are the calls on a bucket by the parameter that names them.
func largeBucketCalls() map[string]string {
	return map[string]string{
		"encryption": "GetBucketEncryption", "versioning": "GetBucketVersioning", "logging": "GetBucketLogging",
		"publicAccessBlock": "GetPublicAccessBlock", "policyStatus": "GetBucketPolicyStatus", "policy": "GetBucketPolicy",
		"acl": "GetBucketAcl", "object-lock": "GetObjectLockConfiguration", "lifecycle": "GetBucketLifecycleConfiguration",
		"tagging": "GetBucketTagging",
	}
}

// largeRESTPaths are the paths of operations; * is an id.
func largeRESTPaths() []struct{ path, op string } {
	return []struct{ path, op string }{
		{"backup-vaults", "backup:ListBackupVaults"},
		{"backup-vaults/*/recovery-points", "backup:ListRecoveryPointsByBackupVault"},
		{"backup/plans", "backup:ListBackupPlans"},
		{"backup/plans/*", "backup:GetBackupPlan"},
		{"backup-jobs", "backup:ListBackupJobs"},
		{"resources", "backup:ListProtectedResources"},
		{"getAlternateContact", "account:GetAlternateContact"},
		{"listRegions", "account:ListRegions"},
		{"policies", "dlm:GetLifecyclePolicies"},
		{"2015-02-01/file-systems", "elasticfilesystem:DescribeFileSystems"},
		{"detector", "guardduty:ListDetectors"},
		{"detector/*", "guardduty:GetDetector"},
		{"status/batch/get", "inspector2:BatchGetAccountStatus"},
		{"coverage/list", "inspector2:ListCoverage"},
	}
}

// The largest pages that IAM and S3 give of their lists of several things.
const (
	largeDetailsPage = 1000
	largeBucketsPage = 10_000
)

// writeDetails writes users, groups, roles and policies, which IAM gives in one
// list.
func (q largeRequest) writeDetails(b *strings.Builder) {
	const attached = `<AttachedManagedPolicies><member><PolicyName>policy-@n:policy@</PolicyName><PolicyArn>arn:aws:iam::@account@:policy/policy-@n:policy@</PolicyArn></member></AttachedManagedPolicies>`
	const document = `%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%5B%22s3%3AGetObject%22%2C%22s3%3AListBucket%22%2C%22dynamodb%3AQuery%22%5D%2C%22Resource%22%3A%5B%22arn%3Aaws%3As3%3A%3A%3Aestate-@n@%22%2C%22arn%3Aaws%3As3%3A%3A%3Aestate-@n@%2F%2A%22%2C%22arn%3Aaws%3Adynamodb%3Aus-east-1%3A111122223333%3Atable%2Ftable-@n@%22%5D%7D%5D%7D`
	const trust = `%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ec2.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D`
	lists := []struct{ of, field, item string }{
		{"user", "UserDetailList", `<member><GroupList><member>group-00001</member></GroupList>` + attached + `<UserId>AIDAEXAMPLE@n@</UserId><Path>/</Path><UserName>user-@n@</UserName><Arn>arn:aws:iam::@account@:user/user-@n@</Arn><CreateDate>@time@</CreateDate><Tags><member><Key>team</Key><Value>team-@byte@</Value></member></Tags></member>`},
		{"group", "GroupDetailList", `<member><Path>/</Path><GroupName>group-@n@</GroupName><GroupId>AGPAEXAMPLE@n@</GroupId><Arn>arn:aws:iam::@account@:group/group-@n@</Arn><CreateDate>@time@</CreateDate><GroupPolicyList/>` + attached + `</member>`},
		{"role", "RoleDetailList", `<member><Path>/</Path><RoleName>role-@n@</RoleName><RoleId>AROAEXAMPLE@n@</RoleId><Arn>arn:aws:iam::@account@:role/role-@n@</Arn><CreateDate>@time@</CreateDate><AssumeRolePolicyDocument>` + trust + `</AssumeRolePolicyDocument><InstanceProfileList><member><InstanceProfileName>role-@n@</InstanceProfileName><InstanceProfileId>AIPAEXAMPLE@n@</InstanceProfileId><Arn>arn:aws:iam::@account@:instance-profile/role-@n@</Arn><Path>/</Path><CreateDate>@time@</CreateDate><Roles/></member></InstanceProfileList><RolePolicyList><member><PolicyName>inline</PolicyName><PolicyDocument>` + document + `</PolicyDocument></member></RolePolicyList>` + attached + `<Tags><member><Key>team</Key><Value>team-@byte@</Value></member></Tags><RoleLastUsed><LastUsedDate>@recent@</LastUsedDate><Region>us-east-1</Region></RoleLastUsed></member>`},
		{"policy", "Policies", `<member><PolicyName>policy-@n@</PolicyName><PolicyId>ANPAEXAMPLE@n@</PolicyId><Arn>arn:aws:iam::@account@:policy/policy-@n@</Arn><Path>/</Path><DefaultVersionId>v2</DefaultVersionId><AttachmentCount>5</AttachmentCount><PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable><CreateDate>@time@</CreateDate><UpdateDate>@time@</UpdateDate><PolicyVersionList><member><Document>` + document + `</Document><VersionId>v2</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate>@time@</CreateDate></member><member><Document>` + document + `</Document><VersionId>v1</VersionId><IsDefaultVersion>false</IsDefaultVersion><CreateDate>@time@</CreateDate></member></PolicyVersionList></member>`},
	}
	total := 0
	for _, l := range lists {
		total += largeCount(l.of, "")
	}
	from, to, next := q.page(total, largeDetailsPage)
	before := 0
	for _, l := range lists {
		n := largeCount(l.of, "")
		fmt.Fprintf(b, "<%s>", l.field)
		for i := max(from-before, 0); i < min(to-before, n); i++ {
			fill(b, l.item, func(name string) string { return largeValue(name, "us-east-1", i) })
		}
		fmt.Fprintf(b, "</%s>", l.field)
		before += n
	}
	fmt.Fprintf(b, "<IsTruncated>%t</IsTruncated>", next != "")
	if next != "" {
		fmt.Fprintf(b, "<Marker>%s</Marker>", next)
	}
}

// writeBuckets writes a page of the buckets.
func (q largeRequest) writeBuckets(b *strings.Builder) {
	from, to, next := q.page(largeCount("bucket", ""), largeBucketsPage)
	b.WriteString(`<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>ExampleCanonicalUserId1111</ID></Owner><Buckets>`)
	for i := from; i < to; i++ {
		fill(b, `<Bucket><Name>estate-@n@</Name><CreationDate>@time@</CreationDate><BucketRegion>@home@</BucketRegion></Bucket>`,
			func(name string) string { return largeValue(name, "", i) })
	}
	b.WriteString(`</Buckets>`)
	if next != "" {
		fmt.Fprintf(b, "<ContinuationToken>%s</ContinuationToken>", next)
	}
	b.WriteString(`</ListAllMyBucketsResult>`)
}

// writeReport writes the credential report.
func writeReport(b *strings.Builder) {
	var csv strings.Builder
	csv.WriteString("user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated\n")
	const none = "false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
	fill(&csv, "<root_account>,arn:aws:iam::@account@:root,@time@,true,@time@,not_supported,not_supported,true,false,N/A,N/A,N/A,N/A,"+none+"\n",
		func(name string) string { return largeValue(name, "", 0) })
	for i := range largeCount("user", "") {
		fill(&csv, "user-@n@,arn:aws:iam::@account@:user/user-@n@,@time@,true,@recent@,@recent@,N/A,@mostly@,true,@recent@,@recent@,us-east-1,s3,"+none+"\n",
			func(name string) string { return largeValue(name, "", i) })
	}
	fmt.Fprintf(b, "<Content>%s</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>%s</GeneratedTime>",
		base64.StdEncoding.EncodeToString([]byte(csv.String())), time.Now().UTC().Format(time.RFC3339))
}
