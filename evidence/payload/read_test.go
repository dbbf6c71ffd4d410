package payload

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"
)

func FuzzRead(f *testing.F) {
	s, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.Put([]byte("abc")); err != nil {
		f.Fatal(err)
	}
	name, err := s.file(digestABC)
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(name, file, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.ReadAll(digestABC, 1<<20)
		if err == nil && string(got) != "abc" {
			t.Errorf("read %q under the digest of abc", got)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	s, _ := store(b)
	data := bytes.Repeat([]byte(`{"name":"example","value":12345}`), 1<<12)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		copy(data, fmt.Sprintf("%010d", i))
		put(b, s, data)
	}
}

func BenchmarkRead(b *testing.B) {
	s, _ := store(b)
	var buf bytes.Buffer
	for i := 0; buf.Len() < 16<<20; i++ {
		fmt.Fprintf(&buf, `{"name":"bucket-%d","encryption":{"algorithm":"aws:kms"},"hash":"%x"}`+"\n", i, sha256.Sum256([]byte{byte(i)}))
	}
	d := put(b, s, buf.Bytes())
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		if err := s.check(d); err != nil {
			b.Fatal(err)
		}
	}
}

// The encoder writes the header in another way at each of these lengths.
func TestLengths(t *testing.T) {
	s, _ := store(t)
	for _, edge := range []int{1, 1 << 8, 1 << 10, 1 << 11, 1 << 16, 1<<16 + 1<<8, windowSize} {
		for n := edge - 1; n <= edge+1; n++ {
			for _, data := range [][]byte{bytes.Repeat([]byte("a line of text\n"), n/15+1)[:n], noise(n)} {
				d, err := s.Put(data)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := s.ReadAll(d, 1<<30); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
		}
	}
}

// noise gives bytes that do not compress.
func noise(n int) []byte {
	data := make([]byte, n)
	x := uint32(1)
	for i := range data {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		data[i] = byte(x)
	}
	return data
}
