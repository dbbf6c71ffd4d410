package gcp

import (
	"context"
	"fmt"

	logging "google.golang.org/api/logging/v2"

	"github.com/tallystick/tallystick/collectors"
)

const (
	loggingKind = "gcp.logging.project"
	listEntries = "logging.entries.list"
)

// entryFields are what is asked for of an entry: when it was written and by what
// kind of resource. Its payload says who did what, and is not needed.
const entryFields = "entries(insertId,logName,resource/type,timestamp),nextPageToken"

// entryPages bounds the pages that are read for one entry. Where the search has no
// time to end, a page is empty and names the next.
const entryPages = 20

// loggingEntries asks each project for the newest entry of its Admin Activity audit
// log. That none is found is an answer: nothing was changed for as long as the log
// reaches back.
//
// Limits: the quota is of 60 requests a minute in the quota project, so that many
// projects take long.
// Source: Cloud Logging API reference, entries.list; Cloud Logging, quotas and limits.
func loggingEntries(e *Estate) *collector {
	return &collector{estate: e, read: readEntries, spec: collectors.Spec{
		Name:    "gcp.logging_entries",
		Summary: "Time of the newest entry of the Admin Activity audit log of each project, without its content.",
		Kinds:   []string{loggingKind},
		Reach:   collectors.Global,
		Calls: append(assetCall("cloudasset.assets.listResource"), collectors.Call{
			Operation: listEntries, Permission: "logging.logEntries.list", Kind: loggingKind, Field: "newestActivity",
		}),
	}}
}

func readEntries(ctx context.Context, t *task) error {
	service, err := logging.NewService(ctx, t.estate.client("logging", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	return t.details(ctx, loggingKind, projectAsset, detail{listEntries, func(ctx context.Context, s subject) (found, error) {
		// A project is named by its id: where an entry was written under the number,
		// the log has it under the id. Source: Cloud Logging API reference, LogEntry, logName.
		project := "projects/" + s.data("projectId")
		return t.newest(ctx, func(ctx context.Context, token string) error {
			_, err := service.Entries.List(&logging.ListLogEntriesRequest{
				ResourceNames: []string{project},
				Filter:        fmt.Sprintf("logName=%q", project+"/logs/cloudaudit.googleapis.com%2Factivity"),
				OrderBy:       "timestamp desc",
				PageSize:      1,
				PageToken:     token,
			}).Fields(entryFields).Context(ctx).Do()
			return err
		})
	}})
}

// newest reads pages until there is an entry. No entry is null.
func (t *task) newest(ctx context.Context, next func(ctx context.Context, token string) error) (found, error) {
	var newest found
	err := t.pages(ctx, listEntries, next, func(page answer) error {
		entries, err := page.members(listEntries, "entries", "timestamp")
		if err != nil {
			return err
		}
		newest.exchanges = append(newest.exchanges, page.exchange)
		switch {
		case len(entries) > 0:
			newest.value = entries[0]
			return errEnough
		case len(newest.exchanges) == entryPages && text(page.document, "nextPageToken") != "":
			return &callError{operation: listEntries, err: &partialError{fmt.Sprintf("%d pages have no entry, and the search did not end", entryPages)}}
		}
		return nil
	})
	return newest, err
}
