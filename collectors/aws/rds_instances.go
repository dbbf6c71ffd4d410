package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/tallystick/tallystick/collectors"
)

// rdsInstances reads the database instances of RDS and Aurora, and those of
// DocumentDB and Neptune, which answer on the same API.
func rdsInstances(e *Estate) *collector {
	const kind = "aws.rds.instance"
	return &collector{estate: e, read: readDBInstances, spec: collectors.Spec{
		Name:    "aws.rds_instances",
		Summary: "Database instances of RDS, Aurora, DocumentDB and Neptune: encryption, backups, exposure, deletion protection.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls:   []collectors.Call{{Operation: "rds:DescribeDBInstances", Kind: kind}},
		// RDS answers a pending change of the password masked; it is taken out
		// all the same.
		Sensitive: []string{"MasterUserPassword"},
	}}
}

func readDBInstances(ctx context.Context, r *reader) error {
	pages := rds.NewDescribeDBInstancesPaginator(rds.NewFromConfig(r.config), &rds.DescribeDBInstancesInput{MaxRecords: aws.Int32(100)})
	return readMembers(ctx, r, "rds:DescribeDBInstances", pages, "DBInstances", func(out *rds.DescribeDBInstancesOutput) (ids []string) {
		for _, db := range out.DBInstances {
			ids = append(ids, aws.ToString(db.DBInstanceArn))
		}
		return ids
	})
}
