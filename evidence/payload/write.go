package payload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/durable"
)

// Writer streams one payload into a store. It must end in Commit or Abort, and
// is not for use by several goroutines at once.
type Writer struct {
	s    *Store
	file *durable.File
	enc  *zstd.Encoder // nil once the writer has ended
	hash hash.Hash
	size int64
	err  error // of the first Write that failed
}

// Create begins a payload. Nothing is visible in the store until Commit.
func (s *Store) Create() (*Writer, error) {
	file, err := durable.Create(s.fsys, s.dir)
	if err != nil {
		return nil, fmt.Errorf("create payload: %w", err)
	}
	enc, ok := s.encoders.Get().(*zstd.Encoder)
	if !ok {
		if enc, err = newEncoder(); err != nil {
			return nil, errors.Join(fmt.Errorf("create payload: %w", err), file.Abort())
		}
	}
	enc.Reset(file)
	return &Writer{s: s, file: file, enc: enc, hash: sha256.New()}, nil
}

// Write adds bytes to the payload. After an error, Commit returns it too.
func (w *Writer) Write(p []byte) (int, error) {
	switch {
	case w.enc == nil:
		return 0, errors.New("write payload: it was committed or aborted before")
	case w.err != nil:
		return 0, w.err
	}
	n, err := w.enc.Write(p)
	if err != nil {
		w.err = fmt.Errorf("write payload: %w", err)
		return n, w.err
	}
	_, _ = w.hash.Write(p) // never fails: hash.Hash
	w.size += int64(n)
	return n, nil
}

// Commit makes the payload durable and gives its digest and its size before
// compression. If the store holds the payload already, that file is checked
// and left, and nothing is added.
func (w *Writer) Commit() (evidence.Digest, int64, error) {
	if w.enc == nil {
		return "", 0, errors.New("commit payload: it was committed or aborted before")
	}
	if w.err != nil {
		return "", 0, errors.Join(w.err, w.Abort())
	}
	if err := w.enc.Close(); err != nil {
		return "", 0, errors.Join(fmt.Errorf("commit payload: %w", err), w.Abort())
	}
	w.release()
	d := evidence.Digest(hex.EncodeToString(w.hash.Sum(nil)))
	if err := w.place(d); err != nil {
		return "", 0, errors.Join(fmt.Errorf("commit payload %s: %w", d, err), w.file.Abort())
	}
	return d, w.size, nil
}

func (w *Writer) place(d evidence.Digest) error {
	name, err := w.s.file(d)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(w.s.fsys, filepath.Dir(name), 0o750); err != nil {
		return err
	}
	err = w.file.Commit(name, 0o640)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// It was there before. Its writer may not have come to flush the
	// directory yet, and a corrupt file must not pass for these bytes.
	if err := w.s.check(d); err != nil {
		return err
	}
	return durable.SyncDir(w.s.fsys, filepath.Dir(name))
}

// Abort drops the payload. After Commit it does nothing, so that it can be deferred.
func (w *Writer) Abort() error {
	if w.enc != nil {
		w.release()
	}
	return w.file.Abort()
}

// release puts the encoder back without writing anything more to the file.
func (w *Writer) release() {
	w.enc.Reset(nil)
	w.s.encoders.Put(w.enc)
	w.enc = nil
}

// Put keeps data and gives its digest.
func (s *Store) Put(data []byte) (evidence.Digest, error) {
	w, err := s.Create()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	d, _, err := w.Commit()
	return d, err
}

func (s *Store) check(d evidence.Digest) error {
	r, err := s.Open(d)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}
