package workbook

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/tallystick/tallystick/evidence/period"
)

func utf16s(s string) []uint16 { return utf16.Encode([]rune(s)) }

func meta() Meta {
	return Meta{
		Organization: "=Acme & <Söhne>", Period: "2026-01-01 to 2026-12-31", Ledger: "ledger.example/acme",
		Until: time.Date(2026, 12, 31, 23, 17, 5, 0, time.UTC),
	}
}

func table(name, title string, columns []period.Column, cells ...[]string) period.Table {
	return period.Table{Name: name, Title: title, About: "One " + name + ".", Columns: columns, Rows: func(yield func([]string, error) bool) {
		for _, row := range cells {
			if !yield(row, nil) {
				return
			}
		}
	}}
}

func columns() []period.Column {
	return []period.Column{{Name: "account", Title: "Account"}, {Name: "count", Title: "Count", Kind: period.Number}, {Name: "first_bad", Title: "First seen failing", Kind: period.Time}}
}

func writeFor(t *testing.T, m Meta, lim limits, tables ...period.Table) []byte {
	t.Helper()
	m.TempDir = t.TempDir()
	var b bytes.Buffer
	if err := write(&b, m, tables, lim); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(m.TempDir); len(left) > 0 {
		t.Errorf("temporary files were left behind: %v", left)
	}
	return b.Bytes()
}

func TestSheets(t *testing.T) {
	rows := [][]string{
		{"012345678901", "3", "2026-03-01T06:00:00Z"},
		{"=1+1", "", ""},
		{"=HYPERLINK(\"http://x\")", "123456789012345", "=now()"},
		{"+1", "1234567890123456", "-1"},
		{"@SUM(A1)", "007", "\t=1"},
		{"\r=1", "1e3", "\n=1"},
		{"-2+3", "=2", "'=1"},
		{" spaces ", "-12.5", "a\nb"},
		{"_x003D_1+1", "+5", "_x0041_x0042_"},
	}
	got := read(t, writeFor(t, meta(), sheetLimits(), table("deviations", "Deviations", columns(), rows...), table("changes", "Changes", columns())))
	if len(got) != 3 || got[0].name != "Read me" || got[1].name != "Deviations" || got[2].name != "Changes" {
		t.Fatalf("sheets: %+v", got)
	}
	for _, s := range got {
		if s.formula {
			t.Errorf("sheet %s holds a formula", s.name)
		}
	}
	d := got[1]
	if !d.frozen || d.filter != "$A$1:$C$10" && d.filter != "A1:C10" || d.widths != 3 {
		t.Errorf("frozen %v, filter %q, %d widths", d.frozen, d.filter, d.widths)
	}
	if want := []string{"Account", "Count", "First seen failing"}; !slices.Equal(d.texts()[0], want) || !d.rows[0][1].bold {
		t.Errorf("header: %v", d.rows[0])
	}
	numbers := []string{"3", "123456789012345", "-12.5"}
	for i, row := range rows {
		for j, want := range row {
			var c readCell
			if j < len(d.rows[i+1]) {
				c = d.rows[i+1][j]
			}
			number := j == 1 && slices.Contains(numbers, want)
			switch {
			case c.value != want:
				t.Errorf("row %d column %d: %q, want %q", i, j, c.value, want)
			case number && (c.typ != "" && c.typ != "n"), !number && want != "" && c.typ != "inlineStr":
				t.Errorf("row %d column %d: %q has type %q", i, j, want, c.typ)
			case !number && want != "" && c.format != "49":
				t.Errorf("row %d column %d: %q would be read anew when it is edited (format %s)", i, j, want, c.format)
			}
		}
	}
	if len(got[2].rows) != 1 {
		t.Errorf("an empty table has %d rows", len(got[2].rows))
	}
	first := fmt.Sprint(got[0].texts())
	for _, want := range []string{"=Acme & <Söhne>", "2026-01-01 to 2026-12-31", "ledger.example/acme", "2026-12-31T23:17:05Z", "[Deviations deviations.csv 9 One deviations.]", "[Changes changes.csv 0 One changes.]"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first sheet lacks %q:\n%s", want, first)
		}
	}
	if strings.Contains(first, "SIMULATED") {
		t.Error("the first sheet says that it is simulated")
	}
}

