package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/tallystick/tallystick/collectors"
)

// rdsClusters reads the database clusters of Aurora and Multi-AZ RDS, and
// those of DocumentDB and Neptune, which answer on the same API.
func rdsClusters(e *Estate) *collector {
	const kind = "aws.rds.cluster"
	return &collector{estate: e, read: readDBClusters, spec: collectors.Spec{
		Name:      "aws.rds_clusters",
		Summary:   "Database clusters of Aurora, RDS, DocumentDB and Neptune: encryption, backups, deletion protection.",
		Kinds:     []string{kind},
		Reach:     collectors.Regional,
		Calls:     []collectors.Call{{Operation: "rds:DescribeDBClusters", Kind: kind}},
		Sensitive: []string{"MasterUserPassword"},
	}}
}

func readDBClusters(ctx context.Context, r *reader) error {
	pages := rds.NewDescribeDBClustersPaginator(rds.NewFromConfig(r.config), &rds.DescribeDBClustersInput{MaxRecords: aws.Int32(100)})
	return readMembers(ctx, r, "rds:DescribeDBClusters", pages, "DBClusters", func(out *rds.DescribeDBClustersOutput) (ids []string) {
		for _, db := range out.DBClusters {
			ids = append(ids, aws.ToString(db.DBClusterArn))
		}
		return ids
	})
}
