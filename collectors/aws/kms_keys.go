package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/tallystick/tallystick/collectors"
)

// kmsKeys reads every KMS key of a region, the keys that AWS manages too: what
// a key is, and whether its rotation matters, is for a check to say. That is
// why the rotation of every key is asked for.
//
// Two errors to that question are answers. UnsupportedOperationException:
// keys of this sort have no rotation. KMSInvalidStateException: a key in this
// state, such as one pending deletion, has none; Metadata holds the state.
// Source: KMS developer guide, key states of KMS keys.
func kmsKeys(e *Estate) *collector {
	const kind = "aws.kms.key"
	gone := []string{"NotFoundException"}
	return &collector{estate: e, read: readKeys, spec: collectors.Spec{
		Name:    "aws.kms_keys",
		Summary: "KMS keys: manager, state, specification, origin and rotation.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "kms:ListKeys", Kind: kind},
			{Operation: "kms:DescribeKey", Kind: kind, Field: "Metadata", Vanished: gone},
			{Operation: "kms:GetKeyRotationStatus", Kind: kind, Field: "Rotation", Absent: []string{"UnsupportedOperationException", "KMSInvalidStateException"}, Vanished: gone},
		},
	}}
}

func readKeys(ctx context.Context, r *reader) error {
	client := kms.NewFromConfig(r.config)
	pages := kms.NewListKeysPaginator(client, &kms.ListKeysInput{Limit: aws.Int32(1000)})
	err := readPages(ctx, r, pages, func(out *kms.ListKeysOutput, list page) error {
		for i, k := range out.Keys {
			if aws.ToString(k.KeyArn) == "" {
				return unidentified("kms:ListKeys", "Keys", i)
			}
			o := r.resource("aws.kms.key", *k.KeyArn, list, list.item("Keys", i))
			if err := r.each(ctx, func() error {
				readKey(ctx, client, k.KeyArn, o)
				return o.emit(ctx)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.kms.key")
	}
	return err
}

func readKey(ctx context.Context, client *kms.Client, arn *string, o *resource) {
	description, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: arn})
	o.setMember("kms:DescribeKey", "KeyMetadata", description, err)
	rotation, err := client.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: arn})
	o.set("kms:GetKeyRotationStatus", rotation, err)
}
