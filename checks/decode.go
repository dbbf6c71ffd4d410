package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a body, as encoding/json does.
const maxDepth = 10000

var errBody = errors.New("not a JSON object")

// decodeBody decodes a JSON object into CEL's native values, keeping only the
// top-level fields in want. Whole numbers become int64, others float64.
//
// It exists because encoding/json turns every number into a float64 and
// allocates for fields that no rule reads; TestDecodeBody and FuzzDecodeBody
// hold it to encoding/json's understanding of JSON.
func decodeBody(body []byte, want fields) (map[string]any, error) {
	d := decoder{b: body}
	d.space()
	if d.i >= len(d.b) || d.b[d.i] != '{' {
		return nil, errBody
	}
	out, err := d.object(want, 0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.i != len(d.b) {
		return nil, d.fault("text after the object")
	}
	return out, nil
}

// cutBody gives a copy of the top-level fields in want, as they are written. The
// body must be one that decodeBody takes; of the copy it makes the same.
func cutBody(body []byte, want fields) []byte {
	d := decoder{b: body}
	out := []byte{'{'}
	d.space()
	for more := true; more; {
		d.i++ // over the brace, or the comma
		d.space()
		start := d.i
		key, err := d.str()
		if err != nil {
			break // there is no field
		}
		d.space()
		d.i++                    // over the colon
		_, _ = d.value(false, 1) // it was decoded before
		if want.has(string(key)) {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, body[start:d.i]...)
		}
		d.space()
		more = d.b[d.i] == ','
	}
	return bytes.Clone(append(out, '}')) // it is held: no larger than it must be
}

// decodeValue decodes a text that is one JSON value.
func decodeValue(text []byte) (any, error) {
	d := decoder{b: text}
	v, err := d.value(true, 0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.i != len(d.b) {
		return nil, d.fault("text after the value")
	}
	return v, nil
}

type decoder struct {
	b []byte
	i int
}

func (d *decoder) fault(what string) error {
	return fmt.Errorf("%w: %s at byte %d", errBody, what, d.i)
}

func (d *decoder) space() {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

// object decodes an object and keeps the fields in want.
func (d *decoder) object(want fields, depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, d.fault("nested too deeply")
	}
	var out map[string]any
	if want.all || len(want.names) > 0 {
		out = make(map[string]any, 8)
	}
	d.i++
	d.space()
	if d.i < len(d.b) && d.b[d.i] == '}' {
		d.i++
		return out, nil
	}
	for {
		d.space()
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.i >= len(d.b) || d.b[d.i] != ':' {
			return nil, d.fault("no colon")
		}
		d.i++
		keep := want.has(string(key))
		v, err := d.value(keep, depth+1)
		if err != nil {
			return nil, err
		}
		if keep {
			out[string(key)] = v
		}
		more, err := d.next('}')
		if err != nil || !more {
			return out, err
		}
	}
}

func (d *decoder) array(keep bool, depth int) (any, error) {
	if depth > maxDepth {
		return nil, d.fault("nested too deeply")
	}
	out := []any{}
	d.i++
	d.space()
	if d.i < len(d.b) && d.b[d.i] == ']' {
		d.i++
		return out, nil
	}
	for {
		v, err := d.value(keep, depth+1)
		if err != nil {
			return nil, err
		}
		if keep {
			out = append(out, v)
		}
		more, err := d.next(']')
		if err != nil || !more {
			return out, err
		}
	}
}

// next steps over a comma, or over the closing byte, which ends the list.
func (d *decoder) next(closing byte) (more bool, err error) {
	d.space()
	if d.i >= len(d.b) {
		return false, d.fault("cut short")
	}
	switch d.b[d.i] {
	case ',':
		d.i++
		return true, nil
	case closing:
		d.i++
		return false, nil
	}
	return false, d.fault("no comma")
}

func (d *decoder) value(keep bool, depth int) (any, error) {
	d.space()
	if d.i >= len(d.b) {
		return nil, d.fault("cut short")
	}
	switch c := d.b[d.i]; {
	case c == '{':
		return d.object(fields{all: keep}, depth)
	case c == '[':
		return d.array(keep, depth)
	case c == '"':
		s, err := d.str()
		if err != nil || !keep {
			return nil, err
		}
		return string(s), nil
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return d.number(keep)
	}
	return nil, d.fault("unexpected byte")
}

func (d *decoder) word(w string) error {
	if len(d.b)-d.i < len(w) || string(d.b[d.i:d.i+len(w)]) != w {
		return d.fault("unexpected word")
	}
	d.i += len(w)
	return nil
}

// str steps over a string and gives its content. The bytes are the decoder's
// unless there was something to unescape.
func (d *decoder) str() ([]byte, error) {
	if d.i >= len(d.b) || d.b[d.i] != '"' {
		return nil, d.fault("no string")
	}
	start := d.i
	plain := true
	for d.i++; d.i < len(d.b); d.i++ {
		switch c := d.b[d.i]; {
		case c == '"':
			d.i++
			if plain {
				return d.b[start+1 : d.i-1], nil
			}
			var s string
			if err := json.Unmarshal(d.b[start:d.i], &s); err != nil {
				return nil, d.fault("string")
			}
			return []byte(s), nil
		case c == '\\':
			plain = false
			d.i++
		case c < 0x20:
			return nil, d.fault("control character in a string")
		case c >= utf8.RuneSelf:
			plain = false // encoding/json replaces what is not UTF-8
		}
	}
	return nil, d.fault("string cut short")
}

// number reads a number. Source: RFC 8259 section 6.
func (d *decoder) number(keep bool) (any, error) {
	start, whole := d.i, true
	if d.b[d.i] == '-' {
		d.i++
	}
	switch {
	case d.i < len(d.b) && d.b[d.i] == '0':
		d.i++
	case !d.digits():
		return nil, d.fault("number")
	}
	if d.i < len(d.b) && d.b[d.i] == '.' {
		whole = false
		d.i++
		if !d.digits() {
			return nil, d.fault("number")
		}
	}
	if d.i < len(d.b) && (d.b[d.i] == 'e' || d.b[d.i] == 'E') {
		whole = false
		d.i++
		if d.i < len(d.b) && (d.b[d.i] == '+' || d.b[d.i] == '-') {
			d.i++
		}
		if !d.digits() {
			return nil, d.fault("number")
		}
	}
	if !keep {
		return nil, nil
	}
	text := string(d.b[start:d.i])
	if whole {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, d.fault("number out of range")
	}
	return f, nil
}

func (d *decoder) digits() bool {
	start := d.i
	for d.i < len(d.b) && d.b[d.i] >= '0' && d.b[d.i] <= '9' {
		d.i++
	}
	return d.i > start
}
