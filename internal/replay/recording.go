package replay

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/capture"
)

// Recording is what a run record and its exchanges say of how its calls came
// to be what they are.
type Recording struct {
	evidence.Task
	Principal string
	// Regions are those that the collector was told to look at, sorted. When
	// it was told to look at every enabled one, they are those.
	Regions  []string
	Attempts int      // the most that were made for one call
	Hosts    []string // that answered, sorted
	First    string   // the URL of the first exchange; empty: there was none
	// LeftOut gives the projects that were not looked at by the schedule in force
	// then. The schedule may not be in this evidence: only who needs it asks.
	LeftOut func() ([]string, error)
}

// Collector is a collector made for one recording. A nil Collector is one that
// this version of the program does not have.
type Collector struct {
	collectors.Collector
	Describe func(*http.Request) capture.Labels
}

// recording is the exchanges of one run, opened.
type recording struct {
	Recording
	replayer *capture.Replayer
	entries  map[string]*capture.Entry // by id
	hosts    map[[2]string][]*url.URL  // by service and region: scheme and host, distinct
	paths    map[[2]string][]string    // by service and region, distinct
}

// openRecording reads the exchanges of a run.
func openRecording(store *payload.Store, r *evidence.Run, s evidence.Statement, sensitive []string, describe func(*http.Request) capture.Labels) (_ *recording, err error) {
	var files []io.Reader
	for n := 1; ; n++ {
		name := fmt.Sprintf(evidence.PayloadExchanges, n)
		d, ok := s.Payload(name)
		if !ok {
			break
		}
		f, err := store.Open(d)
		if err != nil {
			return nil, absent(name, err)
		}
		defer func() { _ = f.Close() }() // read-only, and its digest was checked at its end
		files = append(files, f)
	}
	out := &recording{entries: make(map[string]*capture.Entry), hosts: make(map[[2]string][]*url.URL), paths: make(map[[2]string][]string)}
	if out.replayer, err = capture.OpenReplay(capture.ReplayOptions{Describe: describe, Sensitive: sensitive}, files...); err != nil {
		return nil, err
	}
	out.Task, out.Principal, out.Regions, out.Attempts = r.Task, r.Principal, slices.Clone(r.Regions), 1
	for _, e := range out.replayer.Entries() {
		out.entries[e.ID] = e
		out.Attempts = max(out.Attempts, e.Attempt)
		if out.First == "" {
			out.First = e.Request.URL
		}
		u, path, err := split(e.Request.URL)
		if err != nil {
			return nil, fmt.Errorf("exchange %s: %w", e.ID, err)
		}
		at := [2]string{e.Service, e.Region}
		if !slices.Contains(out.paths[at], path) {
			out.paths[at] = append(out.paths[at], path)
		}
		if !slices.ContainsFunc(out.hosts[at], func(have *url.URL) bool { return *have == *u }) {
			out.hosts[at] = append(out.hosts[at], u)
		}
		out.Hosts = append(out.Hosts, u.Host)
	}
	slices.Sort(out.Hosts)
	out.Hosts = slices.Compact(out.Hosts)
	return out, nil
}

// leftOut gives what of the provider was not looked at by the schedule in force
// at a run, sorted.
func (p *performer) leftOut(r *evidence.Run) ([]string, error) {
	s, err := p.ledger.schedule(r.ConfigurationDigest)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(s.LeftOut(r.Provider))), nil
}

// regions gives those that a collector was told to look at: those that it
// looked at, and those that it found disabled.
func (p *performer) regions(r *evidence.Run, s evidence.Statement) ([]string, error) {
	regions := slices.Clone(r.Regions)
	d, ok := s.Payload(evidence.PayloadGaps)
	if !ok {
		return regions, nil
	}
	f, err := p.store.Open(d)
	if err != nil {
		return nil, absent(evidence.PayloadGaps, err)
	}
	gaps := newComparison(evidence.PayloadGaps, f, func(gap, _ *line) {
		if gap.Class == evidence.Disabled && gap.Region != "" && gap.Resource == "" && gap.Field == "" {
			regions = append(regions, gap.Region)
		}
	})
	if _, _, err := gaps.Commit(); err != nil {
		return nil, err
	}
	slices.Sort(regions)
	return slices.Compact(regions), nil
}
