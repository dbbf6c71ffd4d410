package pages

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// sibling is a link from a page to another of the same folder.
func sibling(name string) string { return path.Base(name) }

// near lists the pages around that of p, which a pager offers.
func near(p pager) []int {
	var all []int
	for n := max(1, p.page-3); n <= min(p.pages, p.page+3); n++ {
		all = append(all, n)
	}
	return all
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func itThey(n int) string {
	if n == 1 {
		return "it"
	}
	return "they"
}

// orDash shows that a cell is empty on purpose.
func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return shown(s)
}

// joined lists words with commas.
func joined(words []string) string { return shown(strings.Join(words, ", ")) }

// joinWords lists those that are not empty.
func joinWords(words ...string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	return shown(strings.Join(words, " · "))
}

// scopeName names a scope; a gap of a whole provider has no account.
func scopeName(s evidence.Scope) string {
	if s.Account == "" {
		return shown(s.Provider)
	}
	return shown(s.String())
}

// where names a scope and a region.
func where(s evidence.Scope, region string) string { return joinWords(scopeName(s), region) }

// first gives the first n.
func first[T any](all []T, n int) []T { return all[:min(len(all), n)] }

// pointers gives the address of each element.
func pointers[T any](all []T) []*T {
	out := make([]*T, len(all))
	for i := range all {
		out[i] = &all[i]
	}
	return out
}

func numberFrom(from int, rows []period.Deviation) []numberedDeviation {
	out := make([]numberedDeviation, len(rows))
	for i := range rows {
		out[i] = numberedDeviation{&rows[i], from + i}
	}
	return out
}

// anchored gives a row its place, on the one page that is the target of links.
func anchored(is bool, id string) templ.Attributes {
	if !is {
		return nil
	}
	return templ.Attributes{"id": id}
}

func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

// recordsOf gives the records that tell of a hole.
func recordsOf(h *period.Hole) string {
	switch a, b := h.Records[0], h.Records[1]; {
	case a == 0 && b == 0:
		return "none"
	case a == b:
		return count(a)
	default:
		return count(a) + " to " + count(b)
	}
}

func (s *Site) unknownsOf(control string) []*period.Unknown {
	var all []*period.Unknown
	for i := range s.r.Unknowns {
		if u := &s.r.Unknowns[i]; u.Control == control {
			all = append(all, u)
		}
	}
	return all
}

// spans lists the holes in which nothing was due.
func (s *Site) spans() []*period.Hole {
	var all []*period.Hole
	for i := range s.r.Holes {
		if h := &s.r.Holes[i]; h.State == "" {
			all = append(all, h)
		}
	}
	return all
}
