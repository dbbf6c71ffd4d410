package checks

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func TestDecodeBody(t *testing.T) {
	all := fields{all: true}
	tests := []struct {
		body string
		want fields
		out  map[string]any // nil: refused
	}{
		{`{}`, all, map[string]any{}},
		{` { "a" : 1 , "b" : [ true , null , "x" ] } `, all, map[string]any{"a": int64(1), "b": []any{true, nil, "x"}}},
		{`{"a":1,"b":{"c":2}}`, fields{names: map[string]bool{"b": true}}, map[string]any{"b": map[string]any{"c": int64(2)}}},
		{`{"a":1}`, fields{}, nil},
		{
			`{"n":9223372036854775807,"m":-1,"f":1.5,"e":1e3,"g":9223372036854775808}`, all,
			map[string]any{"n": int64(9223372036854775807), "m": int64(-1), "f": 1.5, "e": 1000.0, "g": 9223372036854775808.0},
		},
		{`{"s":"a\"b\\cé\ud83d\ude00/\n"}`, all, map[string]any{"s": "a\"b\\cé😀/\n"}},
		{`{"a":1,"a":2}`, all, map[string]any{"a": int64(2)}},
		{`{"a":[],"b":{}}`, all, map[string]any{"a": []any{}, "b": map[string]any{}}},
		{``, all, nil},
		{`[]`, all, nil},
		{`"x"`, all, nil},
		{`{"a":1}x`, all, nil},
		{`{"a":01}`, all, nil},
		{`{"a":1.}`, all, nil},
		{`{"a":-}`, all, nil},
		{`{"a":1,}`, all, nil},
		{`{"a" 1}`, all, nil},
		{`{"a":tru}`, all, nil},
		{"{\"a\":\"\n\"}", all, nil},
		{`{"a":"\x"}`, all, nil},
		{`{"a":[1`, all, nil},
		{`{"a":1e999}`, all, nil},
	}
	for _, tt := range tests {
		out, err := decodeBody([]byte(tt.body), tt.want)
		if tt.body == `{"a":1}` && !tt.want.all {
			if len(out) != 0 || err != nil {
				t.Errorf("%s with nothing wanted: got %v, %v", tt.body, out, err)
			}
			continue
		}
		if (err == nil) != (tt.out != nil) || err == nil && !reflect.DeepEqual(out, tt.out) {
			t.Errorf("%s: got %v, %v, want %v", tt.body, out, err, tt.out)
		}
	}
}

// FuzzDecodeBody holds the decoder to encoding/json.
func FuzzDecodeBody(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,2.5,-3e2,"x\u00e9\ud800",null,true]}}`, `{"":{}}`, ` { "b" : [ 1 ] , "a" : 1.0 , "a" : { } } `, "{\"a\":\"\xff\"}", `{"a":1e400}`, `{"a":-0}`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeBody(body, fields{all: true})
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var want map[string]any
		wantErr := dec.Decode(&want)
		if wantErr == nil && dec.More() || want == nil || !json.Valid(body) {
			wantErr = errBody
		}
		plain, ok := numbers(want)
		if wantErr == nil && !ok {
			return // a number out of range: refused here, kept as text there
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %v, encoding/json %v", body, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, plain) {
			t.Fatalf("%q: got %#v, encoding/json %#v", body, got, plain)
		}
		if err == nil {
			for _, want := range []fields{{all: true}, {names: map[string]bool{"a": true, "": true}}} {
				some, _ := decodeBody(body, want)
				if again, err := decodeBody(cutBody(body, want), fields{all: true}); err != nil || !reflect.DeepEqual(again, some) {
					t.Fatalf("%q: cut to %v it is %#v, %v, want %#v", body, want, again, err, some)
				}
			}
		}
		if _, err := decodeBody(body, fields{}); (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: skipping sees it otherwise: %v", body, err)
		}
	})
}

// numbers turns json.Number into what decodeBody makes of it.
func numbers(v any) (any, bool) {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, true
		}
		f, err := v.Float64()
		return f, err == nil
	case map[string]any:
		for k, el := range v {
			n, ok := numbers(el)
			if !ok {
				return nil, false
			}
			v[k] = n
		}
	case []any:
		for i, el := range v {
			n, ok := numbers(el)
			if !ok {
				return nil, false
			}
			v[i] = n
		}
	}
	return v, true
}
