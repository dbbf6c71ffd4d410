package main_test

import (
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
)

// id is how regions are named that are judged themselves.
func (p place) id() string { return p.account + "/" + p.region }

func detection() []planted {
	const (
		threats, alerts     = "aws-guardduty-enabled", "aws-alert-route"
		recording, scanning = "aws-config-recorder", "aws-inspector-enabled"
		on, off             = eventtypes.RuleStateEnabled, eventtypes.RuleStateDisabled
	)
	return []planted{
		{"detector", hereUS, detector(true), says{threats: "pass"}},
		{"suspended detector", hereEU, detector(false), says{threats: "fail"}},
		{"no detector", thereUS, nothing(thereUS.id()), says{threats: "fail"}},
		{"other detector", thereEU, detector(true), says{threats: "pass"}},

		// moto confirms every subscription by itself.
		{"topic that somebody reads", hereUS, topic("findings", "security@example.com"), nil},
		{"route to it", hereUS, route("topic that somebody reads", on), nil},
		{"region with a route", hereUS, nothing(hereUS.id()), says{alerts: "pass"}},
		{"disabled route", hereEU, route("arn:aws:sqs:eu-west-1:"+ambient+":findings", off), nil},
		{"region with a disabled route", hereEU, nothing(hereEU.id()), says{alerts: "fail"}},
		{"route to a queue", thereUS, route("arn:aws:sqs:us-east-1:"+member+":findings", on), nil},
		{"region with a route to a queue", thereUS, nothing(thereUS.id()), says{alerts: "pass"}},
		{"topic that nobody reads", thereEU, topic("findings"), nil},
		{"route to nobody", thereEU, route("topic that nobody reads", on), nil},
		{"region with a route to nobody", thereEU, nothing(thereEU.id()), says{alerts: "fail"}},

		// moto keeps recorders and does not list them, so that neither a region
		// with one nor a region without one can be judged.
		{"recorder", hereUS, recorder, says{recording: "unknown"}},
		{"no recorder", hereEU, nothing(hereEU.id()), says{recording: "unknown"}},
		{"no other recorder", thereUS, nothing(thereUS.id()), says{recording: "unknown"}},
		{"no other european recorder", thereEU, nothing(thereEU.id()), says{recording: "unknown"}},

		// moto does not list what is scanned: what is off is a fail all the same.
		// Where nothing was ever enabled it tells no status; AWS tells DISABLED.
		{"all scans", hereUS, scanned(inspectortypes.ResourceScanTypeEc2, inspectortypes.ResourceScanTypeEcr, inspectortypes.ResourceScanTypeLambda), says{scanning: "unknown"}},
		{"one scan", hereEU, scanned(inspectortypes.ResourceScanTypeEc2), says{scanning: "fail"}},
		{"no scan", thereUS, nothing(thereUS.id()), says{scanning: "unknown"}},
		{"no other scan", thereEU, nothing(thereEU.id()), says{scanning: "unknown"}},
	}
}
