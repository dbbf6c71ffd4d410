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
	if since := c.f.forces[0].since; since.After(first) {
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
	slices.SortStableFunc(w.covers, func(a, b cover) int { return a.first.Compare(b.first) })
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
		for slot := range sched.Between(sp.after, sp.until) {
			w.due(sp, sched, slot)
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

// walk goes through the slots of one stream beside the records that cover them.
type walk struct {
	*coverage
	stream *StreamCoverage
	covers []cover
	at     int
	holes  []Hole
	open   []int // holes that end at the slot before: they may go on
}

// newest stands in for the slots in a report of one moment: the newest run.
func (w *walk) newest() {
	if w.stream.Newest == nil {
		if !w.scheduled() {
			return
		}
		w.count(force{}, Open, nil, w.f.w.From)
		w.hole(Hole{State: Open, Cause: CauseNoRecord, Slots: 1, First: w.f.w.From, Last: w.f.w.From, Detail: "this was never collected"})
		return
	}
	of := force{}
	if n := len(w.f.forces); n > 0 {
		of = w.f.forces[n-1]
	}
	for _, c := range w.covers {
		if c.record == w.stream.Newest.Record {
			w.covered(of, c, c.first, c.state)
		}
	}
}

// scheduled says whether the newest schedule has the stream, and notes it.
func (w *walk) scheduled() bool {
	if n := len(w.f.forces); n > 0 {
		expr, ok := w.f.forces[n-1].streams[w.stream.Stream]
		w.stream.Schedule = expr
		return ok
	}
	return false
}

// off notes a span in which nothing was due.
func (w *walk) off(sp span) {
	n := len(w.holes)
	from, to := sp.after, sp.until
	if from.Before(w.f.w.From) {
		from = w.f.w.From
	}
	if to = to.Add(1); sp.until.Before(w.end.Add(-1)) {
		to = sp.until
	}
	if n > 0 && w.holes[n-1].State == "" && w.holes[n-1].Cause == sp.off && w.holes[n-1].Last.Equal(from) {
		w.holes[n-1].Last = to
		return
	}
	w.hole(Hole{Cause: sp.off, First: from, Last: to, Records: [2]uint64{sp.record, sp.record}})
}

// due takes the next due slot.
func (w *walk) due(sp span, sched schedule.Schedule, slot time.Time) {
	for w.at < len(w.covers) && w.covers[w.at].last.Before(slot) {
		w.at++
	}
	if w.at == len(w.covers) || w.covers[w.at].first.After(slot) {
		w.count(sp.force, Open, nil, slot)
		w.extend(Hole{State: Open, Cause: CauseNoRecord, Slots: 1, First: slot, Last: slot})
		return
	}
	c := w.covers[w.at]
	state := c.state
	if state == Sealed && (c.started.Sub(slot) > LateAfter || !c.started.Before(sched.Next(slot))) {
		state = Late
	}
	w.covered(sp.force, c, slot, state)
}

// covered takes a slot that a record accounts for.
func (w *walk) covered(of force, c cover, slot time.Time, state State) {
	w.count(of, state, c.gaps, slot)
	records := [2]uint64{c.record, c.record}
	switch {
	case state == Sealed:
		w.open = w.open[:0]
	case state == Late:
		started := c.started
		w.extend(Hole{State: Late, Cause: CauseLate, Slots: 1, First: slot, Last: slot, To: &started, Records: records})
	case c.missed != nil:
		from, to := c.missed.From, c.missed.To
		w.extend(Hole{
			State: Missed, Cause: string(c.missed.Cause), Slots: 1, First: slot, Last: slot,
			From: &from, To: &to, Detail: c.missed.Detail, Records: records,
		})
	default:
		holes := make([]Hole, 0, len(c.gaps))
		for _, g := range c.gaps {
			holes = append(holes, Hole{
				State: state, Cause: string(g.class), Slots: 1, First: slot, Last: slot, Kinds: g.kinds,
				Operation: g.operation, Permission: g.permission, Code: g.code, Gaps: g.count, Records: records,
			})
		}
		w.extend(holes...)
	}
}

// count adds a slot to its day, for the stream and for each control that reads
// what the stream supplies. A control that reads nothing of what the gaps of a
// partial run are about has seen everything.
func (w *walk) count(of force, state State, gaps []gapGroup, slot time.Time) {
	day := dayOf(w.f.days, slot)
	w.stream.Days[day].Add(state, 1)
	w.stream.Total.Add(state, 1)
	if of.catalogue == nil {
		return
	}
	kinds := of.kinds[w.stream.Collector]
	for _, control := range of.catalogue.controls {
		if !of.catalogue.reads(control.ID, kinds) {
			continue
		}
		seen := state
		if state == Part && !slices.ContainsFunc(gaps, func(g gapGroup) bool { return g.kinds == nil || of.catalogue.reads(control.ID, g.kinds) }) {
			seen = Sealed
		}
		w.f.cell(control.ID, day).Add(seen, 1)
	}
}

// extend lengthens the holes that end at the slot before and are alike, and
// begins those that are new. What is not extended ends there.
func (w *walk) extend(holes ...Hole) {
	var open []int
	for _, h := range holes {
		i := slices.IndexFunc(w.open, func(i int) bool { return alike(w.holes[i], h) })
		if i < 0 {
			w.hole(h)
			open = append(open, len(w.holes)-1)
			continue
		}
		of := &w.holes[w.open[i]]
		of.Last, of.Slots, of.Gaps, of.Records[1] = h.Last, of.Slots+1, of.Gaps+h.Gaps, max(of.Records[1], h.Records[1])
		if h.To != nil {
			of.To = h.To
		}
		for _, kind := range h.Kinds {
			if at, found := slices.BinarySearch(of.Kinds, kind); !found {
				of.Kinds = slices.Insert(slices.Clone(of.Kinds), at, kind)
			}
		}
		open = append(open, w.open[i])
	}
	w.open = open
}

func alike(a, b Hole) bool {
	return a.State == b.State && a.Cause == b.Cause && a.Operation == b.Operation && a.Permission == b.Permission && a.Code == b.Code &&
		(a.State != Missed || a.Records[1] == b.Records[0] || a.Detail == b.Detail)
}

func (w *walk) hole(h Hole) {
	h.Stream = w.stream.Stream
	w.holes = append(w.holes, h)
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
	if len(c.f.forces) == 0 {
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
