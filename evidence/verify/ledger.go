package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// bundle is the records of one file on their way from the disk, through the
// checking of their signatures, to the checks that need them in order.
type bundle struct {
	first   uint64 // index of the first record
	width   uint64 // records that the checkpoint says are in it
	name    string // of the file
	err     error  // of reading it
	records []record
	checked chan struct{} // closed once records are filled in
}

// record is one entry of the ledger.
type record struct {
	data      []byte
	leaf      []byte
	statement evidence.Statement
	predicate any // as evidence.Decode gives it; nil when err is set
	err       error
}

// readLedger goes through the records in order, once. Signatures are checked
// by all cores; a few bundles are in memory at a time.
func (c *check) readLedger(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	c.tree = newTree(c.compareTile)
	workers := runtime.GOMAXPROCS(0)
	order, work := make(chan *bundle, workers), make(chan *bundle)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() {
		defer close(order)
		defer close(work)
		for first := uint64(0); first < c.head.Size; first += layout.EntryBundleWidth {
			b := c.readBundle(first)
			for _, to := range []chan *bundle{work, order} {
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
	c.checkEarlier()
	for b := range order {
		<-b.checked
		c.takeBundle(b)
		c.progress(b.width)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.finishTree()
	return nil
}

// readBundle reads the entry bundle that begins at record first.
func (c *check) readBundle(first uint64) *bundle {
	b := &bundle{first: first, width: min(c.head.Size-first, layout.EntryBundleWidth), checked: make(chan struct{})}
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
	for _, data := range entries[:min(uint64(len(entries)), b.width)] {
		b.records = append(b.records, record{data: data})
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
func (c *check) takeBundle(b *bundle) {
	if b.err != nil {
		c.problem(KindTree, ledgerPlace(b.name), "%s: records %d to %d cannot be checked fully", reason(b.err), b.first, b.first+b.width-1)
	}
	for i := range b.records {
		r, index := &b.records[i], b.first+uint64(i)
		if c.tree.size() == index { // else a record is missing, and so is the root
			c.tree.add(r.leaf)
			c.checkEarlier()
		}
		switch {
		case errors.Is(r.err, seal.ErrSignature):
			c.problem(KindSignature, recordPlace(index), "%v", r.err)
		case r.err != nil:
			c.problem(KindRecord, recordPlace(index), "%v", r.err)
		default:
			c.rules.take(index, r)
		}
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
