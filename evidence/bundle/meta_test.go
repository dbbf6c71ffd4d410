package bundle

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMeta(t *testing.T) {
	m := meta()
	m.From = m.From.In(time.FixedZone("", 7200))
	m.Controls = []string{"backups", "mfa"}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "version": 1,
  "kind": "period",
  "from": "2026-07-01T00:00:00Z",
  "to": "2027-01-01T00:00:00Z",
  "time_zone": "Europe/Berlin",
  "controls": [
    "backups",
    "mfa"
  ],
  "ledger": "example.com/evidence",
  "organization": "Example \u003c\u0026\u003e, Inc."
}
`
	if string(data) != want {
		t.Errorf("%s", data)
	}
	got, err := DecodeMeta(data)
	if err != nil || got.Organization != m.Organization || !got.From.Equal(m.From) || len(got.Controls) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string][2]string{
		"newer version":     {`"version": 1`, `"version": 2`},
		"no version":        {`"version": 1`, `"version": 0`},
		"kind":              {`"period"`, `"year"`},
		"zone of time":      {`2027-01-01T00:00:00Z`, `2027-01-01T00:00:00+00:00`},
		"backwards":         {`2027`, `2025`},
		"no time zone":      {`Europe/Berlin`, ``},
		"no ledger":         {`example.com/evidence`, ``},
		"order of controls": {`"backups"`, `"z"`},
		"empty control":     {`"backups"`, `""`},
		"unknown field":     {`"kind"`, `"score": 1, "kind"`},
		"field twice":       {`"kind"`, `"kind": "as_of", "kind"`},
		"case of a field":   {`"kind"`, `"Kind"`},
		"spaces":            {`  "kind"`, ` "kind"`},
		"behind it":         {"}\n", "}\n{}"},
		"unescaped":         {`\u003c`, `<`},
	} {
		if _, err := DecodeMeta([]byte(strings.Replace(string(data), bad[0], bad[1], 1))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := DecodeMeta(bytes.Repeat([]byte(" "), maxMetaBytes+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("long: %v", err)
	}
}

func FuzzMeta(f *testing.F) {
	f.Add(must(meta().Encode()))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeMeta(data)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%q was read as %+v and written as %q, %v", data, m, again, err)
		}
	})
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "a/b", "payloads/ab/abcd.zst", "[Content_Types].xml", "_a", "-a", "a b", "a..b", ".a", "a@b,c=d", "com10", "console"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "./a", "a/./b", "../a", "a/../b", "a/..", `a\b`, "C:a", "a:b", "a*", "a?", `"`, "a<", "a|b",
		"a\nb", "a\x00b", "a\x7f", "\u00e9", "a\xff", "a.", "a ", " a", "a /b", "b/...", "nul", "NUL.txt", "x/con", "Com1.csv", "lpt9",
		strings.Repeat("a", maxNameBytes+1), strings.Repeat("a/", maxDepth) + "a",
	} {
		if err := checkName(name); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		names string
		want  string
	}{
		{"a b/c b/d", ""},
		{"a a", "twice"},
		{"a A", "twice"},
		{"a a/b", "is a file"},
		{"x/A x/a/b", "is a file"},
		{"a/b a", "is a directory"},
		{"a/b/c A/B", "directory"},
		{"a/b A/c", "also spelled"},
	} {
		n, err := newNames(), error(nil)
		for name := range strings.SplitSeq(test.names, " ") {
			if err = n.add(name); err != nil {
				break
			}
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.names, err, test.want)
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	const d = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, test := range map[string]struct{ text, want string }{
		"good":            {d + "  a b\n" + d + "  b\n", ""},
		"nothing":         {"", ""},
		"no line end":     {d + "  a\n" + d + "  b", "line 2: it has no line end"},
		"empty line":      {"\n", "line 1"},
		"binary mark":     {d + " *a\n", "two spaces"},
		"upper case":      {strings.ToUpper(d) + "  a\n", "two spaces"},
		"short":           {d[1:] + "  a\n", "two spaces"},
		"three spaces":    {d + "   a\n", "begins with a space"},
		"carriage return": {d + "  a\r\n", "character"},
		"escaped":         {`\` + d + `  a\\b` + "\n", "two spaces"},
		"order":           {d + "  b\n" + d + "  a\n", "order"},
		"twice":           {d + "  b\n" + d + "  b\n", "twice"},
		"case":            {d + "  B\n" + d + "  b\n", "twice"},
		"parent":          {d + "  ../b\n", "clean"},
		"itself":          {d + "  " + ManifestFile + "\n", "itself"},
		"statement":       {d + "  " + CheckpointFile + "\n", "statement"},
		"long":            {d + "  " + strings.Repeat("a", 4<<10) + "\n", "longer"},
	} {
		var err error
		for _, err = range parseManifest(strings.NewReader(test.text)) {
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a/b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		for line, err := range parseManifest(bytes.NewReader(data)) {
			if err != nil {
				return
			}
			again = line.append(again)
		}
		if !bytes.Equal(again, data) {
			t.Errorf("%q was read as %q", data, again)
		}
	})
}
