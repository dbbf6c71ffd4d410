package gcp

import (
	"context"

	admin "google.golang.org/api/admin/directory/v1"

	"github.com/tallystick/tallystick/collectors"
)

const listUnits = "directory.orgunits.list"

// directoryOrgUnits reads the organisational units of the Workspace or Cloud
// Identity domain, the root among them. Policies name a unit by its id and users
// by its path; a unit has both. The list comes in one answer.
// Source: Admin SDK, Directory API reference, orgunits.list.
func directoryOrgUnits(e *Estate) *collector {
	return &collector{estate: e, read: readUnits, spec: collectors.Spec{
		Name:    "gcp.directory_org_units",
		Summary: "Organisational units of the Workspace or Cloud Identity domain, with their ids and paths.",
		Kinds:   []string{unitKind},
		Reach:   collectors.Organization,
		Calls:   []collectors.Call{{Operation: listUnits, Permission: unitsScope, Kind: unitKind}},
	}}
}

const unitKind = "gcp.directory.org_unit"

func readUnits(ctx context.Context, t *task) error {
	domain := t.workspace()
	if domain == nil {
		return nil
	}
	service, err := admin.NewService(ctx, t.estate.client("directory", t, t.estate.identity.delegated[unitsScope])...)
	if err != nil {
		return errRunner{err}
	}
	return domainList{unitKind, listUnits, "organizationUnits", "orgUnitId", func(ctx context.Context, token string) error {
		if token != "" {
			return malformed(listUnits, "the answer names a further page, for which the call has no parameter")
		}
		_, err := service.Orgunits.List(domain.Customer).Type("allIncludingParent").Context(ctx).Do()
		return err
	}}.read(ctx, t)
}
