package verify

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

func FuzzSplitBundle(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x02bc"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := splitBundle(data)
		if err == nil && !bytes.Equal(joinBundle(entries), data) {
			t.Errorf("entries of %x give another bundle", data)
		}
	})
}

func FuzzParseTile(f *testing.F) {
	f.Add("tile/entries/x001/234.p/5")
	f.Add("tile/0/000")
	f.Fuzz(func(t *testing.T, name string) {
		if got, ok := parseTile(name); ok && got.path(got.width) != name {
			t.Errorf("%q read as %+v", name, got)
		}
	})
}

// FuzzRecord feeds the rules with statements of every type and any predicate.
func FuzzRecord(f *testing.F) {
	f.Add(0, []byte(`{"at":"2026-07-01T00:00:00Z","clock":"system","sequence":1,"slot":"2026-07-01T00:00:00Z","trigger":"schedule"}`), "abc")
	f.Add(1, []byte(`{"first":"0001-01-01T00:00:00Z","last":"9999-12-31T00:00:00Z","slots":-1}`), "")
	types := []string{
		evidence.TypeRun, evidence.TypeMissed, evidence.TypeConfiguration, evidence.TypeAssessment, evidence.TypeStop,
		evidence.TypeExport, evidence.TypeSample, "else",
	}
	w := newWorld(f)
	w.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "@hourly"})
	first := w.records[0]
	window := period.Window{From: hour(4), To: hour(8), Zone: time.UTC, Controls: []string{"users"}}
	moment := window
	moment.AsOf = true
	f.Fuzz(func(t *testing.T, kind int, predicate []byte, digest string) {
		s := evidence.Statement{
			Type: evidence.StatementType, PredicateType: types[uint(kind)%uint(len(types))], Predicate: predicate,
			Subject: []evidence.Subject{evidence.SubjectOf(evidence.PayloadObservations, evidence.Digest(digest))},
		}
		p, err := evidence.Decode(s)
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a schedule of centuries need not be walked here
		for _, x := range []*extract{nil, newExtract(window), newExtract(moment)} {
			c := newCheck(w.dir, Options{})
			c.rules.extract, c.bundle = x, &bundleCheck{}
			p0, err := evidence.Decode(first)
			if err != nil {
				t.Fatal(err)
			}
			c.rules.take(0, &record{statement: first, predicate: p0})
			c.rules.take(1, &record{statement: s, predicate: p})
			if x != nil {
				c.checkWindow()
				c.demandConcerned()
			}
			_ = c.checkSlots(ctx)
		}
	})
}
