package pages

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/a-h/templ"

	"github.com/tallystick/tallystick/evidence/period"
)

// How much goes on a page, so that a browser stays quick whatever the estate.
const (
	rowsOnPage      = 500 // of a population
	entriesOnPage   = 250 // of the lists, whose rows are taller
	observedOnPage  = 100
	exchangesOnPage = 50
	bytesOnPage     = 512 << 10 // of bodies
	bytesOfBody     = 256 << 10 // of one body; the page says where the rest is
)

// sections lists every page of the site, in the order in which Write makes them.
func (s *Site) sections(ix *index) []section {
	all := []section{
		single("index.html", func() templ.Component { return s.overviewPage(ix) }),
		s.calendars(),
		single("scope.html", func() templ.Component { return s.scopePage(ix) }),
		listed("gaps", slices.Values(s.r.Holes), len(s.r.Holes), s.gapsPage),
		listed("deviations", slices.Values(s.r.Deviations), len(s.r.Deviations), func(p pager, rows []period.Deviation) templ.Component { return s.deviationsPage(ix, p, rows) }),
		listed("unknowns", slices.Values(s.r.Unknowns), len(s.r.Unknowns), s.unknownsPage),
		paged("changes", s.in.Changes(), ix.changes, s.changesPage),
	}
	for i := range s.r.Controls {
		c := &s.r.Controls[i]
		all = append(all, single(controlName(c.ID), func() templ.Component { return s.controlPage(ix, c) }))
	}
	for i := range s.r.Controls {
		for j := range s.r.Controls[i].Checks {
			all = append(all, s.population(ix, &s.r.Controls[i], &s.r.Controls[i].Checks[j]))
		}
	}
	for i := range s.r.Streams {
		all = append(all, s.observations(ix, i), s.exchanges(ix, i))
	}
	return all
}

func single(name string, make func() templ.Component) section {
	return section{
		name: func(int) string { return name }, pages: 1,
		render: func(_ context.Context, _ int, out func(int, templ.Component) error) error { return out(1, make()) },
	}
}

// pager is where a page stands among those of its section.
type pager struct {
	page, pages int
	total       int // rows, over all pages
	first       int // number of the first row of this page, from 1
	name        func(page int) string
}

// numbered gives "deviations.html", "deviations--2.html" and so on: no slug has
// two hyphens in a row.
func numbered(base string) func(int) string {
	return func(page int) string {
		if page == 1 {
			return base + ".html"
		}
		return fmt.Sprintf("%s--%d.html", base, page)
	}
}

func pagesFor(rows, size int) int { return max(1, (rows+size-1)/size) }

// listed is paged over what cannot fail.
func listed[T any](base string, rows iter.Seq[T], total int, make func(pager, []T) templ.Component) section {
	return paged(base, func(yield func(T, error) bool) {
		for row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}, total, make)
}

// paged is a section of entriesOnPage rows a page. There is a page even when there
// are no rows. total is how many rows there are.
func paged[T any](base string, rows iter.Seq2[T, error], total int, make func(pager, []T) templ.Component) section {
	pages := pagesFor(total, entriesOnPage)
	name := numbered(base)
	return section{name: name, pages: pages, render: func(ctx context.Context, only int, out func(int, templ.Component) error) error {
		err := split(ctx, rows, splitter{rows: entriesOnPage}, only, nil, func(page, first int, rows []T) error {
			return out(page, make(pager{page, pages, total, first, name}, rows))
		})
		if err != nil {
			return fmt.Errorf("make page %s: %w", name(max(1, only)), err)
		}
		return nil
	}}
}

// splitter decides on which page a row goes. Its zero counters are before the
// first row.
type splitter struct {
	rows, bytes int // most on a page; 0: no limit

	page, n, size int
}

// next gives the page of the next row, counted from 1.
func (s *splitter) next(weight int) int {
	if s.page == 0 || s.n == s.rows || s.bytes > 0 && s.n > 0 && s.size+weight > s.bytes {
		s.page++
		s.n, s.size = 0, 0
	}
	s.n++
	s.size += weight
	return s.page
}

// split hands out rows by the page, page 1 even when it is empty. When only is
// not 0 it keeps and hands out that page alone and stops after it. weigh may be
// nil.
func split[T any](ctx context.Context, rows iter.Seq2[T, error], by splitter, only int, weigh func(T) int, out func(page, first int, rows []T) error) error {
	var held []T
	page, first, n := 1, 1, 0
	flush := func() error {
		if only != 0 && only != page {
			return nil
		}
		return out(page, first, held)
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		weight := 0
		if weigh != nil {
			weight = weigh(row)
		}
		n++
		if p := by.next(weight); p != page {
			if err := flush(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if page == only {
				return nil
			}
			held, page, first = nil, p, n
		}
		if only == 0 || only == page {
			held = append(held, row)
		}
	}
	return flush()
}
