package bundle

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tallystick/tallystick/evidence"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func meta() Meta {
	return Meta{
		Version: Version, Kind: evidence.ExportPeriod,
		From: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		TimeZone: "Europe/Berlin", Ledger: "example.com/evidence", Organization: "Example <&>, Inc.",
	}
}

type file struct{ name, data string }

// files are those of a small bundle. One is above maxMemory, so that it is
// spooled to disk, and one has a name that USTAR cannot hold.
func files() []file {
	return []file{
		{MetaFile, string(must(meta().Encode()))},
		{"tables/b.csv", "b\n"},
		{"README.txt", "read\n"},
		{"assets/" + strings.Repeat("long-name", 20) + ".css", ""},
		{"payloads/ab/big.zst", strings.Repeat("0123456789abcdef", maxMemory/8)},
		{RecordsFile, "{}\n[]\n"},
		{ProofFile, string(must(EncodeProof(must(Prove(9, leafOf, []Range{{3, 1}, {8, 1}})))))},
	}
}

// fill writes the files, each in pieces.
func fill(t testing.TB, w *Writer) ([]byte, Totals) {
	t.Helper()
	for _, f := range files() {
		h, err := w.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		for data := f.data; data != ""; {
			n := min(len(data), 300<<10)
			if _, err := io.WriteString(h, data[:n]); err != nil {
				t.Fatal(err)
			}
			data = data[n:]
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	manifest, totals, err := w.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{StatementFile, CheckpointFile} {
		if err := w.Statement(name, []byte("statement of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	return manifest, totals
}

func make1(t testing.TB, out string, o CreateOptions) string {
	t.Helper()
	w, err := Create(out, o)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return out
}

func entries(t testing.TB, dir string) (names []string) {
	t.Helper()
	for _, e := range must(os.ReadDir(dir)) {
		names = append(names, e.Name())
	}
	return names
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, out := range []string{"new", "empty", "named.tar.zst/"} {
		path := dir + "/" + out
		if out == "empty" {
			must(0, os.Mkdir(path, 0o700))
		}
		w, err := Create(path, CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		manifest, totals := fill(t, w)
		if got := entries(t, dir); slices.Contains(got, filepath.Base(out)) {
			t.Errorf("%s has its name before Commit: %q", out, got)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := w.Abort(); err != nil {
			t.Errorf("Abort after Commit: %v", err)
		}
		var bytes uint64
		for _, f := range files() {
			bytes += uint64(len(f.data))
			if got := must(os.ReadFile(filepath.Join(path, f.name))); string(got) != f.data {
				t.Errorf("%s: %d bytes", f.name, len(got))
			}
		}
		if totals != (Totals{uint64(len(files())), bytes}) {
			t.Errorf("totals %+v", totals)
		}
		if got := must(os.ReadFile(filepath.Join(path, ManifestFile))); string(got) != string(manifest) {
			t.Error("the manifest is not what was returned")
		}
		check := exec.Command("sha256sum", "--check", "--strict", "--quiet", ManifestFile)
		check.Dir = path
		if text, err := check.CombinedOutput(); err != nil || len(text) > 0 {
			t.Errorf("sha256sum: %v\n%s", err, text)
		}
	}
	if got := entries(t, dir); !slices.Equal(got, []string{"empty", "named.tar.zst", "new"}) {
		t.Errorf("left behind: %q", got)
	}
}

// TestArchive reads the archive with tar and zstd, and demands the same bytes of
// a second one.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	o := CreateOptions{Modified: time.Date(2025, 1, 1, 1, 0, 0, 5, time.FixedZone("", 3600))}
	one, two := make1(t, filepath.Join(dir, "1.tar.zst"), o), make1(t, filepath.Join(dir, "2.tar.zst"), o)
	if !bytes.Equal(must(os.ReadFile(one)), must(os.ReadFile(two))) {
		t.Error("the same calls gave two archives")
	}
	if got := entries(t, dir); len(got) != 2 {
		t.Errorf("left behind: %q", got)
	}
	list := exec.Command("tar", "--zstd", "--list", "--verbose", "--numeric-owner", "--full-time", "--file", one)
	list.Env = append(os.Environ(), "TZ=UTC")
	text, err := list.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, f := range append(files(), file{ManifestFile, ""}, file{StatementFile, ""}, file{CheckpointFile, ""}) {
		if l := lines[i]; !strings.HasPrefix(l, "-rw-r--r-- 0/0 ") || !strings.HasSuffix(l, " 2025-01-01 00:00:00 "+f.name) {
			t.Errorf("line %d: %s, want %s", i, l, f.name)
		}
	}
	out := t.TempDir()
	if text, err := exec.Command("sh", "-c", `cd "$1" && zstd -dcq "$2" | tar -xf - && sha256sum --check --strict --quiet manifest-sha256.txt`, "sh", out, one).CombinedOutput(); err != nil || len(text) > 0 {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestEncrypted(t *testing.T) {
	id := must(age.GenerateX25519Identity())
	out := filepath.Join(t.TempDir(), "b.tar.zst.age")
	make1(t, out, CreateOptions{Encrypt: func(w io.Writer) (io.WriteCloser, error) { return age.Encrypt(w, id.Recipient()) }})
	if _, err := Open(t.Context(), out, OpenOptions{}); !errors.Is(err, ErrNotBundle) || !strings.Contains(err.Error(), "age --decrypt") {
		t.Errorf("Open of an encrypted bundle: %v", err)
	}
	f := must(os.Open(out))
	defer f.Close()
	plain := filepath.Join(t.TempDir(), "b")
	must(0, os.WriteFile(plain, must(io.ReadAll(must(age.Decrypt(f, id)))), 0o600))
	b, err := Open(t.Context(), plain, OpenOptions{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
}

// TestUnfinished: whatever goes wrong, nothing stays behind.
func TestUnfinished(t *testing.T) {
	for _, name := range []string{"dir", "empty", "b.tar.zst"} {
		for what, use := range map[string]func(*Writer) error{
			"abort":         func(w *Writer) error { return errors.Join(w.Abort(), errors.New("aborted")) },
			"no manifest":   func(w *Writer) error { return w.Commit() },
			"file open":     func(w *Writer) error { return errors.Join(second(w.Create("a")), w.Commit()) },
			"spool open":    spoolOpen,
			"name is taken": func(w *Writer) error { return taken(w) },
		} {
			dir := t.TempDir()
			if name == "empty" {
				must(0, os.Mkdir(filepath.Join(dir, name), 0o700))
			}
			w, err := Create(filepath.Join(dir, name), CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := use(w); err == nil {
				t.Errorf("%s, %s: no error", name, what)
			}
			want := 0
			if name == "empty" || what == "name is taken" {
				want = 1
			}
			if got := entries(t, dir); len(got) != want {
				t.Errorf("%s, %s: left behind %q", name, what, got)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func spoolOpen(w *Writer) error {
	f := must(w.Create("a"))
	must(f.Write(make([]byte, maxMemory+1)))
	return w.Commit()
}

// taken gives the name of the bundle to something else before Commit.
func taken(w *Writer) error {
	out := ""
	switch s := w.sink.(type) {
	case *directory:
		out = s.out
	case *archive:
		out = s.out
	}
	must(0, os.MkdirAll(filepath.Join(out, "others"), 0o700))
	f := must(w.Create(MetaFile))
	must(0, f.Close())
	_, _, err := w.Manifest()
	must(0, err)
	return w.Commit()
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	must(0, os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700))
	must(0, os.WriteFile(filepath.Join(dir, "there.tar.zst"), nil, 0o600))
	encrypt := func(w io.Writer) (io.WriteCloser, error) { return nil, errors.New("no recipients") }
	for _, test := range []struct {
		out, want string
		o         CreateOptions
	}{
		{"full", "not empty", CreateOptions{}},
		{"there.tar.zst", "overwritten", CreateOptions{}},
		{"none/b.tar.zst", "no such file", CreateOptions{}},
		{"none/b", "no such file", CreateOptions{}},
		{"b.tar.zst.age", "no recipients: name them", CreateOptions{}},
		{"b.tar.zst", "end the name in .tar.zst.age", CreateOptions{Encrypt: encrypt}},
		{"b", "end the name in .tar.zst.age", CreateOptions{Encrypt: encrypt}},
		{"b.tar.zst.age", "encrypt: no recipients", CreateOptions{Encrypt: encrypt}},
	} {
		_, err := Create(filepath.Join(dir, test.out), test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Create(%s): %v, want %q", test.out, err, test.want)
		}
	}
	if got := entries(t, dir); !slices.Equal(got, []string{"full", "there.tar.zst"}) {
		t.Errorf("left behind: %q", got)
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "b"), CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(0, w.Abort()) }()
	refuse := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	_, _, err = w.Manifest()
	refuse("manifest without bundle.json", err, MetaFile)
	refuse("statement too early", w.Statement(StatementFile, nil), "too early")
	for name, want := range map[string]string{
		ManifestFile: "could not cover", "Manifest-SHA256.txt": "could not cover", StatementFile: "could not cover",
		"Statement/x": "could not cover", "statement": "could not cover", "../x": "clean", "a\\b": "character",
	} {
		_, err := w.Create(name)
		refuse(name, err, want)
	}
	f := must(w.Create(MetaFile))
	refuse("two at a time", second(w.Create("b")), "bundle.json is still open")
	must(0, f.Close())
	refuse("write after close", second(f.Write(nil)), "closed")
	refuse("twice", second(w.Create("BUNDLE.json")), "twice")
	_, _, err = w.Manifest()
	must(0, err)
	refuse("file after manifest", second(w.Create("b")), "too late")
	refuse("statement elsewhere", w.Statement("b", nil), "below statement/")
	must(0, w.Statement(StatementFile, nil))
	refuse("statement twice", w.Statement(StatementFile, nil), "twice")
}

// TestDiskFull: an error of the disk is said and nothing is committed.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "b.tar.zst"), CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := must(w.Create(MetaFile))
	_, _ = f.Write([]byte("x"))
	w.sink.(*archive).tar.Close() // what is written from here on fails
	if err := f.Close(); err == nil {
		t.Error("Close: no error")
	}
	if _, _, err := w.Manifest(); err == nil || !strings.Contains(err.Error(), "earlier error") {
		t.Errorf("Manifest: %v", err)
	}
	if err := w.Commit(); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit: %v", err)
	}
	if got := entries(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}