func TestSimulated(t *testing.T) {
	m := meta()
	m.Simulated = true
	got := read(t, writeFor(t, m, sheetLimits()))
	if len(got) != 1 || !strings.Contains(fmt.Sprint(got[0].texts()), "SIMULATED") {
		t.Errorf("no banner: %v", got)
	}
}

func TestLongTablesAreSplit(t *testing.T) {
	var rows [][]string
	for i := range 7 {
		rows = append(rows, []string{"a", strconv.Itoa(i), ""})
	}
	for _, tt := range []struct {
		lim  limits
		n    int
		want []int // rows of each part
	}{
		{limits{3, 1 << 30}, 7, []int{3, 3, 1}},
		{limits{3, 1 << 30}, 6, []int{3, 3}},
		{limits{7, 1 << 30}, 7, []int{7}},
		{limits{1, 1 << 30}, 2, []int{1, 1}},
		{limits{3, 1 << 30}, 0, []int{0}},
	} {
		got := read(t, writeFor(t, meta(), tt.lim, table("changes", "Changes", columns(), rows[:tt.n]...)))
		var parts []int
		next := 0
		for i, s := range got[1:] {
			parts = append(parts, len(s.rows)-1)
			if want := "Changes"; i == 0 && s.name != want || i > 0 && s.name != fmt.Sprintf("%s (%d)", want, i+1) {
				t.Errorf("part %d is called %q", i, s.name)
			}
			for _, row := range s.rows[1:] {
				if row[1].value != strconv.Itoa(next) {
					t.Errorf("row %s where %d should be", row[1].value, next)
				}
				next++
			}
		}
		if !slices.Equal(parts, tt.want) {
			t.Errorf("%+v, %d rows: parts %v, want %v", tt.lim, tt.n, parts, tt.want)
		}
		if note := strings.Contains(fmt.Sprint(got[0].texts()), "too long for one sheet"); note != (len(tt.want) > 1) {
			t.Errorf("%+v: note %v", tt.lim, note)
		}
	}

	// The second bound, of bytes, which only very wide rows reach.
	long := slices.Repeat([][]string{{strings.Repeat("x", 1000), "", ""}}, 300)
	got := read(t, writeFor(t, meta(), limits{1000, 120 * 6300}, table("changes", "Changes", columns(), long...)))
	if len(got) != 4 || len(got[1].rows) != 121 {
		t.Errorf("%d sheets, %d rows in the first", len(got), len(got[1].rows))
	}
}

func TestNames(t *testing.T) {
	n := names{}
	for _, tt := range []struct {
		title string
		part  int
		want  string
	}{
		{"Read me", 0, "Read me"},
		{"read ME", 1, "read ME (2)"},
		{"Time to remediate, by the severity of the control", 1, "Time to remediate, by the sever"},
		{"Time to remediate, by the severity of the account", 1, "Time to remediate, by the s (2)"},
		{"Time to remediate, by the severity of the account", 2, "Time to remediate, by the s (3)"},
		{"a/b:[c]*?\\", 1, "a b  c"},
		{"'quoted'", 1, "’quoted’"},
		{"History", 1, "Table History"},
		{"", 1, "Table"},
		{"\u0000", 1, "Table (2)"},
		{strings.Repeat("😀", 20), 1, strings.Repeat("😀", 15)},
	} {
		if got := n.take(tt.title, tt.part); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.title, got, tt.want)
		}
	}
}

