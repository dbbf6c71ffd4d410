package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/internal/durable"
)

const (
	// maxMemory is up to which size a file waits in memory for its size to be
	// known, which a tar states before its bytes.
	maxMemory = 1 << 20

	// writeWindow and maxWindow are those of the archive: RFC 8878 section
	// 3.1.1.1.2 recommends that every decoder supports 8 MiB, and ours takes
	// no more, so that an archive cannot ask for the reader's whole memory.
	writeWindow = 4 << 20
	maxWindow   = 8 << 20
)

// archive is a bundle that is written as a .tar.zst, encrypted or not: tar into
// zstd into cipher into file.
type archive struct {
	out      string
	file     *durable.File
	cipher   io.WriteCloser // nil without encryption
	zstd     *zstd.Encoder
	tar      *tar.Writer
	modified time.Time
	spool    *spool // reused from file to file
}

func newArchive(out string, o CreateOptions) (*archive, error) {
	if _, err := os.Lstat(out); err == nil {
		return nil, fmt.Errorf("it would be overwritten: %w", fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if o.Modified.IsZero() {
		o.Modified = time.Unix(0, 0)
	}
	file, err := durable.Create(durable.Disk{}, filepath.Dir(out))
	if err != nil {
		return nil, err
	}
	a := &archive{out: out, file: file, modified: o.Modified.UTC().Truncate(time.Second)}
	a.spool = &spool{a: a}
	dst := io.Writer(file)
	if o.Encrypt != nil {
		if a.cipher, err = o.Encrypt(file); err != nil {
			return nil, errors.Join(fmt.Errorf("encrypt: %w", err), file.Abort())
		}
		dst = a.cipher
	}
	// One goroutine and a fixed level: the bytes must not depend on timing. The
	// fastest one: nearly all of a bundle is payloads, which are compressed.
	a.zstd, err = zstd.NewWriter(dst,
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(writeWindow))
	if err != nil {
		return nil, errors.Join(err, file.Abort())
	}
	a.tar = tar.NewWriter(a.zstd)
	return a, nil
}

func (a *archive) create(name string) (io.WriteCloser, error) {
	a.spool.name, a.spool.size = name, 0
	a.spool.mem.Reset()
	return a.spool, nil
}

func (a *archive) commit() error {
	err := errors.Join(a.tar.Close(), a.zstd.Close())
	if a.cipher != nil {
		err = errors.Join(err, a.cipher.Close())
	}
	if err != nil {
		return errors.Join(err, a.file.Abort())
	}
	return a.file.Commit(a.out, fileMode)
}

func (a *archive) abort() error { return errors.Join(a.spool.drop(), a.file.Abort()) }

// spool keeps a file until its size is known: in memory, or from maxMemory on
// in a temporary file beside the archive, where there is room for it.
type spool struct {
	a    *archive
	name string
	size int64
	mem  bytes.Buffer
	file *os.File // nil while it fits in memory
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.mem.Len()+len(p) > maxMemory {
		var err error
		if s.file, err = os.CreateTemp(filepath.Dir(s.a.out), durable.TempPrefix+"*"); err != nil {
			return 0, err
		}
		if _, err := s.mem.WriteTo(s.file); err != nil {
			return 0, err
		}
	}
	var n int
	var err error
	if s.file == nil {
		n, err = s.mem.Write(p)
	} else {
		n, err = s.file.Write(p)
	}
	s.size += int64(n)
	return n, err
}

// Close hands the file to the tar.
func (s *spool) Close() error {
	h := &tar.Header{
		Typeflag: tar.TypeReg, // the format follows: USTAR, or PAX for a long name or a size from 8 GiB on
		Name:     s.name,
		Size:     s.size,
		Mode:     0o644,
		ModTime:  s.a.modified,
	}
	if err := s.a.tar.WriteHeader(h); err != nil {
		return errors.Join(err, s.drop())
	}
	src := io.Reader(&s.mem)
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return errors.Join(err, s.drop())
		}
		src = s.file
	}
	_, err := io.Copy(s.a.tar, src)
	return errors.Join(err, s.drop())
}

func (s *spool) drop() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
