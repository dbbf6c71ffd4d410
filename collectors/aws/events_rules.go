package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/tallystick/tallystick/collectors"
)

// eventsRules reads the EventBridge rules of each region's default bus, to
// which AWS services send their events. Rules of other buses are not read.
//
// A target is read as what it is and where it is. What a rule hands to it, or
// adds to a request, is free text that may hold a token, and is not kept.
//
// A region without a rule is known by the region itself, which is a kind of
// its own.
func eventsRules(e *Estate) *collector {
	const kind = "aws.events.rule"
	return &collector{estate: e, read: readRules, spec: collectors.Spec{
		Name:    "aws.events_rules",
		Summary: "EventBridge rules of the default bus: pattern, state, targets.",
		Kinds:   []string{"aws.events.region", kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "events:ListRules", Kind: kind},
			{Operation: "events:ListTargetsByRule", Kind: kind, Field: "Targets", Vanished: []string{"ResourceNotFoundException"}},
		},
		// Source: EventBridge API reference, Target.
		Sensitive: []string{
			"Input", "InputTemplate", "HeaderParameters", "PathParameterValues", "QueryStringParameters",
			"GraphQLOperation", "PipelineParameterList", "Sql", "Sqls",
		},
	}}
}

func readRules(ctx context.Context, r *reader) error {
	if err := r.observeRegion(ctx, "aws.events.region"); err != nil {
		return err
	}
	client := eventbridge.NewFromConfig(r.config)
	return readDetailed(ctx, r, "events:ListRules", &rulePages{client: client}, "Rules", func(out *eventbridge.ListRulesOutput) (ids []string) {
		for _, rule := range out.Rules {
			ids = append(ids, aws.ToString(rule.Arn))
		}
		return ids
	}, func(ctx context.Context, out *eventbridge.ListRulesOutput, i int, o *resource) {
		rule := out.Rules[i]
		readTargets(ctx, client, rule.Name, o)
	})
}

func readTargets(ctx context.Context, client *eventbridge.Client, rule *string, o *resource) {
	in := &eventbridge.ListTargetsByRuleInput{Rule: rule, Limit: aws.Int32(100)}
	o.setPages("events:ListTargetsByRule", "Targets", func() (any, bool, error) {
		out, err := client.ListTargetsByRule(ctx, in)
		if err != nil {
			return nil, false, err
		}
		in.NextToken = out.NextToken
		return out, aws.ToString(out.NextToken) != "", nil
	})
}

// rulePages is the paginator that the SDK does not have for ListRules.
type rulePages struct {
	client *eventbridge.Client
	next   *string
	begun  bool
}

// HasMorePages implements pager.
func (p *rulePages) HasMorePages() bool { return !p.begun || aws.ToString(p.next) != "" }

// NextPage implements pager.
func (p *rulePages) NextPage(ctx context.Context, options ...func(*eventbridge.Options)) (*eventbridge.ListRulesOutput, error) {
	out, err := p.client.ListRules(ctx, &eventbridge.ListRulesInput{Limit: aws.Int32(100), NextToken: p.next}, options...)
	if err != nil {
		return nil, err
	}
	p.begun, p.next = true, out.NextToken
	return out, nil
}
