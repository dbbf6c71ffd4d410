package period

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// coverage derives the due slots from the schedules that were in force, and
// says how each ended.
type coverage struct {
	f       *Fold
	end     time.Time // slots from here on are not due yet
	streams map[evidence.Stream]*StreamCoverage
	holes   []Hole
}

// dayOf gives the index of the day that holds t, clamped to the window.
func dayOf(days []Day, t time.Time) int {
	i := sort.Search(len(days), func(i int) bool { return days[i].To.After(t) })
	return min(i, len(days)-1)
}

// slots goes through every stream.
func (c *coverage) slots() error {
	if !c.end.After(c.f.w.From) {
		return nil // nothing was due yet
	}
	keys := map[evidence.Stream]bool{}
	for key, s := range c.f.streams {
		keys[key] = len(s.covers) > 0 || s.runs > 0
	}
	for _, of := range c.f.forces {
		for key := range of.streams {
			keys[key] = true
		}
	}
	for key, known := range keys {
		if !known || !c.f.concerned(c.f.kinds[key.Collector]) {
			continue
		}
		if err := c.stream(key); err != nil {
			return err
		}
	}
	return nil
}

// span is a time in which one force held for a stream: after < slot <= until.
type span struct {
	force
	expr         string
	after, until time.Time
	off          string // why nothing was due; empty: it was scheduled
}

// spans gives the forces within the window, for one stream.
func (c *coverage) spans(key evidence.Stream) []span {
	var out []span
	first, last := c.f.w.From.Add(-1), c.end.Add(-1)
	if len(c.f.forces) == 0 {
		return []span{{after: first, until: last, off: CauseNoLedger}}
	}
	if since := c.f.forces[0].since; since.After(c.f.w.From) {
		out = append(out, span{after: first, until: min2(since, last), off: CauseNoLedger})
	}
	for i, of := range c.f.forces {
		s := span{force: of, after: max2(of.since, first), until: last, off: CauseNotInScope}
		if i+1 < len(c.f.forces) {
			s.until = min2(c.f.forces[i+1].since, last)
		}
		if !s.until.After(s.after) {
			continue
		}
		if of.hasScope(key.Scope) {
			s.off = CauseCollector
		}
		if expr, ok := of.streams[key]; ok {
			s.expr, s.off = expr, ""
		}
		out = append(out, s)
	}
	return out
}

func max2(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (c *coverage) stream(key evidence.Stream) error {
	s := c.f.streams[key]
	if s == nil {
		s = &streamFold{outcomes: map[string]int{}}
	}
	out := &StreamCoverage{Stream: key, Days: make([]Tally, len(c.f.days)), Newest: s.newest, Runs: s.runs, Outcomes: s.outcomes}
	c.streams[key] = out
	w := walk{coverage: c, stream: out, covers: slices.Clone(s.covers)}
	slices.SortStableFunc(w.covers, func(a, b cover) int { return cmp.Compare(a.first, b.first) })
	if c.f.w.AsOf {
		w.newest()
		c.holes = append(c.holes, w.holes...)
		return nil
	}
	for _, sp := range c.spans(key) {
		if sp.off != "" {
			w.off(sp)
			continue
		}
		out.Schedule = sp.expr
		sched, err := schedule.Parse(sp.expr, sp.zone)
		if err != nil {
			return fmt.Errorf("schedule of %s in record %d: %w", key, sp.record, err)
		}
		w.under(sp.force)
		for slot := range sched.Between(sp.after, sp.until) {
			w.due(sched, slot)
		}
	}
	for _, at := range s.catchUps {
		if at.Before(c.end) {
			out.Days[dayOf(c.f.days, at)].CatchUps++
			out.Total.CatchUps++
		}
	}
	c.holes = append(c.holes, w.holes...)
	return nil
}

// unsupplied finds the kinds that a check of the newest catalogue reads and no
// schedule of the window has a collector for.
func (c *coverage) unsupplied() {
	type key struct{ provider, kind string }
	supplied, wanted := map[key]bool{}, map[key][]string{}
	providers := map[string]bool{}
	for _, of := range c.f.forces {
		for _, collector := range of.schedule.Collectors {
			for _, kind := range collector.Kinds {
				supplied[key{collector.Provider, kind}] = true
			}
		}
		for _, scope := range of.schedule.Scopes {
			providers[scope.Provider] = true
		}
	}
	if len(c.f.forces) == 0 || !c.end.After(c.f.w.From) {
		return
	}
	for _, control := range c.f.forces[len(c.f.forces)-1].catalogue.controls {
		for _, check := range control.Checks {
			for _, kind := range check.Reads {
				if k := (key{check.Provider, kind}); !supplied[k] && providers[check.Provider] {
					wanted[k] = append(wanted[k], check.ID)
				}
			}
		}
	}
	for k, checks := range wanted {
		slices.Sort(checks)
		c.holes = append(c.holes, Hole{
			Stream: evidence.Stream{Scope: evidence.Scope{Provider: k.provider}}, Cause: CauseNotSupplied,
			First: c.f.w.From, Last: c.end, Kinds: []string{k.kind}, Detail: "read by " + strings.Join(slices.Compact(checks), ", "),
		})
	}
}

// sorted gives the streams and the holes in their order.
func (c *coverage) sorted() ([]StreamCoverage, []Hole) {
	streams := make([]StreamCoverage, 0, len(c.streams))
	for _, s := range c.streams {
		streams = append(streams, *s)
	}
	slices.SortFunc(streams, func(a, b StreamCoverage) int { return compareStreams(a.Stream, b.Stream) })
	slices.SortFunc(c.holes, func(a, b Hole) int {
		return cmp.Or(compareStreams(a.Stream, b.Stream), a.First.Compare(b.First), cmp.Compare(a.Cause, b.Cause),
			cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Permission, b.Permission), slices.Compare(a.Kinds, b.Kinds))
	})
	return streams, c.holes
}
