package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// balancer is a load balancer in two planted subnets, with attributes in pairs.
func balancer(name string, kind elbtypes.LoadBalancerTypeEnum, subnets [2]string, attributes ...string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		client := elb.NewFromConfig(c.config)
		out, err := client.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
			Name: &name, Type: kind, Subnets: []string{*last(c.id(subnets[0])), *last(c.id(subnets[1]))},
		})
		if err != nil {
			return "", err
		}
		arn := *out.LoadBalancers[0].LoadBalancerArn
		var set []elbtypes.LoadBalancerAttribute
		for i := 0; i+1 < len(attributes); i += 2 {
			set = append(set, elbtypes.LoadBalancerAttribute{Key: &attributes[i], Value: &attributes[i+1]})
		}
		if len(set) > 0 {
			_, err = client.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &arn, Attributes: set})
		}
		return arn, err
	}
}

// targets is a target group in a planted VPC.
func targets(name, vpc string, protocol elbtypes.ProtocolEnum) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := elb.NewFromConfig(c.config).CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
			Name: &name, Protocol: protocol, Port: aws.Int32(8080), VpcId: last(c.id(vpc)), TargetType: elbtypes.TargetTypeEnumIp,
		})
		if err != nil {
			return "", err
		}
		return *out.TargetGroups[0].TargetGroupArn, nil
	}
}

// An action is what a listener does with a request.
type action func(c cloud) elbtypes.Action

func forwardTo(targets string) action {
	return func(c cloud) elbtypes.Action {
		return elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: c.id(targets)}
	}
}

func toHTTPS(cloud) elbtypes.Action {
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumRedirect, RedirectConfig: &elbtypes.RedirectActionConfig{
		Protocol: aws.String("HTTPS"), Port: aws.String("443"), StatusCode: elbtypes.RedirectActionStatusCodeEnumHttp301,
	}}
}

// listener speaks plainly unless it has a security policy and a planted certificate.
func listener(balancer string, protocol elbtypes.ProtocolEnum, port int32, policy, certificate string, does action) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &elb.CreateListenerInput{
			LoadBalancerArn: c.id(balancer), Protocol: protocol, Port: &port, DefaultActions: []elbtypes.Action{does(c)},
		}
		if certificate != "" {
			in.SslPolicy, in.Certificates = &policy, []elbtypes.Certificate{{CertificateArn: c.id(certificate)}}
		}
		out, err := elb.NewFromConfig(c.config).CreateListener(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.Listeners[0].ListenerArn, nil
	}
}

// pathRule is a rule of a planted listener.
func pathRule(listener, path string, does action) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := elb.NewFromConfig(c.config).CreateRule(ctx, &elb.CreateRuleInput{
			ListenerArn: c.id(listener), Priority: aws.Int32(10), Actions: []elbtypes.Action{does(c)},
			Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{path}}},
		})
		if err != nil {
			return "", err
		}
		return *out.Rules[0].RuleArn, nil
	}
}

// imported is a certificate that is valid for some days from now.
func imported(name string, days int) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return "", err
		}
		now := time.Now()
		template := &x509.Certificate{
			SerialNumber: big.NewInt(17), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, days),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			return "", err
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return "", err
		}
		var certificate, secret bytes.Buffer
		for _, block := range []struct {
			into *bytes.Buffer
			*pem.Block
		}{{&certificate, &pem.Block{Type: "CERTIFICATE", Bytes: der}}, {&secret, &pem.Block{Type: "PRIVATE KEY", Bytes: private}}} {
			if err := pem.Encode(block.into, block.Block); err != nil {
				return "", err
			}
		}
		out, err := acm.NewFromConfig(c.config).ImportCertificate(ctx, &acm.ImportCertificateInput{Certificate: certificate.Bytes(), PrivateKey: secret.Bytes()})
		if err != nil {
			return "", err
		}
		return *out.CertificateArn, nil
	}
}

func requested(name string) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		out, err := acm.NewFromConfig(c.config).RequestCertificate(ctx, &acm.RequestCertificateInput{DomainName: &name})
		if err != nil {
			return "", err
		}
		return *out.CertificateArn, nil
	}
}
