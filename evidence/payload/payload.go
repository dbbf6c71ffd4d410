// Package payload keeps bytes by their SHA-256.
//
// It promises: a payload is named by the SHA-256 of its bytes before
// compression and lies in one file with one zstd frame, so that
//
//	zstd -dc payloads/ab/abcd….zst | sha256sum
//
// checks it without this program; a digest is returned only once the file and
// its name are on disk; a payload is never overwritten; and a file of which any
// bit was changed is never read to its end without an error.
//
// It does not know what the bytes are, does not delete, and does not decide
// which payloads ought to exist: the ledger does.
package payload

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/durable"
)

const (
	suffix = ".zst"

	// windowSize is that of the frames written. maxWindow bounds the memory
	// that reading a file can take, whatever its header asks for: RFC 8878
	// section 3.1.1.1.2 recommends that decoders support 8 MiB.
	windowSize = 1 << 20
	maxWindow  = 8 << 20
)

// The errors that callers tell apart.
var (
	// ErrCorrupt is returned when a payload is there but its file is not a
	// zstd frame or its bytes do not have the digest that names it.
	ErrCorrupt = errors.New("payload is corrupt")

	// ErrTooLarge is returned by ReadAll for a payload above the caller's limit.
	ErrTooLarge = errors.New("payload is larger than the limit")
)

// Store is a directory of payloads. Its methods may be called from several
// goroutines at once.
type Store struct {
	dir  string // DIR/payloads
	fsys durable.FS

	encoders sync.Pool // of *zstd.Encoder: one costs megabytes, a run makes three or more
	decoders sync.Pool // of *zstd.Decoder
}

// Open prepares the payload directory inside the data directory dir, making
// both where they are missing. It does not read the payloads.
func Open(dir string) (*Store, error) { return OpenFS(dir, durable.Disk{}) }

// OpenFS is Open with the writing side of the operating system replaced.
func OpenFS(dir string, fsys durable.FS) (*Store, error) {
	s := &Store{dir: filepath.Join(dir, evidence.PayloadDir), fsys: fsys}
	if err := durable.MkdirAll(fsys, s.dir, 0o750); err != nil {
		return nil, fmt.Errorf("open payload store: %w", err)
	}
	return s, nil
}

// OpenRead gives a store for reading the payloads in the data directory dir.
// It writes nothing and does not demand that the directory exists.
func OpenRead(dir string) *Store {
	return &Store{dir: filepath.Join(dir, evidence.PayloadDir), fsys: durable.Disk{}}
}

// Name gives the path of a payload inside the payload directory, with forward
// slashes: "ab/abcd….zst". It is an error if d is not a digest.
func Name(d evidence.Digest) (string, error) {
	if !Valid(d) {
		return "", fmt.Errorf("payload %q: not a SHA-256 in lower-case hexadecimal", d)
	}
	return path.Join(string(d[:2]), string(d)+suffix), nil
}

// Valid says whether d has the form of a digest: 64 lower-case hexadecimal digits.
func Valid(d evidence.Digest) bool {
	if len(d) != 64 {
		return false
	}
	for _, c := range []byte(d) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Digest gives the digest that a path inside the payload directory names, or
// false when the path is not one that Name gives.
func Digest(name string) (evidence.Digest, bool) {
	d := evidence.Digest(strings.TrimSuffix(path.Base(name), suffix))
	want, err := Name(d)
	return d, err == nil && want == name
}

func (s *Store) file(d evidence.Digest) (string, error) {
	name, err := Name(d)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.dir, filepath.FromSlash(name)), nil
}

// List gives every payload, in order of digest, without reading it. Files that
// are not payloads are passed over; verification reports them.
func (s *Store) List() iter.Seq2[evidence.Digest, error] {
	return func(yield func(evidence.Digest, error) bool) {
		err := filepath.WalkDir(s.dir, func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(s.dir, p)
			if err != nil {
				return err
			}
			if d, ok := Digest(filepath.ToSlash(rel)); ok && e.Type().IsRegular() && !yield(d, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield("", fmt.Errorf("list payloads: %w", err))
		}
	}
}

// SweepTemp removes the temporary files that a crash left and says how many
// there were. It must be called only by the holder of the data directory's
// lock, before the first Create.
func (s *Store) SweepTemp() (int, error) { return durable.SweepTemp(s.fsys, s.dir) }

// Has says whether a payload is there. It does not read it.
func (s *Store) Has(d evidence.Digest) (bool, error) {
	name, err := s.file(d)
	if err != nil {
		return false, err
	}
	switch _, err := os.Stat(name); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("look for payload %s: %w", d, err)
	}
}

func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowSize),
		zstd.WithZeroFrames(true), // no bytes are a frame too
		zstd.WithLowerEncoderMem(true))
}

func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
}
