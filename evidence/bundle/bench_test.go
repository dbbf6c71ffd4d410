package bundle

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkBundle writes and opens a bundle of 10,000 payloads of 20 kB that do
// not compress, as payloads do not.
func BenchmarkBundle(b *testing.B) {
	const count, size = 10_000, 20_000
	noise := make([]byte, size+count)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(noise)
	for _, name := range []string{"dir", "b.tar.zst"} {
		out := filepath.Join(b.TempDir(), name)
		b.Run("write "+name, func(b *testing.B) {
			b.SetBytes(count * size)
			for b.Loop() {
				must(0, os.RemoveAll(out))
				w := must(Create(out, CreateOptions{}))
				for i := range count {
					f := must(w.Create(fmt.Sprintf("payloads/%02x/%d.zst", i%256, i)))
					must(f.Write(noise[i : i+size]))
					must(0, f.Close())
				}
				f := must(w.Create(MetaFile))
				must(f.Write(must(meta().Encode())))
				must(0, f.Close())
				_, _, err := w.Manifest()
				must(0, err)
				must(0, w.Commit())
			}
		})
		b.Run("open "+name, func(b *testing.B) {
			b.SetBytes(count * size)
			for b.Loop() {
				must(0, must(Open(b.Context(), out, OpenOptions{Scratch: b.TempDir()})).Close())
			}
		})
	}
}
