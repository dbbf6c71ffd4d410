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
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/seal"
)

func TestSoundBundle(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	archive := week()
	archive.out = filepath.Join(t.TempDir(), "week.tar.zst")
	narrowed := week()
	narrowed.controls = []string{"storage"}
	early := week()
	early.record = func(x *evidence.Export) { x.Header = header(day(10, 13)) }
	moment := export{kind: evidence.ExportAsOf, from: day(9, 0), to: day(9, 0).AddDate(0, 0, 1)}
	// On the 7th a configuration takes force at 11:50, after what was judged that day.
	fresh := export{kind: evidence.ExportAsOf, from: day(7, 0), to: day(7, 12).Add(-5 * time.Minute)}
	for _, test := range []struct {
		name  string
		of    export
		slots Slots
	}{
		// Seven days of three slots in two accounts; on the 8th, two of three are missed.
		{"a week", week(), Slots{Due: 42, Complete: 38, Missed: 4}},
		{"an archive", archive, Slots{Due: 42, Complete: 38, Missed: 4}},
		{"narrowed to a control", narrowed, Slots{Due: 28, Complete: 26, Missed: 2}},
		{"made before its window ended", early, Slots{Due: 42, Complete: 38, Missed: 4, Unscheduled: true}},
		{"from before the ledger began", export{kind: evidence.ExportPeriod, from: day(1, 0).AddDate(0, 0, -5), to: day(3, 0)}, Slots{Due: 12, Complete: 12, Unscheduled: true}},
		{"a moment", moment, Slots{Due: 4, Complete: 4}},
		{"a moment under a configuration that nothing was judged by", fresh, Slots{Due: 4, Complete: 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.t = t
			r := verifyBundle(t, e.export(test.of), Options{Key: e.signer.VerifierKey(), Checkpoints: [][]byte{e.kept[7]}})
			if !r.OK {
				t.Fatalf("problems in a sound bundle:\n%s", lines(r.Problems))
			}
			if r.Slots != test.slots || r.Slots.AllComplete() != (r.Slots.Complete == r.Slots.Due && !test.slots.Unscheduled) {
				t.Errorf("slots %+v, want %+v", r.Slots, test.slots)
			}
		})
	}
}

func TestBundleSays(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	dir := e.export(week())
	said := func(r Report, proven bool, text string) {
		t.Helper()
		of := r.NotProven
		if proven {
			of = r.Proven
		}
		if !r.OK || !slices.ContainsFunc(of, func(s string) bool { return strings.Contains(s, text) }) {
			t.Errorf("proven %v: nobody says %q:\n%s\n--\n%s", proven, text, strings.Join(r.Proven, "\n"), strings.Join(r.NotProven, "\n"))
		}
	}
	r := verifyBundle(t, dir, Options{})
	said(r, false, "Who signed it: the key was taken from the bundle itself")
	said(r, false, "nothing was rewritten before it was handed out")
	said(r, false, "none was given")
	r = verifyBundle(t, dir, Options{Key: e.signer.VerifierKey(), Checkpoints: [][]byte{e.kept[7], e.kept[3], e.kept[12]}})
	said(r, true, "signed by the holder of the key that you gave")
	// The ledger has 87 records at the end of the 7th: 37 of before the window.
	// Two runs are carried in, and the configuration in force.
	said(r, true, "The first 87 records of the ledger are those of the checkpoint that you kept; 53 of the 86 records here are among them")
	said(r, false, "That the 33 records after your newest checkpoint")
	said(r, false, "your checkpoint over 144 records")
	if r.Bundle.Anchored != 2 {
		t.Errorf("%d checkpoints met, want those of the 3rd and the 7th", r.Bundle.Anchored)
	}
	if r := verifyBundle(t, dir, Options{Checkpoints: [][]byte{readIn(t, dir, bundle.CheckpointFile)}}); r.Bundle.Anchored != 1 {
		t.Errorf("the bundle's own checkpoint is not met: %+v", r.Bundle)
	}
}

