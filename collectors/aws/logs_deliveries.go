package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/tallystick/tallystick/collectors"
)

// logsDeliveries reads which resources hand their logs to CloudWatch Logs for
// delivery: load balancers, distributions, buckets and others. A source writes
// nothing until a delivery pairs it with a destination.
func logsDeliveries(e *Estate) *collector {
	return &collector{estate: e, read: readDeliveries, spec: collectors.Spec{
		Name:    "aws.logs_deliveries",
		Summary: "Deliveries of logs by CloudWatch Logs, and the resources and types of log that are their sources.",
		Kinds:   []string{"aws.logs.delivery_source", "aws.logs.delivery"},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "logs:DescribeDeliverySources", Kind: "aws.logs.delivery_source"},
			{Operation: "logs:DescribeDeliveries", Kind: "aws.logs.delivery"},
		},
	}}
}

func readDeliveries(ctx context.Context, r *reader) error {
	client := cloudwatchlogs.NewFromConfig(r.config)
	limit := aws.Int32(50) // the most that the API allows
	for _, read := range []func(context.Context, *reader) error{
		func(ctx context.Context, r *reader) error {
			pages := cloudwatchlogs.NewDescribeDeliverySourcesPaginator(client, &cloudwatchlogs.DescribeDeliverySourcesInput{Limit: limit})
			return readMembers(ctx, r, "logs:DescribeDeliverySources", pages, "DeliverySources", func(out *cloudwatchlogs.DescribeDeliverySourcesOutput) (ids []string) {
				for _, s := range out.DeliverySources {
					ids = append(ids, aws.ToString(s.Arn))
				}
				return ids
			})
		},
		func(ctx context.Context, r *reader) error {
			pages := cloudwatchlogs.NewDescribeDeliveriesPaginator(client, &cloudwatchlogs.DescribeDeliveriesInput{Limit: limit})
			return readMembers(ctx, r, "logs:DescribeDeliveries", pages, "Deliveries", func(out *cloudwatchlogs.DescribeDeliveriesOutput) (ids []string) {
				for _, d := range out.Deliveries {
					ids = append(ids, aws.ToString(d.Arn))
				}
				return ids
			})
		},
	} {
		if _, err := r.apart(ctx, read); err != nil {
			return err
		}
	}
	return nil
}
