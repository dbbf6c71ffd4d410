package verify

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
)

// remanifest is what an attacker without the key does after a change.
func remanifest(t testing.TB, dir string) {
	t.Helper()
	var b strings.Builder
	names := all(t, dir)
	slices.Sort(names)
	for _, name := range names {
		if name != bundle.ManifestFile && !strings.HasPrefix(name, "statement/") {
			fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(readIn(t, dir, filepath.FromSlash(name))), name)
		}
	}
	writeIn(t, []byte(b.String()), dir, bundle.ManifestFile)
}

// editRecords changes the lines of the records.
func editRecords(t testing.TB, dir string, edit func([][]byte) [][]byte) {
	t.Helper()
	records := bytes.SplitAfter(readIn(t, dir, bundle.RecordsFile), []byte("\n"))
	writeIn(t, bytes.Join(edit(records[:len(records)-1]), nil), dir, bundle.RecordsFile)
	remanifest(t, dir)
}

// payloadFiles lists the payloads of a bundle.
func payloadFiles(t testing.TB, dir string) []string {
	t.Helper()
	return all(t, filepath.Join(dir, evidence.PayloadDir))
}

// TestAttackedBundle is what someone without the agent's key can do.
func TestAttackedBundle(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	sound := e.export(week())
	shorter := week()
	shorter.to = day(10, 0)
	another := e.export(shorter)
	stranger := newEstate(t)
	strange := stranger.export(week())
	for _, test := range []struct {
		name string
		do   func(x tampered)
		want []string // kinds with places
	}{
		{"a removed record", func(x tampered) {
			editRecords(x.t, x.dir, func(r [][]byte) [][]byte { return slices.Delete(r, 20, 21) })
		}, []string{"manifest manifest-sha256.txt", "record ledger/records.jsonl"}},
		{"a removed record, and the proof says so", func(x tampered) {
			editRecords(x.t, x.dir, func(r [][]byte) [][]byte { return slices.Delete(r, 20, 21) })
			p, err := bundle.DecodeProof(readIn(x.t, x.dir, bundle.ProofFile))
			must(x.t, err)
			p.Records[len(p.Records)-1].Count--
			p.Size--
			data, err := bundle.EncodeProof(p)
			must(x.t, err)
			writeIn(x.t, data, x.dir, bundle.ProofFile)
			remanifest(x.t, x.dir)
		}, []string{"manifest manifest-sha256.txt", "root ledger/proof.json", "statement statement/export"}},
		{"cut at the end", func(x tampered) {
			editRecords(x.t, x.dir, func(r [][]byte) [][]byte { return r[:len(r)-5] })
		}, []string{"manifest manifest-sha256.txt", "record ledger/records.jsonl"}},
		{"two records swapped", func(x tampered) {
			editRecords(x.t, x.dir, func(r [][]byte) [][]byte { r[30], r[34] = r[34], r[30]; return r })
		}, []string{"manifest manifest-sha256.txt", "root ledger/proof.json"}},
		{"a record twice", func(x tampered) {
			editRecords(x.t, x.dir, func(r [][]byte) [][]byte { r[30] = r[31]; return r })
		}, []string{"manifest manifest-sha256.txt", "root ledger/proof.json"}},
		{"a payload in the place of another", func(x tampered) {
			p := payloadFiles(x.t, x.dir)
			writeIn(x.t, readIn(x.t, x.dir, "payloads", p[1]), x.dir, "payloads", p[0])
			remanifest(x.t, x.dir)
		}, []string{"manifest manifest-sha256.txt", "payload_corrupt payload "}},
		{"a payload taken away", func(x tampered) {
			must(x.t, os.Remove(filepath.Join(x.dir, "payloads", payloadFiles(x.t, x.dir)[3])))
		}, []string{"file_missing payloads/", "payload_missing payload "}},
		{"a page changed", func(x tampered) {
			writeIn(x.t, []byte("all is well"), x.dir, "index.html")
		}, []string{"file_changed index.html"}},
		{"a page changed, and the manifest with it", func(x tampered) {
			writeIn(x.t, []byte("all is well"), x.dir, "index.html")
			remanifest(x.t, x.dir)
		}, []string{"manifest manifest-sha256.txt"}},
		{"a file put in", func(x tampered) {
			writeIn(x.t, []byte("x"), x.dir, "notes.html")
			writeIn(x.t, []byte("x"), x.dir, "statement/notes")
		}, []string{"unexpected_file notes.html", "unexpected_file statement/notes"}},
		{"narrowed to fewer controls", func(x tampered) {
			m, err := bundle.DecodeMeta(readIn(x.t, x.dir, bundle.MetaFile))
			must(x.t, err)
			m.Controls = []string{"storage"}
			data, err := m.Encode()
			must(x.t, err)
			writeIn(x.t, data, x.dir, bundle.MetaFile)
			remanifest(x.t, x.dir)
		}, []string{"manifest manifest-sha256.txt", "statement statement/export"}},
		{"a statement of another export", func(x tampered) {
			must(x.t, os.RemoveAll(filepath.Join(x.dir, "statement")))
			must(x.t, os.CopyFS(filepath.Join(x.dir, "statement"), os.DirFS(filepath.Join(another, "statement"))))
		}, []string{"manifest manifest-sha256.txt", "statement statement/export", "proof statement/proof.json"}},
		{"a checkpoint of another day", func(x tampered) {
			writeIn(x.t, e.kept[12], x.dir, bundle.CheckpointFile)
		}, []string{"proof statement/proof.json"}},
		{"another key for other programs", func(x tampered) {
			writeIn(x.t, readIn(x.t, strange, bundle.PEMFile), x.dir, bundle.PEMFile)
			remanifest(x.t, x.dir)
		}, []string{"manifest manifest-sha256.txt", "key trust/ledger.pem"}},
		{"a bundle of a stranger", func(x tampered) {
			must(x.t, os.RemoveAll(x.dir))
			must(x.t, os.CopyFS(x.dir, os.DirFS(strange)))
		}, []string{"key trust/ledger.vkey", "key trust/ledger.pem", "checkpoint statement/checkpoint", "signature record "}},
		{"no description", func(x tampered) {
			must(x.t, os.Remove(filepath.Join(x.dir, bundle.MetaFile)))
		}, []string{"bundle "}},
		{"a link", func(x tampered) {
			must(x.t, os.Remove(filepath.Join(x.dir, "index.html")))
			must(x.t, os.Symlink("README.txt", filepath.Join(x.dir, "index.html")))
		}, []string{"bundle "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, sound)
			test.do(tampered{t, dir})
			r, err := Path(t.Context(), dir, Options{Key: e.signer.VerifierKey()})
			must(t, err)
			for _, w := range test.want {
				kind, place, _ := strings.Cut(w, " ")
				want(t, r, kind, place)
			}
			if len(r.Proven) > 0 {
				t.Errorf("something is said to be proven: %q", r.Proven)
			}
		})
	}
	// Without the key, a stranger's bundle is sound in itself, and the report says so.
	if r := verifyBundle(t, strange, Options{}); !r.OK || r.KeyFrom != KeyBundle {
		t.Errorf("from %s:\n%s", r.KeyFrom, lines(r.Problems))
	}
}

