package oscal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// stream writes JSON part by part. After an error it writes nothing.
type stream struct {
	w     *bufio.Writer
	open  []byte // what closes each part that is open
	fresh bool   // nothing is in the innermost part yet
	lazy  string // a list that is written when its first item comes
	err   error
}

func newStream(w io.Writer) *stream { return &stream{w: bufio.NewWriter(w), fresh: true} }

func (s *stream) flush() error {
	s.raw("\n")
	if s.err == nil {
		s.err = s.w.Flush()
	}
	return s.err
}

func (s *stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *stream) raw(text string) {
	if s.err == nil {
		_, s.err = s.w.WriteString(text)
	}
}

// next prepares for a value, under a key unless that is empty.
func (s *stream) next(key string) {
	if s.lazy != "" {
		list := s.lazy
		s.lazy = ""
		s.next(list)
		s.push("[", ']')
	}
	switch {
	case !s.fresh:
		s.raw(",\n")
	case len(s.open) > 0:
		s.raw("\n")
	}
	s.fresh = false
	if key != "" {
		s.raw(string(s.encode(key)) + ": ")
	}
}

func (s *stream) push(text string, closing byte) {
	s.raw(text)
	s.open = append(s.open, closing)
	s.fresh = true
}

func (s *stream) pop() {
	s.raw("\n" + string(s.open[len(s.open)-1]))
	s.open = s.open[:len(s.open)-1]
	s.fresh = false
}

// begin opens an object, under a key unless that is empty.
func (s *stream) begin(key string) {
	s.next(key)
	s.push("{", '}')
}

func (s *stream) end() { s.pop() }

// list opens a list. One without items is not written: OSCAL has no empty
// lists. Until it ends, only items may be written.
func (s *stream) list(key string) { s.lazy = key }

func (s *stream) endList() {
	if s.lazy != "" {
		s.lazy = ""
		return
	}
	s.pop()
}

// value writes a value, under a key unless that is empty.
func (s *stream) value(key string, v any) {
	if s.err != nil {
		return
	}
	s.next(key)
	s.raw(string(s.encode(v)))
}

func (s *stream) encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		s.fail(fmt.Errorf("encode %T: %w", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
