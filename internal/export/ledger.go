package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
)

// chosenLedger is a ledger of which some records were chosen.
type chosenLedger struct {
	dir          string
	reader       *ledger.Reader
	leaves       []byte // the hashes of all records, RFC 6962 section 2.1
	chosen       []uint64
	chooser      *period.Chooser
	origin       string
	organization string
}

// entry is a record as it is and as it reads.
type entry struct {
	evidence.Entry
	data []byte
}

// readLedger goes through all records once.
func readLedger(ctx context.Context, dir string, w period.Window) (*chosenLedger, error) {
	reader, err := ledger.OpenReader(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no ledger yet: run `tallystick collect` or `tallystick run` first", dir)
	}
	if err != nil {
		return nil, err
	}
	l := &chosenLedger{dir: dir, reader: reader, chooser: period.NewChooser(w)}
	for e, err := range l.all(ctx, 0) {
		if err != nil {
			return nil, err
		}
		l.chooser.Take(e.Entry)
		if p, ok := e.Predicate.(*evidence.Configuration); ok {
			l.origin, l.organization = p.Ledger, p.Organization
		}
	}
	if err := l.agrees(); err != nil {
		return nil, err
	}
	l.chosen = l.chooser.Indexes()
	return l, nil
}

// all gives the records from one on, and keeps their hashes.
func (l *chosenLedger) all(ctx context.Context, from uint64) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for raw, err := range l.reader.Entries(from) {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			var e entry
			if err == nil {
				l.leaves = append(l.leaves, rfc6962.DefaultHasher.HashLeaf(raw.Data)...)
				e, err = decode(raw)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func decode(raw ledger.Entry) (entry, error) {
	e, err := seal.PeekEntry(raw.Index, raw.Data)
	return entry{Entry: e, data: raw.Data}, err
}

// agrees compares the hashes with the checkpoint: what is not the ledger that
// was signed must not be handed out.
func (l *chosenLedger) agrees() error {
	head, err := seal.ParseCheckpoint(l.reader.Checkpoint())
	if err != nil {
		return err
	}
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := factory.NewEmptyRange(0)
	for i := range uint64(len(l.leaves) / sha256.Size) {
		if err := tree.Append(l.leaf(i), nil); err != nil {
			return err
		}
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		return err
	}
	if tree.End() != head.Size || head.Size > 0 && !bytes.Equal(root, head.Root[:]) {
		return fmt.Errorf("the records in %s do not have the root %s of its checkpoint: `tallystick verify %s` says which", l.dir, rootText(head.Root[:]), l.dir)
	}
	return nil
}

func (l *chosenLedger) leaf(i uint64) []byte { return l.leaves[i*sha256.Size : (i+1)*sha256.Size] }

// records gives the chosen records.
func (l *chosenLedger) records(ctx context.Context) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		at := 0
		for raw, err := range l.reader.Entries(l.chosen[0]) {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err == nil && raw.Index != l.chosen[at] {
				continue
			}
			var e entry
			if err == nil {
				e, err = decode(raw)
			}
			if !yield(e, err) || err != nil {
				return
			}
			if at++; at == len(l.chosen) {
				return
			}
		}
	}
}

// grownLedger is the ledger with the record of the export.
type grownLedger struct {
	*chosenLedger
	size       uint64
	checkpoint []byte
}

// grown reads what was added since.
func (l *chosenLedger) grown(ctx context.Context) (*grownLedger, error) {
	before := uint64(len(l.leaves) / sha256.Size)
	reader, err := ledger.OpenReader(l.dir)
	if err != nil {
		return nil, err
	}
	l.reader = reader
	for raw, err := range reader.Entries(before) {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		l.leaves = append(l.leaves, rfc6962.DefaultHasher.HashLeaf(raw.Data)...)
	}
	if err := l.agrees(); err != nil {
		return nil, err
	}
	return &grownLedger{l, reader.Size(), reader.Checkpoint()}, nil
}

// wanted lists the payloads of the chosen records, each once, sorted by digest.
func (e *exporter) wanted() (out []wantedPayload, total uint64, err error) {
	seen := map[evidence.Digest]bool{}
	for entry, err := range e.ledger.records(e.ctx) {
		if err != nil {
			return nil, 0, err
		}
		if !e.fold.Needs(entry.Entry) {
			continue
		}
		for _, subject := range entry.Statement.Subject {
			d := evidence.Digest(subject.Digest["sha256"])
			if seen[d] {
				continue
			}
			seen[d] = true
			name, err := payload.Name(d)
			if err != nil {
				return nil, 0, fmt.Errorf("record %d: %w", entry.Index, err)
			}
			p := wantedPayload{digest: d, file: filepath.Join(e.Dir, evidence.PayloadDir, filepath.FromSlash(name))}
			info, err := os.Stat(p.file)
			if err != nil {
				return nil, 0, fmt.Errorf("record %d names the payload %s, which is not there: `tallystick verify %s` says more: %w", entry.Index, d, e.Dir, err)
			}
			p.size = uint64(info.Size()) //nolint:gosec // never negative
			total += p.size
			out = append(out, p)
		}
	}
	sortWanted(out)
	return out, total, nil
}

func digestOf(data []byte) evidence.Digest {
	sum := sha256.Sum256(data)
	return evidence.Digest(hex.EncodeToString(sum[:]))
}
