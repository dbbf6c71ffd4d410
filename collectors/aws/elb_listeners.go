package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/tallystick/tallystick/collectors"
)

// elbListeners reads the listeners of Application, Network and Gateway Load
// Balancers, which can only be listed load balancer by load balancer, and the
// rules of each.
//
// UnsupportedProtocol is an answer: such a listener has no rules.
// Source: API_DescribeRules, errors.
func elbListeners(e *Estate) *collector {
	const kind = "aws.elb.listener"
	return &collector{estate: e, read: readListeners, spec: collectors.Spec{
		Name:    "aws.elb_listeners",
		Summary: "Listeners of Application, Network and Gateway Load Balancers: protocol, security policy, actions and rules.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "elasticloadbalancing:DescribeLoadBalancers", Kind: kind},
			{Operation: "elasticloadbalancing:DescribeListeners", Kind: kind, Vanished: []string{"LoadBalancerNotFound"}},
			{Operation: "elasticloadbalancing:DescribeRules", Kind: kind, Field: "Rules", Absent: []string{"UnsupportedProtocol"}, Vanished: []string{"ListenerNotFound"}},
		},
		// A rule that lets only a content delivery network through compares a
		// header or a parameter with a shared secret. The secret of an OpenID
		// Connect client is not answered; it is taken out all the same.
		Sensitive: []string{"HttpHeaderConfig", "QueryStringConfig", "ClientSecret"},
	}}
}

func readListeners(ctx context.Context, r *reader) error {
	client := elb.NewFromConfig(r.config)
	pages := elb.NewDescribeLoadBalancersPaginator(client, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(elbPage)})
	listeners := r.lists()
	err := readPages(ctx, r, pages, func(out *elb.DescribeLoadBalancersOutput, _ page) error {
		for i, lb := range out.LoadBalancers {
			if aws.ToString(lb.LoadBalancerArn) == "" {
				return unidentified("elasticloadbalancing:DescribeLoadBalancers", "LoadBalancers", i)
			}
			listeners.add(ctx, func(ctx context.Context, r *reader) error {
				return readListenersOf(ctx, r, client, lb.LoadBalancerArn)
			})
		}
		return nil
	})
	whole, failed := listeners.wait()
	if failed != nil {
		return failed
	}
	if err == nil && whole {
		r.listed("aws.elb.listener")
	}
	return err
}

func readListenersOf(ctx context.Context, r *reader, client *elb.Client, loadBalancer *string) error {
	const list = "elasticloadbalancing:DescribeListeners"
	pages := elb.NewDescribeListenersPaginator(client, &elb.DescribeListenersInput{LoadBalancerArn: loadBalancer, PageSize: aws.Int32(elbPage)})
	err := readPages(ctx, r, pages, func(out *elb.DescribeListenersOutput, p page) error {
		var ids []string
		for _, l := range out.Listeners {
			ids = append(ids, aws.ToString(l.ListenerArn))
		}
		return r.detailed(ctx, list, p, "Listeners", ids, func(ctx context.Context, _ int, o *resource) {
			readListenerRules(ctx, client, o)
		})
	})
	if call, _ := r.spec.Call(list); hasCode(err, call.Vanished) {
		// Its listeners go with it. Source: API_DeleteLoadBalancer.
		return nil
	}
	return err
}

func readListenerRules(ctx context.Context, client *elb.Client, o *resource) {
	setPager(ctx, o, "elasticloadbalancing:DescribeRules", "Rules", elb.NewDescribeRulesPaginator(client, &elb.DescribeRulesInput{ListenerArn: &o.id, PageSize: aws.Int32(elbPage)}))
}
