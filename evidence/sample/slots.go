package sample

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// slots freezes the slots that were due, by the schedules that were in force
// then, and how each ended.
func (p *Population) slots() error {
	var forces []*force
	for _, f := range p.past.forces {
		if f.Event != evidence.EventManual {
			forces = append(forces, f)
		}
	}
	if len(forces) == 0 || !forces[0].At.Before(p.To) {
		return fmt.Errorf("no schedule was in force before %s: nothing was due", p.To.Format(time.RFC3339))
	}
	if since := forces[0].At; since.After(p.From) {
		p.note("nothing was due before %s, when the first schedule took force (record %d)", since.Format(time.RFC3339), forces[0].record)
	}
	var items []item
	ahead, named := 0, false
	for i, f := range forces {
		after, until := f.At, p.To.Add(-1)
		if after.Before(p.From) {
			after = p.From.Add(-1)
		}
		if i+1 < len(forces) && forces[i+1].At.Before(until) {
			until = forces[i+1].At
		}
		if !until.After(after) {
			continue
		}
		wants, known, err := p.wants(f)
		if err != nil {
			return err
		}
		named = named || known
		for key, expr := range f.schedule.Streams {
			if !wants(key.Collector) {
				continue
			}
			sched, err := schedule.Parse(expr, f.zone)
			if err != nil {
				return fmt.Errorf("schedule of %s in record %d: %w", key, f.record, err)
			}
			ended := p.past.covers(key)
			for slot := range sched.Between(after, until) {
				if slot.After(p.past.until) {
					ahead++
					continue
				}
				items = append(items, ended.item(sched, slot))
			}
		}
	}
	if !named {
		return fmt.Errorf("neither a schedule nor a catalogue of the time names %s", p.Definition.Collector+p.Definition.Control)
	}
	if ahead > 0 {
		p.incomplete("the time is not over: %d slots up to %s are later than the newest record, of %s", ahead, p.To.Format(time.RFC3339), p.past.until.Format(time.RFC3339))
	}
	p.freeze(slotHeader, items)
	return nil
}

// covers finds what accounts for the slots of one stream.
type covers struct {
	evidence.Stream
	runs   map[int64]*run   // of the schedule, by slot
	missed []evidence.Entry // sorted by first slot
}

func (h *history) covers(key evidence.Stream) *covers {
	c := &covers{Stream: key, runs: map[int64]*run{}, missed: slices.Clone(h.missed[key])}
	for _, r := range h.runs[key] {
		if r.trigger == evidence.TriggerSchedule {
			c.runs[r.Slot.UnixNano()] = r
		}
	}
	slices.SortStableFunc(c.missed, func(a, b evidence.Entry) int { return missedOf(a).First.Compare(missedOf(b).First) })
	return c
}

func missedOf(e evidence.Entry) *evidence.Missed {
	m, _ := e.Predicate.(*evidence.Missed)
	return m
}

// item tells how a slot ended, in the words of package period.
func (c *covers) item(sched schedule.Schedule, slot time.Time) item {
	it := item{Scope: c.Scope, collector: c.Collector, slot: slot, state: string(period.Open)}
	if r := c.runs[slot.UnixNano()]; r != nil {
		it.run, it.record = r, strconv.FormatUint(r.record, 10)
		switch late := r.started.Sub(slot) > period.LateAfter || !r.started.Before(sched.Next(slot)); {
		case r.outcome == evidence.Partial:
			it.state = string(period.Part)
		case r.outcome == evidence.Failed:
			it.state = string(period.Failed)
		case late:
			it.state = string(period.Late)
		default:
			it.state = string(period.Sealed)
		}
		return it
	}
	for len(c.missed) > 0 && missedOf(c.missed[0]).Last.Before(slot) {
		c.missed = c.missed[1:]
	}
	if len(c.missed) > 0 && !missedOf(c.missed[0]).First.After(slot) {
		it.missed = &c.missed[0]
		it.state, it.cause = string(period.Missed), string(missedOf(c.missed[0]).Cause)
		it.record = strconv.FormatUint(c.missed[0].Index, 10)
	}
	return it
}
