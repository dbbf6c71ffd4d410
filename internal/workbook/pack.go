package workbook

import (
	"archive/zip"
	"cmp"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
)

// pack is the ZIP archive that a workbook is. It takes the parts in any order,
// since the first sheet is known last, and writes them in one order and with one
// date. Until then they are, compressed, in a temporary file.
type pack struct {
	out   io.Writer
	spool *os.File
	at    int64 // end of the spool
	parts []zip.FileHeader
	from  map[string]int64 // where in the spool a part begins
	open  *part
	err   error // the first of a Write
}

func newPack(out io.Writer, dir string) (*pack, error) {
	spool, err := os.CreateTemp(dir, "tallystick-workbook-")
	if err != nil {
		return nil, fmt.Errorf("open a temporary file: %w", err)
	}
	return &pack{out: out, spool: spool, from: map[string]int64{}}, nil
}

// discard removes the temporary file.
func (p *pack) discard() {
	p.spool.Close()
	_ = os.Remove(p.spool.Name())
}

// part is a part while it is written.
type part struct {
	pack   *pack
	header zip.FileHeader
	flate  *flate.Writer
	crc    uint32
}

// Create begins a part. It ends the one before.
func (p *pack) Create(name string) (io.Writer, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	w, err := flate.NewWriter(spooled{p}, flate.DefaultCompression)
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	p.from[name] = p.at
	p.open = &part{pack: p, header: zip.FileHeader{Name: name, Method: zip.Deflate}, flate: w}
	return p.open, nil
}

// Write adds to the part.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.flate.Write(b)
	p.crc = crc32.Update(p.crc, crc32.IEEETable, b[:n])
	p.header.UncompressedSize64 += uint64(n) //nolint:gosec // G115: the length of a slice
	return n, err
}

// spooled writes at the end of the spool.
type spooled struct{ *pack }

func (s spooled) Write(b []byte) (int, error) {
	n, err := s.spool.Write(b)
	s.at += int64(n)
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("write a temporary file: %w", err)
	}
	return n, err
}

func (p *pack) end() error {
	if p.open == nil {
		return nil
	}
	h := p.open.header
	if err := p.open.flate.Close(); err != nil {
		return fmt.Errorf("compress %s: %w", h.Name, err)
	}
	h.CRC32 = p.open.crc
	h.CompressedSize64 = uint64(p.at - p.from[h.Name]) //nolint:gosec // G115: the spool only grows
	h.ModifiedDate = 1<<5 | 1                          //nolint:staticcheck // SA1019: CreateRaw writes this field and not its successor; it is 1980-01-01
	h.CreatorVersion, h.ReaderVersion, h.Flags, h.ExternalAttrs = 20, 20, 0, 0
	if h.UncompressedSize64 >= 1<<32 || h.CompressedSize64 >= 1<<32 {
		return fmt.Errorf("%s is longer than 4 GiB, which a spreadsheet does not open", h.Name)
	}
	p.parts = append(p.parts, h)
	p.open = nil
	return nil
}

// Close writes the archive.
func (p *pack) Close() error {
	if err := cmp.Or(p.end(), p.err); err != nil {
		return err
	}
	// The content types come first: programs that guess what a file is look there.
	slices.SortFunc(p.parts, func(a, b zip.FileHeader) int {
		return cmp.Or(cmp.Compare(rank(a.Name), rank(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	z := zip.NewWriter(p.out)
	for i := range p.parts {
		h := &p.parts[i]
		w, err := z.CreateRaw(h)
		if err != nil {
			return fmt.Errorf("write %s: %w", h.Name, err)
		}
		size := int64(h.CompressedSize64) //nolint:gosec // G115: below 4 GiB
		if _, err := io.Copy(w, io.NewSectionReader(p.spool, p.from[h.Name], size)); err != nil {
			return fmt.Errorf("write %s: %w", h.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}

func rank(name string) int {
	switch name {
	case "[Content_Types].xml":
		return 0
	case "_rels/.rels":
		return 1
	}
	return 2
}
