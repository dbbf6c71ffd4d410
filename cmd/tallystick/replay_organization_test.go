package main

import (
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/replay"
)

// A member that was judged by what the account that answers for its organisation
// saw, weeks ago as it may be, is judged by that again: from the data directory,
// by another catalogue, and from a bundle of a later day, which carries it in.
func TestReplayOfOrganization(t *testing.T) {
	t.Parallel()
	const central, member = "111122223333", "444455556666"
	d := &demo{out: io.Discard, err: io.Discard, days: 2}
	if err := d.prepare(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	start := recordedAt().Add(2 * time.Minute)
	options, err := d.wire(t.Context(), agent.NewSimulatedClock(start), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	p := &options.Providers[0]
	p.Central, p.Listing = []string{central}, []string{central}
	daily := options.ScheduleFor
	options.ScheduleFor = func(collector string) string {
		switch collector {
		case "aws.organizations_accounts":
			return "@yearly" // it is looked at once, at the start
		case "aws.organizations_membership", "aws.account_regions", "aws.cloudtrail_trails":
			return daily(collector)
		}
		return ""
	}
	a, err := agent.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	err = a.RunUntil(t.Context(), start.Add(48*time.Hour))
	if err = errors.Join(err, a.Close(t.Context(), "done")); err != nil {
		t.Fatal(err)
	}

	stood := make(map[uint64]bool) // the listings by which the member was judged on the second day
	for statement, err := range statements(d.evidenceDir(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		predicate, err := evidence.Decode(statement)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := predicate.(*evidence.Assessment)
		if !ok || r.Account != member || r.Evaluated.Before(start.Add(12*time.Hour)) {
			continue
		}
		for _, u := range r.Used {
			if u.Organization && u.Stream == "aws.organizations_accounts@aws/"+central && u.Slot.Before(start.Add(time.Hour)) {
				stood[u.Record] = true
			}
		}
	}
	if len(stood) != 1 {
		t.Fatalf("the member was judged by the listings in records %v, want one", stood)
	}
	from, _, err := replay.Directory(d.evidenceDir())
	if err != nil {
		t.Fatal(err)
	}
	wantAgain(t, from, start)

	out := filepath.Join(d.dir, "bundle")
	for _, args := range [][]string{
		{"export", "-c", d.configFile(), "--from", "2026-07-01", "--to", "2026-07-01", "--out", out},
		{"verify", "--key", d.signer.VerifierKey(), out},
	} {
		if code := run(t.Context(), args); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
	}
	b, err := bundle.Open(t.Context(), out, bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range b.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		delete(stood, e.Index)
	}
	if len(stood) > 0 {
		t.Errorf("the bundle lacks the listing in record %v, by which the member was judged", stood)
	}
	wantAgain(t, replay.Source{Entries: b.Entries(), Payloads: b.Payloads()}, start)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantAgain performs evidence again, and judges it again by the same catalogue:
// every byte is the same, and nothing changes.
func wantAgain(t *testing.T, from replay.Source, start time.Time) {
	t.Helper()
	r, err := replay.Run(t.Context(), from, replay.Options{Collector: again, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Runs.Total == 0 || r.Runs.Same != r.Runs.Total || r.Assessments.Total == 0 || r.Assessments.Same != r.Assessments.Total {
		t.Errorf("runs %+v, assessments %+v: %+v", r.Runs, r.Assessments, r.Differences)
	}
	c, err := loadCatalogue(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []replay.ReassessOptions{{Catalogue: c}, {Catalogue: c, From: start}} {
		r, err := replay.Reassess(t.Context(), from, o)
		if err != nil || r.Assessments == 0 || r.Same == 0 || r.Changed > 0 || len(r.NotPerformed) > 0 {
			t.Errorf("judged again from %s: %+v, %v", o.From, r, err)
		}
	}
}
