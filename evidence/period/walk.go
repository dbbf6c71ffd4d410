package period

import (
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// walk goes through the slots of one stream beside the records that cover them.
type walk struct {
	*coverage
	stream *StreamCoverage
	covers []cover
	at     int
	force  force
	read   []string // the controls that read what the stream supplies, under force
	holes  []Hole
	open   []int // holes that end at the slot before: they may go on
}

// under puts a configuration in force.
func (w *walk) under(of force) {
	w.force, w.read = of, nil
	for _, control := range of.catalogue.controls {
		if of.catalogue.reads(control.ID, of.kinds[w.stream.Collector]) {
			w.read = append(w.read, control.ID)
		}
	}
}

// newest stands in for the slots in a report of one moment: what the schedule
// in force then has is due once, and the newest run is how that went.
func (w *walk) newest() {
	from := w.f.w.From
	if n := len(w.f.forces); n > 0 {
		of := w.f.forces[n-1]
		w.under(of)
		w.stream.Schedule = of.streams[w.stream.Stream]
		if w.stream.Schedule == "" {
			cause := CauseNotInScope
			if of.hasScope(w.stream.Scope) {
				cause = CauseCollector
			}
			w.hole(Hole{Cause: cause, First: from, Last: w.end, Records: [2]uint64{of.record, of.record}})
			return
		}
	}
	if w.stream.Newest == nil {
		w.count(Open, false, nil, from)
		w.hole(Hole{State: Open, Cause: CauseNoRecord, Slots: 1, First: from, Last: from, Detail: "this was never collected"})
		return
	}
	for _, c := range w.covers {
		if c.record == w.stream.Newest.Record {
			w.covered(c, c.first.time(), false)
		}
	}
}

// off notes a span in which nothing was due.
func (w *walk) off(sp span) {
	n := len(w.holes)
	from, to := max2(sp.after, w.f.w.From), w.end
	if sp.until.Before(w.end.Add(-1)) {
		to = sp.until
	}
	w.open = nil
	if n > 0 && w.holes[n-1].State == "" && w.holes[n-1].Cause == sp.off && w.holes[n-1].Last.Equal(from) {
		w.holes[n-1].Last, w.holes[n-1].Records[1] = to, sp.record
		return
	}
	w.hole(Hole{Cause: sp.off, First: from, Last: to, Records: [2]uint64{sp.record, sp.record}})
}

// due takes the next due slot.
func (w *walk) due(sched schedule.Schedule, slot time.Time) {
	at := instantOf(slot)
	for w.at < len(w.covers) && w.covers[w.at].last < at {
		w.at++
	}
	if w.at == len(w.covers) || w.covers[w.at].first > at {
		w.count(Open, false, nil, slot)
		w.extend(Hole{State: Open, Cause: CauseNoRecord, Slots: 1, First: slot, Last: slot})
		return
	}
	c := w.covers[w.at]
	late := c.missed == nil && (c.started-at > instant(LateAfter) || c.started > at && c.started >= instantOf(sched.Next(slot)))
	w.covered(c, slot, late)
}

// covered takes a slot that a record accounts for.
func (w *walk) covered(c cover, slot time.Time, late bool) {
	state := c.state
	if state == Sealed && late {
		state = Late
	}
	w.count(state, late, c.gaps, slot)
	records := [2]uint64{c.record, c.record}
	switch {
	case state == Sealed:
		w.open = nil
	case state == Late:
		started := c.started.time()
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
				Operation: g.operation, Permission: g.permission, Code: g.code, Detail: g.refused(), Gaps: g.count, Records: records,
			})
		}
		w.extend(holes...)
	}
}

// count adds a slot to its day, for the stream and for each control that reads
// what the stream supplies. A control that reads nothing of what the gaps of a
// partial run are about has seen everything.
func (w *walk) count(state State, late bool, gaps []gapGroup, slot time.Time) {
	day := dayOf(w.f.days, slot)
	w.stream.Days[day].Add(state, 1)
	w.stream.Total.Add(state, 1)
	for _, control := range w.read {
		seen := state
		if state == Part && !slices.ContainsFunc(gaps, func(g gapGroup) bool { return g.kinds == nil || w.force.catalogue.reads(control, g.kinds) }) {
			if seen = Sealed; late {
				seen = Late
			}
		}
		w.f.cell(control, day).Add(seen, 1)
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

// alike says whether the slots of b go on what a is. Two outages with an agent
// at work between them are two, although no slot was due then.
func alike(a, b Hole) bool {
	if a.State != b.State || a.Cause != b.Cause || a.Operation != b.Operation || a.Permission != b.Permission || a.Code != b.Code || a.Operation != "" && a.Detail != b.Detail {
		return false
	}
	if a.State != Missed || a.Records[1] == b.Records[0] {
		return true
	}
	return a.Detail == b.Detail && a.Cause != string(evidence.CauseAgentDown)
}

func (w *walk) hole(h Hole) {
	h.Stream = w.stream.Stream
	w.holes = append(w.holes, h)
}