func TestCellText(t *testing.T) {
	mark := "… (cut; the whole text is in t.csv)"
	full := strings.Repeat("x", maxUnits)
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "abc\td\ne", "abc\td\ne"},
		{"control", "a\x00b\x1bc\x7f", `a\u0000b\u001bc` + "\x7f"},
		{"not UTF-8", "a\xffb\xc3", `a\xffb\xc3`},
		{"replacement character", "a\uFFFDb", "a\uFFFDb"},
		{"noncharacter", "\uFFFE\uFFFF", `\ufffe\uffff`},
		{"full", full, full},
		{"one more", full + "x", full[:maxUnits-len(utf16s(mark))] + mark},
		{"pairs", strings.Repeat("😀", 20000), strings.Repeat("😀", (maxUnits-len(utf16s(mark)))/2) + mark},
	} {
		if got := cellText(tt.in, "t"); got != tt.want || len(utf16s(got)) > maxUnits {
			t.Errorf("%s: %.80q (%d units)", tt.name, got, len(utf16s(got)))
		}
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("payload is gone")
	for _, tt := range []struct {
		name string
		rows iter.Seq2[[]string, error]
		want string
	}{
		{"at once", func(yield func([]string, error) bool) { yield(nil, broken) }, "payload is gone"},
		{"later", func(yield func([]string, error) bool) {
			_ = yield([]string{"a", "b", "c"}, nil) && yield(nil, broken)
		}, "payload is gone"},
		{"short row", func(yield func([]string, error) bool) { yield([]string{"a"}, nil) }, "row 1 has 1 cells"},
	} {
		err := Write(io.Discard, Meta{TempDir: t.TempDir()}, []period.Table{{Name: "changes", Columns: columns(), Rows: tt.rows}})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "changes") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := Write(full{}, meta(), nil); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("a writer that fails: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

// TestSameBytes: the library writes sheets in the order of a map, so one
// repetition would show nothing.
func TestSameBytes(t *testing.T) {
	var want [32]byte
	for i := range 8 {
		var tables []period.Table
		for j := range 6 {
			tables = append(tables, table(fmt.Sprint("t", j), fmt.Sprint("Table ", j), columns(), []string{"a", fmt.Sprint(j), ""}))
		}
		got := sha256.Sum256(writeFor(t, meta(), sheetLimits(), tables...))
		if i == 0 {
			want = got
		} else if got != want {
			t.Fatalf("round %d gave other bytes", i)
		}
	}
}

// TestManyRows: memory must not grow with the rows, and sheets that went
// through a temporary file must be whole.
func TestManyRows(t *testing.T) {
	const n = 80_000 // more than 16 MiB of XML
	big := table("population", "Population", columns())
	big.Rows = func(yield func([]string, error) bool) {
		for i := range n {
			if !yield([]string{fmt.Sprintf("arn:aws:s3:::bucket-%06d", i), strconv.Itoa(i), "2026-03-01T06:00:00Z"}, nil) {
				return
			}
		}
	}
	file, err := os.Create(t.TempDir() + "/w.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := Write(file, Meta{TempDir: t.TempDir(), Until: meta().Until}, []period.Table{big}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 100<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	sheets := read(t, b)
	if got := len(sheets[1].rows); got != n+1 {
		t.Errorf("%d rows", got)
	}
	if got := sheets[1].rows[n][0].value; got != "arn:aws:s3:::bucket-079999" {
		t.Errorf("the last is %q", got)
	}
}

func FuzzCell(f *testing.F) {
	for _, s := range []string{"", "=1+1", "_x0041_", "_x005F_x0041_", "_x0041_x0042_", "\x00", "\xff", " a ", "<&>\"'", "a\r\nb", "]]>", "_x005F__x000D_", "_xD800_", "123", "1.50"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, value string, number bool) {
		c := columns()[:2]
		row := []string{value, "1"}
		if number {
			row = []string{"a", value}
		}
		sheets := read(t, writeFor(t, Meta{}, sheetLimits(), table("t", "T", c, row)))
		s := sheets[1]
		if s.formula {
			t.Fatal("a formula")
		}
		got := ""
		if i := slices.Index(row, value); i < len(s.rows[1]) {
			got = s.rows[1][i].value
		}
		if want := cellText(value, "t"); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
		if err := xml.EscapeText(io.Discard, []byte(got)); err != nil {
			t.Error(err)
		}
	})
}
