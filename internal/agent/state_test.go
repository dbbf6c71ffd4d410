package agent

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/seal"
)

// sealedMissed makes entries of missed slots of one stream, numbered from 1.
func sealedMissed(t *testing.T, b *bench, n int) []ledger.Entry {
	t.Helper()
	var out []ledger.Entry
	for i := range n {
		raw, err := json.Marshal(evidence.Missed{
			Header: evidence.Header{At: second(i), Clock: evidence.ClockSystem}, Sequence: uint64(i + 1),
			Stream: evidence.Stream{Collector: "fake.things"}, First: second(i), Last: second(i), Slots: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		data, err := b.signer.Seal(evidence.Statement{Type: evidence.StatementType, PredicateType: evidence.TypeMissed, Predicate: raw})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ledger.Entry{Index: uint64(i), Data: data})
	}
	return out
}

func TestReadState(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: second(0)})
	forged := sealedMissed(t, newBench(t, &leaping{}), 1)[0].Data
	broken := errors.New("the disk is broken")
	for _, test := range []struct {
		name    string
		n       int
		change  func([]ledger.Entry)
		failing int // the entry in whose place stands an error; 0: none
		is      error
		says    string
	}{
		{name: "none"},
		{name: "one", n: 1},
		{name: "exactly two batches", n: 512},
		{name: "more than a batch", n: 700},
		{name: "a forged signature", n: 700, change: func(e []ledger.Entry) { e[600].Data = forged }, is: seal.ErrSignature, says: "record 600: "},
		{name: "no record", n: 700, change: func(e []ledger.Entry) { e[3].Data = []byte("{}") }, is: seal.ErrMalformed, says: "record 3: "},
		{name: "an unreadable ledger", n: 700, failing: 300, is: broken},
	} {
		entries := sealedMissed(t, b, test.n)
		if test.change != nil {
			test.change(entries)
		}
		each := func(yield func(ledger.Entry, error) bool) {
			for i, e := range entries {
				if test.failing == i && i > 0 {
					yield(ledger.Entry{}, broken)
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
		s, err := readState(t.Context(), each, nil, verifierOf(t, b.signer))
		if test.is != nil {
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: got %v, want %v", test.name, err, test.is)
			}
			continue
		}
		if err != nil || s.Records != uint64(test.n) {
			t.Errorf("%s: %v, %v", test.name, s, err)
			continue
		}
		if n := s.stream(evidence.Stream{Collector: "fake.things"}).Missed; n != test.n {
			t.Errorf("%s: %d slots were missed", test.name, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := readState(ctx, each, nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, interrupted: %v", test.name, err)
		}
	}
}

// Two records may be noted in another order than that of the ledger.
func TestRecordsNotedOutOfOrder(t *testing.T) {
	t.Parallel()
	missed := func(collector string, n int) *evidence.Missed {
		return &evidence.Missed{
			Header: evidence.Header{At: second(n)}, Stream: evidence.Stream{Collector: collector},
			First: second(n), Last: second(n), Slots: 1,
		}
	}
	s := newState()
	for _, r := range []struct {
		index uint64
		m     *evidence.Missed
	}{{1, missed("b", 20)}, {0, missed("a", 10)}} {
		if err := s.take(r.index, r.m, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if s.Records != 2 || !s.Last.Equal(second(20)) || !s.Alive.Equal(second(20)) {
		t.Errorf("%d records, the last of %s, alive %s", s.Records, s.Last, s.Alive)
	}
}
