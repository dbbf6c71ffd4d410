// Package replay performs again what a ledger says was done: it runs each
// collector over its captured exchanges and each judgement over the
// observations that it used, and compares what comes out with what was sealed.
//
// It promises that "same" means the same bytes, through the very code that the
// agent runs; that every difference names its record, the check or kind, the
// resource and both values; and that what could not be performed again is
// counted and says why: it is never among the same. Nothing leaves the machine
// and nothing is written to what is read.
//
// It does not check signatures, proofs or coverage (package verify does), and
// it can not tell whether the exchanges are what the provider sent: that rests
// on who sealed them, and when.
//
// Limits: calls that open no captured exchange, such as assuming a role, can
// not be made again; a run that depended on their failure is told as not
// performed. The exchanges of a run are in memory while it is performed.
package replay

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Source is evidence to read: a data directory or a bundle.
type Source struct {
	// Entries gives the records in ascending order of index, some of which
	// may be left out. After an error it ends.
	Entries  iter.Seq2[evidence.Entry, error]
	Payloads *payload.Store
}

// Directory reads a data directory, without its lock. The error is
// fs.ErrNotExist when it holds no ledger.
func Directory(dir string) (Source, uint64, error) {
	r, err := ledger.OpenReader(dir)
	if err != nil {
		return Source{}, 0, err
	}
	return Source{Payloads: payload.OpenRead(dir), Entries: func(yield func(evidence.Entry, error) bool) {
		for raw, err := range r.Entries(0) {
			var e evidence.Entry
			if err == nil {
				e, err = seal.PeekEntry(raw.Index, raw.Data)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}}, r.Size(), nil
}

// Options are how evidence is performed again.
type Options struct {
	// Collector gives the collector of a recording. It must make no call
	// beside those of the collector's input, and have no credentials.
	Collector func(context.Context, Recording) (Collector, error)
	// Scratch is a directory for temporary files.
	Scratch string
	// Workers is how many runs and assessments are performed side by side; 0:
	// one a core.
	Workers int
	// Keep bounds how many differences a report lists; 0: 1000. All are counted.
	Keep int
	// Progress, when set, hears how many records are done with, from one
	// goroutine.
	Progress func(records uint64)
}

// defaultKeep is the default of Options.Keep.
const defaultKeep = 1000

// Run performs again every Run and every Assessment of a source. The error is
// for a source that can not be read; what is wrong with a single record is in
// the report.
func Run(ctx context.Context, from Source, o Options) (*Report, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &performer{Options: o, store: from.Payloads, ledger: newLedger(from.Payloads)}
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	// Jobs are taken up and reported in the order of the ledger, so that the
	// same evidence gives the same report.
	slots := make(chan struct{}, o.Workers)
	results := make(chan chan result, 2*o.Workers)
	var broken error
	work.Go(func() {
		defer close(results)
		broken = p.dispatch(ctx, from.Entries, slots, results, &work)
	})
	report := newReport(o.Keep)
	for ready := range results {
		r := <-ready
		report.add(r)
		if o.Progress != nil {
			o.Progress(r.index + 1)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if broken != nil {
		return nil, broken
	}
	return report, nil
}

// performer performs records again. What it holds may be used by several
// goroutines at once.
type performer struct {
	Options
	store  *payload.Store
	ledger *ledgerView
}

// dispatch reads the records and starts a job for each that can be performed.
func (p *performer) dispatch(ctx context.Context, entries iter.Seq2[evidence.Entry, error], slots chan struct{}, results chan<- chan result, work *sync.WaitGroup) error {
	for e, err := range entries {
		if err != nil {
			return err
		}
		job := p.job(ctx, e)
		ready := make(chan result, 1)
		if job == nil {
			ready <- result{index: e.Index, header: evidence.HeaderOf(e.Predicate)}
		} else {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			work.Go(func() {
				defer func() { <-slots }()
				ready <- job()
			})
		}
		select {
		case results <- ready:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// job gives the work of a record; nil when there is none. It is called in the
// order of the ledger.
func (p *performer) job(ctx context.Context, e evidence.Entry) func() result {
	switch r := e.Predicate.(type) {
	case *evidence.Run:
		p.ledger.takeRun(e.Index, r, e.Statement)
		return func() result { return p.run(ctx, e, r) }
	case *evidence.Assessment:
		used, err := p.ledger.used(r)
		return func() result { return p.assessment(ctx, e, r, used, err) }
	}
	return nil
}
