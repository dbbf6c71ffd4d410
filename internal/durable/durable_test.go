package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// trace is a disk that writes down the calls made, by base name, and fails the
// one named in fail.
type trace struct {
	Disk
	calls []string
	fail  string
}

func (tr *trace) call(name, arg string) error {
	arg = filepath.Base(arg)
	if strings.HasPrefix(arg, TempPrefix) {
		arg = "temp"
	}
	tr.calls = append(tr.calls, name+" "+arg)
	if name == tr.fail {
		return fmt.Errorf("%s: %w", name, syscall.ENOSPC)
	}
	return nil
}

func (tr *trace) CreateTemp(dir string) (Handle, error) {
	if err := tr.call("create", TempPrefix); err != nil {
		return nil, err
	}
	h, err := tr.Disk.CreateTemp(dir)
	return handle{h, tr}, err
}

func (tr *trace) Link(o, n string) error {
	return errors.Join(tr.call("link", n), tr.Disk.Link(o, n))
}

func (tr *trace) Remove(n string) error { return errors.Join(tr.call("remove", n), tr.Disk.Remove(n)) }

func (tr *trace) Mkdir(n string, perm fs.FileMode) error {
	return errors.Join(tr.call("mkdir", n), tr.Disk.Mkdir(n, perm))
}

func (tr *trace) SyncDir(d string) error {
	return errors.Join(tr.call("syncdir", d), tr.Disk.SyncDir(d))
}

type handle struct {
	Handle
	tr *trace
}

func (h handle) Write(p []byte) (int, error) {
	if err := h.tr.call("write", h.Name()); err != nil {
		return 0, err
	}
	return h.Handle.Write(p)
}
func (h handle) Sync() error  { return errors.Join(h.tr.call("sync", h.Name()), h.Handle.Sync()) }
func (h handle) Close() error { return errors.Join(h.tr.call("close", h.Name()), h.Handle.Close()) }

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestOrderOfCalls(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	for _, test := range []struct {
		name string
		do   func(FS) error
		want []string
	}{
		{
			"MkdirAll", func(f FS) error { return MkdirAll(f, filepath.Join(dir, "e"), 0o750) },
			[]string{"mkdir d", "syncdir " + filepath.Base(filepath.Dir(dir)), "mkdir e", "syncdir d"},
		},
		{
			"WriteNew", func(f FS) error { return WriteNew(f, filepath.Join(dir, "a"), []byte("1"), 0o640) },
			[]string{"create temp", "write temp", "sync temp", "close temp", "link a", "remove temp", "syncdir d"},
		},
	} {
		tr := &trace{}
		if err := test.do(tr); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !slices.Equal(tr.calls, test.want) {
			t.Errorf("%s called %q, want %q", test.name, tr.calls, test.want)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFailures(t *testing.T) {
	for _, fail := range []string{"create", "write", "sync", "close", "link", "syncdir"} {
		t.Run(fail, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := WriteNew(&trace{fail: fail}, filepath.Join(dir, "new"), []byte("new"), 0o600)
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("WriteNew: %v, want no space left", err)
			}
			for _, name := range names(t, dir) {
				if strings.HasPrefix(name, TempPrefix) {
					t.Errorf("left %s behind", name)
				}
			}
			got, err := os.ReadFile(filepath.Join(dir, "old"))
			if err != nil || string(got) != "old" {
				t.Errorf("the old file is now %q, %v", got, err)
			}
		})
	}
}

func TestNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := WriteNew(Disk{}, name, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(Disk{}, name, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second WriteNew: %v, want fs.ErrExist", err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "first" {
		t.Errorf("file is %q, %v", got, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("directory holds %q", got)
	}
}

func TestFileEndsOnce(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(Disk{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	if err := f.Abort(); err != nil {
		t.Errorf("second Abort: %v", err)
	}
	if err := f.Commit(filepath.Join(dir, "a"), 0o600); err == nil {
		t.Error("Commit after Abort: no error")
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("directory holds %q", got)
	}
}

func TestMkdirAllOverAFile(t *testing.T) {
	dir := t.TempDir()
	if err := WriteNew(Disk{}, filepath.Join(dir, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/b"} {
		if err := MkdirAll(Disk{}, filepath.Join(dir, name), 0o750); err == nil {
			t.Errorf("MkdirAll(%q): no error", name)
		}
	}
}

func TestSweepTemp(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{TempPrefix + "1", TempPrefix + "2", "kept"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := SweepTemp(Disk{}, dir); n != 2 || err != nil {
		t.Errorf("SweepTemp = %d, %v, want 2", n, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("left %q", got)
	}
}
