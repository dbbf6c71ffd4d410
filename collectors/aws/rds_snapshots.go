package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/tallystick/tallystick/collectors"
)

// rdsSnapshots reads the snapshots of DB instances and of DB clusters that the
// account owns, and the automated backups of DB instances. Snapshots of
// DocumentDB and Neptune clusters answer on the same API.
//
// With whom a snapshot is shared is asked of manual ones only: others can not
// be shared, and have to be copied to a manual one first. Source: RDS user
// guide, "Sharing a DB snapshot"; API_DescribeDBSnapshotAttributes, "for a
// manual DB snapshot".
func rdsSnapshots(e *Estate) *collector {
	const kind, cluster, automated = "aws.rds.snapshot", "aws.rds.cluster_snapshot", "aws.rds.automated_backup"
	return &collector{estate: e, read: readDatabaseSnapshots, spec: collectors.Spec{
		Name:    "aws.rds_snapshots",
		Summary: "Snapshots of DB instances and clusters, and automated backups of instances: encryption, dates, with whom manual snapshots are shared.",
		Kinds:   []string{kind, cluster, automated},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "rds:DescribeDBSnapshots", Kind: kind},
			{Operation: "rds:DescribeDBSnapshotAttributes", Kind: kind, Field: "Attributes", Vanished: []string{"DBSnapshotNotFound"}},
			{Operation: "rds:DescribeDBClusterSnapshots", Kind: cluster},
			{Operation: "rds:DescribeDBClusterSnapshotAttributes", Kind: cluster, Field: "Attributes", Vanished: []string{"DBClusterSnapshotNotFoundFault"}},
			{Operation: "rds:DescribeDBInstanceAutomatedBackups", Kind: automated},
		},
	}}
}

// manualSnapshot is the type of the snapshots that the API tells sharing of.
const manualSnapshot = "manual"

func readDatabaseSnapshots(ctx context.Context, r *reader) error {
	for _, read := range []func(context.Context, *reader) error{readDBSnapshots, readDBClusterSnapshots, readAutomatedBackups} {
		if _, err := r.apart(ctx, read); err != nil {
			return err
		}
	}
	return nil
}

// readDBSnapshots asks twice: the list of every type is documented to hold
// automated and manual snapshots, and does not say whether those of AWS Backup
// are among them. Source: API_DescribeDBSnapshots, SnapshotType.
func readDBSnapshots(ctx context.Context, r *reader) error {
	client := rds.NewFromConfig(r.config)
	seen := make(map[string]bool) // those of AWS Backup
	for _, of := range []*string{aws.String("awsbackup"), nil} {
		pages := rds.NewDescribeDBSnapshotsPaginator(client, &rds.DescribeDBSnapshotsInput{SnapshotType: of, MaxRecords: aws.Int32(100)})
		err := readPages(ctx, r, pages, func(out *rds.DescribeDBSnapshotsOutput, p page) error {
			for i, s := range out.DBSnapshots {
				arn := aws.ToString(s.DBSnapshotArn)
				if arn == "" {
					return unidentified("rds:DescribeDBSnapshots", "DBSnapshots", i)
				}
				if seen[arn] {
					continue
				}
				seen[arn] = of != nil
				o := r.resource("aws.rds.snapshot", arn, p, p.item("DBSnapshots", i))
				if err := r.each(ctx, func() error { return readDBSnapshot(ctx, client, s, o) }); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	r.listed("aws.rds.snapshot")
	return nil
}

func readDBSnapshot(ctx context.Context, client *rds.Client, s types.DBSnapshot, o *resource) error {
	if aws.ToString(s.SnapshotType) == manualSnapshot {
		shared, err := client.DescribeDBSnapshotAttributes(ctx, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: s.DBSnapshotIdentifier})
		o.setMember("rds:DescribeDBSnapshotAttributes", "DBSnapshotAttributesResult", shared, err)
	}
	return o.emit(ctx)
}

func readDBClusterSnapshots(ctx context.Context, r *reader) error {
	client := rds.NewFromConfig(r.config)
	pages := rds.NewDescribeDBClusterSnapshotsPaginator(client, &rds.DescribeDBClusterSnapshotsInput{MaxRecords: aws.Int32(100)})
	return readDetailed(ctx, r, "rds:DescribeDBClusterSnapshots", pages, "DBClusterSnapshots", func(out *rds.DescribeDBClusterSnapshotsOutput) (ids []string) {
		for _, s := range out.DBClusterSnapshots {
			ids = append(ids, aws.ToString(s.DBClusterSnapshotArn))
		}
		return ids
	}, func(ctx context.Context, out *rds.DescribeDBClusterSnapshotsOutput, i int, o *resource) {
		if s := out.DBClusterSnapshots[i]; aws.ToString(s.SnapshotType) == manualSnapshot {
			shared, err := client.DescribeDBClusterSnapshotAttributes(ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: s.DBClusterSnapshotIdentifier})
			o.setMember("rds:DescribeDBClusterSnapshotAttributes", "DBClusterSnapshotAttributesResult", shared, err)
		}
	})
}

// readAutomatedBackups reads those of current instances, and those of deleted
// ones that are retained. The reference knows an ARN for replicated backups
// only; another is known by the resource id of its instance.
func readAutomatedBackups(ctx context.Context, r *reader) error {
	pages := rds.NewDescribeDBInstanceAutomatedBackupsPaginator(rds.NewFromConfig(r.config), &rds.DescribeDBInstanceAutomatedBackupsInput{MaxRecords: aws.Int32(100)})
	return readMembers(ctx, r, "rds:DescribeDBInstanceAutomatedBackups", pages, "DBInstanceAutomatedBackups", func(out *rds.DescribeDBInstanceAutomatedBackupsOutput) (ids []string) {
		for _, b := range out.DBInstanceAutomatedBackups {
			id := aws.ToString(b.DBInstanceAutomatedBackupsArn)
			if id == "" {
				id = aws.ToString(b.DbiResourceId)
			}
			ids = append(ids, id)
		}
		return ids
	})
}
