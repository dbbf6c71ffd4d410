package payload

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/durable"
)

// Digests of known bytes, from sha256sum.
const (
	digestEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	digestABC   = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
)

func store(t testing.TB) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func put(t testing.TB, s *Store, data []byte) evidence.Digest {
	t.Helper()
	d, err := s.Put(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPutAndRead(t *testing.T) {
	s, dir := store(t)
	random := make([]byte, 5<<20) // larger than the window, and it does not compress
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(random)
	for _, test := range []struct {
		data []byte
		want evidence.Digest
	}{
		{nil, digestEmpty},
		{[]byte("abc"), digestABC},
		{random, evidence.Digest(hex.EncodeToString(sum[:]))},
	} {
		if got := put(t, s, test.data); got != test.want {
			t.Errorf("digest %s, want %s", got, test.want)
		}
		got, err := s.ReadAll(test.want, int64(len(test.data)))
		if err != nil || !bytes.Equal(got, test.data) {
			t.Errorf("%s: read %d bytes, %v", test.want, len(got), err)
		}
		if _, err := os.Stat(filepath.Join(dir, "payloads", string(test.want[:2]), string(test.want)+".zst")); err != nil {
			t.Error(err)
		}
		if ok, err := s.Has(test.want); !ok || err != nil {
			t.Errorf("Has(%s) = %v, %v", test.want, ok, err)
		}
	}
	if _, err := s.ReadAll(digestABC, 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("limit below the size: %v", err)
	}
	if n, err := s.SweepTemp(); n != 0 || err != nil {
		t.Errorf("%d temporary files left, %v", n, err)
	}
}

// TestZstdTool reads a payload with the reference implementation.
func TestZstdTool(t *testing.T) {
	tool, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("zstd is not installed")
	}
	s, dir := store(t)
	put(t, s, []byte("abc"))
	name := filepath.Join(dir, "payloads", digestABC[:2], digestABC+".zst")
	got, err := exec.CommandContext(t.Context(), tool, "-dc", name).Output()
	if err != nil || string(got) != "abc" {
		t.Errorf("zstd gives %q, %v", got, err)
	}
}

func TestStreamInPieces(t *testing.T) {
	s, _ := store(t)
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"a", "", "bc"} {
		if _, err := io.WriteString(w, piece); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := s.Has(digestABC); ok || err != nil {
		t.Errorf("visible before Commit: %v, %v", ok, err)
	}
	d, size, err := w.Commit()
	if d != digestABC || size != 3 || err != nil {
		t.Errorf("Commit = %s, %d, %v", d, size, err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
	if _, err := w.Write(nil); err == nil {
		t.Error("Write after Commit: no error")
	}
	if _, _, err := w.Commit(); err == nil {
		t.Error("second Commit: no error")
	}
}

func TestExistingPayloadIsLeft(t *testing.T) {
	s, dir := store(t)
	put(t, s, []byte("abc"))
	name := filepath.Join(dir, "payloads", digestABC[:2], digestABC+".zst")
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, []byte("abc"))
	if after, err := os.Stat(name); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced: %v", err)
	}
	// The same bytes must not be said to be safe in a file that is broken.
	if err := os.WriteFile(name, []byte("rotten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put([]byte("abc")); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), digestABC) {
		t.Errorf("Put over a broken file: %v, want ErrCorrupt", err)
	}
	if n, err := s.SweepTemp(); n != 0 || err != nil {
		t.Errorf("%d temporary files left, %v", n, err)
	}
}

func TestCorruptFiles(t *testing.T) {
	s, dir := store(t)
	put(t, s, []byte("abc"))
	put(t, s, nil)
	name := filepath.Join(dir, "payloads", digestABC[:2], digestABC+".zst")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(filepath.Join(dir, "payloads", digestEmpty[:2], digestEmpty+".zst"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 0x10
	for what, data := range map[string][]byte{
		"empty file":        nil,
		"not zstd":          []byte("abc"),
		"another payload":   empty,
		"cut short":         good[:len(good)-1],
		"bytes behind":      append(bytes.Clone(good), 0),
		"two frames":        append(bytes.Clone(good), good...),
		"one byte changed":  flipped,
		"magic number only": good[:4],
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.ReadAll(digestABC, 1<<20); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), digestABC) {
			t.Errorf("%s: %q, %v, want ErrCorrupt with the digest", what, got, err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(digestABC); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
		t.Errorf("missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err := s.Open("../../etc/passwd"); err == nil {
		t.Error("a path as digest: no error")
	}
}

// TestEveryBitIsBound changes each bit of files of every shape.
func TestEveryBitIsBound(t *testing.T) {
	line := []byte("{\"id\":\"a\",\"x\":123}\n")
	for _, data := range [][]byte{nil, []byte("abc"), bytes.Repeat(line, 50), bytes.Repeat(line, 60), bytes.Repeat(line, 1<<17)} {
		s, _ := store(t)
		d := put(t, s, data)
		name, err := s.file(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReadAll(d, 1<<30); err != nil {
			t.Errorf("%d bytes: %v", len(data), err)
		}
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(good), 60) {
			for bit := range 8 {
				if len(data) > 1<<20 && i > 8 {
					continue // the header is what differs
				}
				changed := bytes.Clone(good)
				changed[i] ^= 1 << bit
				if err := os.WriteFile(name, changed, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := s.check(d); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%d bytes: bit %d of byte %d of the file: %v", len(data), bit, i, err)
				}
			}
		}
	}
}

// TestBomb reads a file of a few kilobytes that stands for 64 megabytes.
func TestBomb(t *testing.T) {
	s, dir := store(t)
	put(t, s, []byte("abc"))
	name := filepath.Join(dir, "payloads", digestABC[:2], digestABC+".zst")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := enc.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(enc.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := s.Open(digestABC)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	if n != 64<<20 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("reading it allocated %d MB", used>>20)
	}
	// A header that asks for a window of a gigabyte is refused unread.
	huge := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00}
	if err := os.WriteFile(name, huge, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadAll(digestABC, 1<<20); !errors.Is(err, ErrCorrupt) {
		t.Errorf("huge window: %v", err)
	}
}

func TestListAndSweep(t *testing.T) {
	s, dir := store(t)
	var want []evidence.Digest
	for i := range 20 {
		want = append(want, put(t, s, fmt.Appendf(nil, "payload %d", i)))
	}
	slices.Sort(want)
	for _, name := range []string{"README", "ab/README", "ab/" + digestABC + ".zst", digestABC + ".zst", durable.TempPrefix + "1"} {
		name = filepath.Join(dir, "payloads", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []evidence.Digest
	for d, err := range s.List() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List gives %q, want %q", got, want)
	}
	for d, err := range s.List() {
		if d != want[0] || err != nil {
			t.Errorf("first of the list: %s, %v", d, err)
		}
		break // and that must not panic
	}
	if n, err := s.SweepTemp(); n != 1 || err != nil {
		t.Errorf("SweepTemp = %d, %v, want 1", n, err)
	}
	for d, err := range OpenRead(t.TempDir()).List() {
		t.Errorf("no directory gives %s, %v", d, err)
	}
}

func TestConcurrentPuts(t *testing.T) {
	s, _ := store(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			data := fmt.Appendf(nil, "payload %d", i%4) // eight of each
			d, err := s.Put(data)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := s.ReadAll(d, 1<<10); err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
	wg.Wait()
}
