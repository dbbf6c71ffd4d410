package period

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Report gives what was taken in so far. Slots from end on are not due yet; a
// report of a whole window has its end. The fold may go on after it.
func (f *Fold) Report(end time.Time) (*Report, error) {
	if len(f.days) == 0 {
		return nil, errEmpty
	}
	end = min2(end, f.w.To)
	r := f.report
	r.Binaries, r.Samples = slices.Clone(r.Binaries), slices.Clone(r.Samples)
	r.Changes = make(map[string]int, len(f.report.Changes))
	maps.Copy(r.Changes, f.report.Changes)
	judged := f.cells
	f.cells = make(map[string][]Cell, len(judged))
	for control, days := range judged {
		f.cells[control] = slices.Clone(days)
	}
	defer func() { f.cells = judged }()

	c := &coverage{f: f, end: end, streams: map[evidence.Stream]*StreamCoverage{}}
	if err := c.slots(); err != nil {
		return nil, err
	}
	c.unsupplied()
	r.Streams, r.Holes = c.sorted()
	r.Deviations, r.Unknowns = f.tracker.finish(end)
	r.LeftOut = f.leftOut(end)
	for _, j := range f.judgements {
		if !f.w.AsOf || f.judges(j) {
			r.Judgements = append(r.Judgements, *j)
		}
	}
	slices.SortFunc(r.Judgements, func(a, b Judgement) int {
		return cmp.Or(cmp.Compare(a.Control, b.Control), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account))
	})
	f.controls(&r)
	r.cut(end)
	return &r, nil
}

// cut ends the report where the window has not passed yet.
func (r *Report) cut(end time.Time) {
	if !end.Before(r.Window.To) || len(r.Days) == 0 {
		return
	}
	n := dayOf(r.Days, end.Add(-1)) + 1
	r.Window.To = end
	r.Days = slices.Clone(r.Days[:n])
	r.Days[n-1].To = end
	for i := range r.Streams {
		r.Streams[i].Days = r.Streams[i].Days[:n]
	}
	for i := range r.Controls {
		r.Controls[i].Days = r.Controls[i].Days[:n]
	}
}

// judges says whether the configuration in force still has the check in the
// scope.
func (f *Fold) judges(j *Judgement) bool {
	if len(f.forces) == 0 {
		return true
	}
	of := f.forces[len(f.forces)-1]
	_, ok := of.catalogue.checks[j.Check]
	return ok && of.hasScope(j.Scope)
}

// controls fills in the controls of the newest catalogue, and the controls and
// checks of earlier ones of the window: withdrawing a check does not make what
// it said unsaid.
func (f *Fold) controls(r *Report) {
	known, owned := map[string]Control{}, map[string]map[string]Check{} // by control
	owner := map[string]string{}                                        // control, by check
	for _, of := range f.forces {
		r.Catalogue = of.catalogue.digest
		for _, control := range of.catalogue.controls {
			known[control.ID] = control
			if owned[control.ID] == nil {
				owned[control.ID] = map[string]Check{}
			}
			for _, check := range control.Checks {
				delete(owned[owner[check.ID]], check.ID)
				owner[check.ID], owned[control.ID][check.ID] = control.ID, check
			}
		}
	}
	for id, control := range known {
		control.Checks = slices.SortedFunc(maps.Values(owned[id]), func(a, b Check) int { return cmp.Compare(a.ID, b.ID) })
		c := ControlCoverage{Control: control, Days: f.cells[id], Streams: []int{}}
		if c.Days == nil {
			c.Days = make([]Cell, len(f.days))
		}
		for i := range c.Days {
			c.Total.Plus(c.Days[i].Tally)
		}
		c.Occurred = c.Total.Due > 0
		for i, s := range r.Streams {
			if f.supplies(control.ID, s.Stream) {
				c.Streams = append(c.Streams, i)
				for day, tally := range s.Days {
					c.Days[day].CatchUps += tally.CatchUps
				}
				c.Total.CatchUps += s.Total.CatchUps
			}
		}
		for _, j := range r.Judgements {
			if j.Control == id {
				c.Standing.Pass += j.Count.Pass
				c.Standing.Fail += j.Count.Fail
				c.Standing.Unknown += j.Count.Unknown
				c.Standing.NotApplicable += j.Count.NotApplicable
			}
		}
		for _, d := range r.Deviations {
			if d.Control == id {
				c.Deviations++
				if d.Overdue == OverdueYes {
					c.Overdue++
				}
			}
		}
		r.Controls = append(r.Controls, c)
	}
	slices.SortFunc(r.Controls, func(a, b ControlCoverage) int { return cmp.Compare(a.ID, b.ID) })
}

// supplies says whether a stream was scheduled for what a control reads, under
// some configuration of the window.
func (f *Fold) supplies(control string, stream evidence.Stream) bool {
	return slices.ContainsFunc(f.forces, func(of force) bool {
		return slices.Contains(of.schedule.Scopes, stream.Scope) && of.catalogue.reads(control, of.kinds[stream.Collector])
	})
}
