package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// OpenOptions says how a bundle is opened.
type OpenOptions struct {
	// Scratch is where an archive is extracted to; empty: os.TempDir.
	Scratch string
	// MaxBytes bounds what is extracted; 0: the larger of 1 GiB and 64 times
	// the size of the archive.
	MaxBytes int64
	// Progress, when set, is told how many bytes of the archive are read.
	Progress func(done, total uint64)
}

// Bundle is an opened bundle: names and links were looked at, nothing else. Its
// methods may be called from several goroutines at once. It must be closed.
type Bundle struct {
	Meta Meta
	Dir  string // where its files are: the directory that was opened, or one in the scratch directory

	root    *os.Root
	scratch string // removed by Close; empty for a directory
}

// Open opens a bundle: a directory, or a .tar.zst, which it extracts into a
// scratch directory. Which of the two it is, is told by what is there and not by
// its name. The error is ErrNotBundle when it is neither.
//
// Nothing in it is trusted, and nothing is verified.
func Open(ctx context.Context, name string, o OpenOptions) (*Bundle, error) {
	b, err := open(ctx, name, o)
	if err != nil {
		return nil, fmt.Errorf("open bundle %s: %w", name, err)
	}
	return b, nil
}

func open(ctx context.Context, name string, o OpenOptions) (*Bundle, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Dir: name}
	switch {
	case info.IsDir():
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: neither a directory nor a file", ErrNotBundle)
	default:
		if err := b.extract(ctx, name, o); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	if b.root, err = os.OpenRoot(b.Dir); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if err := b.load(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// load looks at every name, then reads the description.
func (b *Bundle) load(ctx context.Context) error {
	if _, err := b.root.Lstat(MetaFile); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it has no %s%s", ErrNotBundle, MetaFile, b.hint())
	} else if err != nil {
		return err
	}
	for _, err := range b.Files() {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	data, err := b.ReadFile(MetaFile, maxMetaBytes)
	if err != nil {
		return err
	}
	b.Meta, err = DecodeMeta(data)
	return err
}

// hint says what a directory without a description may be.
func (b *Bundle) hint() string {
	if _, err := b.root.Lstat(evidence.VerifierKeyFile); err == nil {
		return "; it looks like the data directory of an agent: tallystick export makes a bundle of it"
	}
	if found, err := fs.Glob(b.root.FS(), "*/"+MetaFile); err == nil && len(found) == 1 {
		return fmt.Sprintf("; open the directory %q in it", path.Dir(found[0]))
	}
	return ""
}

// Close frees the bundle and removes what was extracted for it.
func (b *Bundle) Close() error {
	var err error
	if b.root != nil {
		err = b.root.Close()
		b.root = nil
	}
	if b.scratch != "" {
		err = errors.Join(err, os.RemoveAll(b.scratch))
		b.scratch = ""
	}
	if err != nil {
		return fmt.Errorf("close bundle: %w", err)
	}
	return nil
}

// File is a file of a bundle.
type File struct {
	Name  string // with forward slashes
	Bytes int64
}

// Files gives every file, statement and manifest too, in lexical order of each
// directory. It is an error, after which it ends, if anything is not a regular
// file or a directory, or has a name that no bundle has. Links are not followed.
func (b *Bundle) Files() iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		seen := newNames()
		err := fs.WalkDir(b.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name == "." {
				return nil
			}
			if e.IsDir() {
				if err := checkName(name); err != nil {
					return fmt.Errorf("directory %q: %w", name, err)
				}
				return nil
			}
			if !e.Type().IsRegular() {
				return fmt.Errorf("%q is a %s: a bundle holds regular files only", name, fileSort(e.Type()))
			}
			if err := seen.add(name); err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if !yield(File{Name: name, Bytes: info.Size()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(File{}, fmt.Errorf("list bundle: %w", err))
		}
	}
}

func fileSort(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// Open opens a file of the bundle for reading. It must be a regular file.
func (b *Bundle) Open(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("open %q in bundle: %w", name, err)
	}
	// Opening a named pipe would wait for ever.
	info, err := b.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("open %s in bundle: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s in bundle: it is a %s, must be a regular file", name, fileSort(info.Mode()))
	}
	f, err := b.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("open %s in bundle: %w", name, err)
	}
	return f, nil
}

// ReadFile reads a file of at most limit bytes. One that is longer is an error.
func (b *Bundle) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var data bytes.Buffer
	switch n, err := data.ReadFrom(io.LimitReader(f, limit+1)); {
	case err != nil:
		return nil, fmt.Errorf("read %s in bundle: %w", name, err)
	case n > limit:
		return nil, fmt.Errorf("read %s in bundle: it is longer than %d bytes", name, limit)
	}
	return data.Bytes(), nil
}

// Payloads gives the payloads. Each is checked against its digest as it is read.
func (b *Bundle) Payloads() *payload.Store { return payload.OpenRead(b.Dir) }

// Proof reads the proof of the records. Its ComputeRoot says whether it holds.
func (b *Bundle) Proof() (Proof, error) {
	data, err := b.ReadFile(ProofFile, maxProofBytes)
	if err != nil {
		return Proof{}, err
	}
	return DecodeProof(data)
}

// StatementProof reads the proof of the statement. Its Check says whether it
// holds.
func (b *Bundle) StatementProof() (StatementProof, error) {
	data, err := b.ReadFile(StatementProofFile, maxProofBytes)
	if err != nil {
		return StatementProof{}, err
	}
	return DecodeStatementProof(data)
}

// Manifest gives the lines of the manifest, in order of name. It looks at no
// other file.
func (b *Bundle) Manifest() iter.Seq2[ManifestLine, error] {
	return func(yield func(ManifestLine, error) bool) {
		f, err := b.Open(ManifestFile)
		if err != nil {
			yield(ManifestLine{}, err)
			return
		}
		defer f.Close()
		parseManifest(f)(yield)
	}
}
