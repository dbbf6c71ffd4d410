package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// # Which slots must be accounted for
//
// A Configuration record that is not of a person's own run puts its schedule
// in force. A slot is due when the schedule in force has it: after the time of
// its Configuration, up to and including the time of the next one.
//
// A due slot is accounted for by a Run with TriggerSchedule of that very slot
// or by a Missed that covers it. One that is not is a hole, KindSlotMissing,
// if the ledger shows that the agent went past it:
//
//   - a later schedule took force: an agent accounts for everything that was
//     due before it says so; or
//   - a later slot of the stream has a Run: a stream has one task at a time; or
//   - a record of any stream is a full period younger than the slot after it,
//     and that record was written by an agent that follows the schedule. When
//     the slots directly behind the hole are in Missed records, as they are
//     while a task takes longer than its period, the last of them stands in
//     the place of the slot.
//
// What is left belongs to the open tail: the agent may be running it, was
// killed, or was stopped, and the next start will account for it.

const (
	maxSchedule = 16 << 20 // bytes of a schedule payload
	// maxDue bounds the slots that one verification derives: a hundred streams
	// each minute for four years. More are a problem, not an endless wait.
	maxDue = 200_000_000
)

// segment is a span of time in which one schedule holds for a stream.
type segment struct {
	schedule.Schedule
	after, until time.Time // after < slot <= until
	closed       bool      // a later schedule took force
	record       uint64    // that put it in force
}

