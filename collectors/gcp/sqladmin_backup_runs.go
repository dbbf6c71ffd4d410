package gcp

import (
	"context"
	"slices"

	sqladmin "google.golang.org/api/sqladmin/v1"

	"github.com/tallystick/tallystick/collectors"
)

const (
	sqlInstanceAsset = "sqladmin.googleapis.com/Instance"
	sqlBackupsKind   = "gcp.sqladmin.backed_up_instance"
	listBackupRuns   = "sqladmin.backupRuns.list"
)

// backupRunPage bounds one page. The reference states no most; an instance keeps up
// to 365 automated backups. Source: Cloud SQL, backups overview, backup retention.
const backupRunPage = 100

// sqlBackupRuns asks each Cloud SQL instance which backups were made of it: when
// they ended and how. The inventory holds what is to be made.
//
// Limits: a run is listed for as long as its backup is kept. Nothing is asked
// about an instance that has none of its own: a replica, a read pool, the green
// side of a change, a database outside of Cloud SQL, and one whose backups are
// made by Backup and DR.
// Source: Cloud SQL Admin API reference, backupRuns.list.
func sqlBackupRuns(e *Estate) *collector {
	return &collector{estate: e, read: readBackupRuns, spec: collectors.Spec{
		Name:    "gcp.sqladmin_backup_runs",
		Summary: "Backup runs of each Cloud SQL instance: when they ended and how.",
		Kinds:   []string{sqlBackupsKind},
		Reach:   collectors.Global,
		Calls: append(assetCall("cloudasset.assets.listResource"), collectors.Call{
			Operation: listBackupRuns, Permission: "cloudsql.backupRuns.list", Kind: sqlBackupsKind, Field: "backupRuns",
			Vanished: []string{"instanceDoesNotExist", "notFound", "NOT_FOUND"},
		}),
		Sensitive: assetSecrets(),
	}}
}

func readBackupRuns(ctx context.Context, t *task) error {
	service, err := sqladmin.NewService(ctx, t.estate.client("sqladmin", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	return t.details(ctx, sqlBackupsKind, sqlInstanceAsset, detail{listBackupRuns, func(ctx context.Context, s subject) (found, error) {
		if !backedUp(s) {
			return found{}, errNotAsked
		}
		return t.list(ctx, listBackupRuns, "items", "id", func(ctx context.Context, token string) error {
			_, err := service.BackupRuns.List(s.data("project"), s.data("name")).MaxResults(backupRunPage).Context(ctx).Do(after(token)...)
			return err
		})
	}})
}

// backedUp says whether Cloud SQL itself makes the backups of an instance, as far
// as is known: one of a type or tier that is not known here is asked.
// Source: Cloud SQL Admin API reference, instances, instanceType and backupTier.
func backedUp(s subject) bool {
	without := []string{"READ_REPLICA_INSTANCE", "READ_POOL_INSTANCE", "ON_PREMISES_INSTANCE", "GREEN_INSTANCE"}
	tier := s.data("settings", "backupConfiguration", "backupTier")
	return !slices.Contains(without, s.data("instanceType")) && tier != "ENHANCED" && tier != "ADVANCED"
}
