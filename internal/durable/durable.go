// Package durable puts files on disk so that they survive a crash whole or
// not at all.
//
// It promises: when a function returns nil, the file is on disk under its name
// with all of its bytes; a power cut at any earlier moment leaves nothing under
// that name; and no file is ever overwritten. The order of system calls that
// this rests on is
//
//	create temporary file, write, fsync file, close,
//	link to the name, unlink the temporary name, fsync the directory.
//
// New directories are made one at a time, each followed by an fsync of its
// parent.
//
// It does not lock, does not retry, and does not read. It trusts that the file
// system honours fsync: some network and FUSE file systems do not.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// TempPrefix begins the name of every temporary file of this package. Whoever
// owns a directory may remove such files while nothing writes to it.
const TempPrefix = ".tmp-"

// FS is the part of the operating system that this package uses. Disk is the
// real one; tests pass one that fails.
type FS interface {
	// CreateTemp opens a new file in dir, named TempPrefix and something random.
	CreateTemp(dir string) (Handle, error)
	Link(oldname, newname string) error
	Remove(name string) error
	Mkdir(name string, perm fs.FileMode) error
	// SyncDir flushes the names in dir to disk.
	SyncDir(dir string) error
}

// Handle is an open temporary file.
type Handle interface {
	io.WriteCloser
	Name() string
	Sync() error
	Chmod(perm fs.FileMode) error
}

// Disk is the FS of the operating system.
type Disk struct{}

// CreateTemp opens a new temporary file with mode 0600.
func (Disk) CreateTemp(dir string) (Handle, error) { return os.CreateTemp(dir, TempPrefix+"*") }

// Link makes newname a second name of oldname; it must not exist.
func (Disk) Link(oldname, newname string) error { return os.Link(oldname, newname) }

// Remove unlinks a name.
func (Disk) Remove(name string) error { return os.Remove(name) }

// Mkdir makes one directory.
func (Disk) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// SyncDir opens the directory and calls fsync. On Windows, where a directory
// cannot be flushed, it does nothing.
func (Disk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // G304: the caller's own directory.
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// File is a file that has no name yet. It must end in Commit or Abort.
type File struct {
	fsys FS
	h    Handle
	done bool
}

// Create opens a file without a name in dir, which must exist and be on the
// same file system as the name that Commit will give.
func Create(fsys FS, dir string) (*File, error) {
	h, err := fsys.CreateTemp(dir)
	if err != nil {
		return nil, fmt.Errorf("create temporary file in %s: %w", dir, err)
	}
	return &File{fsys: fsys, h: h}, nil
}

// Write appends to the file. After an error the file can only be aborted.
func (f *File) Write(p []byte) (int, error) { return f.h.Write(p) }

// Commit gives the file its name and permissions, durably. The directory of
// name must exist. If name exists already it is left as it is and the error is
// fs.ErrExist. Whatever happens, no temporary file is left behind unless
// removing it fails too.
func (f *File) Commit(name string, perm fs.FileMode) error {
	if f.done {
		return errors.New("commit file: it was committed or aborted before")
	}
	f.done = true
	tmp := f.h.Name()
	if err := errors.Join(f.h.Chmod(perm), f.h.Sync(), f.h.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), f.remove(tmp))
	}
	if err := f.fsys.Link(tmp, name); err != nil {
		return errors.Join(fmt.Errorf("name %s: %w", name, err), f.remove(tmp))
	}
	if err := f.remove(tmp); err != nil {
		return err
	}
	return SyncDir(f.fsys, filepath.Dir(name))
}

// Abort drops the file. After Commit it does nothing, so that it can be deferred.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(f.h.Close(), f.remove(f.h.Name()))
}

func (f *File) remove(tmp string) error {
	if err := f.fsys.Remove(tmp); err != nil {
		return fmt.Errorf("remove temporary file: %w", err)
	}
	return nil
}

// WriteNew makes the file name with the given bytes. If name exists already it
// is left as it is and the error is fs.ErrExist.
func WriteNew(fsys FS, name string, data []byte, perm fs.FileMode) error {
	f, err := Create(fsys, filepath.Dir(name))
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), f.Abort())
	}
	return f.Commit(name, perm)
}

// SyncDir flushes the names in dir to disk.
func SyncDir(fsys FS, dir string) error {
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("flush directory %s: %w", dir, err)
	}
	return nil
}

// MkdirAll makes dir and its missing parents, durably. It is no error if dir
// exists.
func MkdirAll(fsys FS, dir string, perm fs.FileMode) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make directory %s: a file of that name is in the way", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(fsys, parent, perm); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	return SyncDir(fsys, parent)
}

// SweepTemp removes the temporary files that a crash left directly in dir and
// says how many there were. The caller must own dir: nothing else may be
// writing to it.
func SweepTemp(fsys FS, dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("sweep temporary files: %w", err)
	}
	n := 0
	for _, e := range entries {
		if e.IsDir() || !strings.HasPrefix(e.Name(), TempPrefix) {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, e.Name())); err != nil {
			return n, fmt.Errorf("sweep temporary files: %w", err)
		}
		n++
	}
	return n, nil
}
