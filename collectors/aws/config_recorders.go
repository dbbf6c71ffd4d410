package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	smithy "github.com/aws/smithy-go"

	"github.com/tallystick/tallystick/collectors"
)

// configRecorders reads the configuration recorders of each region. Asked for
// no recorder in particular, AWS Config describes the customer's own alone;
// those that are linked to a service are found by the list, and described by
// ARN one at a time.
// Source: API_DescribeConfigurationRecorders, API_ListConfigurationRecorders.
//
// A region without a recorder is known by the region itself, which is a kind
// of its own.
func configRecorders(e *Estate) *collector {
	const kind = "aws.config.recorder"
	gone := []string{"NoSuchConfigurationRecorderException"}
	return &collector{estate: e, read: readRecorders, spec: collectors.Spec{
		Name:    "aws.config_recorders",
		Summary: "AWS Config recorders, those linked to a service too: what they record, and whether they run.",
		Kinds:   []string{"aws.config.region", kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "config:ListConfigurationRecorders", Kind: kind},
			{Operation: "config:DescribeConfigurationRecorders", Kind: kind, Field: "Recorder", Vanished: gone},
			{Operation: "config:DescribeConfigurationRecorderStatus", Kind: kind, Field: "Status", Vanished: gone},
		},
	}}
}

func readRecorders(ctx context.Context, r *reader) error {
	if err := r.observeRegion(ctx, "aws.config.region"); err != nil {
		return err
	}
	client := configservice.NewFromConfig(r.config)
	pages := configservice.NewListConfigurationRecordersPaginator(client, &configservice.ListConfigurationRecordersInput{
		MaxResults: aws.Int32(20), // the most that the API allows
	})
	return readDetailed(ctx, r, "config:ListConfigurationRecorders", pages, "ConfigurationRecorderSummaries", func(out *configservice.ListConfigurationRecordersOutput) (ids []string) {
		for _, recorder := range out.ConfigurationRecorderSummaries {
			ids = append(ids, aws.ToString(recorder.Arn))
		}
		return ids
	}, func(ctx context.Context, _ *configservice.ListConfigurationRecordersOutput, _ int, o *resource) {
		readRecorder(ctx, client, o)
	})
}

func readRecorder(ctx context.Context, client *configservice.Client, o *resource) {
	recorder, err := client.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{Arn: &o.id})
	o.setOnly("config:DescribeConfigurationRecorders", "ConfigurationRecorders", recorder, err)
	status, err := client.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{Arn: &o.id})
	o.setOnly("config:DescribeConfigurationRecorderStatus", "ConfigurationRecordersStatus", status, err)
}

// setOnly is setMember for a list that must hold the one thing that was asked
// for. Any other list is an answer that can not be understood.
func (o *resource) setOnly(operation, member string, out any, err error) {
	call, ok := o.call(operation)
	if !ok {
		return
	}
	if err != nil {
		o.failed(call, err)
		return
	}
	p := o.reader.page(out)
	o.source(p.exchange)
	v, _ := p.field(member)
	list, _ := v.([]any)
	if len(list) != 1 {
		o.failed(call, &smithy.DeserializationError{Err: fmt.Errorf("%s of the answer has %d members where one was asked for", member, len(list))})
		return
	}
	o.body[call.Field] = list[0]
}
