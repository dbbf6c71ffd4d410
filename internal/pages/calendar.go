package pages

import (
	"context"
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"github.com/tallystick/tallystick/evidence/period"
)

// cellsOnPage is about how many cells of the calendar go on a page, in whole
// months: a browser keeps some seven nodes for each.
const cellsOnPage = 2000

// month is the days of one calendar month, by their number in Report.Days.
type month struct {
	name        string // "2026-07"
	first, last int    // last is inclusive
}

func months(days []period.Day) []month {
	var all []month
	for i, d := range days {
		name := d.Date[:min(7, len(d.Date))]
		if n := len(all); n > 0 && all[n-1].name == name {
			all[n-1].last = i
			continue
		}
		all = append(all, month{name, i, i})
	}
	return all
}

// dayOfMonth gives 1 to 31.
func dayOfMonth(d period.Day) int {
	n := 0
	if len(d.Date) == len("2006-01-02") {
		_, _ = fmt.Sscanf(d.Date[8:], "%d", &n) // 0 is shown as such
	}
	return n
}

// calendars is the calendar, split when it is long.
func (s *Site) calendars() section {
	all := months(s.r.Days)
	size := max(1, cellsOnPage/(31*max(1, len(s.r.Controls))))
	pages := pagesFor(len(all), size)
	return section{name: calendarName, pages: pages, render: func(_ context.Context, only int, out func(int, templ.Component) error) error {
		for page := 1; page <= pages; page++ {
			if only != 0 && only != page {
				continue
			}
			part := all[min(len(all), (page-1)*size):min(len(all), page*size)]
			if err := out(page, s.calendarPage(page, pages, part)); err != nil { //nolint:contextcheck // a component takes its context when it is rendered.
				return err
			}
		}
		return nil
	}}
}

// worst is the worst state of a cell; empty when nothing was due.
func worst(c period.Tally) period.State {
	state, _ := c.Worst()
	return state
}

// tallyWords gives "3 of 4 slots complete, 1 missed".
func tallyWords(t period.Tally) string {
	if t.Due == 0 {
		if t.CatchUps > 0 {
			return "nothing due, " + many(t.CatchUps, "catch-up")
		}
		return "nothing due"
	}
	parts := []string{fmt.Sprintf("%s of %s complete", count(t.Sealed), many(t.Due, "slot"))}
	for _, p := range []struct {
		n    int
		word string
	}{{t.Late, "late"}, {t.Partial, "partial"}, {t.Failed, "failed"}, {t.Missed, "missed"}, {t.Open, "without a record"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.word)
		}
	}
	if t.CatchUps > 0 {
		parts = append(parts, many(t.CatchUps, "catch-up"))
	}
	return strings.Join(parts, ", ")
}

// verdictWords gives what the assessments of a day said; empty without one.
func verdictWords(c period.Cell) string {
	if !c.Judged {
		return ""
	}
	s := fmt.Sprintf("%s fail, %s unknown, %s pass, %s not applicable", count(c.Fail), count(c.Unknown), count(c.Pass), count(c.NotApplicable))
	if c.FailSeen && c.Fail == 0 {
		s += " at the end of the day, but a fail during it"
	}
	return s
}

func cellWords(c period.Cell) string {
	s := tallyWords(c.Tally)
	if v := verdictWords(c); v != "" {
		s += "; " + v
	}
	return s
}

// stretch is a row of days that ended alike.
type stretch struct {
	first, last int // days, last is inclusive
	state       period.State
	failed      bool
	sum         period.Tally
}

// stretches joins days that are alike.
func stretches(cells []period.Cell) []stretch {
	var all []stretch
	for i := range cells {
		state := worst(cells[i].Tally)
		if n := len(all); n > 0 && all[n-1].state == state && all[n-1].failed == cells[i].FailSeen {
			all[n-1].last = i
			all[n-1].sum.Plus(cells[i].Tally)
			continue
		}
		all = append(all, stretch{i, i, state, cells[i].FailSeen, cells[i].Tally})
	}
	return all
}

// stretchesIn is stretches over the days first to last, both inclusive.
func stretchesIn(cells []period.Cell, first, last int) []stretch {
	last = min(last, len(cells)-1)
	if first > last {
		return nil
	}
	all := stretches(cells[first : last+1])
	for i := range all {
		all[i].first += first
		all[i].last += first
	}
	return all
}

// clip shortens a label to n characters.
func clip(s string, n int) string {
	if r := []rune(shown(s)); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return shown(s)
}

// dates gives "2026-07-01" or "2026-07-01 to 2026-07-09".
func (s *Site) dates(first, last int) string {
	if first == last {
		return s.r.Days[first].Date
	}
	return s.r.Days[first].Date + " to " + s.r.Days[last].Date
}

func (s *Site) stretchWords(x stretch) string {
	w := s.dates(x.first, x.last) + ": " + tallyWords(x.sum)
	if x.failed {
		w += "; a check failed"
	}
	return w
}

// stripHeight is that of a strip of coverage, in its own units. What is worse
// stands higher, so that a narrow bar can be told without its colour.
const stripHeight = 24

func stateHeight(s period.State) int {
	switch s {
	case period.Sealed:
		return 8
	case period.Late:
		return 11
	case period.Part:
		return 14
	case period.Failed:
		return 17
	case period.Missed, period.Open:
		return 20
	}
	return 2
}

// units gives a whole number for an SVG attribute.
func units(n int) string { return fmt.Sprint(n) }

// decimal gives a coordinate with two places.
func decimal(f float64) string { return fmt.Sprintf("%.2f", f) }
