package period

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// raw is JSON as it was read.
type raw = json.RawMessage

// heldResource is what is known of a resource of which some could not be read
// when it was looked at last.
type heldResource struct {
	fields map[string]heldField
	// all says that nothing is known of the fields that the last look did not
	// give: the whole detail was hidden when the resource was seen first.
	all bool
	// seen, unless zero, says that the resource is not in the last observations
	// although a gap names it: the begin of the look that saw it last.
	seen time.Time
}

// heldField is a field as it was before it could not be read.
type heldField struct {
	value raw  // nil: it was not there
	known bool // false: it never could be read
	from  time.Time
}

// hide notes the resources that were seen for the first time with a gap, in the
// lists that were read.
func (s *seenBefore) hide(missing *unread, lists map[listKey]bool) {
	for named, gaps := range missing.resources {
		for _, g := range gaps {
			key := resourceKey{named[0], g.Region, named[1]}
			if missing.list(listKey{key.kind, key.region}) || !hasKind(lists, key.kind) || s.held(key) != nil {
				continue
			}
			fields, all := missing.of(key)
			held := &heldResource{fields: map[string]heldField{}, all: all}
			for field := range fields {
				held.fields[field] = heldField{}
			}
			s.pending[key] = held
		}
	}
}

func hasKind(lists map[listKey]bool, kind string) bool {
	for list := range lists {
		if list.kind == kind {
			return true
		}
	}
	return false
}

// held gives what is held of a resource. A gap need not state the region, and
// stands for the resource of that id then.
func (s *seenBefore) held(key resourceKey) *heldResource {
	if held := s.pending[key]; held != nil {
		return held
	}
	if key.region != "" {
		return s.pending[resourceKey{key.kind, "", key.id}]
	}
	for other, held := range s.pending {
		if other.kind == key.kind && other.id == key.id {
			return held
		}
	}
	return nil
}

// body compares two bodies of one resource, field by field. A field that one of
// the two runs could not read is no change: what it was before the gap is held
// until it can be read again.
func (c *comparison) body(key resourceKey, was, is map[string]raw) error {
	hidden, blind := c.missing.of(key)
	held := c.before.held(key)
	if held == nil {
		held = &heldResource{}
	}
	delete(c.before.pending, key)
	delete(c.before.pending, resourceKey{key.kind, "", key.id})
	keep := &heldResource{fields: map[string]heldField{}, all: blind && held.all}
	names := union(was, is)
	maps.Insert(names, maps.All(hidden))
	for field := range held.fields {
		names[field] = true
	}
	for _, field := range slices.Sorted(maps.Keys(names)) {
		before, ok := held.fields[field]
		if !ok {
			before = heldField{value: was[field], known: was[field] != nil || !held.all, from: c.old.from}
			if !held.seen.IsZero() {
				before.from = held.seen
			}
		}
		switch {
		case hidden[field] || blind && is[field] == nil:
			keep.fields[field] = before
		case before.known:
			if err := c.value(key, before.from, field, before.value, is[field]); err != nil {
				return err
			}
		}
	}
	if len(hidden) > 0 || blind {
		c.before.pending[key] = keep
	}
	return nil
}

// hold keeps what is known of a resource that was not seen although a gap names
// it.
func (c *comparison) hold(old *side) error {
	was, _, err := bodies(old.key, old.line, nil)
	if err != nil {
		return err
	}
	held := c.before.held(old.key)
	if held == nil {
		held = &heldResource{fields: map[string]heldField{}}
	}
	for field, value := range was {
		if _, ok := held.fields[field]; !ok {
			held.fields[field] = heldField{value: value, known: true, from: c.old.from}
		}
	}
	held.seen = c.old.from
	c.before.pending[old.key] = held
	return nil
}

func union[A, B any](a map[string]A, b map[string]B) map[string]bool {
	out := make(map[string]bool, len(a)+len(b))
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}

// maxNesting bounds how deep values are compared; below, they are compared whole.
const maxNesting = 16

// value tells of every leaf in which two values differ.
func (c *comparison) value(key resourceKey, after time.Time, path string, was, is raw) error {
	return diff(path, was, is, 0, func(path string, was, is raw) error {
		change := c.change(ResourceChanged, key, after)
		change.Field, change.From, change.To = path, string(was), string(is)
		return c.emit(change)
	})
}

// diff calls tell for every leaf in which two JSON values differ. Nil stands
// for a value that is not there. Lists of different lengths are leaves.
func diff(path string, was, is raw, depth int, tell func(path string, was, is raw) error) error {
	if was != nil && is != nil && (bytes.Equal(was, is) || sameJSON(was, is)) || was == nil && is == nil {
		return nil
	}
	if depth < maxNesting && len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		switch was[0] {
		case '{':
			var a, b map[string]raw
			if json.Unmarshal(was, &a) == nil && json.Unmarshal(is, &b) == nil {
				for _, name := range slices.Sorted(maps.Keys(union(a, b))) {
					if err := diff(path+"."+name, a[name], b[name], depth+1, tell); err != nil {
						return err
					}
				}
				return nil
			}
		case '[':
			var a, b []raw
			if json.Unmarshal(was, &a) == nil && json.Unmarshal(is, &b) == nil && len(a) == len(b) {
				for i := range a {
					if err := diff(path+"["+strconv.Itoa(i)+"]", a[i], b[i], depth+1, tell); err != nil {
						return err
					}
				}
				return nil
			}
		}
	}
	return tell(path, was, is)
}

// sameJSON says whether two values differ in white space alone.
func sameJSON(a, b raw) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
