package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// ManifestLine is a file of the bundle with the SHA-256 of its bytes.
type ManifestLine struct {
	Digest evidence.Digest
	Name   string
}

// append adds the line as sha256sum writes it: the names of a bundle need none
// of its escapes.
func (l ManifestLine) append(b []byte) []byte {
	b = append(b, l.Digest...)
	b = append(b, "  "...)
	b = append(b, l.Name...)
	return append(b, '\n')
}

// covered says whether the manifest lists a file, or ought to.
func covered(name string) bool {
	lower := strings.ToLower(name)
	return lower != ManifestFile && lower != StatementDir && !strings.HasPrefix(lower, StatementDir+"/")
}

// parseManifest reads a manifest line by line. It takes only what a Writer
// writes: clean names in ascending order of their bytes, each once, none that
// the manifest cannot cover. After an error it ends.
func parseManifest(r io.Reader) iter.Seq2[ManifestLine, error] {
	return func(yield func(ManifestLine, error) bool) {
		const digestText = 64
		lines := bufio.NewReaderSize(r, digestText+2+maxNameBytes+1)
		seen, last := newNames(), ""
		for n := 1; ; n++ {
			fail := func(err error) { yield(ManifestLine{}, fmt.Errorf("%s line %d: %w", ManifestFile, n, err)) }
			text, err := lines.ReadSlice('\n')
			switch {
			case errors.Is(err, io.EOF) && len(text) == 0:
				return
			case errors.Is(err, io.EOF):
				fail(errors.New("it has no line end: the file was cut"))
				return
			case errors.Is(err, bufio.ErrBufferFull):
				fail(errors.New("it is longer than any line of a manifest"))
				return
			case err != nil:
				fail(err)
				return
			}
			digest, name, ok := strings.Cut(strings.TrimSuffix(string(text), "\n"), "  ")
			line := ManifestLine{Digest: evidence.Digest(digest), Name: name}
			if !ok || !payload.Valid(line.Digest) {
				fail(errors.New("it is not a SHA-256 in lower-case hexadecimal, two spaces and a name"))
				return
			}
			switch err := seen.add(name); {
			case err != nil:
				fail(err)
				return
			case !covered(name):
				fail(fmt.Errorf("name %q: a manifest does not list itself or the statement", name))
				return
			case name <= last:
				fail(fmt.Errorf("name %q: it comes after %q, names must be in order of their bytes", name, last))
				return
			}
			last = name
			if !yield(line, nil) {
				return
			}
		}
	}
}