// TestEveryByteOfABundle changes one bit at several places of each file, cuts
// it and deletes it. Nobody has given a key.
func TestEveryByteOfABundle(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	x := week()
	x.from, x.to = day(8, 0), day(9, 0)
	dir := e.export(x)
	spoil := func(what, name string, data, good []byte) {
		t.Helper()
		full := filepath.Join(dir, filepath.FromSlash(name))
		if data == nil {
			must(t, os.Remove(full))
		} else {
			writeIn(t, data, full)
		}
		if r, err := Path(t.Context(), dir, Options{}); err != nil || r.OK {
			t.Errorf("%s %s: not found, %v", what, name, err)
		}
		writeIn(t, good, full)
	}
	for _, name := range all(t, dir) {
		good := readIn(t, dir, filepath.FromSlash(name))
		for i, at := range []int{0, len(good) / 3, len(good) / 2, len(good) - 2, len(good) - 1} {
			flipped := bytes.Clone(good)
			flipped[max(at, 0)] ^= []byte{1, 0x20}[i%2] // 0x20 makes another case of a letter
			spoil(fmt.Sprintf("flip at %d in", at), name, flipped, good)
		}
		spoil("cut", name, good[:len(good)/2], good)
		spoil("append to", name, append(bytes.Clone(good), '\n'), good)
		spoil("delete", name, nil, good)
	}
	if r := verifyBundle(t, dir, Options{}); !r.OK {
		t.Errorf("the restored bundle:\n%s", lines(r.Problems))
	}
}

// TestRewrittenWeek signs another week with the agent's own key. Nothing in the
// bundle can show it; the auditor's own checkpoint does.
func TestRewrittenWeek(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	other := newEstate(t, func(o *estate) {
		o.signer = e.signer
		honest := o.body
		o.body = func(key evidence.Stream, slot time.Time) string {
			if slot.After(day(5, 0)) {
				return "all is well " + honest(key, slot)
			}
			return honest(key, slot)
		}
	})
	dir := other.export(week())
	key := e.signer.VerifierKey()
	r := verifyBundle(t, dir, Options{Key: key})
	if !r.OK || !slices.ContainsFunc(r.NotProven, func(s string) bool { return strings.Contains(s, "Only a checkpoint that someone else kept") }) {
		t.Errorf("without an anchor:\n%s\n%q", lines(r.Problems), r.NotProven)
	}
	// That of before is right, and says nothing about the week.
	r = verifyBundle(t, dir, Options{Key: key, Checkpoints: [][]byte{e.kept[3]}})
	if !r.OK || r.Bundle.Anchored != 1 {
		t.Errorf("with an anchor of before:\n%s", lines(r.Problems))
	}
	want(t, verifyBundle(t, dir, Options{Key: key, Checkpoints: [][]byte{e.kept[3], e.kept[7]}}), KindExtension, bundle.ProofFile)
}

// TestBundleBomb has a payload that is larger than it may be.
func TestBundleBomb(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	x := week()
	bomb := strings.Repeat("0", 1<<20)
	e.body = func(evidence.Stream, time.Time) string { return bomb }
	e.slot(day(13, 0), 144)
	e.seal()
	x.from, x.to = day(13, 0), day(14, 0)
	dir := e.export(x)
	if r := verifyBundle(t, dir, Options{}); r.ByKind[KindPayloadCorrupt] != 0 {
		t.Errorf("within the limit:\n%s", lines(r.Problems))
	}
	want(t, verifyBundle(t, dir, Options{MaxPayload: 1 << 19}), KindPayloadCorrupt, "payload ")
}

func compressed(t testing.TB, text string) (name string, data []byte) {
	t.Helper()
	d := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	enc, err := zstd.NewWriter(nil)
	must(t, err)
	return d[:2] + "/" + d + ".zst", enc.EncodeAll([]byte(text), nil)
}

// expanded gives what a zstd frame holds, nil for a broken one.
func expanded(frame []byte) []byte {
	dec, err := zstd.NewReader(nil)
	if err != nil {
		return nil
	}
	defer dec.Close()
	out, err := dec.DecodeAll(frame, nil)
	if err != nil {
		return nil
	}
	return out
}

func TestSpoiltArchive(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	x := week()
	x.out = filepath.Join(t.TempDir(), "week.tar.zst")
	good := readIn(t, e.export(x))
	for at := 0; at < len(good); at += len(good)/12 + 1 {
		flipped := bytes.Clone(good)
		flipped[at] ^= 4
		writeIn(t, flipped, x.out)
		// A compressor has more than one way to say the same.
		if r, err := Bundle(t.Context(), x.out, Options{}); err == nil && r.OK && !bytes.Equal(expanded(flipped), expanded(good)) {
			t.Errorf("a flip at %d is not found", at)
		}
	}
	_, vkey, err := seal.NewKey("verify.test")
	must(t, err)
	writeIn(t, good, x.out)
	want(t, verifyBundle(t, x.out, Options{Key: vkey}), KindKey, bundle.KeyFile)
}
