package verify

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestExitCode(t *testing.T) {
	whole := Slots{Due: 2, Complete: 2}
	for _, test := range []struct {
		report   Report
		complete bool
		want     int
	}{
		{Report{OK: true}, false, 0},
		{Report{OK: true}, true, 3}, // nothing was due
		{Report{OK: true, Slots: whole}, true, 0},
		{Report{OK: true, Slots: Slots{Due: 2, Complete: 1, Partial: 1}}, true, 3},
		{Report{OK: true, Slots: Slots{Due: 2, Complete: 2, Unscheduled: true}}, true, 3},
		{Report{OK: true, Slots: Slots{Due: 2, Complete: 1, Open: 1}}, false, 0},
		{Report{Slots: whole}, true, 2},
		{Report{}, false, 2},
	} {
		if got := test.report.ExitCode(test.complete); got != test.want {
			t.Errorf("%+v, complete %v: %d, want %d", test.report, test.complete, got, test.want)
		}
	}
}

// TestTextIsPlain: what is verified must not be able to write on a terminal.
func TestTextIsPlain(t *testing.T) {
	r := Report{
		Origin: "a\x1b[2Jb", Proven: []string{"\u202everified\r\nyes"}, Bundle: &BundleReport{Organization: "x\ny\u009b"},
		Problems: []Problem{{Kind: KindFileChanged, Place: "p\x07", Detail: "d\x00"}},
	}
	var b bytes.Buffer
	must(t, r.WriteText(&b))
	if s := strings.ReplaceAll(b.String(), "\n", ""); strings.ContainsAny(s, "\x1b\r\x07\x00\u202e\u009b") || strings.Count(b.String(), "\ny") > 0 {
		t.Errorf("%q", b.String())
	}
}

// FuzzComparer: what is written in any pieces is found to be the same exactly
// when it is the same.
func FuzzComparer(f *testing.F) {
	f.Add([]byte("a,b\r\n1,2\r\n"), []byte("a,b\r\n1,2\r\n"), 3)
	f.Add([]byte("a,b\r\n1,2\r\n"), []byte("a,b\r\n1"), 1)
	f.Add([]byte(""), []byte("x"), 7)
	f.Fuzz(func(t *testing.T, file, made []byte, size int) {
		size = max(size%1000, 1)
		c := &comparer{r: bufio.NewReaderSize(bytes.NewReader(file), 16), line: 1}
		var err error
		for rest := made; len(rest) > 0 && err == nil; {
			piece := rest[:min(size, len(rest))]
			_, err = c.Write(piece)
			rest = rest[len(piece):]
		}
		_, left := c.r.ReadByte()
		same := err == nil && errors.Is(left, io.EOF)
		if same != bytes.Equal(file, made) {
			t.Errorf("%q and %q: same %v, %v", file, made, same, err)
		}
	})
}
