package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// The endings of a name that make a bundle an archive.
const (
	archiveSuffix   = ".tar.zst"
	encryptedSuffix = ".tar.zst.age"
)

// CreateOptions says how a bundle is written.
type CreateOptions struct {
	// Encrypt wraps the archive's destination; it is demanded for a name that
	// ends in .tar.zst.age and refused for every other. What it returns must
	// be closed to be whole, as age.Encrypt's is.
	Encrypt func(io.Writer) (io.WriteCloser, error)

	// Modified is the modification time of each file of an archive, to the
	// second. It must follow from what is exported, not from the clock, for
	// two exports to be alike.
	Modified time.Time
}

// Totals counts what the manifest lists.
type Totals struct {
	Files, Bytes uint64
}

// Writer writes one bundle: first every file that the manifest covers, then the
// manifest, then the statement. It is used by one goroutine. It must end in
// Commit or Abort.
type Writer struct {
	sink   sink
	names  *names
	lines  []ManifestLine
	totals Totals
	phase  phase
	open   string // the file that is being written
	err    error  // sticky: after it, the bundle can only be aborted
}

type phase int

const (
	writing phase = iota // the files that the manifest covers
	stating              // the manifest is written
	done                 // committed or aborted
)

// sink is where the files of a bundle go.
type sink interface {
	// create begins a file. It is whole once closed without an error.
	create(name string) (io.WriteCloser, error)
	// commit puts everything on disk and gives it its name.
	commit() error
	// abort removes everything.
	abort() error
}

// Create begins a bundle that will be called out: an archive when out ends in
// .tar.zst or .tar.zst.age, otherwise a directory, also when out ends in a
// slash. An archive must not exist, a directory must not exist or be empty.
// Until Commit everything lies beside out under a name that begins ".tmp-".
func Create(out string, o CreateOptions) (*Writer, error) {
	encrypted := strings.HasSuffix(out, encryptedSuffix)
	archive := encrypted || strings.HasSuffix(out, archiveSuffix)
	fail := func(err error) (*Writer, error) { return nil, fmt.Errorf("create bundle %s: %w", out, err) }
	switch {
	case out == "":
		return fail(errors.New("no name given"))
	case encrypted && o.Encrypt == nil:
		return fail(fmt.Errorf("its name says that it is encrypted, but there are no recipients: name them, or end the name in %s", archiveSuffix))
	case !encrypted && o.Encrypt != nil:
		return fail(fmt.Errorf("there are recipients to encrypt to: end the name in %s", encryptedSuffix))
	}
	w := &Writer{names: newNames()}
	var err error
	if archive {
		w.sink, err = newArchive(filepath.Clean(out), o)
	} else {
		w.sink, err = newDirectory(filepath.Clean(out))
	}
	if err != nil {
		return fail(err)
	}
	return w, nil
}

// Create begins a file that the manifest covers; it is whole once closed without
// an error. One file is written at a time. The name must be a clean relative
// path with forward slashes, in printable ASCII, and not be there yet.
func (w *Writer) Create(name string) (io.WriteCloser, error) {
	if !covered(name) {
		return nil, fmt.Errorf("create %s in bundle: the manifest could not cover it", name)
	}
	return w.create(name, writing)
}

func (w *Writer) create(name string, during phase) (io.WriteCloser, error) {
	fail := func(err error) (io.WriteCloser, error) {
		return nil, fmt.Errorf("create %s in bundle: %w", name, err)
	}
	switch {
	case w.err != nil:
		return fail(fmt.Errorf("after an earlier error: %w", w.err))
	case w.phase != during:
		return fail(errors.New("it is too late, or too early: files, manifest, statement, commit is the order"))
	case w.open != "":
		return fail(fmt.Errorf("%s is still open", w.open))
	}
	if err := w.names.add(name); err != nil {
		return fail(err)
	}
	f, err := w.sink.create(name)
	if err != nil {
		w.err = err
		return fail(err)
	}
	w.open = name
	return &fileWriter{w: w, name: name, f: f, hash: sha256.New(), listed: during == writing && name != ManifestFile}, nil
}

type fileWriter struct {
	w      *Writer
	name   string
	f      io.WriteCloser
	hash   hash.Hash
	size   uint64
	listed bool
	closed bool
}

func (f *fileWriter) Write(p []byte) (int, error) {
	if f.closed {
		return 0, fmt.Errorf("write %s in bundle: it is closed", f.name)
	}
	n, err := f.f.Write(p)
	_, _ = f.hash.Write(p[:n]) // never fails: hash.Hash
	f.size += uint64(n)        //nolint:gosec // G115: a count of bytes is never negative.
	if err != nil {
		err = fmt.Errorf("write %s in bundle: %w", f.name, err)
		f.w.err = errors.Join(f.w.err, err)
	}
	return n, err
}

func (f *fileWriter) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	f.w.open = ""
	if err := f.f.Close(); err != nil {
		err = fmt.Errorf("write %s in bundle: %w", f.name, err)
		f.w.err = errors.Join(f.w.err, err)
		return err
	}
	if f.listed {
		f.w.lines = append(f.w.lines, ManifestLine{evidence.Digest(hex.EncodeToString(f.hash.Sum(nil))), f.name})
		f.w.totals.Files++
		f.w.totals.Bytes += f.size
	}
	return nil
}

// Manifest ends the part that the manifest covers, writes the manifest and gives
// its bytes, which the Export record names by digest.
func (w *Writer) Manifest() ([]byte, Totals, error) {
	if w.err == nil && w.phase == writing && !slices.ContainsFunc(w.lines, func(l ManifestLine) bool { return l.Name == MetaFile }) {
		return nil, Totals{}, fmt.Errorf("write manifest: there is no %s, without which a directory is not a bundle", MetaFile)
	}
	slices.SortFunc(w.lines, func(a, b ManifestLine) int { return strings.Compare(a.Name, b.Name) })
	var data []byte
	for _, l := range w.lines {
		data = l.append(data)
	}
	if err := w.write(ManifestFile, data, writing); err != nil {
		return nil, Totals{}, err
	}
	w.phase = stating
	return data, w.totals, nil
}

// Statement writes a file below StatementDir, after Manifest.
func (w *Writer) Statement(name string, data []byte) error {
	if !strings.HasPrefix(name, StatementDir+"/") {
		return fmt.Errorf("create %s in bundle: after the manifest, only files below %s/ follow", name, StatementDir)
	}
	return w.write(name, data, stating)
}

func (w *Writer) write(name string, data []byte, during phase) error {
	f, err := w.create(name, during)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Commit puts the bundle on disk and gives it its name. When it fails, the
// bundle is removed.
func (w *Writer) Commit() error {
	switch {
	case w.phase == done:
		return errors.New("commit bundle: it was committed or aborted before")
	case w.err != nil:
		return errors.Join(fmt.Errorf("commit bundle: after an earlier error: %w", w.err), w.Abort())
	case w.open != "":
		return errors.Join(fmt.Errorf("commit bundle: %s is still open", w.open), w.Abort())
	case w.phase != stating:
		return errors.Join(errors.New("commit bundle: it has no manifest"), w.Abort())
	}
	w.phase = done
	if err := w.sink.commit(); err != nil {
		return fmt.Errorf("commit bundle: %w", err)
	}
	return nil
}

// Abort removes what was written. After Commit it does nothing, so that it can
// be deferred.
func (w *Writer) Abort() error {
	if w.phase == done {
		return nil
	}
	w.phase = done
	if err := w.sink.abort(); err != nil {
		return fmt.Errorf("remove unfinished bundle: %w", err)
	}
	return nil
}
