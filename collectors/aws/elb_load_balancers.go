package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/tallystick/tallystick/collectors"
)

// elbLoadBalancers reads Application, Network and Gateway Load Balancers, and
// the security policies that their listeners name. Listeners have a collector
// of their own, since their list rests on that of the load balancers.
//
// Classic Load Balancers are in another API and are not read.
func elbLoadBalancers(e *Estate) *collector {
	const kind = "aws.elb.load_balancer"
	return &collector{estate: e, read: readLoadBalancing, spec: collectors.Spec{
		Name:    "aws.elb_load_balancers",
		Summary: "Application, Network and Gateway Load Balancers with their attributes, and the security policies for TLS.",
		Kinds:   []string{kind, "aws.elb.ssl_policy"},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "elasticloadbalancing:DescribeLoadBalancers", Kind: kind},
			{Operation: "elasticloadbalancing:DescribeLoadBalancerAttributes", Kind: kind, Field: "Attributes", Vanished: []string{"LoadBalancerNotFound"}},
			{Operation: "elasticloadbalancing:DescribeSSLPolicies", Kind: "aws.elb.ssl_policy"},
		},
	}}
}

// elbPage is the most that the lists of Elastic Load Balancing give at a time.
// Source: API_DescribeLoadBalancers, PageSize; the other lists have the same.
const elbPage = 400

func readLoadBalancing(ctx context.Context, r *reader) error {
	for _, read := range []func(context.Context, *reader) error{readLoadBalancers, readSSLPolicies} {
		if _, err := r.apart(ctx, read); err != nil {
			return err
		}
	}
	return nil
}

func readLoadBalancers(ctx context.Context, r *reader) error {
	client := elb.NewFromConfig(r.config)
	pages := elb.NewDescribeLoadBalancersPaginator(client, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(elbPage)})
	return readDetailed(ctx, r, "elasticloadbalancing:DescribeLoadBalancers", pages, "LoadBalancers", func(out *elb.DescribeLoadBalancersOutput) (ids []string) {
		for _, lb := range out.LoadBalancers {
			ids = append(ids, aws.ToString(lb.LoadBalancerArn))
		}
		return ids
	}, func(ctx context.Context, out *elb.DescribeLoadBalancersOutput, i int, o *resource) {
		lb := out.LoadBalancers[i]
		attributes, err := client.DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn})
		o.setMember("elasticloadbalancing:DescribeLoadBalancerAttributes", "Attributes", attributes, err)
	})
}

// readSSLPolicies reads the policies for every type of load balancer. They are
// AWS's own and have no ARN: the name is the id.
func readSSLPolicies(ctx context.Context, r *reader) error {
	pages := &sslPolicyPages{client: elb.NewFromConfig(r.config), more: true}
	return readMembers(ctx, r, "elasticloadbalancing:DescribeSSLPolicies", pages, "SslPolicies", func(out *elb.DescribeSSLPoliciesOutput) (ids []string) {
		for _, p := range out.SslPolicies {
			ids = append(ids, aws.ToString(p.Name))
		}
		return ids
	})
}

// sslPolicyPages is the paginator that the SDK does not have for this list.
type sslPolicyPages struct {
	client *elb.Client
	marker *string
	more   bool
}

func (p *sslPolicyPages) HasMorePages() bool { return p.more }

func (p *sslPolicyPages) NextPage(ctx context.Context, options ...func(*elb.Options)) (*elb.DescribeSSLPoliciesOutput, error) {
	out, err := p.client.DescribeSSLPolicies(ctx, &elb.DescribeSSLPoliciesInput{PageSize: aws.Int32(elbPage), Marker: p.marker}, options...)
	if err != nil {
		return nil, err
	}
	p.marker, p.more = out.NextMarker, aws.ToString(out.NextMarker) != ""
	return out, nil
}
