package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
)

func compress(t testing.TB, data []byte, o ...zstd.EOption) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll(data, nil)
}

// tarOf makes a tar of headers, whose files hold as many bytes "x" as they say.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			fmt.Fprint(w, strings.Repeat("x", int(h.Size)))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func reg(name string, size int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size}
}

func TestHostileArchives(t *testing.T) {
	good := tarOf(t, reg("a", 3), reg("b/c", 700))
	window := func(log uint) []byte {
		// A frame header with no content size and a window of 2^log bytes.
		// Source: RFC 8878 section 3.1.1.1.
		return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, byte(log-10) << 3, 0x01, 0x00, 0x00}
	}
	sparse := reg("a", 0)
	sparse.PAXRecords = map[string]string{"TALLYSTICK.x": "1"}
	for name, test := range map[string]struct {
		tar  []byte
		zstd []byte
		want string
	}{
		"absolute":             {tar: tarOf(t, reg("/etc/x", 1)), want: `"/etc/x": it is absolute`},
		"parent":               {tar: tarOf(t, reg("../x", 1)), want: `"../x": it is not a clean`},
		"parent within":        {tar: tarOf(t, reg("a/../../x", 1)), want: "not a clean"},
		"leading dot":          {tar: tarOf(t, reg("./x", 1)), want: "not a clean"},
		"backslash":            {tar: tarOf(t, reg(`..\x`, 1)), want: "character"},
		"drive":                {tar: tarOf(t, reg(`C:x`, 1)), want: "character"},
		"control character":    {tar: tarOf(t, reg("a\x1b[2Jb", 1)), want: "character"},
		"device of Windows":    {tar: tarOf(t, reg("a/NUL", 1)), want: "device on Windows"},
		"twice":                {tar: tarOf(t, reg("a", 1), reg("a", 1)), want: "twice"},
		"twice by case":        {tar: tarOf(t, reg("a/b", 1), reg("a/B", 1)), want: "twice"},
		"file as directory":    {tar: tarOf(t, reg("a", 1), reg("a/b", 1)), want: "is a file"},
		"directory":            {tar: tarOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "a/"}), want: `"a/": it is a directory`},
		"symbolic link":        {tar: tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc"}, reg("a/x", 1)), want: `"a": it is a symbolic link`},
		"hard link":            {tar: tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}), want: "hard link"},
		"device":               {tar: tarOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "a"}), want: "device"},
		"named pipe":           {tar: tarOf(t, tar.Header{Typeflag: tar.TypeFifo, Name: "a"}), want: "named pipe"},
		"global header":        {tar: tarOf(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "x"}}), want: "type 'g'"},
		"extended header":      {tar: tarOf(t, sparse), want: `extended header "TALLYSTICK.x"`},
		"deep":                 {tar: tarOf(t, reg(strings.Repeat("a/", 40)+"a", 1)), want: "directories deep"},
		"above the limit":      {tar: tarOf(t, reg("a", 600), reg("b", 425)), want: `"b": larger than the limit: it has 425 bytes, of the limit 424 are left`},
		"cut in a file":        {tar: good[:512+512+512+200], want: "cut"},
		"cut between files":    {tar: good[:512+512], want: `after "a": it was cut`},
		"cut in the end":       {tar: good[:len(good)-512], want: `after "b/c": it was cut`},
		"nothing":              {tar: nil, want: "after its beginning: it was cut"},
		"bytes behind":         {tar: append(bytes.Clone(good), 'x'), want: "bytes behind the end"},
		"a second tar behind":  {tar: append(bytes.Clone(good), good...), want: "bytes behind the end"},
		"zeros without end":    {tar: append(bytes.Clone(good), make([]byte, maxPadding+1)...), want: "bytes behind the end"},
		"frame cut":            {zstd: cut(compress(t, good), 2), want: "cut"},
		"checksum of frame":    {zstd: flip(compress(t, good)), want: "after"},
		"window of 1 GiB":      {zstd: window(30), want: "asks for more than 8 MiB"},
		"bytes after a frame":  {zstd: append(compress(t, good), "junk"...), want: "after"},
		"not a tar":            {tar: bytes.Repeat([]byte("x"), 1024), want: "after its beginning"},
		"huge size in a block": {tar: hugeSize(t), want: "larger than the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			data := test.zstd
			if data == nil {
				data = compress(t, test.tar, zstd.WithZeroFrames(true))
			}
			outer := t.TempDir()
			scratch := filepath.Join(outer, "1", "2")
			must(0, os.MkdirAll(scratch, 0o700))
			path := filepath.Join(outer, "b.tar.zst")
			must(0, os.WriteFile(path, data, 0o600))
			_, err := Open(t.Context(), path, OpenOptions{Scratch: scratch, MaxBytes: 1024})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			onlyThese(t, outer, "1", "1/2", "b.tar.zst")
		})
	}
}

