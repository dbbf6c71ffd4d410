package pages

import (
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence/period"
)

// timelineRows is how many deviations the overview draws; the page of
// deviations has them all.
const timelineRows = 25

// axis is the width of a timeline in its own units.
const axis = 1000

// at places a moment on the axis, cut to the window.
func (s *Site) at(t time.Time) float64 {
	w := s.r.Window
	whole := w.To.Sub(w.From)
	if whole <= 0 {
		return 0
	}
	return min(axis, max(0, axis*float64(t.Sub(w.From))/float64(whole)))
}

// tick is a mark of the axis.
type tick struct {
	x    float64
	name string
}

// ticks marks the begin of each month; of each day in a window of up to two
// weeks, of each week otherwise when there is no month.
func (s *Site) ticks() []tick {
	var all []tick
	days := s.r.Days
	for i, d := range days {
		switch {
		case len(days) <= 14:
			all = append(all, tick{s.at(d.From), d.Date[5:]})
		case len(days) <= 62 && i%7 == 0:
			all = append(all, tick{s.at(d.From), d.Date[5:]})
		case len(days) > 62 && d.Date[8:] == "01":
			all = append(all, tick{s.at(d.From), d.From.In(s.r.Window.Zone).Format("Jan")})
		}
	}
	return all
}

// bar is how a deviation is drawn: the sure part lies within the possible one.
type bar struct {
	from, sureFrom, sureTo, to float64
}

// minSure is the least width of the sure part, so that one look can be seen.
const minSure = 3

func (s *Site) bar(d *period.Deviation) bar {
	w := s.r.Window
	b := bar{from: s.at(w.From), sureFrom: s.at(d.FirstBad), sureTo: s.at(d.LastBad), to: s.at(w.To)}
	if d.LastGood != nil {
		b.from = s.at(*d.LastGood)
	}
	if d.FirstGood != nil {
		b.to = s.at(*d.FirstGood)
	}
	if b.sureTo-b.sureFrom < minSure {
		b.sureFrom = max(0, min(b.sureFrom, axis-minSure))
		b.sureTo = b.sureFrom + minSure
	}
	return b
}

// numberedDeviation is a deviation with its number in the report, from 0.
type numberedDeviation struct {
	*period.Deviation
	number int
}

func (s *Site) deviations(of func(*period.Deviation) bool) []numberedDeviation {
	var all []numberedDeviation
	for i := range s.r.Deviations {
		if d := &s.r.Deviations[i]; of == nil || of(d) {
			all = append(all, numberedDeviation{d, i})
		}
	}
	return all
}

// gravest sorts deviations: those over their limit first, then the longest.
func gravest(all []numberedDeviation) []numberedDeviation {
	rank := func(o string) int {
		switch o {
		case period.OverdueYes:
			return 0
		case period.OverduePerhaps:
			return 1
		}
		return 2
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b numberedDeviation) int {
		if x, y := rank(a.Overdue), rank(b.Overdue); x != y {
			return x - y
		}
		switch {
		case a.AtLeast > b.AtLeast:
			return -1
		case a.AtLeast < b.AtLeast:
			return 1
		}
		return 0
	})
	return all
}

// unseen gives where nothing could be said during a deviation.
func (s *Site) unseen(d *period.Deviation) [][2]float64 {
	all := make([][2]float64, len(d.Unseen))
	for i, u := range d.Unseen {
		all[i] = [2]float64{s.at(u.From), s.at(u.To)}
	}
	return all
}
