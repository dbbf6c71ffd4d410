package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/durable"
)

// pending is a record on its way into the tree.
type pending struct {
	data  []byte
	done  chan struct{} // closed once index and err are set
	index uint64
	err   error
}

// Append writes a sealed record and returns its index once the published
// checkpoint covers it, which takes about a tenth of a second; calls at the
// same time share that. It is Add and its wait in one.
func (l *Ledger) Append(ctx context.Context, data []byte) (uint64, error) {
	wait, err := l.Add(ctx, data)
	if err != nil {
		return 0, err
	}
	return wait(ctx)
}

// Add gives a sealed record its place: records are in the ledger in the order
// in which Add took them. It does not wait for the disk. The caller must call
// wait, once, which returns the index when the published checkpoint covers the
// record.
//
// After an error of Add, and after an error of wait that is not
// ErrUnpublished, the record is not in the ledger and will not be. After
// ErrUnpublished, which a ctx that ends early also gives, it may come to be.
func (l *Ledger) Add(ctx context.Context, data []byte) (wait func(context.Context) (uint64, error), err error) {
	if len(data) > evidence.MaxRecordBytes {
		return nil, fmt.Errorf("append record: %w: %d bytes, at most %d: keep what is long as a payload", ErrTooLarge, len(data), evidence.MaxRecordBytes)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("append record: %w", context.Cause(ctx))
	}
	p := &pending{data: bytes.Clone(data), done: make(chan struct{})}
	if err := l.enqueue(p); err != nil {
		return nil, fmt.Errorf("append record: %w", err)
	}
	return func(ctx context.Context) (uint64, error) { return l.wait(ctx, p) }, nil
}

func (l *Ledger) enqueue(p *pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.broken != nil:
		return l.broken
	}
	l.queue = append(l.queue, p)
	l.appends.Add(1)
	select {
	case l.work <- struct{}{}:
	default:
	}
	return nil
}

func (l *Ledger) wait(ctx context.Context, p *pending) (uint64, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("append record: %w: %w", ErrUnpublished, context.Cause(ctx))
	}
	if p.err != nil {
		return 0, fmt.Errorf("append record: %w", p.err)
	}
	if err := l.covers(ctx, p.index+1); err != nil {
		return 0, fmt.Errorf("append record %d: %w: %w", p.index, ErrUnpublished, err)
	}
	return p.index, nil
}

// write hands the queue to tessera, a batch at a time: tessera's own queue can
// change the order of two batches that it holds at once.
func (l *Ledger) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.work:
		}
		for batch := l.take(); len(batch) > 0; batch = l.take() {
			l.writeBatch(ctx, batch)
		}
	}
}

func (l *Ledger) take() []*pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), batchSize)
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	return batch
}

func (l *Ledger) writeBatch(ctx context.Context, batch []*pending) {
	unwritable := l.writable()
	futures := make([]tessera.IndexFuture, len(batch))
	for i, p := range batch {
		if unwritable == nil {
			futures[i] = l.appender.Add(ctx, tessera.NewEntry(p.data))
		}
	}
	for i, p := range batch {
		p.err = unwritable
		if unwritable == nil {
			p.index, p.err = l.resolve(futures[i], p.data)
		}
		close(p.done)
		l.appends.Done()
	}
}

// resolve waits until the record is in the tree, or is known not to be.
func (l *Ledger) resolve(future tessera.IndexFuture, data []byte) (uint64, error) {
	index, err := future()
	if err == nil {
		return index.Index, nil
	}
	// The write may have failed at its very end, after the record had become
	// part of the tree.
	in, err2 := l.contains(index.Index, data)
	if err2 != nil || in {
		return 0, fmt.Errorf("%w: %w", ErrUnpublished, errors.Join(err, err2))
	}
	return 0, err
}

// writable makes the calls that tessera panics over when they fail.
func (l *Ledger) writable() error {
	f, err := os.OpenFile(filepath.Join(l.path(), stateDir, "treeState.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("ledger is not writable: %w", err)
	}
	// Closing it would drop tessera's lock if that were held by fcntl from
	// this process; it is there against other processes, which our own lock
	// keeps out.
	return f.Close()
}

func (l *Ledger) contains(index uint64, data []byte) (bool, error) {
	size, _, err := readTreeState(l.path())
	if err != nil || index >= size {
		return false, err
	}
	for e, err := range (&Reader{dir: l.path(), size: size}).Entries(index) {
		return bytes.Equal(e.Data, data), err
	}
	return false, nil
}

// covers waits until the published checkpoint has at least size records.
func (l *Ledger) covers(ctx context.Context, size uint64) error {
	l.mu.Lock()
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
	}()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	patience := time.NewTimer(l.patience)
	defer patience.Stop()
	for {
		l.mu.Lock()
		covered := l.checkpoint != nil && l.head.Size >= size
		broken, changed := l.broken, l.changed
		l.mu.Unlock()
		switch {
		case broken != nil:
			return broken
		case covered:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return l.unpublished()
		}
	}
}

// unpublished finds out why no checkpoint comes: tessera only logs it.
func (l *Ledger) unpublished() error {
	probe := filepath.Join(l.path(), stateDir)
	f, err := durable.Create(durable.Disk{}, probe)
	if err == nil {
		_, err = f.Write(make([]byte, 4<<10))
		err = errors.Join(err, f.Abort())
	}
	if err != nil {
		return fmt.Errorf("no checkpoint was published for %s: %w", l.patience, err)
	}
	return fmt.Errorf("no checkpoint was published for %s, although %s is writable", l.patience, probe)
}

// watch follows the published checkpoint while someone waits for it.
func (l *Ledger) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		for l.poll() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pollInterval):
			}
		}
	}
}

// poll reads the checkpoint file and says whether anyone waits for another.
func (l *Ledger) poll() bool {
	signed, err := os.ReadFile(filepath.Join(l.path(), layout.CheckpointPath))
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || bytes.Equal(signed, l.checkpoint) {
		return l.waiting > 0 && l.broken == nil // not there yet, or the same: patience ends it
	}
	head, err := l.verifier.Checkpoint(signed)
	switch {
	case err != nil:
		l.broken = fmt.Errorf("%w: published %w", ErrInconsistent, err)
	case head.Size < l.head.Size:
		l.broken = fmt.Errorf("%w: the published checkpoint went back from %d records to %d: something else writes to the directory", ErrInconsistent, l.head.Size, head.Size)
	default:
		prune(l.path(), l.head.Size, head.Size)
		l.checkpoint, l.head = signed, head
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return l.waiting > 0 && l.broken == nil
}