// TestArchiveIsNoBundle: a tar that could be extracted is refused for what it
// lacks.
func TestArchiveIsNoBundle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b")
	must(0, os.WriteFile(path, compress(t, append(tarOf(t, reg("a", 1)), make([]byte, 9<<10)...)), 0o600))
	if _, err := Open(t.Context(), path, OpenOptions{Scratch: t.TempDir()}); !errors.Is(err, ErrNotBundle) {
		t.Error(err)
	}
}

// TestEveryByteOfArchive cuts an archive after each byte: never is one taken
// for whole.
func TestEveryByteOfArchive(t *testing.T) {
	data := compress(t, tarOf(t, reg(MetaFile, 5), reg("tables/a", 900)))
	for n := range data {
		dir := t.TempDir()
		root := must(os.OpenRoot(dir))
		if err := untar(bytes.NewReader(data[:n]), 1<<20, root); err == nil {
			t.Errorf("cut after %d of %d bytes: no error", n, len(data))
		}
		root.Close()
	}
}

func cut(b []byte, n int) []byte { return b[:len(b)-n] }

func flip(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

// hugeSize states a size of 2^62 bytes in the base-256 form of GNU tar.
func hugeSize(t *testing.T) []byte {
	t.Helper()
	data := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1, Format: tar.FormatGNU})
	copy(data[124:136], []byte{0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0})
	sum := 0
	copy(data[148:156], "        ")
	for _, c := range data[:512] {
		sum += int(c)
	}
	copy(data[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

func onlyThese(t testing.TB, dir string, names ...string) {
	t.Helper()
	want := map[string]bool{".": true}
	for _, n := range names {
		want[n] = true
	}
	if err := fs.WalkDir(os.DirFS(dir), ".", func(p string, _ fs.DirEntry, err error) error {
		if err == nil && !want[p] {
			t.Errorf("%s was left behind or written outside", p)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// FuzzUntar gives the tar itself, because a fuzzer does not find its way through
// a checksummed compression.
func FuzzUntar(f *testing.F) {
	f.Add(tarOf(f, reg("a", 3), reg("b/c", 700)))
	f.Add(tarOf(f, reg("../a", 3)))
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc"}))
	f.Add(tarOf(f, reg(strings.Repeat("a/", 9)+strings.Repeat("b", 150), 3)))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		inner := filepath.Join(outer, "in")
		must(0, os.Mkdir(inner, 0o700))
		root := must(os.OpenRoot(inner))
		defer root.Close()
		small := compress(t, data, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(64<<10), zstd.WithEncoderConcurrency(1))
		_ = untar(bytes.NewReader(small), 64<<10, root)
		if got := entries(t, outer); len(got) != 1 {
			t.Errorf("written outside: %q", got)
		}
		total := int64(0)
		must(0, fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				info := must(e.Info())
				total += info.Size()
				if !info.Mode().IsRegular() || checkName(p) != nil {
					t.Errorf("wrote %q, %v", p, info.Mode())
				}
			}
			return err
		}))
		if total > 64<<10 {
			t.Errorf("wrote %d bytes", total)
		}
	})
}

// FuzzOpen gives the archive as a file.
func FuzzOpen(f *testing.F) {
	f.Add(compress(f, tarOf(f, reg(MetaFile, 3))))
	f.Add(must(os.ReadFile(make1(f, filepath.Join(f.TempDir(), "b.tar.zst"), CreateOptions{}))))
	f.Fuzz(func(t *testing.T, data []byte) {
		path, scratch := filepath.Join(t.TempDir(), "b"), t.TempDir()
		must(0, os.WriteFile(path, data, 0o600))
		b, err := Open(t.Context(), path, OpenOptions{Scratch: scratch, MaxBytes: 4 << 20})
		if err == nil {
			b.Manifest()(func(ManifestLine, error) bool { return true }) // must not panic
			b.Entries()(func(evidence.Entry, error) bool { return true })
			must(0, b.Close())
		}
		if got := entries(t, scratch); len(got) != 0 {
			t.Errorf("left in the scratch directory: %q", got)
		}
	})
}
