package verify

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/seal"
)

func TestSound(t *testing.T) {
	t.Parallel()
	w := year(t, 300)
	w.put("an orphan")
	var last, total uint64
	r := w.verify(Options{Now: hour(305), Progress: func(d, n uint64) {
		if d < last || d > n {
			t.Errorf("progress went from %d to %d of %d", last, d, n)
		}
		last, total = d, n
	}})
	if !r.OK || len(r.Problems) != 0 {
		t.Fatalf("problems in a sound directory:\n%s", lines(r.Problems))
	}
	if r.Records != 302 || r.Types["run"] != 300 || r.Types["configuration"] != 1 || r.Types["stop"] != 1 {
		t.Errorf("counted %d records, %v", r.Records, r.Types)
	}
	// configuration, schedule, catalogue, exchanges, observations, gaps, and the orphan
	if r.Payloads.Checked != 7 || r.Payloads.Orphans != 1 || last != 309 || total != 309 {
		t.Errorf("payloads %+v, progress %d of %d", r.Payloads, last, total)
	}
	checkpoint := string(readIn(t, w.dir, "ledger/checkpoint"))
	if r.Root == "" || !strings.Contains(checkpoint, "\n"+r.Root+"\n") {
		t.Errorf("root %q is not in the checkpoint", r.Root)
	}
	if r.KeyFrom != KeyDirectory || r.Key != w.signer.VerifierKey() || r.Origin != "verify.test" || r.Simulated {
		t.Errorf("report %+v", r)
	}
	if len(r.Tail) != 1 || r.Tail[0].Slots != 5 || !r.Tail[0].First.Equal(hour(301)) || !r.Tail[0].Last.Equal(hour(305)) {
		t.Errorf("open tail %+v, want five slots", r.Tail)
	}
	if r := w.verify(Options{Key: w.signer.VerifierKey(), Checkpoints: [][]byte{[]byte(checkpoint)}}); !r.OK || r.KeyFrom != KeyGiven {
		t.Errorf("with the key given: %+v", r)
	}
}

func TestEmptyLedger(t *testing.T) {
	w := newWorld(t)
	w.seal()
	if r := w.verify(Options{}); !r.OK || r.Records != 0 {
		t.Errorf("%+v", r)
	}
}

func TestErrors(t *testing.T) {
	w := year(t, 1)
	if _, err := Dir(t.Context(), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "not a data directory") {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := Dir(t.Context(), w.dir, Options{Key: "nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("unusable key: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dir(ended, w.dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}

func TestGivenKey(t *testing.T) {
	t.Parallel()
	w := year(t, 3)
	_, vkey, err := seal.NewKey("verify.test")
	if err != nil {
		t.Fatal(err)
	}
	r := w.verify(Options{Key: vkey})
	want(t, r, KindKey, evidence.VerifierKeyFile)
	want(t, r, KindCheckpoint, "ledger/checkpoint")
}

func TestRolledBack(t *testing.T) {
	t.Parallel()
	w := year(t, 5)
	old := readIn(t, w.dir, "ledger/checkpoint")
	oldTile := readIn(t, w.dir, "ledger/tile/0/000.p/7")
	copied := copyDir(t, w.dir)
	w.configure(hour(5).Add(20*60e9), evidence.EventStarted, map[evidence.Stream]string{buckets: "@hourly"})
	w.run(buckets, hour(6))
	w.seal()
	kept := readIn(t, w.dir, "ledger/checkpoint")

	// The auditor's earlier checkpoint fits, and an older copy does not fit a later one.
	if r := w.verify(Options{Checkpoints: [][]byte{old}}); !r.OK {
		t.Errorf("an extension is refused:\n%s", lines(r.Problems))
	}
	r, err := Dir(t.Context(), copied, Options{Checkpoints: [][]byte{kept}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, KindExtension, "ledger/checkpoint")

	// Only the checkpoint rolled back, with and without the tile it names.
	writeIn(t, old, w.dir, "ledger/checkpoint")
	want(t, w.verify(Options{patience: 1}), KindCheckpointBehind, "ledger/.state/treeState")
	want(t, w.verify(Options{patience: 1}), KindCheckpointBehind, "ledger/tile")
	writeIn(t, oldTile, w.dir, "ledger/tile/0/000.p/7")
	want(t, w.verify(Options{patience: 1}), KindCheckpointBehind, "ledger/tile")
	writeIn(t, kept, w.dir, "ledger/checkpoint")
	if r := w.verify(Options{}); !r.OK {
		t.Errorf("a leftover of an earlier checkpoint is refused:\n%s", lines(r.Problems))
	}
}

// TestRewritten makes a second history with the same key.
func TestRewritten(t *testing.T) {
	t.Parallel()
	w := year(t, 5)
	earlier := readIn(t, w.dir, "ledger/checkpoint")
	other := newWorld(t)
	other.signer = w.signer
	other.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "@hourly"})
	for i := range 9 {
		other.run(buckets, hour(i+1), func(r *evidence.Run) { r.Principal = "another" })
	}
	other.seal()
	want(t, other.verify(Options{Checkpoints: [][]byte{earlier}}), KindExtension, "ledger/checkpoint")
	stranger := readIn(t, year(t, 1).dir, "ledger/checkpoint")
	want(t, w.verify(Options{Checkpoints: [][]byte{stranger}}), KindExtension, "earlier checkpoint")
}

// TestBesideAnAgent verifies a directory while records are added to it.
func TestBesideAnAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(t0, evidence.EventStarted, hourly)
	for i := range 300 {
		w.run(buckets, hour(i+1))
	}
	l, err := ledger.Open(t.Context(), w.dir, w.signer, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for i, s := range w.records {
			data, err := w.signer.Seal(s)
			if err == nil && i%30 == 0 {
				_, err = l.Append(t.Context(), data)
			} else if err == nil {
				_, err = l.Add(t.Context(), data)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- l.Close(context.Background())
	}()
	for sizes := 0; ; sizes++ {
		r := w.verify(Options{})
		if !r.OK {
			t.Fatalf("at %d records:\n%s", r.Records, lines(r.Problems))
		}
		select {
		case err := <-done:
			if r := w.verify(Options{}); err != nil || r.Records != 301 || !r.OK {
				t.Errorf("at the end: %v, %d records\n%s", err, r.Records, lines(r.Problems))
			}
			if sizes == 0 {
				t.Error("nothing was verified meanwhile")
			}
			return
		default:
		}
	}
}
