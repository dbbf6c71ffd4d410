// Package recordings holds what Google's APIs answer about a made-up estate: an
// organisation with a folder, two projects and its Workspace domain, and a
// project that stands alone, as the HAR files that capture writes and replays.
//
// The same files are the fixtures of the collectors' tests and the estate of
// the demo. No emulator of a third party covers these facts. They were written by
// hand, from no real organisation: each entry's comment names the page of its call,
// assets.tsv that of what an asset of each type holds, and a test holds every
// member, type and enumeration against Google's discovery documents. Which of them
// occur together, no test can say. They are not evidence of anything.
//
// FOLDER/NAME.har holds the calls of the collector NAME in a scope, whose name is
// the folder's with "/" for the first "-" after organizations.
package recordings

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

//go:embed organizations-123456789012 example-solo assets.tsv
var files embed.FS

// FS gives the files.
func FS() fs.FS { return files }

// Accounts gives the scopes of the estate.
func Accounts() []string { return []string{"example-solo", "organizations/123456789012"} }

// Folder gives the folder of a scope.
func Folder(account string) string { return strings.ReplaceAll(account, "/", "-") }

// At is the time at which the estate is as recorded.
func At() time.Time { return time.Date(2026, 6, 30, 6, 17, 0, 0, time.UTC) }

// Open gives the files for one collector in one scope, for a replay.
func Open(account, collector string) ([]io.Reader, error) {
	f, err := files.Open(Folder(account) + "/" + collector + ".har")
	if err != nil {
		return nil, fmt.Errorf("recording of %s: %w", account, err)
	}
	return []io.Reader{f}, nil
}
