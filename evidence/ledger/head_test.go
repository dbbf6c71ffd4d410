package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// files lists the ledger directory, relative, but for the empty lock files.
func files(t *testing.T, dir string) []string {
	t.Helper()
	root := filepath.Join(dir, evidence.LedgerDir)
	var names []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(p, ".lock") {
			return err
		}
		rel, err := filepath.Rel(root, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func write(t *testing.T, data string, elem ...string) {
	t.Helper()
	name := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSupersededPartialsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, newSigner(t))
	fill(t, l, 250, "a")
	for i := range 4 {
		fill(t, l, 3, fmt.Sprint("b", i)) // crosses the bundle at 256
	}
	shut(t, l)
	want := []string{
		".state/treeState", ".state/version", "checkpoint",
		"tile/0/000", "tile/0/001.p/6", "tile/1/000.p/1",
		"tile/entries/000", "tile/entries/001.p/6",
	}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	l := open(t, dir, s)
	fill(t, l, 300, "a")
	shut(t, l)
	before := files(t, dir)
	ledger := filepath.Join(dir, evidence.LedgerDir)
	for _, name := range []string{
		"checkpoint4711", ".state/treeState12", ".state/version9", // tessera's temporary files
		"tile/entries/001.p/2047483648", "tile/entries/0011234567", "tile/0/000987654321", "tile/0/001.p/12345",
		"tile/entries/001.p/43", "tile/0/001.p/43", // narrower than the tree's 44
		"tile/entries/001.p/45", "tile/0/001.p/45", "tile/entries/001", "tile/0/001", "tile/entries/002.p/3", // beyond the tree
		"tile/1/000.p/2", ".state/.tmp-1234",
	} {
		write(t, "torn", ledger, name)
	}
	write(t, "a file that is none of ours", ledger, "tile/entries/notes.txt")
	shut(t, open(t, dir, s))
	want := slices.Sorted(slices.Values(append(before, "tile/entries/notes.txt")))
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// TestOpenPublishes makes what a crash between writing the tree and
// publishing it leaves: an older checkpoint.
func TestOpenPublishes(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	l := open(t, dir, s)
	fill(t, l, 5, "a")
	old := l.Checkpoint()
	fill(t, l, 3, "b")
	shut(t, l)
	write(t, string(old), dir, evidence.LedgerDir, "checkpoint")
	l = open(t, dir, s)
	if l.Size() != 8 || len(read(t, dir)) != 8 {
		t.Errorf("size %d after Open, want 8", l.Size())
	}
}

// spoilt is a ledger of eight records that is about to be spoilt.
type spoilt struct {
	t     *testing.T
	dir   string
	first []byte // the tree state when it had five
}

func TestOpenRefuses(t *testing.T) {
	in := func(dir, name string) string { return filepath.Join(dir, evidence.LedgerDir, name) }
	flip := func(t *testing.T, name string, at int) {
		t.Helper()
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[at] ^= 1
		write(t, string(data), name)
	}
	for _, test := range []struct {
		name  string
		spoil func(x spoilt)
		want  string
	}{
		{"verifier key of another", func(x spoilt) {
			write(x.t, newSigner(x.t).VerifierKey(), x.dir, evidence.VerifierKeyFile)
		}, "it belongs to the key ledger.test+"},
		{"checkpoint of another key", func(x spoilt) {
			theirs := x.t.TempDir()
			l := open(x.t, theirs, newSigner(x.t))
			fill(x.t, l, 8, "a")
			write(x.t, string(l.Checkpoint()), in(x.dir, "checkpoint"))
		}, "no signature of the key"},
		{"checkpoint flipped", func(x spoilt) { flip(x.t, in(x.dir, "checkpoint"), 20) }, "checkpoint"},
		{"checkpoint gone", func(x spoilt) { _ = os.Remove(in(x.dir, "checkpoint")) }, "8 records and no checkpoint"},
		{"tree state gone", func(x spoilt) { _ = os.Remove(in(x.dir, ".state/treeState")) }, "treeState is missing"},
		{"tree state not JSON", func(x spoilt) { write(x.t, "{", in(x.dir, ".state/treeState")) }, "tree state"},
		{"tree state rolled back", func(x spoilt) { write(x.t, string(x.first), in(x.dir, ".state/treeState")) }, "covers 8 records, the tree has 5"},
		{"tile flipped", func(x spoilt) { flip(x.t, in(x.dir, "tile/0/000.p/8"), 3) }, "has the root"},
		{"tile gone", func(x spoilt) { _ = os.Remove(in(x.dir, "tile/0/000.p/8")) }, "no such file"},
		{"tile cut short", func(x spoilt) { write(x.t, "short", in(x.dir, "tile/0/000.p/8")) }, "too short"},
		{"record flipped", func(x spoilt) { flip(x.t, in(x.dir, "tile/entries/000.p/8"), 3) }, "record 0 is not the one in the tree"},
		{"records cut short", func(x spoilt) { write(x.t, "\x00\x09", in(x.dir, "tile/entries/000.p/8")) }, "read record 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, s := t.TempDir(), newSigner(t)
			l := open(t, dir, s)
			fill(t, l, 5, "a")
			first, err := os.ReadFile(in(dir, ".state/treeState"))
			if err != nil {
				t.Fatal(err)
			}
			fill(t, l, 3, "b")
			shut(t, l)
			test.spoil(spoilt{t, dir, first})
			l, err = Open(t.Context(), dir, s, Options{})
			if err == nil {
				shut(t, l)
			}
			if !errors.Is(err, ErrInconsistent) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

func TestAppendAfterTheDirectoryWasTakenAway(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	l, err := Open(t.Context(), dir, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(dir, evidence.LedgerDir)
	if err := os.Rename(ledger, ledger+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), []byte("x")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrUnpublished) {
		t.Errorf("append: %v, want a clear error", err)
	}
	if err := os.Rename(ledger+".away", ledger); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1, "again")
	shut(t, l)
}

func TestParseTile(t *testing.T) {
	for _, name := range []string{"tile/0/000", "tile/2/x001/234.p/255", "tile/entries/x001/x234/067", "tile/entries/000.p/1"} {
		if got, ok := parseTile(name); !ok || got.path() != name {
			t.Errorf("parseTile(%q) = %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "checkpoint", "tile/0", "tile/0/", "tile/64/000", "tile/00/000", "tile/0/0000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/x000/001", "tile/a/000"} {
		if got, ok := parseTile(name); ok {
			t.Errorf("parseTile(%q) = %+v", name, got)
		}
	}
}

func FuzzParseTile(f *testing.F) {
	f.Add("tile/entries/x001/234.p/5")
	f.Add(".p/5")
	f.Fuzz(func(t *testing.T, name string) {
		if got, ok := parseTile(name); ok && got.path() != name {
			t.Errorf("%q parsed as %+v", name, got)
		}
	})
}

// TestFailedCloseKeepsTheLock: a ledger that could not settle may still write.
func TestFailedCloseKeepsTheLock(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	l, err := Open(t.Context(), dir, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(dir, evidence.LedgerDir)
	if err := os.Rename(ledger, ledger+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "stays locked") {
		t.Errorf("Close: %v", err)
	}
	l = nil
	runtime.GC() // which closes files that nothing refers to
	runtime.GC()
	_, err = Open(t.Context(), dir, s, Options{})
	if _, ok := errors.AsType[*LockedError](err); !ok {
		t.Errorf("Open after a failed Close: %v", err)
	}
}
