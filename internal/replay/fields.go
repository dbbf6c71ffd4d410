package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The bounds of what is told of one place.
const (
	maxFields = 20      // fields of one line; then the rest is one
	maxValue  = 4 << 10 // bytes of one value
)

// change is one field that differs. An empty text is an absent one.
type change struct{ field, sealed, replayed string }

// changes gives the fields in which two JSON texts differ, in order. When they
// hold the same values in other bytes, it is one change of everything.
func changes(sealed, replayed []byte) []change {
	a, errA := decode(sealed)
	b, errB := decode(replayed)
	var out []change
	if errA == nil && errB == nil {
		walk("", a, b, &out)
	}
	if len(out) == 0 {
		out = append(out, changeOf("", string(sealed), string(replayed)))
	}
	return out
}

// decode keeps numbers as they are written.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func walk(at string, a, b any, out *[]change) {
	if len(*out) >= maxFields {
		return
	}
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			walkObject(at, x, y, out)
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			walkArray(at, x, y, out)
			return
		}
	}
	if before, after := text(a), text(b); before != after {
		*out = append(*out, changeOf(at, before, after))
	}
}

func walkArray(at string, a, b []any, out *[]change) {
	for i := range max(len(a), len(b)) {
		field := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case len(*out) >= maxFields:
			return
		case i >= len(b):
			*out = append(*out, changeOf(field, text(a[i]), ""))
		case i >= len(a):
			*out = append(*out, changeOf(field, "", text(b[i])))
		default:
			walk(field, a[i], b[i], out)
		}
	}
}

func walkObject(at string, a, b map[string]any, out *[]change) {
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		field := strings.TrimPrefix(at+"."+name, ".")
		x, inA := a[name]
		y, inB := b[name]
		switch {
		case inA && inB:
			walk(field, x, y, out)
		case len(*out) >= maxFields:
			return
		case inA:
			*out = append(*out, changeOf(field, text(x), ""))
		default:
			*out = append(*out, changeOf(field, "", text(y)))
		}
	}
}

// text gives a value as JSON.
func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v) // not reached: v came from JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// changeOf shortens long values to what surrounds their first difference.
func changeOf(field, sealed, replayed string) change {
	at := 0
	for at < min(len(sealed), len(replayed)) && sealed[at] == replayed[at] {
		at++
	}
	from := max(0, at-maxValue/4)
	return change{field, clip(sealed, from), clip(replayed, from)}
}

func clip(s string, from int) string {
	if len(s) <= maxValue {
		return s
	}
	from = min(from, len(s)-maxValue)
	part := strings.ToValidUTF8(s[from:from+maxValue], "")
	return fmt.Sprintf("%s… (%d bytes from byte %d of %d)", part, maxValue, from, len(s))
}
