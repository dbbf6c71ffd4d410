package replay

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// compare gives the differences between a sealed payload and what came out, as
// "SEALED | REPLAYED", each by its resource.
func compare(payload, sealed, replayed string, chunk int) ([]string, error) {
	var got []string
	name := func(l *line) string {
		if l == nil {
			return "-"
		}
		return l.Check + l.ID + l.Resource + l.Field + string(l.Status)
	}
	c := newComparison(payload, io.NopCloser(strings.NewReader(sealed)), func(sealed, replayed *line) {
		got = append(got, name(sealed)+" | "+name(replayed))
	})
	for rest := []byte(replayed); len(rest) > 0; {
		n := min(chunk, len(rest))
		if _, err := c.Write(rest[:n]); err != nil {
			return got, err
		}
		rest = rest[n:]
	}
	_, _, err := c.Commit()
	return got, err
}

func TestComparison(t *testing.T) {
	thing := func(id, body string) string { return fmt.Sprintf(`{"kind":"k","id":%q,"body":%s}`+"\n", id, body) }
	gap := func(field, class string) string {
		return fmt.Sprintf(`{"kind":"k","resource":"r","field":%q,"class":%q}`+"\n", field, class)
	}
	verdict := func(check, resource, status string) string {
		return fmt.Sprintf(`{"check":%q,"region":"","resource":%q,"status":%q}`+"\n", check, resource, status)
	}
	for _, test := range []struct {
		name, payload, sealed, replayed string
		want                            []string
		fails                           string
	}{
		{name: "nothing and nothing", payload: evidence.PayloadObservations},
		{
			name: "the same", payload: evidence.PayloadObservations,
			sealed: thing("a", "1") + thing("b", "2"), replayed: thing("a", "1") + thing("b", "2"),
		},
		{
			name: "one left out when it was sealed", payload: evidence.PayloadObservations,
			sealed: thing("a", "1") + thing("c", "3"), replayed: thing("a", "1") + thing("b", "2") + thing("c", "3"),
			want: []string{"- | b"},
		},
		{
			name: "one put in when it was sealed, first and last", payload: evidence.PayloadObservations,
			sealed: thing("a", "1") + thing("b", "2") + thing("c", "3"), replayed: thing("b", "2"),
			want: []string{"a | -", "c | -"},
		},
		{
			name: "one changed", payload: evidence.PayloadObservations,
			sealed: thing("a", "1") + thing("b", "2"), replayed: thing("a", "1") + thing("b", "9"),
			want: []string{"b | b"},
		},
		{
			name: "the same in another order", payload: evidence.PayloadObservations,
			sealed: thing("b", "2") + thing("a", "1"), replayed: thing("a", "1") + thing("b", "2"),
			want: []string{"- | a", "a | -"},
		},
		{
			name: "one twice", payload: evidence.PayloadObservations,
			sealed: thing("a", "1") + thing("a", "1"), replayed: thing("a", "1"), want: []string{"a | -"},
		},
		{
			name: "other bytes for the same values", payload: evidence.PayloadObservations,
			sealed: thing("a", "1 "), replayed: thing("a", "1"), want: []string{"a | a"},
		},
		{
			name: "a gap of another class", payload: evidence.PayloadGaps,
			sealed: gap("F", "denied"), replayed: gap("F", "throttled"), want: []string{"rF | rF"},
		},
		{
			name: "a verdict turned", payload: evidence.PayloadVerdicts,
			sealed:   verdict("x", "a", "pass") + verdict("y", "a", "pass"),
			replayed: verdict("x", "a", "fail") + verdict("y", "a", "pass"), want: []string{"xapass | xafail"},
		},
		{
			name: "sealed bytes that are no JSON", payload: evidence.PayloadVerdicts,
			sealed: "what\n", replayed: verdict("x", "a", "fail"), fails: "read sealed verdicts.jsonl",
		},
		{
			name: "a last line that was cut", payload: evidence.PayloadVerdicts,
			sealed: `{"check":"x"}`, replayed: verdict("x", "a", "fail"), fails: "read sealed verdicts.jsonl",
		},
	} {
		for _, chunk := range []int{1, 7, 1 << 20} {
			got, err := compare(test.payload, test.sealed, test.replayed, chunk)
			if (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.fails)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s, %d bytes at a time: got %q, want %q", test.name, chunk, got, test.want)
			}
		}
	}
}

// A comparison says nothing exactly when the bytes are the same.
func FuzzComparison(f *testing.F) {
	f.Add(`{"kind":"k","id":"a"}`+"\n", `{"kind":"k","id":"b"}`+"\n")
	f.Add("", "\n")
	f.Add(`{"check":"a"}`+"\n"+`{"check":"a"}`+"\n", `{"check":"a"}`+"\n")
	f.Add(`{"check":"a"}`, `{"check":"a"}`)
	f.Fuzz(func(t *testing.T, sealed, replayed string) {
		for _, payload := range []string{evidence.PayloadObservations, evidence.PayloadGaps, evidence.PayloadVerdicts} {
			got, err := compare(payload, sealed, replayed, 5)
			if same := len(got) == 0 && err == nil; same && sealed != replayed {
				t.Errorf("%q and %q are told to be the same", sealed, replayed)
			}
			if again, _ := compare(payload, sealed, replayed, 3); !slices.Equal(got, again) {
				t.Errorf("%q, then %q", got, again)
			}
		}
	})
}

func TestChanges(t *testing.T) {
	long := strings.Repeat("x", 2*maxValue)
	for _, test := range []struct {
		sealed, replayed string
		want             []change
	}{
		{`{"a":1}`, `{"a":2}`, []change{{"a", "1", "2"}}},
		{`{"a":{"b":[1,{"c":true}]}}`, `{"a":{"b":[1,{"c":false}]}}`, []change{{"a.b[1].c", "true", "false"}}},
		{`{"a":1}`, `{"a":1,"b":null}`, []change{{"b", "", "null"}}},
		{`{"a":1,"b":"<x>"}`, `{"a":1}`, []change{{"b", `"<x>"`, ""}}},
		{`{"a":[1,2]}`, `{"a":[1]}`, []change{{"a[1]", "2", ""}}},
		{`{"a":[]}`, `{"a":{}}`, []change{{"a", "[]", "{}"}}},
		{`{"a":1.0}`, `{"a":1}`, []change{{"a", "1.0", "1"}}},
		{`{"a": 1}`, `{"a":1}`, []change{{"", `{"a": 1}`, `{"a":1}`}}},
	} {
		if got := changes([]byte(test.sealed), []byte(test.replayed)); !slices.Equal(got, test.want) {
			t.Errorf("%s and %s: got %q, want %q", test.sealed, test.replayed, got, test.want)
		}
	}
	got := changes([]byte(`{"a":"`+long+`1"}`), []byte(`{"a":"`+long+`2"}`))
	if len(got) != 1 || got[0].sealed == got[0].replayed || len(got[0].sealed) > maxValue+100 {
		t.Errorf("long values are shortened to what looks the same: %.200q", got)
	}
}
