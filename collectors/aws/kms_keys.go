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
	return readDetailed(ctx, r, "kms:ListKeys", pages, "Keys", func(out *kms.ListKeysOutput) (ids []string) {
		for _, k := range out.Keys {
			ids = append(ids, aws.ToString(k.KeyArn))
		}
		return ids
	}, func(ctx context.Context, out *kms.ListKeysOutput, i int, o *resource) {
		k := out.Keys[i]
		readKey(ctx, client, k.KeyArn, o)
	})
}

func readKey(ctx context.Context, client *kms.Client, arn *string, o *resource) {
	description, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: arn})
	o.setMember("kms:DescribeKey", "KeyMetadata", description, err)
	rotation, err := client.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: arn})
	o.set("kms:GetKeyRotationStatus", rotation, err)
}
