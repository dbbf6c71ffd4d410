package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/agent"
)

// cause is a sort of gap of one run, with what was said of the first of them.
type cause struct {
	evidence.GapCount
	Message string `json:"message,omitempty"`
}

// String gives one line for people. The message of a refusal is left out: it
// says again what permission is missing, at length.
func (c cause) String() string {
	s := c.GapCount.String()
	if c.Message == "" || c.Class == evidence.Denied && c.Permission != "" {
		return s
	}
	return s + ": " + c.Message
}

// maxGaps bounds the gaps that are read for their messages: 64 MiB of them.
const maxGaps = 64 << 20

// causesOf gives the causes of the gaps of each run by the index of its record.
// Records only count gaps; what was said is in their payloads.
func causesOf(ctx context.Context, dir string, results []agent.Result) (map[uint64][]cause, error) {
	out := make(map[uint64][]cause)
	for _, r := range results {
		if r.Err != nil || r.Run == nil {
			continue
		}
		for _, g := range r.Run.Gaps {
			out[r.Record] = append(out[r.Record], cause{GapCount: g})
		}
	}
	if len(out) == 0 {
		return out, nil
	}
	state, err := agent.ReadState(ctx, dir, nil)
	if err != nil {
		return nil, fmt.Errorf("read back what was sealed: %w", err)
	}
	store := payload.OpenRead(dir)
	for _, stream := range state.Streams {
		run := stream.Newest
		if run == nil || run.GapsPayload == "" || len(out[run.Record]) == 0 {
			continue
		}
		raw, err := store.ReadAll(run.GapsPayload, maxGaps)
		if err != nil {
			return nil, fmt.Errorf("read gaps of record %d: %w", run.Record, err)
		}
		if err := addMessages(out[run.Record], raw); err != nil {
			return nil, fmt.Errorf("read gaps of record %d: %w", run.Record, err)
		}
	}
	return out, nil
}

// addMessages gives each cause the message of the first gap of its sort.
func addMessages(causes []cause, gaps []byte) error {
	d := json.NewDecoder(bytes.NewReader(gaps))
	for {
		var g evidence.Gap
		err := d.Decode(&g)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range causes {
			c := &causes[i]
			if c.Message == "" && c.Operation == g.Operation && c.Class == g.Class && c.Code == g.Code && c.Permission == g.Permission && c.Policy == g.Policy {
				c.Message = strings.Join(strings.Fields(g.Message), " ")
			}
		}
	}
}
