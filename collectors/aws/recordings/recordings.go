// Package recordings holds what the AWS APIs answer about a made-up estate of
// two accounts, as the HAR files that capture writes and replays.
//
// The same files are the fixtures of the collectors' tests and the estate of
// the demo. They are written from the API reference: each entry's comment
// names the page. They are not evidence of anything.
//
// ACCOUNT/common.har holds the calls that every collector makes, ACCOUNT/NAME.har
// those of the collector NAME, and changes/*.har answers that the demo puts in
// the place of others after some time.
package recordings

import (
	"embed"
	"io"
	"io/fs"
	"time"
)

//go:embed 111122223333 444455556666 changes
var files embed.FS

// FS gives the files.
func FS() fs.FS { return files }

// Accounts gives the ids of the accounts of the estate.
func Accounts() []string { return []string{"111122223333", "444455556666"} }

// At is the time at which the estate is as recorded.
func At() time.Time { return time.Date(2026, 6, 30, 6, 17, 0, 0, time.UTC) }

// Open gives the files for one collector in one account, for a replay.
func Open(account, collector string) ([]io.Reader, error) {
	var out []io.Reader
	for _, name := range []string{"common", collector} {
		f, err := files.Open(account + "/" + name + ".har")
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}
