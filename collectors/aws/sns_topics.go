package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/tallystick/tallystick/collectors"
)

// snsTopics reads topics and who is subscribed to them, never a message. An
// endpoint may be a webhook with a token, a telephone number or a person's
// address: it is not kept, but whether it changed shows.
func snsTopics(e *Estate) *collector {
	const kind = "aws.sns.topic"
	return &collector{estate: e, read: readTopics, spec: collectors.Spec{
		Name:    "aws.sns_topics",
		Summary: "SNS topics and their subscriptions: protocol, and whether they were confirmed.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "sns:ListTopics", Kind: kind},
			{Operation: "sns:ListSubscriptionsByTopic", Kind: kind, Field: "Subscriptions", Vanished: []string{"NotFound"}},
		},
		Sensitive: []string{"Endpoint"},
	}}
}

func readTopics(ctx context.Context, r *reader) error {
	client := sns.NewFromConfig(r.config)
	pages := sns.NewListTopicsPaginator(client, &sns.ListTopicsInput{})
	return readDetailed(ctx, r, "sns:ListTopics", pages, "Topics", func(out *sns.ListTopicsOutput) (ids []string) {
		for _, topic := range out.Topics {
			ids = append(ids, aws.ToString(topic.TopicArn))
		}
		return ids
	}, func(ctx context.Context, _ *sns.ListTopicsOutput, _ int, o *resource) {
		readSubscriptions(ctx, client, o)
	})
}

func readSubscriptions(ctx context.Context, client *sns.Client, o *resource) {
	setPager(ctx, o, "sns:ListSubscriptionsByTopic", "Subscriptions", sns.NewListSubscriptionsByTopicPaginator(client, &sns.ListSubscriptionsByTopicInput{TopicArn: &o.id}))
}
