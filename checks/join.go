package checks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"

	"github.com/tallystick/tallystick/evidence"
)

// maxUnknownElements is the number of elements with gaps beyond which a joined
// list is unknown as a whole, and maxPlaceholders that of unknowns put into
// lists: both keep the work linear.
const (
	maxUnknownElements = 100
	maxPlaceholders    = 1000
)

// indexKey names an index: a kind by one of its fields, or the whole kind when
// the field is empty, of the account or of the organisation.
type indexKey struct {
	kind, field            string
	organization, optional bool
}

func (j join) index() indexKey {
	return indexKey{kind: j.Kind, field: j.Field, organization: j.In == inOrganization, optional: j.Optional}
}

// index holds the resources of a joined kind, reduced to the fields that rules
// read, by the value of one field.
type index struct {
	missing string // why the kind has no facts; then all else is empty
	all     []*joined
	byKey   map[string][]*joined
	// holes are the lists that could not be read, and the resources of which
	// the key is not known: any of them may be a match.
	holes []hole
}

// joined is a resource of a joined kind. Of one that is found by its key the
// body stays a text until a row asks for it: most are never asked for, and a
// decoded body takes ten times the memory.
type joined struct {
	id, region string
	asOf       *time.Time
	key        any            // what the body has in the field of the join
	decoded    map[string]any // nil where text is
	text       []byte
	gaps       []evidence.Gap
	whole      bool  // the gaps cover the whole body
	broken     error // the body can not be read
}

// index gives the index of a join, built when it is first asked for.
func (ev *evaluation) index(j join) (*index, error) {
	key := j.index()
	if ix, ok := ev.indexes[key]; ok {
		return ix, nil
	}
	ix := &index{byKey: map[string][]*joined{}}
	ev.indexes[key] = ix
	places, why := ev.places(j)
	if why != "" {
		ix.missing = why
		return ix, nil
	}
	best := map[[2]string]*joined{} // by region and id
	for _, facts := range places {
		gaps := sortGaps(j.Kind, facts.Gaps)
		unseen, err := unobserved(facts, gaps)
		if err != nil {
			return nil, fmt.Errorf("read observations of %s in %s: %w", j.Kind, ev.in.Scope, err)
		}
		ix.holes = append(ix.holes, gaps.lists...)
		ix.holes = append(ix.holes, unseen...)
		if facts.Observations == nil {
			continue
		}
		for o, err := range facts.Observations {
			if err != nil {
				return nil, fmt.Errorf("read observations of %s in %s: %w", j.Kind, ev.in.Scope, err)
			}
			e := newJoined(j, o, ev.needed[key], gaps)
			if len(places) == 1 {
				ix.add(j, e)
				continue
			}
			place := [2]string{o.Region, o.ID}
			if other, again := best[place]; !again || e.clearer(other) {
				best[place] = e
			}
		}
	}
	for _, e := range slices.SortedFunc(maps.Values(best), func(a, b *joined) int {
		return cmp.Or(compare(a.region, b.region), compare(a.id, b.id))
	}) {
		ix.add(j, e)
	}
	return ix, nil
}

// places gives the facts that a join is over, or why there are none.
func (ev *evaluation) places(j join) ([]Facts, string) {
	if j.In != inOrganization {
		facts, why := ev.facts(j.Kind)
		return []Facts{facts}, why
	}
	places := ev.in.Organization[j.Kind]
	if len(places) == 0 {
		return nil, j.Kind + " was not collected in an account that answers for the organisation (its management account or a delegated administrator)"
	}
	return places, ""
}

func newJoined(j join, o evidence.Observation, want fields, gaps gapSet) *joined {
	e := &joined{id: o.ID, region: o.Region, asOf: o.AsOf}
	e.gaps, e.whole = gaps.of(o.Region, o.ID)
	e.decoded, e.broken = decodeBody(o.Body, want)
	if j.Field != "" && e.broken == nil {
		e.key = dig(e.decoded, j.key)
		e.decoded, e.text = nil, cutBody(o.Body, want)
	}
	return e
}

// body gives the fields that rules read. The caller must not change them.
func (e *joined) body() map[string]any {
	if e.decoded != nil {
		return e.decoded
	}
	body, _ := decodeBody(e.text, fields{all: true}) // it was decoded before
	return body
}

// clearer says whether more is known of a resource than by the same resource
// seen from another account.
func (e *joined) clearer(other *joined) bool {
	switch {
	case (e.broken == nil) != (other.broken == nil):
		return e.broken == nil
	case e.whole != other.whole:
		return other.whole
	}
	return len(e.gaps) < len(other.gaps)
}

func (ix *index) add(j join, e *joined) {
	if e.broken != nil {
		ix.holes = append(ix.holes, hole{
			kind: j.Kind, region: e.region, resource: e.id, reason: e.id + " of " + j.Kind + ": " + e.broken.Error(),
		})
		return
	}
	if j.Field == "" {
		ix.all = append(ix.all, e)
		return
	}
	if e.whole || slices.ContainsFunc(e.gaps, func(g evidence.Gap) bool { return g.Field == j.key[0] }) {
		ix.holes = append(ix.holes, hole{kind: j.Kind, region: e.region, resource: e.id, gaps: e.gaps})
		return
	}
	k := e.key
	if gone, ok := k.(absent); ok && j.Optional && (gone.depth > 0 || len(j.key) == 1) {
		k = nil
	}
	switch k := k.(type) {
	case string:
		ix.byKey[k] = append(ix.byKey[k], e)
	case nil:
		// Null: it belongs to nothing.
	default:
		ix.holes = append(ix.holes, hole{
			kind: j.Kind, region: e.region, resource: e.id,
			reason: fmt.Sprintf("%s of %s has no text in %s", e.id, j.Kind, j.Field),
		})
	}
}

