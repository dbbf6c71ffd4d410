package period

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// heldResource is what is known of a resource of which some could not be read
// when it was looked at last.
type heldResource struct {
	fields map[string]heldField
	// all says that nothing is known of the fields that the last look did not
	// give: the whole detail was hidden when the resource was seen first.
	all bool
}

// heldField is a field as it was before it could not be read.
type heldField struct {
	value json.RawMessage // nil: it was not there
	known bool            // false: it never could be read
	from  time.Time
}

// hide notes the resources that were seen for the first time with a gap.
func (s *seenBefore) hide(missing *unread) {
	for key, fields := range missing.fields {
		if s.pending[key] == nil {
			held := &heldResource{fields: map[string]heldField{}}
			for field := range fields {
				held.fields[field] = heldField{}
			}
			s.pending[key] = held
		}
	}
	for key := range missing.bodies {
		if s.pending[key] == nil {
			s.pending[key] = &heldResource{fields: map[string]heldField{}, all: true}
		}
	}
}

// body compares two observations of one resource, field by field. A field that
// one of the two runs could not read is no change: what it was before the gap
// is held until it can be read again.
func (c *comparison) body(old, now *observed) error {
	key := now.key()
	held, hidden, blind := c.before.pending[key], c.missing.fields[key], c.missing.bodies[key]
	if held == nil && hidden == nil && !blind && (bytes.Equal(old.line, now.line) || bytes.Equal(old.Body, now.Body)) {
		return nil
	}
	was, is, err := c.fields(old, now)
	if err != nil {
		return err
	}
	if held == nil {
		held = &heldResource{}
	}
	delete(c.before.pending, key)
	keep := &heldResource{fields: map[string]heldField{}, all: blind && held.all}
	names := union(was, is)
	for field := range held.fields {
		names[field] = true
	}
	for _, field := range slices.Sorted(maps.Keys(names)) {
		before, ok := held.fields[field]
		if !ok {
			before = heldField{value: was[field], known: was[field] != nil || !held.all, from: c.old.from}
		}
		switch {
		case hidden[field] || blind && is[field] == nil:
			keep.fields[field] = before
		case before.known:
			if err := c.value(now, before.from, field, before.value, is[field]); err != nil {
				return err
			}
		}
	}
	if len(keep.fields) > 0 || keep.all {
		c.before.pending[key] = keep
	}
	return nil
}

func union(a, b map[string]json.RawMessage) map[string]bool {
	out := make(map[string]bool, len(a)+len(b))
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}

func (c *comparison) fields(old, now *observed) (was, is map[string]json.RawMessage, err error) {
	for _, side := range []struct {
		raw  json.RawMessage
		into *map[string]json.RawMessage
	}{{old.Body, &was}, {now.Body, &is}} {
		if err := json.Unmarshal(side.raw, side.into); err != nil {
			return nil, nil, fmt.Errorf("read the body of %s: %w", now.ID, err)
		}
		if *side.into == nil {
			*side.into = map[string]json.RawMessage{}
		}
	}
	return was, is, nil
}

// maxNesting bounds how deep values are compared; below, they are compared whole.
const maxNesting = 16

// value tells of every leaf in which two values differ.
func (c *comparison) value(now *observed, after time.Time, path string, was, is json.RawMessage) error {
	return diff(path, was, is, 0, func(path string, was, is json.RawMessage) error {
		change := c.change(ResourceChanged, now)
		change.After = &after
		change.Field, change.From, change.To = path, string(was), string(is)
		return c.emit(change)
	})
}

// diff calls tell for every leaf in which two JSON values differ. Nil stands
// for a value that is not there. Lists of different lengths are leaves.
func diff(path string, was, is json.RawMessage, depth int, tell func(path string, was, is json.RawMessage) error) error {
	if was != nil && is != nil && (bytes.Equal(was, is) || sameJSON(was, is)) || was == nil && is == nil {
		return nil
	}
	if depth < maxNesting && len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		switch was[0] {
		case '{':
			var a, b map[string]json.RawMessage
			if json.Unmarshal(was, &a) == nil && json.Unmarshal(is, &b) == nil {
				for _, name := range slices.Sorted(maps.Keys(union(a, b))) {
					if err := diff(path+"."+name, a[name], b[name], depth+1, tell); err != nil {
						return err
					}
				}
				return nil
			}
		case '[':
			var a, b []json.RawMessage
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
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
