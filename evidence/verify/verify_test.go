package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

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
	if r := w.verify(Options{Key: w.signer.VerifierKey(), Checkpoint: []byte(checkpoint)}); !r.OK || r.KeyFrom != KeyGiven {
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

// all lists the files of a data directory but those that hold nothing.
func all(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err == nil && rel != evidence.LockFile && !strings.HasSuffix(rel, ".lock") {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// placed says whether a report names the file: itself, or the payload or the
// records that are in it.
func placed(r Report, name string) bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool {
		d := strings.TrimSuffix(filepath.Base(name), ".zst")
		return p.Place == name || p.Place == "payload "+d || strings.Contains(p.Detail, name) ||
			strings.HasPrefix(name, "ledger/tile/entries/") && strings.HasPrefix(p.Place, "record ") ||
			name == evidence.VerifierKeyFile && p.Place == "ledger/checkpoint" && strings.Contains(p.Detail, "key")
	})
}

func TestEveryFileIsBound(t *testing.T) {
	t.Parallel()
	w := year(t, 260)
	dir := copyDir(t, w.dir)
	names := all(t, dir)
	for _, must := range []string{
		"ledger.vkey", "ledger/checkpoint", "ledger/.state/treeState", "ledger/.state/version",
		"ledger/tile/0/000", "ledger/tile/0/001.p/6", "ledger/tile/1/000.p/1", "ledger/tile/entries/000", "ledger/tile/entries/001.p/6",
	} {
		if !slices.Contains(names, must) {
			t.Fatalf("no file %s in %q", must, names)
		}
	}
	spoil := func(what, name string, data []byte, good []byte) {
		t.Helper()
		full := filepath.Join(dir, filepath.FromSlash(name))
		if data == nil {
			if err := os.Remove(full); err != nil {
				t.Fatal(err)
			}
		} else {
			writeIn(t, data, full)
		}
		r, err := Dir(t.Context(), dir, Options{patience: 1})
		if err != nil {
			t.Fatalf("%s %s: %v", what, name, err)
		}
		if r.OK || !placed(r, name) {
			t.Errorf("%s %s is not found; there are:\n%s", what, name, lines(r.Problems))
		}
		writeIn(t, good, full)
	}
	for _, name := range names {
		good := readIn(t, dir, filepath.FromSlash(name))
		for _, at := range []int{0, len(good) / 3, len(good) - 2} {
			flipped := bytes.Clone(good)
			flipped[max(at, 0)] ^= 4
			spoil("flip in", name, flipped, good)
		}
		spoil("cut", name, good[:len(good)/2], good)
		spoil("append to", name, append(bytes.Clone(good), "\x00\x00"...), good)
		spoil("delete", name, nil, good)
	}
	if r, err := Dir(t.Context(), dir, Options{}); err != nil || !r.OK {
		t.Errorf("the restored directory: %v\n%s", err, lines(r.Problems))
	}
}

// tampered is a directory that is about to be tampered with.
type tampered struct {
	t   *testing.T
	dir string
}

func TestTamper(t *testing.T) {
	t.Parallel()
	sound := year(t, 20)
	bundle := func(dir string) string { return filepath.Join(dir, "ledger/tile/entries/000.p/22") }
	for _, test := range []struct {
		name        string
		do          func(x tampered)
		kind, place string
	}{
		{"two records swapped", func(x tampered) {
			entries, err := splitBundle(readIn(x.t, bundle(x.dir)))
			if err != nil {
				x.t.Fatal(err)
			}
			entries[3], entries[4] = entries[4], entries[3]
			writeIn(x.t, joinBundle(entries), bundle(x.dir))
		}, KindSequence, "record 3"},
		{"a record taken out", func(x tampered) {
			entries, err := splitBundle(readIn(x.t, bundle(x.dir)))
			if err != nil {
				x.t.Fatal(err)
			}
			writeIn(x.t, joinBundle(slices.Delete(entries, 7, 8)), bundle(x.dir))
		}, KindSequence, "record 7"},
		{"a record changed", func(x tampered) {
			data := readIn(x.t, bundle(x.dir))
			data[len(data)/2] ^= 1
			writeIn(x.t, data, bundle(x.dir))
		}, KindTree, "ledger/tile/0/000.p/22"},
		{"a payload replaced by another", func(x tampered) {
			names := all(x.t, filepath.Join(x.dir, "payloads"))
			writeIn(x.t, readIn(x.t, x.dir, "payloads", names[1]), x.dir, "payloads", names[0])
		}, KindPayloadCorrupt, "payload "},
		{"an unexpected file in the ledger", func(x tampered) {
			writeIn(x.t, nil, x.dir, "ledger/tile/entries/notes")
		}, KindUnexpectedFile, "ledger/tile/entries/notes"},
		{"an unexpected file among the payloads", func(x tampered) {
			writeIn(x.t, nil, x.dir, "payloads/ab/notes")
		}, KindUnexpectedFile, "payloads/ab/notes"},
		{"an unexpected file at the top", func(x tampered) {
			writeIn(x.t, nil, x.dir, "notes")
		}, KindUnexpectedFile, "notes"},
		{"a stale partial tile that differs", func(x tampered) {
			writeIn(x.t, make([]byte, 64), x.dir, "ledger/tile/0/000.p/2")
		}, KindTree, "ledger/tile/0/000.p/2"},
		{"a stale partial bundle that differs", func(x tampered) {
			writeIn(x.t, []byte("\x00\x01a\x00\x01b"), x.dir, "ledger/tile/entries/000.p/2")
		}, KindTree, "ledger/tile/entries/000.p/2"},
		{"all tiles gone", func(x tampered) {
			_ = os.RemoveAll(filepath.Join(x.dir, "ledger/tile"))
		}, KindTree, "ledger/tile/entries/000.p/22"},
		{"all payloads gone", func(x tampered) {
			_ = os.RemoveAll(filepath.Join(x.dir, "payloads"))
		}, KindPayloadMissing, "payload "},
		{"checkpoint of a stranger", func(x tampered) {
			writeIn(x.t, readIn(x.t, year(x.t, 20).dir, "ledger/checkpoint"), x.dir, "ledger/checkpoint")
		}, KindCheckpoint, "ledger/checkpoint"},
		{"checkpoint of another key signed over the same root", func(x tampered) {
			resign(x.t, x.dir)
		}, KindCheckpoint, "ledger/checkpoint"},
		{"that, and the verifier key replaced", func(x tampered) {
			vkey := resign(x.t, x.dir)
			writeIn(x.t, []byte(vkey), x.dir, evidence.VerifierKeyFile)
		}, KindSignature, "record 0"},
		{"no verifier key", func(x tampered) {
			_ = os.Remove(filepath.Join(x.dir, evidence.VerifierKeyFile))
		}, KindKey, evidence.VerifierKeyFile},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, sound.dir)
			test.do(tampered{t, dir})
			r, err := Dir(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			want(t, r, test.kind, test.place)
		})
	}
}

