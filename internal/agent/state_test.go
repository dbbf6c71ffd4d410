package agent

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
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
		s, _, err := readState(t.Context(), each, nil)
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
		if _, _, err := readState(ctx, each, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, interrupted: %v", test.name, err)
		}
	}
}

// A record that the signed checkpoint does not cover must not become state,
// though it is signed with the right key.
func TestReadStateChecksTheCheckpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: second(0)})
	dir := t.TempDir()
	entries := sealedMissed(t, b, 4)
	l, err := ledger.Open(t.Context(), dir, b.signer, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries[:3] {
		if _, err := l.Append(t.Context(), e.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadState(t.Context(), dir, verifierOf(t, b.signer)); err != nil || s.Records != 3 {
		t.Fatalf("%v, %v", s, err)
	}
	if _, err := ReadState(t.Context(), dir, verifierOf(t, newBench(t, &leaping{}).signer)); !errors.Is(err, seal.ErrSignature) {
		t.Errorf("with another key: %v", err)
	}
	// An entry bundle of C2SP tlog-tiles: each entry after its length.
	var bundle []byte
	for _, i := range []int{0, 3, 2} {
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entries[i].Data)))
		bundle = append(bundle, entries[i].Data...)
	}
	if err := os.WriteFile(filepath.Join(dir, evidence.LedgerDir, "tile", "entries", "000.p", "3"), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(t.Context(), dir, verifierOf(t, b.signer)); err == nil || !strings.Contains(err.Error(), "tallystick verify") {
		t.Errorf("with another record in the place of one: %v", err)
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
