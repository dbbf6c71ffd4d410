package verify

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/period"
)

// TestExtractRules has records of the first of July from 04:00 on, as a bundle
// shows them. The problems wanted are all of those found, as "kind place".
func TestExtractRules(t *testing.T) {
	to := hour(8)
	overlap := func(w *world, h int) {
		w.missed(buckets, hour(h).Add(time.Second), hour(h), hour(h), 1, evidence.CauseOverlap)
	}
	late := func(at time.Time) func(*evidence.Run) { return func(r *evidence.Run) { r.At = at } }
	leave := func(w *world) { w.next(buckets) } // a record that is not in the bundle
	for _, test := range []struct {
		name string
		make func(w *world)
		want []string
		tail string
	}{
		{name: "in good order", make: func(w *world) {
			w.sequence[buckets] = 40
			for h := 4; h < 8; h++ {
				w.run(buckets, hour(h))
			}
		}},
		{name: "a number left out", make: func(w *world) {
			w.run(buckets, hour(4))
			leave(w)
			for h := 5; h < 8; h++ {
				w.run(buckets, hour(h))
			}
		}, want: []string{"sequence record 2"}},
		{name: "a task that ran into the window", make: func(w *world) {
			overlap(w, 4)
			overlap(w, 5)
			leave(w) // the run of three o'clock, which ended now
			w.run(buckets, hour(6))
			w.run(buckets, hour(7))
		}},
		{name: "two left out where a task ran into the window", make: func(w *world) {
			overlap(w, 4)
			overlap(w, 5)
			leave(w)
			leave(w)
			w.run(buckets, hour(6))
			w.run(buckets, hour(7))
		}, want: []string{"sequence record 3"}},
		{name: "one left out behind what was missed for another cause", make: func(w *world) {
			w.missed(buckets, hour(4).Add(time.Second), hour(4), hour(4), 1, evidence.CauseFault)
			leave(w)
			for h := 5; h < 8; h++ {
				w.run(buckets, hour(h))
			}
		}, want: []string{"sequence record 2"}},
		{name: "a task that ran out of the window", make: func(w *world) {
			for h := 4; h < 7; h++ {
				w.run(buckets, hour(h))
			}
			leave(w) // eight and nine o'clock, missed meanwhile
			leave(w)
			w.run(buckets, hour(7), late(hour(9).Add(minutes(30))))
		}},
		{name: "missed from before the window until after it", make: func(w *world) {
			w.missed(buckets, hour(11), hour(2), hour(10), 9, evidence.CauseAgentDown)
		}},
		{name: "missed from before the window, more than it says", make: func(w *world) {
			w.missed(buckets, hour(7), hour(2), hour(6), 2, evidence.CauseAgentDown)
			w.run(buckets, hour(7))
		}, want: []string{"slot_not_due record 1"}},
		{name: "the end is open", make: func(w *world) {
			w.run(buckets, hour(4))
			w.run(buckets, hour(5))
		}, tail: "2"},
		{name: "nothing at the begin", make: func(w *world) {
			w.run(buckets, hour(6))
			w.run(buckets, hour(7))
		}, want: []string{"slot_missing record 0"}},
		{name: "a run of before that nothing used", make: func(w *world) {
			w.run(buckets, hour(3))
			for h := 4; h < 8; h++ {
				w.run(buckets, hour(h))
			}
		}, want: []string{"outside_window record 1"}},
		{name: "a run of before that was used, and one behind it left out", make: func(w *world) {
			w.run(buckets, hour(2))
			leave(w)
			for h := 4; h < 8; h++ {
				w.run(buckets, hour(h))
			}
			w.record(evidence.TypeAssessment, evidence.Assessment{Header: header(hour(7).Add(minutes(2))), Scope: buckets.Scope, Sequence: 9, Used: []evidence.Used{
				{Stream: buckets.String(), Sequence: 1, Slot: hour(2), Record: 1}, {Stream: buckets.String(), Sequence: 6, Slot: hour(7), Record: 5},
			}}, w.judged(0)...)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.numbered = 6
			w.configure(t0, evidence.EventStarted, hourly)
			test.make(w)
			c := newCheck(w.dir, Options{})
			c.Origin = "verify.test"
			c.rules.extract = newExtract(period.Window{From: hour(4), To: to, Zone: time.UTC})
			c.bundle = &bundleCheck{export: &evidence.Export{Header: header(hour(20))}}
			for i, s := range w.records {
				p, err := evidence.Decode(s)
				must(t, err)
				c.rules.take(uint64(i), &record{statement: s, predicate: p})
			}
			c.checkWindow()
			must(t, c.checkSlots(t.Context()))
			ok := len(c.Problems) == len(test.want)
			for i := 0; ok && i < len(test.want); i++ {
				ok = strings.HasPrefix(c.Problems[i].Kind+" "+c.Problems[i].Place, test.want[i])
			}
			if !ok {
				t.Errorf("want %q, there are:\n%s", test.want, lines(c.Problems))
			}
			tail := ""
			if len(c.Tail) > 0 {
				tail = fmt.Sprint(c.Tail[0].Slots)
			}
			if tail != test.tail || c.Slots.Due != 4 {
				t.Errorf("open tail %q, want %q; slots %+v", tail, test.tail, c.Slots)
			}
		})
	}
}

// TestPrefix compares with trees over all of the records.
func TestPrefix(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	leaf := func(i uint64) []byte { return rfc6962.DefaultHasher.HashLeaf([]byte{byte(i)}) }
	for range 300 {
		var b bundleCheck
		var ranges []bundle.Range
		size := uint64(random.IntN(70) + 1)
		for i := range size {
			if i == size-1 || random.IntN(4) > 0 == (i/9%2 == 0) {
				ranges = bundle.AppendIndex(ranges, i)
				b.leaves = append(b.leaves, leaf(i))
			}
		}
		var err error
		b.proof, err = bundle.Prove(size, leaf, ranges)
		must(t, err)
		whole := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		held := 0
		for i := range size {
			must(t, whole.Append(leaf(i), nil))
			got := b.prefix(i + 1)
			want, err := whole.GetRootHash(nil)
			must(t, err)
			if held < len(ranges) && i+1 == ranges[held].First+ranges[held].Count {
				held++
			}
			within := held < len(ranges) && i+1 >= ranges[held].First || held > 0 && i+1 == ranges[held-1].First+ranges[held-1].Count
			if got == nil && within || got != nil && !bytes.Equal(got, want) {
				t.Fatalf("of %v the first %d have the root %x, want %x", ranges, i+1, got, want)
			}
		}
	}
}