// checkSlots derives the slots that were due and compares them with the records.
func (c *check) checkSlots(ctx context.Context) error {
	x := c.rules.extract
	if x != nil && x.AsOf {
		return c.checkNewest()
	}
	now := c.now()
	c.end = now
	segments, order, ok := c.segments(now)
	if !ok {
		return nil
	}
	budget := maxDue
	for _, key := range order {
		s := c.rules.stream(key)
		slices.SortStableFunc(s.covers, func(a, b cover) int { return a.first.Compare(b.first) })
		w := slotWalk{check: c, stream: s, budget: &budget, counted: x.counts(key.Collector)}
		err := w.all(ctx, segments[key])
		if errors.Is(err, errTooManySlots) {
			c.problem(KindSchedule, w.place(), "%v: the slots of %s and of streams after it were not checked", err, key)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errTooManySlots = fmt.Errorf("more than %d slots are due", maxDue)

// segments gives, for each stream, the schedules that held for it; and the
// streams in order, among them those that only have records. It gives false
// when a schedule cannot be read: what was due is not known then.
func (c *check) segments(now time.Time) (_ map[evidence.Stream][]segment, order []evidence.Stream, ok bool) {
	out := make(map[evidence.Stream][]segment)
	for key, s := range c.rules.streams {
		if len(s.covers) > 0 {
			out[key] = nil
		}
	}
	ok = true
	for i, f := range c.rules.forces {
		sched, zone, err := c.readSchedule(f.digest)
		if err != nil {
			c.problem(KindSchedule, payloadPlace(f.digest), "%v; record %d puts it in force, so the slots were not checked", err, f.record)
			ok = false
			continue
		}
		after, until, closed := f.since, now, false
		if i+1 < len(c.rules.forces) {
			until, closed = c.rules.forces[i+1].since, true
		}
		if x := c.rules.extract; x != nil && !x.AsOf {
			if first := x.From.Add(-1); after.Before(first) {
				after = first
			} else if i == 0 {
				c.Slots.Unscheduled = true
			}
		}
		for key, expr := range sched.Streams {
			parsed, err := schedule.Parse(expr, zone)
			if err != nil {
				c.problem(KindSchedule, payloadPlace(f.digest), "%s: %v; record %d puts it in force, so the slots were not checked", key, err, f.record)
				ok = false
				continue
			}
			out[key] = append(out[key], segment{parsed, after, until, closed, f.record})
		}
	}
	for key := range out {
		order = append(order, key)
	}
	slices.SortFunc(order, func(a, b evidence.Stream) int {
		return cmp.Or(cmp.Compare(a.Collector, b.Collector), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account))
	})
	return out, order, ok
}

func (c *check) readSchedule(d evidence.Digest) (s evidence.Schedule, zone *time.Location, err error) {
	raw, err := c.store.ReadAll(d, maxSchedule)
	if err != nil {
		return s, nil, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, nil, fmt.Errorf("it is not a schedule: %w", err)
	}
	if zone, err = time.LoadLocation(s.TimeZone); err != nil {
		return s, nil, fmt.Errorf("time zone %q: %w", s.TimeZone, err)
	}
	return s, zone, nil
}

// slotWalk goes through the due slots of one stream in order, beside its
// covers in order.
type slotWalk struct {
	check  *check
	stream *stream
	budget *int
	seg    segment

	counted bool // its slots count for the report

	at    int    // the cover that comes next
	found int    // due slots met in that cover
	gaps  []hole // that no run of a later slot has made a problem yet
}

// hole is a row of due slots that no record covers.
type hole struct {
	first, last time.Time
	slots       int
	behind      time.Time // the last slot of the Missed records directly behind it, if any
	after       string    // the place before it
}

func (h *hole) add(slot time.Time) {
	if h.slots == 0 {
		h.first = slot
	}
	h.last = slot
	h.slots++
}

func (w *slotWalk) all(ctx context.Context, segments []segment) error {
	for _, seg := range segments {
		w.seg = seg
		for slot := range seg.Between(seg.after, seg.until) {
			if *w.budget--; *w.budget < 0 {
				return errTooManySlots
			}
			if *w.budget%4096 == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			w.due(slot)
		}
		if seg.closed {
			w.report("a later schedule took force")
		} else {
			w.end()
		}
	}
	for w.at < len(w.stream.covers) {
		w.pass()
	}
	return nil
}

// due takes the next due slot.
func (w *slotWalk) due(slot time.Time) {
	for w.at < len(w.stream.covers) && w.stream.covers[w.at].last.Before(slot) {
		w.pass()
	}
	newest := len(w.gaps) - 1
	covered := w.at < len(w.stream.covers) && !w.stream.covers[w.at].first.After(slot)
	if !covered {
		w.count(nil)
	}
	switch {
	case covered:
		w.found++
		cov := w.stream.covers[w.at]
		w.count(&cov)
		if cov.run {
			w.report(fmt.Sprintf("record %d is a run of a later slot", cov.record))
		} else if newest >= 0 {
			w.gaps[newest].behind = slot
		}
	case newest >= 0 && w.gaps[newest].behind.IsZero():
		w.gaps[newest].add(slot)
	default:
		w.gaps = append(w.gaps, hole{first: slot, last: slot, slots: 1, after: w.place()})
	}
}

// pass leaves a cover behind and checks that it was right.
func (w *slotWalk) pass() {
	c, cov := w.check, w.stream.covers[w.at]
	switch {
	case cov.run && w.found != 1:
		c.problem(KindSlotNotDue, recordPlace(cov.record), "its slot %s of %s was not due by the schedule in force", cov.first.Format(time.RFC3339), w.stream.Stream)
	case !cov.run && w.found != cov.slots && !(c.rules.extract.cuts(cov, c.end) && w.found < cov.slots):
		c.problem(KindSlotNotDue, recordPlace(cov.record), "it covers %d slots of %s from %s to %s, in which %d were due",
			cov.slots, w.stream.Stream, cov.first.Format(time.RFC3339), cov.last.Format(time.RFC3339), w.found)
	}
	w.at++
	w.found = 0
	for w.at < len(w.stream.covers) && !w.stream.covers[w.at].first.After(cov.last) {
		next := w.stream.covers[w.at]
		c.problem(KindDuplicate, recordPlace(max(next.record, cov.record)), "the slot %s of %s is in record %d already",
			next.first.Format(time.RFC3339), w.stream.Stream, min(next.record, cov.record))
		if next.last.After(cov.last) {
			break
		}
		w.at++
	}
}

// end settles what is left under the schedule that is still in force.
func (w *slotWalk) end() {
	var open hole
	left := w.gaps
	w.gaps = nil
	for _, g := range left {
		holes := hole{after: g.after}
		for slot := range w.seg.Between(g.first.Add(-1), g.last) {
			anchor := slot
			if slot.Equal(g.last) && !g.behind.IsZero() {
				anchor = g.behind
			}
			if w.passed(anchor) {
				holes.add(slot)
			} else {
				open.add(slot)
			}
		}
		if holes.slots > 0 {
			w.gaps = append(w.gaps, holes)
		}
	}
	w.report("other records show the agent at work long after")
	if open.slots > 0 {
		w.check.Tail = append(w.check.Tail, Tail{Stream: w.stream.String(), Slots: open.slots, First: open.first, Last: open.last})
	}
}

// passed says whether the agent is known to have been at work a full period
// after the slot that follows this one.
func (w *slotWalk) passed(slot time.Time) bool {
	alive := w.check.rules.alive
	if x := w.check.rules.extract; x != nil && alive.After(x.To) {
		alive = x.To // what came later of this stream is not in the extract
	}
	return !w.seg.Next(w.seg.Next(slot)).After(alive)
}

// report makes the holes problems.
func (w *slotWalk) report(why string) {
	for _, h := range w.gaps {
		if h.slots == 1 {
			w.check.problem(KindSlotMissing, h.after, "the slot %s of %s, due after it, has neither a run nor a missed record; %s",
				h.first.Format(time.RFC3339), w.stream.Stream, why)
			continue
		}
		w.check.problem(KindSlotMissing, h.after, "%d slots of %s, due after it from %s to %s, have neither a run nor a missed record; %s",
			h.slots, w.stream.Stream, h.first.Format(time.RFC3339), h.last.Format(time.RFC3339), why)
	}
	w.gaps = nil
}

// place names the record of the slot before, or the one that put the schedule
// in force.
func (w *slotWalk) place() string {
	if w.at > 0 && w.stream.covers[w.at-1].last.After(w.seg.after) {
		return recordPlace(w.stream.covers[w.at-1].record)
	}
	return recordPlace(w.seg.record)
}
