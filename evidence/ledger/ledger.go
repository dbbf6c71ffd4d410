// Package ledger appends sealed records to a Merkle log on disk and reads them
// back.
//
// It promises: when Append returns an index, the record is on disk and the
// published checkpoint covers it; there is one writer at a time; and a
// directory in which the checkpoint, the tree and the key do not fit together
// is refused rather than repaired. The files are those of C2SP tlog-tiles and
// tlog-checkpoint, written by github.com/transparency-dev/tessera.
//
// It does not look into the records, does not check the whole log (package
// verify does, without sharing code with this one), and cannot tell that an
// operator replaced a directory by an older copy of itself: that takes a
// checkpoint kept by someone else.
//
// Limits: tessera panics in a goroutine of its own when it cannot open its
// lock files. Append looks first whether it can, which leaves a short race.
// A process that is out of file descriptors may end in that way; the ledger
// is consistent when it is opened again.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"k8s.io/klog/v2"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/durable"
)

const (
	checkpointInterval = 100 * time.Millisecond // the least that tessera takes
	batchAge           = 10 * time.Millisecond  // how long a record waits for others to share its writes
	batchSize          = 256
	pollInterval       = 5 * time.Millisecond // of the checkpoint file, only while someone waits
	defaultPatience    = 30 * time.Second
)

// The errors that callers tell apart.
var (
	// ErrClosed is returned by Append after Close.
	ErrClosed = errors.New("ledger is closed")
	// ErrTooLarge is returned by Append for a record above evidence.MaxRecordBytes.
	ErrTooLarge = errors.New("record is too large for the ledger")
	// ErrInconsistent is returned by Open when the files of the ledger do not
	// fit together, or not to the key. The ledger must not be written to.
	ErrInconsistent = errors.New("ledger is not consistent")
	// ErrUnpublished is returned by Append when it is not known whether the
	// record will be covered by a checkpoint. It may be; whoever appends it
	// again must look first. The daemon must stop.
	ErrUnpublished = errors.New("record may or may not be in the ledger")
)

// Options are the choices of Open. The zero value is right in production.
type Options struct {
	// Patience bounds how long Append waits for the checkpoint after its
	// record was written; 0 means 30 seconds. Publishing takes a tenth of a
	// second unless the disk fails.
	Patience time.Duration

	// LockPatience is how long Open waits for another holder of the directory
	// to let go of it, as a command does that appends one record.
	LockPatience time.Duration
}

// Ledger appends records. Its methods may be called from several goroutines at
// once.
type Ledger struct {
	dir      string // the data directory
	verifier *seal.Verifier
	patience time.Duration
	lock     *os.File

	appender *tessera.Appender
	shutdown func(context.Context) error
	tree     tessera.LogReader
	cancel   context.CancelFunc // of tessera's goroutines, of write and of watch

	appends sync.WaitGroup // records that tessera has not answered for
	workers sync.WaitGroup // the goroutines write and watch
	work    chan struct{}  // capacity 1: queue is not empty
	wake    chan struct{}  // capacity 1: someone waits for a checkpoint

	mu         sync.Mutex // guards what follows
	closed     bool
	queue      []*pending
	waiting    int             // calls of Append that wait for a checkpoint
	checkpoint []byte          // published, verified
	head       seal.Checkpoint // the same, parsed
	broken     error           // what was published is not ours: nothing works any more
	changed    chan struct{}   // closed and replaced when head or broken changes
}

// Open takes the data directory dir for writing, makes an empty ledger in it
// if there is none, and waits until the published checkpoint covers every
// record that an earlier process had written. The error is a *LockedError when
// another holder has the directory, and ErrInconsistent when it holds the
// ledger of another key or one whose parts do not fit together.
//
// The ledger must be closed.
func Open(ctx context.Context, dir string, signer *seal.Signer, opts Options) (_ *Ledger, err error) {
	verifier, err := seal.NewVerifier(signer.VerifierKey())
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if err := durable.MkdirAll(durable.Disk{}, dir, 0o750); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	held, err := lock(dir, opts.LockPatience)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := &Ledger{
		dir: dir, verifier: verifier, lock: held, patience: opts.Patience,
		work: make(chan struct{}, 1), wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	if l.patience <= 0 {
		l.patience = defaultPatience
	}
	if err := l.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", l.path(), err), held.Close())
	}
	if err := l.start(ctx, signer); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", l.path(), err), held.Close())
	}
	if err := l.settle(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: publish checkpoint: %w", l.path(), err), l.Close(ctx))
	}
	return l, nil
}

func (l *Ledger) path() string { return filepath.Join(l.dir, evidence.LedgerDir) }

// prepare checks what is on disk and clears what a crash left, before tessera
// sees the directory: tessera would publish a checkpoint over whatever it finds.
func (l *Ledger) prepare() error {
	if err := checkVerifierKey(l.dir, l.verifier); err != nil {
		return err
	}
	head, err := checkHead(l.path(), l.verifier)
	if err != nil {
		return err
	}
	if head.empty {
		return nil
	}
	return sweep(l.path(), head)
}

// start opens the one tessera storage. Its goroutines live until l.cancel, not
// until ctx ends: records in flight must still be published.
func (l *Ledger) start(ctx context.Context, signer *seal.Signer) error {
	quieten()
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	driver, err := posix.New(ctx, posix.Config{Path: l.path()})
	if err != nil {
		l.cancel()
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer.Note()).
		WithCheckpointInterval(checkpointInterval).
		WithCheckpointRepublishInterval(0).
		WithBatching(batchSize, batchAge).
		WithGarbageCollectionInterval(0) // prune does more, and at once
	l.appender, l.shutdown, l.tree, err = tessera.NewAppender(ctx, driver, options)
	if err != nil {
		l.cancel()
		return err
	}
	l.workers.Go(func() { l.write(ctx) })
	l.workers.Go(func() { l.watch(ctx) })
	return nil
}

// quieten keeps tessera's log lines off standard error, but for its errors.
// What matters of them comes back from Append. klog belongs to the whole
// process; these two calls may be made while it is in use.
func quieten() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

// settle waits until the published checkpoint covers everything written.
func (l *Ledger) settle(ctx context.Context) error {
	size, err := l.tree.IntegratedSize(ctx)
	if err != nil {
		return err
	}
	return l.covers(ctx, size)
}

// Size gives the number of records that the published checkpoint covers.
func (l *Ledger) Size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.Size
}

// Checkpoint gives the published checkpoint, signed.
func (l *Ledger) Checkpoint() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.checkpoint...)
}

// Close waits for the records under way, publishes what was written,
// and frees the data directory. When ctx ends first it returns an error and
// the directory stays locked until the process ends, because a late write of
// this ledger could undo one of the next holder.
func (l *Ledger) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()

	done := make(chan struct{})
	go func() { l.appends.Wait(); close(done) }()
	var err error
	select {
	case <-done:
		// tessera's own shutdown does not see records whose future failed
		// although they were written, so it is settled here first.
		err = errors.Join(l.settle(ctx), l.shutdown(ctx))
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.cancel()
	if err != nil {
		// A second descriptor, which nothing closes, holds the lock even when
		// l is forgotten and its file collected.
		_, err2 := syscall.Dup(int(l.lock.Fd()))
		err = errors.Join(err, err2)
		return fmt.Errorf("close ledger %s: %w; it stays locked until this process ends", l.path(), err)
	}
	l.workers.Wait()
	if err := l.lock.Close(); err != nil {
		return fmt.Errorf("close ledger %s: %w", l.path(), err)
	}
	return nil
}
