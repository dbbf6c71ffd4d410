package checks

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// FuzzDocument holds the function to encoding/json and net/url: what it reads is
// what they read, whether or not it is percent-encoded, and it takes nothing
// that they refuse.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{"Statement":[{"Action":"*"}]}`, `%7B%22A%22%3A%22%2A%22%7D`, `{"a":"%7B"}`, `%zz`, `[1,2]`, ` "x"`, `{`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := readDocument(types.String(text))
		raw := strings.TrimSpace(text)
		if strings.HasPrefix(raw, "%") {
			decoded, err := url.PathUnescape(raw)
			if err != nil {
				if !types.IsError(got) {
					t.Errorf("%q is not percent-encoded and gives %v", text, got)
				}
				return
			}
			raw = decoded
		}
		valid := json.Valid([]byte(raw))
		if !valid && !types.IsError(got) {
			t.Errorf("%q is not JSON and gives %v", text, got)
		}
		if valid && !types.IsError(got) {
			again := readDocument(types.String(raw))
			if !strings.HasPrefix(raw, "%") && again.Equal(got) != types.True && !bytes.ContainsAny([]byte(raw), "eE.") {
				t.Errorf("%q is read in two ways: %v and %v", text, got, again)
			}
			walk(t, got)
		}
	})
}

// walk goes over everything in a value, as rules may.
func walk(t *testing.T, v ref.Val) {
	t.Helper()
	switch v := v.(type) {
	case traits.Mapper:
		last := ""
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			if name := string(key.(types.String)); name <= last && last != "" {
				t.Errorf("key %q comes after %q", name, last)
			} else {
				last = name
			}
			walk(t, v.Get(key))
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			walk(t, it.Next())
		}
	}
}
