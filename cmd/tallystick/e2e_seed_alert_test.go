package main_test

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// detector is planted enabled or suspended. What is judged is the region.
func detector(on bool) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		_, err := guardduty.NewFromConfig(c.config).CreateDetector(ctx, &guardduty.CreateDetectorInput{Enable: &on})
		return c.account + "/" + c.region, err
	}
}

// topic is planted with the addresses that are subscribed to it.
func topic(name string, subscribers ...string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := sns.NewFromConfig(c.config)
		out, err := client.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name})
		if err != nil {
			return "", err
		}
		for _, s := range subscribers {
			if _, err := client.Subscribe(ctx, &sns.SubscribeInput{TopicArn: out.TopicArn, Protocol: aws.String("email"), Endpoint: &s}); err != nil {
				return "", err
			}
		}
		return *out.TopicArn, nil
	}
}

// route is a rule for the findings of GuardDuty with a target: what was planted
// under a name, or what an ARN names.
func route(target string, state eventtypes.RuleState) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client, name := eventbridge.NewFromConfig(c.config), aws.String("findings")
		out, err := client.PutRule(ctx, &eventbridge.PutRuleInput{
			Name: name, EventPattern: aws.String(`{"source":["aws.guardduty"],"detail-type":["GuardDuty Finding"]}`), State: state,
		})
		if err != nil {
			return "", err
		}
		_, err = client.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: name, Targets: []eventtypes.Target{{Id: aws.String("1"), Arn: c.arn(target)}}})
		return *out.RuleArn, err
	}
}

// recorder records all that AWS Config knows, and runs.
func recorder(ctx context.Context, c cloud) (string, error) {
	client, name := configservice.NewFromConfig(c.config), aws.String("default")
	if _, err := client.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &configtypes.ConfigurationRecorder{
		Name: name, RoleARN: aws.String("arn:aws:iam::" + c.account + ":role/config"),
		RecordingGroup: &configtypes.RecordingGroup{AllSupported: true, IncludeGlobalResourceTypes: true},
	}}); err != nil {
		return "", err
	}
	if _, err := client.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{
		DeliveryChannel: &configtypes.DeliveryChannel{Name: name, S3BucketName: aws.String("e2e-trail")},
	}); err != nil {
		return "", err
	}
	_, err := client.StartConfigurationRecorder(ctx, &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: name})
	return c.account + "/" + c.region, err
}

// scanned enables scans of Amazon Inspector. What is judged is the region.
func scanned(scans ...inspectortypes.ResourceScanType) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		_, err := inspector2.NewFromConfig(c.config).Enable(ctx, &inspector2.EnableInput{AccountIds: []string{c.account}, ResourceTypes: scans})
		return c.account + "/" + c.region, err
	}
}
