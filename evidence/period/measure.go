package period

import (
	"cmp"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// finish gives every deviation and unknown, ended or not, sorted. In a report
// of one moment those that ended, or that the configuration in force has left,
// are not among them.
func (t *tracker) finish(end time.Time) ([]Deviation, []Unknown) {
	var deviations []Deviation
	var unknowns []Unknown
	if !t.w.AsOf {
		deviations, unknowns = slices.Clone(t.deviations), slices.Clone(t.unknowns)
	}
	for _, g := range t.groups {
		for _, of := range g.odd {
			left := g.left || of.away
			if t.w.AsOf && left {
				continue
			}
			if of.deviation != nil {
				deviations = append(deviations, of.open(end, left))
			}
			if of.unknown != nil {
				u := *of.unknown
				u.To, u.Open = end, true
				unknowns = append(unknowns, u)
			}
		}
	}
	for i := range deviations {
		t.measure(&deviations[i], end)
	}
	place := func(control, check string, s evidence.Scope, region, kind, resource string) [7]string {
		return [7]string{control, check, s.Provider, s.Account, region, kind, resource}
	}
	compare := func(a, b [7]string) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(deviations, func(a, b Deviation) int {
		return cmp.Or(compare(place(a.Control, a.Check, a.Scope, a.Region, a.Kind, a.Resource), place(b.Control, b.Check, b.Scope, b.Region, b.Kind, b.Resource)),
			a.FirstBad.Compare(b.FirstBad), cmp.Compare(a.Occurrence, b.Occurrence))
	})
	slices.SortFunc(unknowns, func(a, b Unknown) int {
		return cmp.Or(compare(place(a.Control, a.Check, a.Scope, a.Region, a.Kind, a.Resource), place(b.Control, b.Check, b.Scope, b.Region, b.Kind, b.Resource)),
			a.First.Compare(b.First))
	})
	return deviations, unknowns
}

// open gives a deviation that has not ended.
func (of *track) open(end time.Time, left bool) Deviation {
	d := *of.deviation
	d.Unseen = slices.Clone(d.Unseen)
	if of.unseen != nil {
		span := *of.unseen
		span.To = end
		d.Unseen = append(d.Unseen, span)
	}
	if d.End = EndOpen; left {
		d.End = EndLeft
	}
	return d
}

// measure fills in how long a deviation lasted, cut to the window.
func (t *tracker) measure(d *Deviation, end time.Time) {
	begin, over := t.w.From, end
	if d.LastGood != nil {
		begin = *d.LastGood
	}
	if d.FirstGood != nil {
		over = *d.FirstGood
	}
	d.AtMost = t.within(begin, over, end)
	d.AtLeast = t.within(d.FirstBad, d.LastBad, end)
	d.Unknown = 0
	var after time.Time // where the span before ended: they share the look between them
	for _, s := range d.Unseen {
		from := max2(s.From, after)
		d.Unknown += t.within(from, s.To, end)
		d.AtLeast -= t.within(max2(from, d.FirstBad), min2(s.To, d.LastBad), end)
		after = s.To
	}
	d.Overdue = OverdueNo
	switch limit := time.Duration(d.LimitDays) * 24 * time.Hour; {
	case d.LimitDays == 0:
	case d.AtLeast > limit:
		d.Overdue = OverdueYes
	case d.AtMost > limit:
		d.Overdue = OverduePerhaps
	}
}

// within gives how much of the time from one to the other is in the window, up
// to end.
func (t *tracker) within(from, to, end time.Time) time.Duration {
	cut := func(at time.Time) time.Time { return min2(max2(at, t.w.From), end) }
	return max(0, cut(to).Sub(cut(from)))
}
