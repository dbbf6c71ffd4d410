package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"sync"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// batch is some records on their way from the disk, through the checking of
// their signatures, to the checks that need them in order.
type batch struct {
	first   uint64 // index of the first record; of an entry bundle
	width   uint64 // records that the checkpoint says are in it; likewise
	name    string // of the file
	err     error  // of reading it
	records []record
	checked chan struct{} // closed once records are filled in
}

// record is one entry of the ledger.
type record struct {
	index     uint64
	data      []byte
	leaf      []byte
	statement evidence.Statement
	predicate any // as evidence.Decode gives it; nil when err is set
	err       error
}

// openBatches hands on the batches in order, their records opened. Signatures
// are checked by all cores; a few batches are in memory at a time.
func (c *check) openBatches(ctx context.Context, batches iter.Seq[*batch], take func(*batch)) error {
	ctx, cancel := context.WithCancel(ctx)
	workers := runtime.GOMAXPROCS(0)
	order, work := make(chan *batch, workers), make(chan *batch)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() {
		defer close(order)
		defer close(work)
		for b := range batches {
			for _, to := range []chan *batch{work, order} {
				select {
				case to <- b:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range workers {
		running.Go(func() {
			for b := range work {
				for i := range b.records {
					b.records[i].open(c.verifier)
				}
				close(b.checked)
			}
		})
	}
	for b := range order {
		<-b.checked
		take(b)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// readLedger goes through the records in order, once.
func (c *check) readLedger(ctx context.Context) error {
	c.tree = newTree(c.compareTile)
	c.checkEarlier()
	err := c.openBatches(ctx, func(yield func(*batch) bool) {
		for first := uint64(0); first < c.head.Size && yield(c.readBundle(first)); first += layout.EntryBundleWidth {
		}
	}, func(b *batch) {
		c.takeBundle(b)
		c.progress(b.width)
	})
	if err != nil {
		return err
	}
	c.finishTree()
	return nil
}

// readBundle reads the entry bundle that begins at record first.
func (c *check) readBundle(first uint64) *batch {
	b := &batch{first: first, width: min(c.head.Size-first, layout.EntryBundleWidth), checked: make(chan struct{})}
	pathOf := func(partial uint8) string { return layout.EntriesPath(first/layout.EntryBundleWidth, partial) }
	t, err := c.readTile(pathOf, b.width, maxBundle)
	b.name, b.err = t.name, err
	if err != nil {
		return b
	}
	entries, err := splitBundle(t.data)
	if err == nil && len(entries) != t.width {
		err = fmt.Errorf("it holds %d entries, must hold %d", len(entries), t.width)
	}
	b.err = err
	for i, data := range entries[:min(uint64(len(entries)), b.width)] {
		b.records = append(b.records, record{index: first + uint64(i), data: data})
	}
	return b
}

// open checks the signature and reads the record.
func (r *record) open(v *seal.Verifier) {
	r.leaf = rfc6962.DefaultHasher.HashLeaf(r.data)
	if r.statement, r.err = v.Unseal(r.data); r.err != nil {
		return
	}
	r.predicate, r.err = evidence.Decode(r.statement)
}

// takeBundle adds the records to the tree and runs the checks over them.
func (c *check) takeBundle(b *batch) {
	if b.err != nil {
		c.problem(KindTree, ledgerPlace(b.name), "%s: records %d to %d cannot be checked fully", reason(b.err), b.first, b.first+b.width-1)
	}
	for i := range b.records {
		r := &b.records[i]
		if c.tree.size() == r.index { // else a record is missing, and so is the root
			c.tree.add(r.leaf)
			c.checkEarlier()
		}
		c.takeRecord(r)
	}
}

// takeRecord runs the checks over the next record.
func (c *check) takeRecord(r *record) {
	switch {
	case errors.Is(r.err, seal.ErrSignature):
		c.problem(KindSignature, recordPlace(r.index), "%v", r.err)
	case r.err != nil:
		c.problem(KindRecord, recordPlace(r.index), "%v", r.err)
	default:
		c.rules.take(r.index, r)
	}
}

// finishTree compares the root.
func (c *check) finishTree() {
	place := ledgerPlace(checkpointFile)
	if c.tree.size() != c.head.Size {
		c.problem(KindRoot, place, "its root cannot be checked: record %d is missing", c.tree.size())
		return
	}
	c.flushTiles()
	root := c.tree.root()
	if c.tree.err != nil {
		c.problem(KindRoot, place, "its root cannot be computed: %v", c.tree.err)
		return
	}
	c.Root = rootText(root)
	if !bytes.Equal(root, c.head.Root[:]) {
		c.problem(KindRoot, place, "the %d records have the root %s, it says %s: a record was changed, taken out, put in or moved",
			c.head.Size, c.Root, rootText(c.head.Root[:]))
	}
}
