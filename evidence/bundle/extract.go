package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

const (
	tarBlock     = 512
	tarTrailer   = 2 * tarBlock // zero bytes that end a tar
	maxPadding   = 1 << 20      // zero bytes that may follow them
	leastMax     = 1 << 30
	maxExpansion = 64
)

// Beginnings of files. Sources: RFC 8878 section 3.1.1; c2sp.org/age; RFC 1952.
const (
	zstdMagic  = "\x28\xb5\x2f\xfd"
	ageMagic   = "age-encryption.org/"
	ageArmored = "-----BEGIN AGE ENCRYPTED FILE-----"
	gzipMagic  = "\x1f\x8b"
)

// extract writes an archive into a new directory, which becomes b.Dir.
func (b *Bundle) extract(ctx context.Context, name string, o OpenOptions) (err error) {
	f, err := os.Open(name) //nolint:gosec // G304: the caller's own choice.
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	src := bufio.NewReaderSize(&counting{r: f, ctx: ctx, total: uint64(info.Size()), tell: o.Progress}, 256<<10) //nolint:gosec // G115: a size is never negative.
	if err := sniff(src); err != nil {
		return err
	}
	limit := o.MaxBytes
	if limit <= 0 {
		limit = max(leastMax, maxExpansion*info.Size())
	}
	if b.scratch, err = os.MkdirTemp(o.Scratch, "tallystick-bundle-"); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	b.Dir = b.scratch
	root, err := os.OpenRoot(b.scratch)
	if err != nil {
		return err
	}
	return errors.Join(untar(src, limit, root), root.Close())
}

func sniff(src *bufio.Reader) error {
	head, err := src.Peek(len(ageArmored))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	starts := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case starts(zstdMagic):
		return nil
	case starts(ageMagic), starts(ageArmored):
		return fmt.Errorf("%w yet: it is encrypted; decrypt it first: age --decrypt -i KEYFILE -o bundle%s THIS_FILE", ErrNotBundle, archiveSuffix)
	case starts(gzipMagic):
		return fmt.Errorf("%w: it is compressed by gzip, a bundle by zstd; extract it and open the directory", ErrNotBundle)
	}
	return fmt.Errorf("%w: neither a directory nor an archive compressed by zstd", ErrNotBundle)
}

// untar writes the files of a zstd-compressed tar into root, at most limit bytes
// of them, and refuses everything that a Writer does not write.
func untar(src io.Reader, limit int64, root *os.Root) error {
	dec, err := zstd.NewReader(src,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	defer dec.Close()
	plain := &counting{r: dec}
	x := &extractor{root: root, left: limit, names: newNames(), dirs: map[string]bool{".": true}, buf: make([]byte, 128<<10)}
	t := tar.NewReader(plain)
	end, last := uint64(0), "its beginning"
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read archive after %s: %w", last, broken(err))
		}
		if err := x.file(h, t); err != nil {
			return err
		}
		last = fmt.Sprintf("%q", h.Name)
		end = (plain.n + tarBlock - 1) / tarBlock * tarBlock
	}
	if plain.n < end+tarTrailer {
		return fmt.Errorf("read archive after %s: it was cut: a tar ends in %d zero bytes", last, tarTrailer)
	}
	return padding(plain, last)
}

// padding reads to the end: what is there must be zero, and the decompressor has
// a checksum to compare.
func padding(r io.Reader, last string) error {
	buf := make([]byte, 32<<10)
	for total := 0; ; {
		n, err := r.Read(buf)
		total += n
		if total > maxPadding || bytes.Count(buf[:n], []byte{0}) != n {
			return fmt.Errorf("read archive after %s: there are bytes behind the end of the tar", last)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read archive after %s: %w", last, broken(err))
		}
	}
}

// broken puts the errors of a decoder in words.
func broken(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it was cut: %w", err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("it asks for more than %d MiB of memory: %w", maxWindow>>20, err)
	}
	return err
}

type extractor struct {
	root  *os.Root
	left  int64 // bytes that may still be written
	names *names
	dirs  map[string]bool // that were made
	buf   []byte          // for copying
}

func (x *extractor) file(h *tar.Header, content io.Reader) error {
	fail := func(err error) error { return fmt.Errorf("extract %q: %w", h.Name, err) }
	if h.Typeflag != tar.TypeReg {
		return fail(fmt.Errorf("it is a %s: a bundle holds regular files only; if the archive was repacked, extract it with tar and open the directory", tarSort(h.Typeflag)))
	}
	for key := range h.PAXRecords {
		if key != "path" && key != "size" {
			return fail(fmt.Errorf("it has the extended header %q, which no bundle has", key))
		}
	}
	if err := x.names.add(h.Name); err != nil {
		return fmt.Errorf("extract: %w", err)
	}
	if h.Size < 0 || h.Size > x.left {
		return fail(fmt.Errorf("%w: it has %d bytes, of the limit %d are left: if the bundle is that large, extract it with tar and open the directory", ErrTooLarge, h.Size, x.left))
	}
	x.left -= h.Size
	if err := x.mkdir(path.Dir(h.Name)); err != nil {
		return fail(err)
	}
	f, err := x.root.OpenFile(filepath.FromSlash(h.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(err)
	}
	// Without its ReadFrom the file takes our buffer instead of making one.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, content, x.buf)
	if err = errors.Join(broken(err), f.Close()); err != nil {
		return fail(err)
	}
	return nil
}

func (x *extractor) mkdir(dir string) error {
	if x.dirs[dir] {
		return nil
	}
	if err := x.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	x.dirs[dir] = true
	return x.root.Mkdir(filepath.FromSlash(dir), 0o700)
}

func tarSort(flag byte) string {
	switch flag {
	case tar.TypeDir:
		return "directory"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	}
	return fmt.Sprintf("tar entry of type %q", flag)
}

// counting counts what is read, gives up when ctx is done, and tells how far it
// is. A nil ctx is never done.
type counting struct {
	r     io.Reader
	ctx   context.Context //nolint:containedctx // io.Reader takes none.
	n     uint64
	total uint64
	tell  func(done, total uint64)
}

func (c *counting) Read(p []byte) (int, error) {
	if c.ctx != nil {
		if err := c.ctx.Err(); err != nil {
			return 0, err
		}
	}
	n, err := c.r.Read(p)
	c.n += uint64(n) //nolint:gosec // G115: a count of bytes is never negative.
	if c.tell != nil && n > 0 {
		c.tell(c.n, c.total)
	}
	return n, err
}
