package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/durable"
)

const (
	dirMode  = 0o750
	fileMode = 0o640

	// syncers is how many files are flushed to disk at a time: file systems
	// flush together what is asked for together.
	syncers = 32
)

// directory is a bundle that is written as a directory.
type directory struct {
	tmp, out string
	files    []string // below tmp
	dirs     []string // that were made below tmp, parents first
	known    map[string]bool
	replaced bool          // out was there, empty
	buffer   *bufio.Writer // of the file that is being written
}

func newDirectory(out string) (*directory, error) {
	switch entries, err := os.ReadDir(out); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case len(entries) > 0:
		return nil, fmt.Errorf("the directory exists and is not empty: %w", fs.ErrExist)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(out), durable.TempPrefix)
	if err != nil {
		return nil, err
	}
	tmp = filepath.Clean(tmp) // as the parents of what is in it come out
	if err := os.Chmod(tmp, dirMode); err != nil {
		return nil, errors.Join(err, os.Remove(tmp))
	}
	d := &directory{tmp: tmp, out: out, known: map[string]bool{tmp: true}, buffer: bufio.NewWriterSize(nil, 64<<10)}
	// An empty directory gives way now and not after hours: a mount point
	// cannot be replaced.
	switch err := os.Remove(out); {
	case err == nil:
		d.replaced = true
	case !errors.Is(err, fs.ErrNotExist):
		return nil, errors.Join(fmt.Errorf("the empty directory cannot be replaced, perhaps something is mounted there: name a new one inside it: %w", err), os.Remove(tmp))
	}
	return d, nil
}

func (d *directory) create(name string) (io.WriteCloser, error) {
	file := filepath.Join(d.tmp, filepath.FromSlash(name))
	if err := d.mkdir(filepath.Dir(file)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // G304: the name was checked.
	if err != nil {
		return nil, err
	}
	d.files = append(d.files, file)
	d.buffer.Reset(f)
	return &dirFile{f: f, Writer: d.buffer}, nil
}

func (d *directory) mkdir(dir string) error {
	if d.known[dir] {
		return nil
	}
	if err := d.mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil {
		return err
	}
	d.known[dir] = true
	d.dirs = append(d.dirs, dir)
	return nil
}

type dirFile struct {
	*bufio.Writer
	f *os.File
}

func (f *dirFile) Close() error { return errors.Join(f.Flush(), f.f.Close()) }

// commit flushes every file, then every directory from below, then gives the
// whole its name.
func (d *directory) commit() error {
	fail := func(err error) error { return errors.Join(err, d.abort()) }
	var g errgroup.Group
	g.SetLimit(syncers)
	for _, file := range d.files {
		g.Go(func() error { return flush(file) })
	}
	if err := g.Wait(); err != nil {
		return fail(err)
	}
	for _, dir := range slices.Backward(append([]string{d.tmp}, d.dirs...)) {
		if err := durable.SyncDir(durable.Disk{}, dir); err != nil {
			return fail(err)
		}
	}
	// On Unix this fails unless out is missing or an empty directory.
	if err := os.Rename(d.tmp, d.out); err != nil {
		return fail(err)
	}
	return durable.SyncDir(durable.Disk{}, filepath.Dir(d.out))
}

func flush(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0) //nolint:gosec // G304: a file of ours. Windows flushes only what is open for writing.
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *directory) abort() error {
	err := os.RemoveAll(d.tmp)
	if d.replaced {
		err = errors.Join(err, os.Mkdir(d.out, dirMode))
	}
	return err
}