func joinBundle(entries [][]byte) []byte {
	var out []byte
	for _, e := range entries {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(e))), e...)
	}
	return out
}

// resign signs the checkpoint with another key of the same name.
func resign(t *testing.T, dir string) (vkey string) {
	t.Helper()
	skey, vkey, err := seal.NewKey("verify.test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.ParseKey(skey)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(readIn(t, dir, "ledger/checkpoint")), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, s.Note())
	if err != nil {
		t.Fatal(err)
	}
	writeIn(t, signed, dir, "ledger/checkpoint")
	return vkey
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
	if r := w.verify(Options{Checkpoint: old}); !r.OK {
		t.Errorf("an extension is refused:\n%s", lines(r.Problems))
	}
	r, err := Dir(t.Context(), copied, Options{Checkpoint: kept})
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
	want(t, other.verify(Options{Checkpoint: earlier}), KindExtension, "ledger/checkpoint")
	stranger := readIn(t, year(t, 1).dir, "ledger/checkpoint")
	want(t, w.verify(Options{Checkpoint: stranger}), KindExtension, "earlier checkpoint")
}

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
	types := []string{evidence.TypeRun, evidence.TypeMissed, evidence.TypeConfiguration, evidence.TypeAssessment, evidence.TypeStop, "else"}
	w := newWorld(f)
	w.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "@hourly"})
	first := w.records[0]
	f.Fuzz(func(t *testing.T, kind int, predicate []byte, digest string) {
		s := evidence.Statement{
			Type: evidence.StatementType, PredicateType: types[uint(kind)%uint(len(types))], Predicate: predicate,
			Subject: []evidence.Subject{evidence.SubjectOf(evidence.PayloadObservations, evidence.Digest(digest))},
		}
		p, err := evidence.Decode(s)
		if err != nil {
			return
		}
		c := &check{dir: w.dir, store: w.store, named: make(map[[32]byte]named), rules: newRules()}
		c.rules.check, c.Types = c, map[string]uint64{}
		p0, err := evidence.Decode(first)
		if err != nil {
			t.Fatal(err)
		}
		c.rules.take(0, &record{statement: first, predicate: p0})
		c.rules.take(1, &record{statement: s, predicate: p})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a schedule of centuries need not be walked here
		_ = c.checkSlots(ctx)
	})
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
