package main_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	s3controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
)

func bucket(name string, settings ...step) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		in := &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(name == "e2e-locked")}
		if c.config.Region != "us-east-1" {
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(c.config.Region)}
		}
		if _, err := c.s3().CreateBucket(ctx, in); err != nil {
			return "", err
		}
		return "arn:aws:s3:::" + name, steps(ctx, c, name, settings)
	}
}

func versioning(status s3types.BucketVersioningStatus) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := c.s3().PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: &name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: status},
		})
		return err
	}
}

// encryption sets the default encryption; key names a planted KMS key.
func encryption(algorithm s3types.ServerSideEncryption, key string) step {
	return func(ctx context.Context, c cloud, name string) error {
		byDefault := &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm}
		if key != "" {
			byDefault.KMSMasterKeyID = c.id(key)
		}
		_, err := c.s3().PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
			Bucket: &name, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
				Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: aws.Bool(true)}},
			},
		})
		return err
	}
}

func noPublicAccess(ctx context.Context, c cloud, name string) error {
	yes := aws.Bool(true)
	_, err := c.s3().PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: &name, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
			BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes,
		},
	})
	return err
}

// bucketPolicy sets the policy of a bucket from its statements, in which BUCKET
// stands for the bucket's ARN.
func bucketPolicy(statements ...string) step {
	return func(ctx context.Context, c cloud, name string) error {
		text := strings.ReplaceAll(policyDocument(statements...), "BUCKET", "arn:aws:s3:::"+name)
		_, err := c.s3().PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: &text})
		return err
	}
}

// Statements of bucket policies.
const (
	everybodyReads = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"BUCKET/*"}`
	cloudtrailPuts = `{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"BUCKET/*"}`
	onlyTLS        = `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["BUCKET","BUCKET/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	objectsOnlyTLS = `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"BUCKET/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
)

// grant gives the bucket one of the access control lists that S3 has ready.
func grant(list s3types.BucketCannedACL) step {
	return func(ctx context.Context, c cloud, name string) error {
		_, err := c.s3().PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: &name, ACL: list})
		return err
	}
}

func accessLogsTo(target string) step {
	return func(ctx context.Context, c cloud, name string) error {
		if err := grant("log-delivery-write")(ctx, c, target); err != nil {
			return err
		}
		_, err := c.s3().PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: &name, BucketLoggingStatus: &s3types.BucketLoggingStatus{
			LoggingEnabled: &s3types.LoggingEnabled{TargetBucket: &target, TargetPrefix: aws.String(name + "/")},
		}})
		return err
	}
}

// expireAfter has objects expire after some days and, where that is not 0, their
// old versions after some more.
func expireAfter(days, more int32) step {
	return func(ctx context.Context, c cloud, name string) error {
		rule := s3types.LifecycleRule{
			ID: aws.String("expire"), Status: s3types.ExpirationStatusEnabled,
			Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &s3types.LifecycleExpiration{Days: &days},
		}
		if more > 0 {
			rule.NoncurrentVersionExpiration = &s3types.NoncurrentVersionExpiration{NoncurrentDays: &more}
		}
		_, err := c.s3().PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
			Bucket: &name, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: []s3types.LifecycleRule{rule}},
		})
		return err
	}
}

// objectLock also turns versioning on: the one is not to be had without the other.
func objectLock(ctx context.Context, c cloud, name string) error {
	if err := versioning(s3types.BucketVersioningStatusEnabled)(ctx, c, name); err != nil {
		return err
	}
	_, err := c.s3().PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{
		Bucket: &name, ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled},
	})
	return err
}

// bucketTags sets tags, given as keys and values in turn.
func bucketTags(pairs ...string) step {
	return func(ctx context.Context, c cloud, name string) error {
		var tags []s3types.Tag
		for i := 0; i+1 < len(pairs); i += 2 {
			tags = append(tags, s3types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		_, err := c.s3().PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: &s3types.Tagging{TagSet: tags}})
		return err
	}
}

// accountBlock sets the account's block of public access. The account id is a
// part of the host there, which has no address: moto takes the request as the
// proxy that it would be sent through.
func accountBlock(acls, ignoreACLs, policies, restrict bool) maker {
	return func(ctx context.Context, c cloud) (string, error) {
		proxy, err := url.Parse(*c.config.BaseEndpoint)
		if err != nil {
			return "", err
		}
		client := s3control.NewFromConfig(c.config, func(o *s3control.Options) {
			o.HTTPClient = &http.Client{Timeout: client().Timeout, Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
		})
		_, err = client.PutPublicAccessBlock(ctx, &s3control.PutPublicAccessBlockInput{
			AccountId: &c.account, PublicAccessBlockConfiguration: &s3controltypes.PublicAccessBlockConfiguration{
				BlockPublicAcls: &acls, IgnorePublicAcls: &ignoreACLs, BlockPublicPolicy: &policies, RestrictPublicBuckets: &restrict,
			},
		})
		return c.account, err
	}
}
