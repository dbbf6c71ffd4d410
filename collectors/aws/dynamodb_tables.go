package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/tallystick/tallystick/collectors"
)

// dynamodbTables reads how tables are configured, never an item.
func dynamodbTables(e *Estate) *collector {
	const kind = "aws.dynamodb.table"
	return &collector{estate: e, read: readTables, spec: collectors.Spec{
		Name:    "aws.dynamodb_tables",
		Summary: "DynamoDB tables: encryption and its key, point-in-time recovery, deletion protection, tags.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "dynamodb:ListTables", Kind: kind},
			{Operation: "dynamodb:DescribeTable", Kind: kind, Field: "Table", Vanished: []string{"ResourceNotFoundException"}},
			{Operation: "dynamodb:DescribeContinuousBackups", Kind: kind, Field: "ContinuousBackups", Vanished: []string{"TableNotFoundException"}},
			{Operation: "dynamodb:ListTagsOfResource", Kind: kind, Field: "Tags", Vanished: []string{"ResourceNotFoundException"}},
		},
	}}
}

func readTables(ctx context.Context, r *reader) error {
	client := dynamodb.NewFromConfig(r.config, func(o *dynamodb.Options) {
		// The SDK only logs a checksum that does not match, and takes one that
		// is not there for 0. What AWS sent is in the exchange.
		o.DisableValidateResponseChecksum = true
	})
	pages := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{Limit: aws.Int32(100)})
	err := readPages(ctx, r, pages, func(out *dynamodb.ListTablesOutput, list page) error {
		for _, name := range out.TableNames {
			// A list of names is no body: what is known comes from the calls below.
			o := r.resource("aws.dynamodb.table", r.arn("dynamodb", "table/"+name), list, nil)
			if err := r.each(ctx, func() error {
				readTable(ctx, client, name, o)
				return o.emit(ctx)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.dynamodb.table")
	}
	return err
}

func readTable(ctx context.Context, client *dynamodb.Client, name string, o *resource) {
	table, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	o.setMember("dynamodb:DescribeTable", "Table", table, err)
	backups, err := client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	o.set("dynamodb:DescribeContinuousBackups", backups, err)
	in := &dynamodb.ListTagsOfResourceInput{ResourceArn: &o.id}
	o.setPages("dynamodb:ListTagsOfResource", "Tags", func() (any, bool, error) {
		out, err := client.ListTagsOfResource(ctx, in)
		if err != nil {
			return nil, false, err
		}
		in.NextToken = out.NextToken
		return out, aws.ToString(out.NextToken) != "", nil
	})
}
