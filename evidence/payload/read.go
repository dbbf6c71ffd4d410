package payload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
)

// Open gives the bytes of a payload as a stream. The digest is checked as they
// are read: in the place of io.EOF stands an ErrCorrupt when the bytes were
// not those that d names, so a reader that needs the guarantee must read to
// the end. Memory is bounded whatever the file holds. The error is
// fs.ErrNotExist when there is no such payload.
func (s *Store) Open(d evidence.Digest) (io.ReadCloser, error) {
	name, err := s.file(d)
	if err != nil {
		return nil, err
	}
	// Opening a named pipe would wait for ever.
	if info, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("open payload %s: %w", d, err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open payload %s: %w: not a regular file", d, ErrCorrupt)
	}
	f, err := os.Open(name) //nolint:gosec // G304: the name is made from a digest.
	if err != nil {
		return nil, fmt.Errorf("open payload %s: %w", d, err)
	}
	dec, ok := s.decoders.Get().(*zstd.Decoder)
	if !ok {
		if dec, err = newDecoder(); err != nil {
			return nil, errors.Join(fmt.Errorf("open payload %s: %w", d, err), f.Close())
		}
	}
	if err := dec.Reset(f); err != nil {
		s.decoders.Put(dec)
		return nil, errors.Join(fmt.Errorf("open payload %s: %w: %w", d, ErrCorrupt, err), f.Close())
	}
	return &reader{s: s, d: d, f: f, dec: dec, hash: sha256.New()}, nil
}

type reader struct {
	s    *Store
	d    evidence.Digest
	f    *os.File
	dec  *zstd.Decoder // nil once closed
	hash hash.Hash
	size int64 // of what was read
	err  error // sticky
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case r.dec == nil:
		return 0, fmt.Errorf("read payload %s: %w", r.d, os.ErrClosed)
	}
	n, err := r.dec.Read(p)
	_, _ = r.hash.Write(p[:n]) // never fails: hash.Hash
	r.size += int64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		r.err = r.broken(err)
	case hex.EncodeToString(r.hash.Sum(nil)) != string(r.d):
		r.err = fmt.Errorf("read payload %s: %w: its bytes have the digest %x", r.d, ErrCorrupt, r.hash.Sum(nil))
	case !r.headerAsWritten():
		r.err = fmt.Errorf("read payload %s: %w: its bytes are right, but the header of its file was changed", r.d, ErrCorrupt)
	default:
		r.err = io.EOF
	}
	return n, r.err
}

// headerAsWritten checks what a decoder leaves free, so that no bit of a file
// can be changed unnoticed: the unused bit of the frame header descriptor, and
// the window, which may be larger than needed. The encoder writes no window
// for what it has at once, the least one that is larger for up to a kilobyte,
// and ours otherwise. Source: RFC 8878 section 3.1.1.1.
func (r *reader) headerAsWritten() bool {
	const (
		unused        = 1 << 4
		singleSegment = 1 << 5
		minWindow     = 0 << 3  // 2^10 bytes
		nextWindow    = 1 << 3  // 2^11 bytes
		ourWindow     = 10 << 3 // 2^20 bytes: windowSize
	)
	var head [6]byte
	if _, err := r.f.ReadAt(head[:], 0); err != nil {
		return false
	}
	window := byte(ourWindow)
	switch {
	case 0 < r.size && r.size < 1<<10:
		window = minWindow
	case r.size == 1<<10:
		window = nextWindow
	}
	return head[4]&unused == 0 && (head[4]&singleSegment != 0 || head[5] == window)
}

// broken tells a disk that does not give the file from a file that is wrong.
func (r *reader) broken(err error) error {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("read payload %s: %w", r.d, err)
	}
	return fmt.Errorf("read payload %s: %w: %w", r.d, ErrCorrupt, err)
}

// Close frees the file. It does not check the digest.
func (r *reader) Close() error {
	if r.dec == nil {
		return nil
	}
	if r.dec.Reset(nil) == nil {
		r.s.decoders.Put(r.dec)
	}
	r.dec = nil
	if err := r.f.Close(); err != nil {
		return fmt.Errorf("close payload %s: %w", r.d, err)
	}
	return nil
}

// ReadAll gives the bytes of a payload, checked against its digest. A payload
// of more than limit bytes is not read further than that: ErrTooLarge.
func (s *Store) ReadAll(d evidence.Digest, limit int64) ([]byte, error) {
	r, err := s.Open(d)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, errors.Join(err, r.Close())
	case int64(len(data)) > limit:
		return nil, errors.Join(fmt.Errorf("read payload %s: %w of %d bytes", d, ErrTooLarge, limit), r.Close())
	}
	return data, r.Close()
}
