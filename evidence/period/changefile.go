package period

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
)

// ChangeFile keeps changes in a temporary file without a name: an estate may
// have more of them than fit in memory. Its methods may be called from several
// goroutines at once.
type ChangeFile struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer // guarded by mu
	size int64         // guarded by mu
}

// NewChangeFile makes an empty one. It must be closed.
func NewChangeFile() (*ChangeFile, error) {
	f, err := os.CreateTemp("", "tallystick-changes-")
	if err != nil {
		return nil, fmt.Errorf("keep changes: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil { // it lives as long as it is open
		return nil, errors.Join(fmt.Errorf("keep changes: %w", err), f.Close())
	}
	return &ChangeFile{file: f, out: bufio.NewWriterSize(f, 64<<10)}, nil
}

// Add appends a change.
func (s *ChangeFile) Add(c Change) error {
	line, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("keep changes: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.out.Write(append(line, '\n'))
	s.size += int64(n)
	if err != nil {
		return fmt.Errorf("keep changes: %w", err)
	}
	return nil
}

// All gives the changes that were added by now, in order, as often as it is
// called. After an error it ends.
func (s *ChangeFile) All() iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		s.mu.Lock()
		err, size := s.out.Flush(), s.size
		s.mu.Unlock()
		if err != nil {
			yield(Change{}, fmt.Errorf("read changes back: %w", err))
			return
		}
		in := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, size), 64<<10)
		for {
			line, err := in.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			var c Change
			if err == nil {
				err = json.Unmarshal(line, &c)
			}
			if err != nil {
				err = fmt.Errorf("read changes back: %w", err)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// Close lets go of the file.
func (s *ChangeFile) Close() error { return s.file.Close() }
