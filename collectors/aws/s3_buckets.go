package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tallystick/tallystick/collectors"
)

// s3Buckets reads how the buckets of an account are configured, never what is
// in them.
//
// Whether access control lists count is not asked for: where the bucket owner
// is enforced as the owner of all objects, GetBucketAcl answers the owner's full
// control and nothing else. Source: S3 user guide, object ownership error
// responses.
//
// The values of two condition keys of a policy are not kept: the header Referer
// or User-Agent serves as a secret between a content network and a website.
func s3Buckets(e *Estate) *collector {
	const kind = "aws.s3.bucket"
	gone := []string{"NoSuchBucket"}
	return &collector{estate: e, read: readBuckets, spec: collectors.Spec{
		Name:    "aws.s3_buckets",
		Summary: "S3 buckets: default encryption, versioning, access logging, public access, policy, access control list, object lock, lifecycle, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "s3:ListBuckets", Permission: "s3:ListAllMyBuckets", Kind: kind},
			{Operation: "s3:GetBucketEncryption", Permission: "s3:GetEncryptionConfiguration", Kind: kind, Field: "Encryption", Absent: []string{"ServerSideEncryptionConfigurationNotFoundError"}, Vanished: gone},
			{Operation: "s3:GetBucketVersioning", Kind: kind, Field: "Versioning", Vanished: gone},
			{Operation: "s3:GetBucketLogging", Kind: kind, Field: "Logging", Vanished: gone},
			{Operation: "s3:GetPublicAccessBlock", Permission: "s3:GetBucketPublicAccessBlock", Kind: kind, Field: "PublicAccessBlock", Absent: []string{"NoSuchPublicAccessBlockConfiguration"}, Vanished: gone},
			{Operation: "s3:GetBucketPolicyStatus", Kind: kind, Field: "PolicyStatus", Absent: []string{"NoSuchBucketPolicy"}, Vanished: gone},
			{Operation: "s3:GetBucketPolicy", Kind: kind, Field: "Policy", Absent: []string{"NoSuchBucketPolicy"}, Vanished: gone},
			{Operation: "s3:GetBucketAcl", Kind: kind, Field: "Acl", Vanished: gone},
			{Operation: "s3:GetObjectLockConfiguration", Permission: "s3:GetBucketObjectLockConfiguration", Kind: kind, Field: "ObjectLock", Absent: []string{"ObjectLockConfigurationNotFoundError"}, Vanished: gone},
			{Operation: "s3:GetBucketLifecycleConfiguration", Permission: "s3:GetLifecycleConfiguration", Kind: kind, Field: "Lifecycle", Absent: []string{"NoSuchLifecycleConfiguration"}, Vanished: gone},
			{Operation: "s3:GetBucketTagging", Kind: kind, Field: "Tags", Absent: []string{"NoSuchTagSet"}, Vanished: gone},
		},
		Sensitive: []string{"aws:Referer", "aws:UserAgent"},
	}}
}

func readBuckets(ctx context.Context, r *reader) error {
	client := s3.NewFromConfig(r.config, func(o *s3.Options) { o.UsePathStyle = r.pathStyle })
	// A page size is what makes S3 name each bucket's region in the list.
	pages := s3.NewListBucketsPaginator(client, &s3.ListBucketsInput{MaxBuckets: aws.Int32(1000)})
	return readDetailed(ctx, r, "s3:ListBuckets", pages, "Buckets", func(out *s3.ListBucketsOutput) (ids []string) {
		for _, b := range out.Buckets {
			id := ""
			if name := aws.ToString(b.Name); name != "" {
				id = "arn:" + r.partition + ":s3:::" + name
			}
			ids = append(ids, id)
		}
		return ids
	}, func(ctx context.Context, out *s3.ListBucketsOutput, i int, o *resource) {
		o.region = aws.ToString(out.Buckets[i].BucketRegion)
		readBucket(ctx, client, out.Buckets[i].Name, o)
	})
}

func readBucket(ctx context.Context, client *s3.Client, name *string, o *resource) {
	near := func(opts *s3.Options) {
		if o.region != "" {
			opts.Region = o.region
		}
	}
	encryption, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name}, near)
	o.set("s3:GetBucketEncryption", encryption, err)
	versioning, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name}, near)
	o.set("s3:GetBucketVersioning", versioning, err)
	logging, err := client.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: name}, near)
	o.set("s3:GetBucketLogging", logging, err)
	block, err := client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name}, near)
	o.set("s3:GetPublicAccessBlock", block, err)
	status, err := client.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: name}, near)
	o.set("s3:GetBucketPolicyStatus", status, err)
	policy, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: name}, near)
	o.set("s3:GetBucketPolicy", policy, err)
	acl, err := client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: name}, near)
	o.set("s3:GetBucketAcl", acl, err)
	lock, err := client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: name}, near)
	o.set("s3:GetObjectLockConfiguration", lock, err)
	lifecycle, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: name}, near)
	o.set("s3:GetBucketLifecycleConfiguration", lifecycle, err)
	tags, err := client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: name}, near)
	o.set("s3:GetBucketTagging", tags, err)
}
