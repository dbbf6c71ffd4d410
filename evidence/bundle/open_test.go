package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	scratch := t.TempDir()
	var want []string
	for _, f := range files() {
		want = append(want, f.name)
	}
	slices.Sort(want)
	for _, out := range []string{"d", "d.tar.zst", "directory.tar.zst/"} {
		path := make1(t, dir+"/"+out, CreateOptions{})
		var done, total uint64
		b, err := Open(t.Context(), path, OpenOptions{Scratch: scratch, Progress: func(d, of uint64) { done, total = d, of }})
		if err != nil {
			t.Fatal(err)
		}
		if out == "d.tar.zst" {
			if size := uint64(must(os.Stat(path)).Size()); done != size || total != size {
				t.Errorf("progress %d of %d, the archive has %d bytes", done, total, size)
			}
		}
		if b.Meta.Organization != "Example <&>, Inc." {
			t.Errorf("%s: %+v", out, b.Meta)
		}
		for _, f := range files() {
			if got, err := b.ReadFile(f.name, 10<<20); err != nil || string(got) != f.data {
				t.Errorf("%s: %s: %d bytes, %v", out, f.name, len(got), err)
			}
		}
		var listed, all []string
		for l, err := range b.Manifest() {
			listed = append(listed, l.Name)
			must(0, err)
		}
		for f, err := range b.Files() {
			all = append(all, f.Name)
			must(0, err)
		}
		if !slices.Equal(listed, want) {
			t.Errorf("%s: manifest lists %q", out, listed)
		}
		if len(all) != len(want)+3 {
			t.Errorf("%s: files %q", out, all)
		}
		if got := collect(t, b); got != "3:{} 8:[] " {
			t.Errorf("%s: records %q", out, got)
		}
		if _, err := b.ReadFile(RecordsFile, 5); err == nil || !strings.Contains(err.Error(), "longer than 5") {
			t.Errorf("ReadFile above the limit: %v", err)
		}
		for name, want := range map[string]error{"../d/README.txt": nil, "none": fs.ErrNotExist, "tables": nil} {
			if _, err := b.Open(name); err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("Open(%q): %v", name, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if got := entries(t, scratch); len(got) != 0 {
			t.Errorf("%s: left in the scratch directory: %q", out, got)
		}
	}
}

func collect(t testing.TB, b *Bundle) string {
	t.Helper()
	var got strings.Builder
	for raw, err := range b.Records() {
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(string('0'+rune(raw.Index)) + ":" + string(raw.Data) + " ")
	}
	return got.String()
}

// TestOpenDirectoryRefuses spoils a good directory in one way at a time.
func TestOpenDirectoryRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"no description": {func(d string) error { return os.Remove(d + "/" + MetaFile) }, "not a bundle: it has no bundle.json"},
		"data directory": {func(d string) error {
			return errors.Join(os.Remove(d+"/"+MetaFile), os.WriteFile(d+"/ledger.vkey", nil, 0o600))
		}, "data directory of an agent"},
		"one too high": {func(d string) error {
			return errors.Join(os.Mkdir(d+"/sub", 0o700), os.Rename(d+"/"+MetaFile, d+"/sub/"+MetaFile))
		}, `open the directory "sub"`},
		"description is a link": {func(d string) error {
			return errors.Join(os.Rename(d+"/"+MetaFile, d+"/x"), os.Symlink("x", d+"/"+MetaFile))
		}, `"bundle.json" is a symbolic link`},
		"link to a file":      {func(d string) error { return os.Symlink("/etc/passwd", d+"/tables/c.csv") }, `"tables/c.csv" is a symbolic link`},
		"link to a directory": {func(d string) error { return os.Symlink("/", d+"/tables/c") }, `"tables/c" is a symbolic link`},
		"named pipe":          {func(d string) error { return syscall.Mkfifo(d+"/tables/c", 0o600) }, `"tables/c" is a named pipe`},
		"line end in a name":  {func(d string) error { return os.WriteFile(d+"/a\nb", nil, 0o600) }, `"a\nb"`},
		"two cases":           {func(d string) error { return os.WriteFile(d+"/tables/B.csv", nil, 0o600) }, "twice"},
		"deep":                {func(d string) error { return os.MkdirAll(d+"/"+strings.Repeat("a/", 40), 0o700) }, "deep"},
		"description spoilt":  {func(d string) error { return os.WriteFile(d+"/"+MetaFile, []byte("{}\n"), 0o600) }, "read bundle.json: version 0"},
		"description huge":    {func(d string) error { return os.Truncate(d+"/"+MetaFile, 1<<40) }, "longer than"},
	} {
		dir := make1(t, filepath.Join(t.TempDir(), "b"), CreateOptions{})
		if err := test.spoil(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), dir, OpenOptions{})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestOpenRefusesOthers(t *testing.T) {
	dir := t.TempDir()
	write := func(data string) string {
		must(0, os.WriteFile(dir+"/x", []byte(data), 0o600))
		return dir + "/x"
	}
	for _, test := range []struct{ data, want string }{
		{"", "neither a directory nor an archive"},
		{"PK\x03\x04", "neither a directory nor an archive"},
		{"\x1f\x8b\x08", "gzip"},
		{"age-encryption.org/v1\n-> X25519 ", "decrypt it first: age --decrypt"},
		{"-----BEGIN AGE ENCRYPTED FILE-----\n", "decrypt it first: age --decrypt"},
	} {
		if _, err := Open(t.Context(), write(test.data), OpenOptions{}); !errors.Is(err, ErrNotBundle) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.data, err, test.want)
		}
	}
	if _, err := Open(t.Context(), dir+"/none", OpenOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	must(0, syscall.Mkfifo(dir+"/pipe", 0o600))
	if _, err := Open(t.Context(), dir+"/pipe", OpenOptions{}); !errors.Is(err, ErrNotBundle) {
		t.Errorf("named pipe: %v", err)
	}
	scratch := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	archive := make1(t, dir+"/b.tar.zst", CreateOptions{})
	if _, err := Open(ctx, archive, OpenOptions{Scratch: scratch}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if got := entries(t, scratch); len(got) != 0 {
		t.Errorf("left in the scratch directory: %q", got)
	}
}

func TestRecordsRefuses(t *testing.T) {
	ranges := []Range{{3, 1}, {8, 1}}
	long := strings.Repeat("a", evidence.MaxRecordBytes)
	for name, test := range map[string]struct{ text, want string }{
		"good":        {"a\nb\n", ""},
		"longest":     {long + "\n" + long + "\n", ""},
		"too long":    {"a\n" + long + "b\n", "line 2: it is longer than the 65535 bytes"},
		"no line end": {"a\nb", "line 2: it has no line end"},
		"one less":    {"a\n", "line 2: it is not there"},
		"one more":    {"a\nb\nc\n", "line 3: it is one more"},
		"byte more":   {"a\nb\n\n", "line 3: it is one more"},
	} {
		var err error
		for _, err = range readRecords(strings.NewReader(test.text), ranges) {
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestEntries(t *testing.T) {
	skey, _, err := seal.NewKey("example.com/evidence")
	if err != nil {
		t.Fatal(err)
	}
	envelope := must(must(seal.ParseKey(skey)).Seal(evidence.Statement{
		Type: evidence.StatementType, PredicateType: evidence.TypeStop, Predicate: []byte(`{"reason":"done"}`),
	}))
	dir := make1(t, filepath.Join(t.TempDir(), "b"), CreateOptions{})
	must(0, os.WriteFile(filepath.Join(dir, RecordsFile), []byte(string(envelope)+"\n{}\n"), 0o600))
	b := must(Open(t.Context(), dir, OpenOptions{}))
	defer b.Close()
	n := 0
	for e, err := range b.Entries() {
		switch n++; n {
		case 1:
			if stop, ok := e.Predicate.(*evidence.Stop); err != nil || e.Index != 3 || !ok || stop.Reason != "done" {
				t.Errorf("first entry %+v, %v", e, err)
			}
		case 2:
			if err == nil || !strings.Contains(err.Error(), "record 8: not a sealed record") {
				t.Errorf("second entry: %v", err)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d entries", n)
	}
}
