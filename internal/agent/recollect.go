package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// This file is the way from a collector to payloads, and from payloads to
// verdicts, for whoever goes it a second time over what was recorded. The
// agent goes the same way.

// Blob takes the bytes of one payload: a payload.Writer does. It is ended by
// Commit or Abort.
type Blob interface {
	io.Writer
	Commit() (evidence.Digest, int64, error)
	Abort() error
}

// createFunc begins the payload of that name.
type createFunc = func(name string) (Blob, error)

// Recollect runs a collector and writes its observations and gaps, line by
// line in their order, into the payloads that create begins. It fills in what
// a run record says of them, except Calls and ClockOffset, which capture
// knows. Temporary files are made in dir.
//
// The error is for a collection of which nothing can be said: ctx ended, or
// create or a payload failed.
func Recollect(ctx context.Context, c collectors.Collector, in collectors.Input, dir string, create func(name string) (Blob, error), run *evidence.Run) ([]evidence.Subject, error) {
	got := newCollected(c.Spec(), dir)
	failure := collectSafely(ctx, c, in, got, zap.NewNop())
	if ctx.Err() != nil {
		_ = got.discard() // nothing of it is wanted
		return nil, context.Cause(ctx)
	}
	return got.finish(failure, create, run)
}

// Judge evaluates the checks that which names and writes the verdicts to w, one
// JSON object a line, sorted by check, region and resource. Each is handed to
// each, too.
func Judge(ctx context.Context, c *checks.Catalogue, in checks.Input, which []string, w io.Writer, each func(evidence.Verdict)) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	err := c.Evaluate(ctx, in, which, func(v evidence.Verdict) error {
		each(v)
		return encoder.Encode(v)
	})
	if err != nil {
		return fmt.Errorf("evaluate checks: %w", err)
	}
	return nil
}

// Look is a run that an assessment is made from. Of Run, Finished and the
// payloads count alone.
type Look struct {
	evidence.Used
	Run   *RunState
	Kinds []string // that its collector supplies
}

// SortLooks puts looks into the order in which an assessment names them.
func SortLooks(looks []Look) {
	slices.SortFunc(looks, func(a, b Look) int {
		if c := strings.Compare(a.Stream, b.Stream); c != 0 || a.Organization == b.Organization {
			return c
		}
		if a.Organization {
			return 1
		}
		return -1
	})
}

// Facts fills in what rules see of runs, in the order of the looks.
func Facts(store *payload.Store, looks []Look, in *checks.Input) error {
	if in.Kinds == nil {
		in.Kinds = make(map[string]checks.Facts)
	}
	if in.Organization == nil {
		in.Organization = make(map[string][]checks.Facts)
	}
	for _, look := range looks {
		gaps, err := look.Run.gaps(store)
		if err != nil {
			return fmt.Errorf("read gaps of record %d: %w", look.Record, err)
		}
		for _, kind := range look.Kinds {
			facts := checks.Facts{Observations: Observations(store, look.Run.Observations, kind), Gaps: gaps, At: look.Run.Finished}
			if look.Organization {
				in.Organization[kind] = append(in.Organization[kind], facts)
			} else {
				in.Kinds[kind] = facts
			}
		}
	}
	return nil
}
