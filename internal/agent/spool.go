package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/internal/durable"
)

// spoolChunk is how many bytes a spool holds in memory before it sorts them
// into its temporary file.
const spoolChunk = 2 << 20

// lineOverhead is what a line costs in memory beside its bytes, about.
const lineOverhead = 64

// spool sorts more lines than fit in memory. Lines with the same key are one,
// the first of them in order of bytes: a resource that shifted between pages
// and was listed twice is kept once.
//
// The methods are safe for concurrent use. After write or close a spool takes
// nothing more.
type spool struct {
	dir   string // where its temporary file is made
	chunk int    // bytes in memory; spoolChunk unless a test says otherwise

	mu     sync.Mutex
	lines  []spoolLine // guarded by mu, as is everything below
	size   int         // of lines in memory
	file   *os.File    // unlinked; nil while memory is enough
	chunks []extent    // of file, each sorted
	ended  bool
}

type spoolLine struct {
	key  string
	line []byte
}

// extent is a part of a file.
type extent struct{ offset, size int64 }

func compareLines(a, b spoolLine) int {
	return cmp.Or(strings.Compare(a.key, b.key), bytes.Compare(a.line, b.line))
}

func newSpool(dir string) *spool { return &spool{dir: dir, chunk: spoolChunk} }

var errSpoolEnded = errors.New("the task is over")

// add takes a line, which must not change any more, under a key. Parts of the
// key are joined so that no part can run into the next.
func (s *spool) add(line []byte, key ...string) error {
	joined := strings.Join(key, "\x00") + "\x00"
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errSpoolEnded
	}
	s.lines = append(s.lines, spoolLine{key: joined, line: line})
	s.size += len(line) + len(joined) + lineOverhead
	if s.size < s.chunk {
		return nil
	}
	return s.spill()
}

// empty says whether nothing was added.
func (s *spool) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines) == 0 && len(s.chunks) == 0
}

// spill sorts what is in memory into a chunk of the file. Called with mu held.
func (s *spool) spill() error {
	if err := s.open(); err != nil {
		return err
	}
	slices.SortFunc(s.lines, compareLines)
	at := extent{}
	if n := len(s.chunks); n > 0 {
		at.offset = s.chunks[n-1].offset + s.chunks[n-1].size
	}
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.file, at.offset), 256<<10)
	var head []byte
	for _, l := range s.lines {
		// Keys hold what the provider sent, which may be any bytes: lengths
		// come first.
		head = binary.AppendUvarint(head[:0], uint64(len(l.key)))
		head = binary.AppendUvarint(head, uint64(len(l.line)))
		at.size += int64(len(head) + len(l.key) + len(l.line))
		for _, part := range [][]byte{head, []byte(l.key), l.line} {
			if _, err := w.Write(part); err != nil {
				return fmt.Errorf("write temporary file in %s: %w", s.dir, err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write temporary file in %s: %w", s.dir, err)
	}
	s.chunks = append(s.chunks, at)
	clear(s.lines)
	s.lines, s.size = s.lines[:0], 0
	return nil
}

// open makes the file and unlinks it at once, so that a crash leaves nothing.
// One that comes between the two leaves a name that the next start sweeps.
func (s *spool) open() error {
	if s.file != nil {
		return nil
	}
	f, err := os.CreateTemp(s.dir, durable.TempPrefix+"spool-*")
	if err != nil {
		return fmt.Errorf("create temporary file in %s: %w", s.dir, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(fmt.Errorf("unlink temporary file: %w", err), f.Close())
	}
	s.file = f
	return nil
}

// write gives every line in order of key to w, each with a line break, and to
// each, which must not keep it. It ends the spool.
func (s *spool) write(w io.Writer, each func(key string, line []byte) error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { err = errors.Join(err, s.end()) }()
	slices.SortFunc(s.lines, compareLines)
	sources := mergeHeap{{lines: s.lines}}
	for _, c := range s.chunks {
		sources = append(sources, &mergeSource{from: bufio.NewReaderSize(io.NewSectionReader(s.file, c.offset, c.size), 32<<10)})
	}
	live := sources[:0]
	for _, src := range sources {
		ok, err := src.next()
		if err != nil {
			return err
		}
		if ok {
			live = append(live, src)
		}
	}
	heap.Init(&live)
	last, first := "", true
	for live.Len() > 0 {
		src := live[0]
		if head := src.head; first || head.key != last {
			last, first = head.key, false
			if err := each(head.key, head.line); err != nil {
				return err
			}
			if _, err := w.Write(append(head.line, '\n')); err != nil {
				return err
			}
		}
		ok, err := src.next()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&live, 0)
		} else {
			heap.Pop(&live)
		}
	}
	return nil
}

// end lets go of everything. Called with mu held.
func (s *spool) end() error {
	s.ended = true
	s.lines, s.chunks = nil, nil
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("close temporary file: %w", err)
	}
	return nil
}

// close lets go of a spool that is not written. After write it does nothing.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end()
}

// mergeSource is one sorted row of lines: in memory, or a chunk.
type mergeSource struct {
	lines []spoolLine
	from  *bufio.Reader
	head  spoolLine
}

// next moves to the next line. It gives false at the end.
func (m *mergeSource) next() (bool, error) {
	if m.from == nil {
		if len(m.lines) == 0 {
			return false, nil
		}
		m.head, m.lines = m.lines[0], m.lines[1:]
		return true, nil
	}
	key, err := binary.ReadUvarint(m.from)
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	line, err2 := binary.ReadUvarint(m.from)
	if err := errors.Join(err, err2); err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	buf := make([]byte, key+line, key+line+1) // room for the line break
	if _, err := io.ReadFull(m.from, buf); err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	m.head = spoolLine{key: string(buf[:key]), line: buf[key:]}
	return true, nil
}

type mergeHeap []*mergeSource

func (h mergeHeap) Len() int           { return len(h) }
func (h mergeHeap) Less(i, j int) bool { return compareLines(h[i].head, h[j].head) < 0 }
func (h mergeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)        { *h = append(*h, x.(*mergeSource)) }
func (h *mergeHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
