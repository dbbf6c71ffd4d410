package payload

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tallystick/tallystick/evidence"
)

// RawLines reads a payload of text lines, without their ends. A line is valid
// until the next one is asked for. After an error it ends; the digest has been
// checked once all lines were read.
func RawLines(s *Store, d evidence.Digest) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r, err := s.Open(d)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = r.Close() }() // read-only; the digest was checked at its end
		buffered := bufio.NewReaderSize(r, 64<<10)
		var long []byte
		for {
			line, err := buffered.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				long = append(long, line...)
				continue
			}
			if len(long) > 0 {
				long = append(long, line...)
				line = long
			}
			switch {
			case errors.Is(err, io.EOF) && len(line) == 0:
				return
			case err != nil && !errors.Is(err, io.EOF):
				yield(nil, err)
				return
			}
			if n := len(line); n > 0 && line[n-1] == '\n' {
				line = line[:n-1]
			}
			if !yield(line, nil) {
				return
			}
			long = long[:0]
		}
	}
}

// Lines reads a payload of JSON lines. After an error it ends.
func Lines[T any](s *Store, d evidence.Digest) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range RawLines(s, d) {
			var v T
			if err == nil {
				if err = json.Unmarshal(line, &v); err != nil {
					err = fmt.Errorf("read payload %s: %w", d, err)
				}
			}
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
