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
	err := readPages(ctx, r, pages, func(out *sns.ListTopicsOutput, p page) error {
		for i, topic := range out.Topics {
			if aws.ToString(topic.TopicArn) == "" {
				return unidentified("sns:ListTopics", "Topics", i)
			}
			o := r.resource("aws.sns.topic", *topic.TopicArn, p, p.item("Topics", i))
			if err := r.each(ctx, func() error {
				readSubscriptions(ctx, client, o)
				return o.emit(ctx)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.sns.topic")
	}
	return err
}

func readSubscriptions(ctx context.Context, client *sns.Client, o *resource) {
	pages := sns.NewListSubscriptionsByTopicPaginator(client, &sns.ListSubscriptionsByTopicInput{TopicArn: &o.id})
	o.setPages("sns:ListSubscriptionsByTopic", "Subscriptions", func() (any, bool, error) {
		out, err := pages.NextPage(ctx)
		return out, pages.HasMorePages(), err
	})
}
