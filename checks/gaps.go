package checks

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// gapSet is the gaps of one kind by what they cover.
type gapSet struct {
	resources map[string][]evidence.Gap // of one resource, by its id
	every     []evidence.Gap            // of a field of every resource
	lists     []hole                    // of the list, by region
}

// hole is a part of a population that is not known to have been seen: the list
// of a kind in a region, or a resource of which only a gap is known.
type hole struct {
	kind, region, resource string
	reason                 string // when no gap says why
	gaps                   []evidence.Gap
}

func (h hole) before(region, resource string) bool {
	return cmp.Or(compare(h.region, region), compare(h.resource, resource)) < 0
}

// sortGaps sorts the gaps of kind out. A field without a resource, which the
// vocabulary does not foresee, is taken to be of every resource.
func sortGaps(kind string, all []evidence.Gap) gapSet {
	s := gapSet{resources: map[string][]evidence.Gap{}}
	var lists []hole
	for _, g := range all {
		switch {
		case g.Kind != kind:
		case g.Resource != "":
			s.resources[g.Resource] = append(s.resources[g.Resource], g)
		case g.Field != "":
			s.every = append(s.every, g)
		default:
			lists = append(lists, hole{
				kind: kind, region: g.Region, resource: evidence.Population, gaps: []evidence.Gap{g},
			})
		}
	}
	s.lists = mergeHoles(lists)
	return s
}

// mergeHoles joins holes of the same place and sorts them.
func mergeHoles(holes []hole) []hole {
	byPlace := map[[2]string]hole{}
	for _, h := range holes {
		h.resource = cmp.Or(h.resource, evidence.Population)
		place := [2]string{h.region, h.resource}
		m, ok := byPlace[place]
		if !ok {
			byPlace[place] = h
			continue
		}
		m.gaps = append(slices.Clip(m.gaps), h.gaps...)
		m.reason = strings.Join(slices.DeleteFunc([]string{m.reason, h.reason}, func(s string) bool { return s == "" }), "; ")
		byPlace[place] = m
	}
	out := make([]hole, 0, len(byPlace))
	for _, h := range byPlace {
		h.gaps = sorted(h.gaps)
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b hole) int {
		return cmp.Or(compare(a.region, b.region), compare(a.resource, b.resource))
	})
	return out
}

// of gives the gaps of one resource, and whether they cover all of it.
func (s gapSet) of(region, resource string) (gaps []evidence.Gap, whole bool) {
	for _, g := range s.resources[resource] {
		if g.Region == "" || region == "" || g.Region == region {
			gaps = append(gaps, g)
			whole = whole || g.Field == ""
		}
	}
	for _, g := range s.every {
		if g.Region == "" || g.Region == region {
			gaps = append(gaps, g)
		}
	}
	return gaps, whole
}

// unobserved gives the resources that gaps name but that were not observed:
// they must not vanish. It reads the observations once when there are such
// gaps, since a gap need not state the region of its resource.
func unobserved(facts Facts, gaps gapSet) ([]hole, error) {
	if len(gaps.resources) == 0 {
		return nil, nil
	}
	missing := maps.Clone(gaps.resources)
	if facts.Observations != nil {
		for o, err := range facts.Observations {
			if err != nil {
				return nil, err
			}
			delete(missing, o.ID)
		}
	}
	var out []hole
	for id, named := range missing {
		for _, g := range named {
			out = append(out, hole{kind: g.Kind, region: g.Region, resource: id, gaps: []evidence.Gap{g}})
		}
	}
	return out, nil
}

// sorted orders gaps and removes those that are alike.
func sorted(gaps []evidence.Gap) []evidence.Gap {
	out := slices.Clone(gaps)
	slices.SortFunc(out, func(a, b evidence.Gap) int {
		return cmp.Or(
			compare(a.Kind, b.Kind), compare(a.Region, b.Region), compare(a.Resource, b.Resource),
			compare(a.Field, b.Field), compare(a.Operation, b.Operation), compare(string(a.Class), string(b.Class)),
			compare(a.Code, b.Code), compare(a.Message, b.Message), compare(a.Permission, b.Permission), compare(a.Policy, b.Policy))
	})
	return slices.Compact(out)
}
