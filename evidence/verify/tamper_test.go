package verify

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

// all lists the files of a data directory but those that hold nothing.
func all(t testing.TB, dir string) []string {
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
