package main_test

import (
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func networks() []planted {
	const logged = "aws-vpc-flow-logs"
	const network, subnet = ec2types.FlowLogsResourceTypeVpc, ec2types.FlowLogsResourceTypeSubnet
	return []planted{
		// moto has a default VPC in each region of each account, as AWS has.
		{"default VPC", hereUS, defaultVPC, says{logged: "not_applicable"}},
		{"european default VPC", hereEU, defaultVPC, says{logged: "not_applicable"}},
		{"other default VPC", thereUS, defaultVPC, says{logged: "not_applicable"}},
		{"other european default VPC", thereEU, defaultVPC, says{logged: "not_applicable"}},

		{"logged VPC", hereUS, vpc, says{logged: "pass"}},
		{"its subnet", hereUS, subnetIn("logged VPC", "10.7.1.0/24"), nil},
		{"its other subnet", hereUS, subnetIn("logged VPC", "10.7.2.0/24"), nil},
		{"its flow log", hereUS, flowLog("logged VPC", network, ec2types.TrafficTypeAll, "/e2e/year"), nil},

		{"VPC logged by subnet", hereUS, vpc, says{logged: "pass"}},
		{"only subnet", hereUS, subnetIn("VPC logged by subnet", "10.7.1.0/24"), nil},
		{"flow log of the subnet", hereUS, flowLog("only subnet", subnet, ec2types.TrafficTypeReject, "/e2e/year"), nil},

		{"half logged VPC", hereUS, vpc, says{logged: "fail"}},
		{"first half", hereUS, subnetIn("half logged VPC", "10.7.1.0/24"), nil},
		{"second half", hereUS, subnetIn("half logged VPC", "10.7.2.0/24"), nil},
		{"flow log of the first half", hereUS, flowLog("first half", subnet, ec2types.TrafficTypeAll, "/e2e/year"), nil},

		{"VPC whose logs reach nobody", hereUS, vpc, says{logged: "fail"}},
		{"subnet without readers", hereUS, subnetIn("VPC whose logs reach nobody", "10.7.1.0/24"), nil},
		{"flow log to no log group", hereUS, flowLog("VPC whose logs reach nobody", network, ec2types.TrafficTypeAll, "/e2e/none"), nil},

		{"VPC that logs what it accepts", hereEU, vpc, says{logged: "fail"}},
		{"subnet in it", hereEU, subnetIn("VPC that logs what it accepts", "10.7.1.0/24"), nil},
		{"flow log of what it accepts", hereEU, flowLog("VPC that logs what it accepts", network, ec2types.TrafficTypeAccept, "/e2e/month"), nil},

		{"unlogged VPC", thereEU, vpc, says{logged: "fail"}},
		{"subnet of it", thereEU, subnetIn("unlogged VPC", "10.7.1.0/24"), nil},
		{"empty VPC", thereEU, vpc, says{logged: "not_applicable"}},
	}
}

func groups() []planted {
	const admin, data, closedDefault = "aws-sg-admin-ports", "aws-sg-data-ports", "aws-sg-default-closed"
	const v4, v6 = "0.0.0.0/0", "::/0"
	// A default group lets everything out. moto's lets nothing in; that of AWS
	// lets in its own members.
	usual := says{admin: "pass", data: "pass", closedDefault: "fail"}
	named := usual.and(says{closedDefault: "not_applicable"})
	all := []planted{
		{"closed group", hereUS, closed(defaultGroupOf("logged VPC")), usual.and(says{closedDefault: "pass"})},
		{"web server", hereUS, securityGroup("web", "logged VPC", opens(443, 443, v4, v6)), named},
		{"host for everyone", hereUS, securityGroup("ssh", "logged VPC", opens(22, 22, v4)), named.and(says{admin: "fail"})},
		{"host for half of the world", hereUS, securityGroup("half", "logged VPC", opens(22, 22, "128.0.0.0/1")), named.and(says{admin: "fail"})},
		{"desktop for everyone", hereUS, securityGroup("rdp", "logged VPC", opens(3000, 4000, v6)), named.and(says{admin: "fail", data: "fail"})}, // 3306 too
		{"database for everyone", hereUS, securityGroup("postgres", "logged VPC", opens(5432, 5432, v4)), named.and(says{data: "fail"})},
		{"host for the office", hereUS, securityGroup("office", "logged VPC", opens(22, 22, "203.0.113.0/24")), named},
		{"anything for everyone", thereEU, securityGroup("any", "unlogged VPC", opens(0, 0, v4)), named.and(says{admin: "fail", data: "fail"})},
		{"list of ranges", hereEU, prefixList("somebody"), nil},
		{"host for a list of ranges", hereEU, securityGroup("list", "VPC that logs what it accepts", opens(22, 22, "list of ranges")), named.and(says{admin: "unknown"})},
	}
	for _, vpc := range []struct {
		name string
		at   place
	}{
		{"default VPC", hereUS},
		{"VPC logged by subnet", hereUS},
		{"half logged VPC", hereUS},
		{"VPC whose logs reach nobody", hereUS},
		{"european default VPC", hereEU},
		{"VPC that logs what it accepts", hereEU},
		{"other default VPC", thereUS},
		{"other european default VPC", thereEU},
		{"unlogged VPC", thereEU},
		{"empty VPC", thereEU},
	} {
		all = append(all, planted{"default group of " + vpc.name, vpc.at, defaultGroupOf(vpc.name), usual})
	}
	return all
}

func balancers() []planted {
	const (
		logs, tls, expiry = "aws-elb-access-logs", "aws-elb-tls", "aws-acm-expiry"

		application, network = elbtypes.LoadBalancerTypeEnumApplication, elbtypes.LoadBalancerTypeEnumNetwork
		http, https, tcp     = elbtypes.ProtocolEnumHttp, elbtypes.ProtocolEnumHttps, elbtypes.ProtocolEnumTcp

		new, old = "ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-TLS13-1-0-2021-06"
	)
	subnets := [2]string{"its subnet", "its other subnet"}
	return []planted{
		{"certificate of a year", hereUS, imported("orders.example.com", 365), says{expiry: "pass"}},
		{"certificate of a week", hereUS, imported("old.example.com", 7), says{expiry: "fail"}},
		{"unused certificate", hereUS, requested("unused.example.com"), says{expiry: "not_applicable"}},
		{"targets", hereUS, targets("app", "logged VPC", http), nil},
		{"targets of packets", hereUS, targets("packets", "logged VPC", tcp), nil},

		{"logged balancer", hereUS, balancer("logged", application, subnets, "access_logs.s3.enabled", "true", "access_logs.s3.bucket", "e2e-bare"), says{logs: "pass"}},
		{"listener with TLS", hereUS, listener("logged balancer", https, 443, new, "certificate of a year", forwardTo("targets")), says{tls: "pass"}},
		{"listener that redirects", hereUS, listener("logged balancer", http, 80, "", "", toHTTPS), says{tls: "pass"}},
		{"listener that redirects most", hereUS, listener("logged balancer", http, 8080, "", "", toHTTPS), says{tls: "fail"}},
		{"its exception", hereUS, pathRule("listener that redirects most", "/health", forwardTo("targets")), nil},

		{"unlogged balancer", hereUS, balancer("unlogged", application, subnets, "access_logs.s3.enabled", "false"), says{logs: "fail"}},
		{"listener with old TLS", hereUS, listener("unlogged balancer", https, 443, old, "certificate of a week", forwardTo("targets")), says{tls: "fail"}},
		{"listener without TLS", hereUS, listener("unlogged balancer", http, 80, "", "", forwardTo("targets")), says{tls: "fail"}},

		// moto leaves this attribute out until it is set; AWS always tells it.
		{"balancer that nobody set up", hereUS, balancer("fresh", application, subnets), says{logs: "unknown"}},

		{"balancer of packets", hereUS, balancer("packets", network, subnets), says{logs: "not_applicable"}},
		{"listener for packets", hereUS, listener("balancer of packets", tcp, 443, "", "", forwardTo("targets of packets")), says{tls: "not_applicable"}},
	}
}
