package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/tallystick/tallystick/collectors"
)

// logsLogGroups reads how log groups are configured, never an event.
func logsLogGroups(e *Estate) *collector {
	const kind = "aws.logs.log_group"
	return &collector{estate: e, read: readLogGroups, spec: collectors.Spec{
		Name:    "aws.logs_log_groups",
		Summary: "CloudWatch log groups: retention, key, class.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "logs:DescribeLogGroups", Kind: kind}},
	}}
}

func readLogGroups(ctx context.Context, r *reader) error {
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(cloudwatchlogs.NewFromConfig(r.config), &cloudwatchlogs.DescribeLogGroupsInput{
		Limit: aws.Int32(50), // the most that the API allows
	})
	return readMembers(ctx, r, "logs:DescribeLogGroups", pages, "LogGroups", func(out *cloudwatchlogs.DescribeLogGroupsOutput) (ids []string) {
		for _, g := range out.LogGroups {
			// The field arn ends in ":*", which is the form for policies.
			// Source: API_LogGroup, arn and logGroupArn.
			id := aws.ToString(g.LogGroupArn)
			if id == "" {
				id = strings.TrimSuffix(aws.ToString(g.Arn), ":*")
			}
			ids = append(ids, id)
		}
		return ids
	})
}
