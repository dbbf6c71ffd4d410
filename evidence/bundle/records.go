package bundle

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Raw is a record as it is in the ledger, with its place there.
type Raw struct {
	Index uint64
	Data  []byte
}

// Records gives the records of the bundle in order of index, one at a time in
// memory. Their places are as the proof states them, and nothing of it is
// checked. It is an error, after which it ends, if there are more or fewer
// records than the proof states.
func (b *Bundle) Records() iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		p, err := b.Proof()
		if err != nil {
			yield(Raw{}, err)
			return
		}
		if err := p.checkRanges(); err != nil {
			yield(Raw{}, fmt.Errorf("%s: %w", ProofFile, err))
			return
		}
		f, err := b.Open(RecordsFile)
		if err != nil {
			yield(Raw{}, err)
			return
		}
		defer f.Close()
		readRecords(f, p.Records)(yield)
	}
}

// readRecords gives each line of r the index that ranges say. The ranges must
// have been checked.
func readRecords(r io.Reader, ranges []Range) iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		lines := bufio.NewReaderSize(r, evidence.MaxRecordBytes+1)
		n := 1
		fail := func(err error) { yield(Raw{}, fmt.Errorf("%s line %d: %w", RecordsFile, n, err)) }
		for _, g := range ranges {
			for i := range g.Count {
				line, err := lines.ReadSlice('\n')
				switch {
				case errors.Is(err, io.EOF) && len(line) == 0:
					fail(fmt.Errorf("it is not there: %s states more records than the file has", ProofFile))
					return
				case errors.Is(err, io.EOF):
					fail(errors.New("it has no line end: the file was cut"))
					return
				case errors.Is(err, bufio.ErrBufferFull):
					fail(fmt.Errorf("it is longer than the %d bytes of a record", evidence.MaxRecordBytes))
					return
				case err != nil:
					fail(err)
					return
				}
				if !yield(Raw{Index: g.First + i, Data: bytes.Clone(line[:len(line)-1])}, nil) {
					return
				}
				n++
			}
		}
		if _, err := lines.Peek(1); !errors.Is(err, io.EOF) {
			if err == nil {
				err = fmt.Errorf("it is one more than the records that %s states", ProofFile)
			}
			fail(err)
		}
	}
}

// Entries gives the records decoded. It checks no signature and no hash: it is
// for reading what was verified before.
func (b *Bundle) Entries() iter.Seq2[evidence.Entry, error] {
	return func(yield func(evidence.Entry, error) bool) {
		for raw, err := range b.Records() {
			if err != nil {
				yield(evidence.Entry{}, err)
				return
			}
			e, err := seal.PeekEntry(raw.Index, raw.Data)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
