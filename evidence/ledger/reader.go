package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Entry is a record in the ledger, as sealed.
type Entry struct {
	Index uint64
	Data  []byte // must not be changed
}

// Reader reads the records that one published checkpoint covers. It takes no
// lock and may be used beside a Ledger that appends. Its methods may be called
// from several goroutines at once.
//
// It does not check signatures or hashes: package verify does.
type Reader struct {
	dir        string // DIR/ledger
	checkpoint []byte
	size       uint64
}

// OpenReader reads the published checkpoint in the data directory dir. The
// error is fs.ErrNotExist when there is no ledger.
func OpenReader(dir string) (*Reader, error) {
	r := &Reader{dir: filepath.Join(dir, evidence.LedgerDir)}
	var err error
	if r.checkpoint, err = os.ReadFile(filepath.Join(r.dir, layout.CheckpointPath)); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	c, err := seal.ParseCheckpoint(r.checkpoint)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", r.dir, err)
	}
	r.size = c.Size
	return r, nil
}

// Size gives the number of records.
func (r *Reader) Size() uint64 { return r.size }

// Checkpoint gives the signed checkpoint.
func (r *Reader) Checkpoint() []byte { return append([]byte(nil), r.checkpoint...) }

// Entries gives the records from index from on, in order. It holds at most 256
// records in memory. After an error it ends.
func (r *Reader) Entries(from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for i := from / layout.EntryBundleWidth; i*layout.EntryBundleWidth < r.size; i++ {
			width := min(r.size-i*layout.EntryBundleWidth, layout.EntryBundleWidth)
			bundle, err := r.bundle(i, width)
			if err != nil {
				yield(Entry{}, fmt.Errorf("read ledger: %w", err))
				return
			}
			for j := range width {
				data, rest, err := cutEntry(bundle)
				if err != nil {
					yield(Entry{}, fmt.Errorf("read record %d: %w", i*layout.EntryBundleWidth+j, err))
					return
				}
				bundle = rest
				if index := i*layout.EntryBundleWidth + j; index >= from && !yield(Entry{Index: index, Data: data}, nil) {
					return
				}
			}
		}
	}
}

// bundle reads entry bundle i, of which the first width entries are wanted.
// The ledger drops a partial bundle once a checkpoint covers a wider one, so
// any wider one will do: its beginning is the same.
func (r *Reader) bundle(i, width uint64) ([]byte, error) {
	for w := width; w < layout.EntryBundleWidth; w++ {
		data, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(layout.EntriesPath(i, uint8(w)))))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(layout.EntriesPath(i, 0))))
}

// cutEntry takes the first entry off a bundle: 16 bits of length, big-endian,
// then the entry. Source: c2sp.org/tlog-tiles, "Log entries".
func cutEntry(bundle []byte) (entry, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errors.New("its bundle ends before it")
	}
	n := int(binary.BigEndian.Uint16(bundle))
	if len(bundle)-2 < n {
		return nil, nil, errors.New("its bundle ends within it: want " + strconv.Itoa(n) + " bytes")
	}
	return bundle[2 : 2+n : 2+n], bundle[2+n:], nil
}