// absent is what dig gives for a path that is not there, unlike a null.
type absent struct{ depth int } // of the field that is missing; 0: the outermost

// dig gives what a path leads to.
func dig(body map[string]any, path []string) any {
	var v any = body
	for depth, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			if v == nil {
				return nil
			}
			return absent{}
		}
		if v, ok = m[p]; !ok {
			return absent{depth: depth}
		}
	}
	return v
}

// holesFor gives the holes that may hide a match in region.
func (ix *index) holesFor(j join, region string) []hole {
	if j.In != inRegion {
		return ix.holes
	}
	var out []hole
	for _, h := range ix.holes {
		if h.region == "" || h.region == region {
			out = append(out, h)
		}
	}
	return out
}

// resolve puts the value of a join into the row: an object, null, a list, or
// an unknown with its cause.
func (ev *evaluation) resolve(r *rule, j join, row *row) error {
	ix, err := ev.index(j)
	if err != nil {
		return err
	}
	if ix.missing != "" {
		row.unknown(cause{text: ix.missing}, j.Name)
		return nil
	}
	matches := ix.all
	if j.equals != nil {
		found, ok := ix.lookup(j, row)
		if !ok {
			return nil
		}
		matches = found
	}
	if j.In == inRegion {
		matches = slices.DeleteFunc(slices.Clone(matches), func(m *joined) bool {
			return m.region != row.region
		})
	}
	holes := ix.holesFor(j, row.region)
	if len(holes) > 0 && (j.Many || len(matches) == 0) {
		row.unknown(causeOf(holes), j.Name)
		return nil
	}
	if j.Many {
		row.setList(r, j, matches)
		return nil
	}
	if j.Any && len(matches) > 1 {
		matches = matches[:1]
	}
	switch len(matches) {
	case 0:
		row.vars[j.Name] = types.NullValue
	case 1:
		row.setObject(j, matches[0])
	default:
		row.unknown(cause{text: fmt.Sprintf("%d resources of %s match where one is expected", len(matches), j.Kind)}, j.Name)
	}
	return nil
}

// lookup evaluates the join's expression and finds what it names. It gives
// false when the expression can not be decided, and then has set the variable.
func (ix *index) lookup(j join, row *row) ([]*joined, bool) {
	v, _, err := j.equals.program.Eval(row.activation())
	if err != nil || types.IsUnknown(v) {
		c := row.why(j.equals, v, err)
		row.unknown(c, j.Name)
		return nil, false
	}
	switch v := v.(type) {
	case types.String:
		return ix.byKey[string(v)], true
	case types.Null:
		return nil, true
	case traits.Lister:
		var out []*joined
		for it := v.Iterator(); it.HasNext() == types.True; {
			s, ok := it.Next().(types.String)
			if !ok {
				row.unknown(cause{text: fmt.Sprintf("the key of %s is not a text", j.Name)}, j.Name)
				return nil, false
			}
			out = append(out, ix.byKey[string(s)]...)
		}
		return out, true
	}
	row.unknown(cause{text: fmt.Sprintf("the key of %s is not a text", j.Name)}, j.Name)
	return nil, false
}

// setObject makes a matched resource a variable, and its gaps unknown
// attributes under it.
func (row *row) setObject(j join, m *joined) {
	row.vars[j.Name] = m.body()
	row.asOf = oldest(row.asOf, m.asOf)
	if m.whole {
		row.unknown(cause{gaps: m.gaps}, j.Name)
		return
	}
	for _, g := range m.gaps {
		row.unknown(cause{gaps: []evidence.Gap{g}}, j.Name, g.Field)
	}
}

// setList makes the matches a variable. cel-go's attribute patterns do not
// reach into the variable of a comprehension: over a list with an unknown
// element they make the whole comprehension unknown. Where the rule only
// selects fields of the elements, we therefore put the unknown in the place of
// the field's value, so that "one of them is good" holds when one is known to
// be. Where the rule uses an element as a whole, the list is unknown.
func (row *row) setList(r *rule, j join, matches []*joined) {
	decides, shows := r.decides[row.kind][j.Name], r.shows[j.Name]
	list := make([]any, len(matches))
	var affected []hole
	for i, m := range matches {
		list[i] = m.body()
		if len(m.gaps) == 0 {
			continue
		}
		var matter []evidence.Gap
		for _, g := range m.gaps {
			if m.whole || decides.has(g.Field) {
				matter = append(matter, g)
			}
		}
		if len(matter) > 0 {
			affected = append(affected, hole{kind: j.Kind, region: m.region, resource: m.id, gaps: matter})
		}
		if len(matter) > 0 && len(affected) <= maxUnknownElements || row.ids > -maxPlaceholders {
			list[i] = row.masked(j, m, decides.union(shows))
		}
	}
	row.vars[j.Name] = list
	if len(affected) > 0 && (decides.all || len(affected) > maxUnknownElements) {
		row.unknown(causeOf(affected), j.Name)
	}
}

// masked gives the body with unknowns in the places of the fields that a gap
// covers and the rule reads.
func (row *row) masked(j join, m *joined, reads fields) map[string]any {
	body := maps.Clone(m.body())
	if body == nil {
		body = map[string]any{}
	}
	names := reads.names
	if !m.whole {
		names = map[string]bool{}
		for _, g := range m.gaps {
			if reads.has(g.Field) {
				names[g.Field] = true
			}
		}
	}
	for name := range names {
		var of []evidence.Gap
		for _, g := range m.gaps {
			if g.Field == "" || g.Field == name {
				of = append(of, g)
			}
		}
		body[name] = row.placeholder(cause{gaps: of}, j.Name, m.id, name)
	}
	return body
}
