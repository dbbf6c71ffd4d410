package agent

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// sortedLines is what a spool must give: the lines in order of key, of equal
// keys the first line.
func sortedLines(in []spoolLine) string {
	lines := slices.Clone(in)
	slices.SortFunc(lines, compareLines)
	lines = slices.CompactFunc(lines, func(a, b spoolLine) bool { return a.key == b.key })
	var b strings.Builder
	for _, l := range lines {
		b.Write(l.line)
		b.WriteByte('\n')
	}
	return b.String()
}

// spooled gives the lines through a spool of a chunk size.
func spooled(t testing.TB, dir string, chunk int, in []spoolLine) (string, *spool) {
	t.Helper()
	s := newSpool(dir)
	s.chunk = chunk
	for _, l := range in {
		if err := s.add(bytes.Clone(l.line), l.key); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.empty(); got != (len(in) == 0) {
		t.Errorf("empty is %v after %d lines", got, len(in))
	}
	var out bytes.Buffer
	var last string
	err := s.write(&out, func(key string, _ []byte) error {
		if key <= last {
			t.Errorf("key %q after %q", key, last)
		}
		last = key
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), s
}

func TestSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 50, 1000} {
		for _, chunk := range []int{1, 200, 4096, spoolChunk} {
			var in []spoolLine
			for range n {
				key := []string{"", " ", "\n", "\n7 7", "12 34\n", "ключ", fmt.Sprint(random.IntN(n))}[random.IntN(7)]
				in = append(in, spoolLine{key + "\x00", fmt.Appendf(nil, `{"n":%d}`, random.IntN(5))})
			}
			// spooled adds the mark that ends a part of a key.
			plain := slices.Clone(in)
			for i := range plain {
				plain[i].key = strings.TrimSuffix(plain[i].key, "\x00")
			}
			got, s := spooled(t, dir, chunk, plain)
			if want := sortedLines(in); got != want {
				t.Errorf("%d lines in chunks of %d bytes:\n%s\nwant\n%s", n, chunk, got, want)
			}
			if spilled := s.file != nil; spilled {
				t.Error("the file is open after write")
			}
			if err := s.add(nil, "late"); !errors.Is(err, errSpoolEnded) {
				t.Errorf("add after write: %v", err)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

// A key's parts must not run into each other: "a"+"bc" is not "ab"+"c".
func TestSpoolKeys(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir())
	for _, key := range [][]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"a", "bc"}} {
		if err := s.add([]byte("{}"), key...); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := s.write(&out, func(string, []byte) error { return nil }); err != nil || out.String() != "{}\n{}\n{}\n" {
		t.Errorf("wrote %q, %v", out.String(), err)
	}
}

func TestSpoolFails(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir() + "/missing")
	s.chunk = 1
	if err := s.add([]byte("{}"), "a"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("add: %v", err)
	}
	s = newSpool(t.TempDir())
	s.chunk = 1
	for _, key := range []string{"a", "b"} {
		if err := s.add([]byte("{}"), key); err != nil {
			t.Fatal(err)
		}
	}
	// A file that lost its end must not pass for a shorter list.
	if err := s.file.Truncate(s.chunks[1].offset + 2); err != nil {
		t.Fatal(err)
	}
	if err := s.write(&bytes.Buffer{}, func(string, []byte) error { return nil }); err == nil {
		t.Error("write of a truncated file: no error")
	}
	stop := errors.New("stop")
	s = newSpool(t.TempDir())
	if err := s.add([]byte("{}"), "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.write(&bytes.Buffer{}, func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("write: %v", err)
	}
	if err := s.close(); err != nil {
		t.Errorf("close after write: %v", err)
	}
}

func FuzzSpool(f *testing.F) {
	f.Add([]byte("b\na\nb"), 1)
	f.Add([]byte("\x00\n \n9 9\n\xff"), 100)
	f.Fuzz(func(t *testing.T, data []byte, chunk int) {
		var in, plain []spoolLine
		for i, key := range bytes.Split(data, []byte("\n")) {
			line := fmt.Appendf(nil, "%d", i%3)
			in = append(in, spoolLine{string(key) + "\x00", line})
			plain = append(plain, spoolLine{string(key), line})
		}
		if got, _ := spooled(t, t.TempDir(), chunk, plain); got != sortedLines(in) {
			t.Errorf("got %q, want %q", got, sortedLines(in))
		}
	})
}
