package period

import (
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Chooser decides which records belong to a window. The records of the ledger
// are handed to it once, in order. These belong:
//
//   - Configuration: those of the window, the one that was in force when it
//     began, and those between (of runs by hand);
//   - Run: when its slot is in the window;
//   - Missed: when its slots intersect the window;
//   - Assessment: from the first of its scope that used a run of the window on,
//     when it used no run of a later slot; and the earlier runs that it used,
//     which are carried in;
//   - Stop and Export: those written in the window;
//   - Sample: those whose own window lies within.
//
// In a report of one moment (Window.AsOf) it is what stood then: the
// configuration in force, the newest run of each stream with a slot before the
// end of the window, the newest assessment of each check and scope that used no
// later run, and the runs that those used.
type Chooser struct {
	w        Window
	opening  []uint64 // Configurations from the one in force at the begin on
	chosen   []uint64 // in order
	carried  map[uint64]bool
	assessed map[evidence.Scope]bool // an assessment used a run of the window
	begun    bool                    // a Configuration of the window was taken

	newest map[evidence.Stream]uint64
	judged map[judgeKey]uint64
	used   map[uint64][]uint64 // by assessment, AsOf only
}

type judgeKey struct {
	evidence.Scope
	check string
}

// NewChooser makes the chooser of a window.
func NewChooser(w Window) *Chooser {
	return &Chooser{
		w: w, carried: map[uint64]bool{}, assessed: map[evidence.Scope]bool{},
		newest: map[evidence.Stream]uint64{}, judged: map[judgeKey]uint64{}, used: map[uint64][]uint64{},
	}
}

// Take takes the next record. It says whether the record belongs to the
// window, as far as can be told by now: a run before the window may be carried
// in by an assessment that comes later.
func (c *Chooser) Take(e evidence.Entry) bool {
	in := c.takes(e)
	if in {
		c.chosen = append(c.chosen, e.Index)
	}
	return in
}

func (c *Chooser) within(t time.Time) bool { return !t.Before(c.w.From) && t.Before(c.w.To) }

func (c *Chooser) takes(e evidence.Entry) bool {
	switch p := e.Predicate.(type) {
	case *evidence.Configuration:
		if !p.At.Before(c.w.To) {
			return false
		}
		// After the first of the window all are of it, whatever the clock says.
		if c.w.AsOf || p.At.Before(c.w.From) && !c.begun {
			if p.Event != evidence.EventManual {
				c.opening = c.opening[:0]
			}
			c.opening = append(c.opening, e.Index)
			return false // told by Indexes
		}
		c.begun = true
		return true
	case *evidence.Run:
		if p.Slot.Before(c.w.To) {
			c.newest[p.Stream] = e.Index
		}
		return !c.w.AsOf && c.within(p.Slot)
	case *evidence.Missed:
		return !c.w.AsOf && p.First.Before(c.w.To) && !p.Last.Before(c.w.From)
	case *evidence.Assessment:
		return c.assessment(e.Index, p)
	case *evidence.Stop:
		return !c.w.AsOf && c.within(p.At)
	case *evidence.Export:
		return !c.w.AsOf && c.within(p.At)
	case *evidence.Sample:
		return !p.From.Before(c.w.From) && !p.To.After(c.w.To)
	}
	return false
}

func (c *Chooser) assessment(index uint64, p *evidence.Assessment) bool {
	inside := false
	for _, u := range p.Used {
		if !u.Slot.Before(c.w.To) {
			return false
		}
		inside = inside || !u.Slot.Before(c.w.From)
	}
	if c.w.AsOf {
		for _, count := range p.Checks {
			c.judged[judgeKey{p.Scope, count.Check}] = index
		}
		c.used[index] = records(p.Used)
		return false
	}
	inside = inside || c.assessed[p.Scope]
	if inside {
		c.assessed[p.Scope] = true
		for _, u := range p.Used {
			if u.Slot.Before(c.w.From) {
				c.carried[u.Record] = true
			}
		}
	}
	return inside
}

func records(used []evidence.Used) []uint64 {
	out := make([]uint64, 0, len(used))
	for _, u := range used {
		out = append(out, u.Record)
	}
	return out
}

// Carried says whether a record was carried in: it is of a run before the
// window.
func (c *Chooser) Carried(index uint64) bool { return c.carried[index] }

// Indexes gives the records that belong to the window, in order, once all
// records were taken.
func (c *Chooser) Indexes() []uint64 {
	out := slices.Concat(c.opening, c.chosen)
	for index := range c.carried {
		out = append(out, index)
	}
	if c.w.AsOf {
		for _, index := range c.newest {
			out = append(out, index)
		}
		for _, index := range c.judged {
			out = append(out, index)
			out = append(out, c.used[index]...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