// TestDishonestBundle is what the operator can do, who has the agent's key.
func TestDishonestBundle(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	without := func(leave func(entry evidence.Entry) bool) export {
		x := week()
		x.choose = func(chosen []uint64, entries []evidence.Entry) []uint64 {
			return slices.DeleteFunc(chosen, func(i uint64) bool { return leave(entries[i]) })
		}
		return x
	}
	configuration := func(numbers ...uint64) export {
		return without(func(entry evidence.Entry) bool {
			p, ok := entry.Predicate.(*evidence.Configuration)
			return ok && slices.Contains(numbers, p.Sequence)
		})
	}
	smuggled := week()
	smuggled.choose = func(chosen []uint64, _ []evidence.Entry) []uint64 {
		return slices.Sorted(slices.Values(append([]uint64{1, 2}, chosen...)))
	}
	extra, withheld := week(), week()
	extra.files = func(files map[string][]byte) {
		name, data := compressed(t, "a list of customers")
		files["payloads/"+name] = data
	}
	withheld.files = func(files map[string][]byte) {
		for name := range files {
			if strings.HasPrefix(name, "payloads/") {
				delete(files, name)
				return
			}
		}
	}
	tables, more, fewer := week(), week(), week()
	tables.files = func(files map[string][]byte) {
		files["tables/gaps.csv"] = bytes.Replace(files["tables/gaps.csv"], []byte("agent_down"), []byte("agent_busy"), 1)
	}
	more.files = func(files map[string][]byte) { files["tables/population-none.csv"] = []byte("x\r\n") }
	fewer.files = func(files map[string][]byte) { delete(files, "tables/deviations.csv") }
	said := func(edit func(*evidence.Export)) export { x := week(); x.record = edit; return x }
	for _, test := range []struct {
		name string
		of   export
		want []string
	}{
		{"an account left out", without(func(entry evidence.Entry) bool {
			switch p := entry.Predicate.(type) {
			case *evidence.Run:
				return p.Account == accounts[1].Account
			case *evidence.Missed:
				return p.Account == accounts[1].Account
			case *evidence.Assessment:
				return p.Account == accounts[1].Account
			}
			return false
		}), []string{"slot_missing record "}},
		{"a day with a lower threshold hidden", configuration(2), []string{"sequence record ", "configuration record "}},
		{"its end hidden too", configuration(2, 3), []string{"sequence record ", "configuration record "}},
		{"the first configuration hidden", configuration(1), []string{"sequence record ", "configuration record ", "slot_not_due record "}},
		{"no configuration", configuration(1, 2, 3, 4), []string{"configuration ledger/records.jsonl"}},
		{"a look left out", without(func(entry evidence.Entry) bool {
			p, ok := entry.Predicate.(*evidence.Run)
			return ok && p.Slot.Equal(day(6, 6)) && p.Account == accounts[0].Account
		}), []string{"sequence record ", "slot_missing record ", "record record "}},
		{"a judgement left out", without(func(entry evidence.Entry) bool {
			p, ok := entry.Predicate.(*evidence.Assessment)
			return ok && p.At.After(day(6, 0)) && p.At.Before(day(6, 12)) && p.Account == accounts[0].Account
		}), []string{"sequence record "}},
		{"what was missed left out", without(func(entry evidence.Entry) bool {
			_, ok := entry.Predicate.(*evidence.Missed)
			return ok
		}), []string{"sequence record ", "slot_missing record "}},
		{"a look of before left out that was used", without(func(entry evidence.Entry) bool {
			p, ok := entry.Predicate.(*evidence.Run)
			return ok && p.Slot.Before(day(4, 0))
		}), []string{"record record "}},
		{"records from outside of the window", smuggled, []string{"outside_window record 1", "outside_window record 2"}},
		{"a payload that nothing names", extra, []string{"unexpected_payload payload "}},
		{"a payload withheld", withheld, []string{"payload_missing payload "}},
		{"a table that says something else", tables, []string{"table tables/gaps.csv"}},
		{"a table of nothing", more, []string{"table tables/population-none.csv"}},
		{"a table left out", fewer, []string{"table tables/deviations.csv"}},
		{"another window signed", said(func(x *evidence.Export) { x.To = x.To.AddDate(0, 0, 1) }), []string{"statement statement/export"}},
		{"other controls signed", said(func(x *evidence.Export) { x.Controls = []string{"storage"} }), []string{"statement statement/export"}},
		{"another root signed", said(func(x *evidence.Export) { x.TreeRoot = "x" }), []string{"statement statement/export"}},
		{"another number of files signed", said(func(x *evidence.Export) { x.Files++ }), []string{"statement statement/export"}},
		{"another size of the files signed", said(func(x *evidence.Export) { x.Bytes++ }), []string{"statement statement/export"}},
		{"another number of records signed", said(func(x *evidence.Export) { x.Records++ }), []string{"statement statement/export"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.t = t
			r := verifyBundle(t, e.export(test.of), Options{Key: e.signer.VerifierKey()})
			for _, w := range test.want {
				kind, place, _ := strings.Cut(w, " ")
				want(t, r, kind, place)
			}
		})
	}
	e.t = t
	// What is left out at the very end is an open slot, never a covered one.
	r := verifyBundle(t, e.export(without(func(entry evidence.Entry) bool {
		switch p := entry.Predicate.(type) {
		case *evidence.Run:
			return p.Slot.Equal(day(10, 12)) && p.Account == accounts[0].Account
		case *evidence.Assessment:
			return p.At.After(day(10, 12)) && p.Account == accounts[0].Account
		}
		return false
	})), Options{})
	if !r.OK || r.Slots.Open != 1 || len(r.Tail) != 1 || r.Slots.AllComplete() {
		t.Errorf("slots %+v, tail %+v, problems:\n%s", r.Slots, r.Tail, lines(r.Problems))
	}
}
