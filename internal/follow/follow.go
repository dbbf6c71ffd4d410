// Package follow keeps the report of an observation period up to date while an
// agent adds to the ledger: for metrics, and for the pages that the agent
// serves.
//
// It promises that what it shows follows from published records alone, read
// beside the agent and without its lock. It lags behind by a minute at most, by
// longer while it reads a long ledger for the first time, and says up to when
// it has looked. It decides nothing and writes nothing.
package follow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/pages"
)

// interval is how often the ledger is looked at for more.
const interval = time.Minute

// Metrics are told what the period shows.
type Metrics interface {
	SetPeriodSlots(s evidence.Stream, state string, n int)
	SetDeviations(scope evidence.Scope, control, check string, open, overdue int)
}

// Follower follows one ledger over one period. Run must be called for it to do
// anything, and Close when it has returned.
type Follower struct {
	dir     string
	window  period.Window
	streams map[evidence.Stream]bool // that are collected now
	scopes  map[evidence.Scope]bool
	now     func() time.Time
	metrics Metrics
	log     *zap.Logger

	store   *payload.Store
	changes *period.ChangeFile
	fold    *period.Fold // of the goroutine in Run, as is next
	next    uint64
	rules   *checks.Catalogue // the newest, of the goroutine in Run

	mu   sync.Mutex
	site *pages.Site // guarded by mu
	why  string      // guarded by mu; why there is no site
}

// New makes a follower. The window is the whole period; now says how much of it
// has passed. Metrics are told of what the schedule has, and of nothing else.
func New(dir string, window period.Window, schedule evidence.Schedule, now func() time.Time, metrics Metrics, log *zap.Logger) (*Follower, error) {
	f := &Follower{
		dir: dir, window: window, now: now, metrics: metrics, log: log,
		streams: map[evidence.Stream]bool{}, scopes: map[evidence.Scope]bool{},
		store: payload.OpenRead(dir), why: "the ledger is being read",
	}
	// What is reserved for each day is only worth it for days that come while
	// this process runs.
	if end := now().AddDate(2, 0, 0); window.To.After(end) {
		f.window.To = end
	}
	for stream := range schedule.Streams {
		f.streams[stream], f.scopes[stream.Scope] = true, true
	}
	var err error
	if f.changes, err = period.NewChangeFile(); err != nil {
		return nil, fmt.Errorf("follow the ledger: %w", err)
	}
	f.fold = period.New(period.Options{Window: f.window, Payloads: f.store, Changed: f.changes.Add})
	return f, nil
}

// Close lets go of what the follower keeps. Run must have returned.
func (f *Follower) Close() error { return f.changes.Close() }

// Run follows the ledger until ctx ends. It does not return before: what it
// can not read is logged, once, and the agent goes on without a report.
func (f *Follower) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := f.Update(ctx); err != nil && ctx.Err() == nil {
			f.log.Error("the report of the period can not be kept up to date", zap.Error(err))
			f.show(nil, "the ledger can not be read: "+err.Error())
			<-ctx.Done()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Update takes in what was added to the ledger, and makes the report anew.
func (f *Follower) Update(ctx context.Context) error {
	reader, err := ledger.OpenReader(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not begun yet
	}
	if err != nil {
		return err
	}
	for e, err := range reader.Entries(f.next) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = f.take(e)
		}
		if err != nil {
			return fmt.Errorf("follow %s: %w", f.dir, err)
		}
		f.next = e.Index + 1
	}
	return f.report()
}

func (f *Follower) take(raw ledger.Entry) error {
	e, err := seal.PeekEntry(raw.Index, raw.Data)
	if err != nil {
		return err
	}
	return f.fold.Take(e)
}

// maxCatalogue bounds the catalogue of checks, in bytes.
const maxCatalogue = 64 << 20

func (f *Follower) report() error {
	now := f.now()
	if !now.After(f.window.From) {
		f.show(nil, "the period has not begun: it begins at "+f.window.From.In(f.window.Zone).Format(time.RFC3339))
		return nil
	}
	r, err := f.fold.Report(now)
	if err != nil {
		return err
	}
	f.tell(r)
	if r.Catalogue == "" {
		return nil
	}
	if f.rules == nil || f.rules.Digest() != r.Catalogue {
		raw, err := f.store.ReadAll(r.Catalogue, maxCatalogue)
		if err != nil {
			return fmt.Errorf("read catalogue: %w", err)
		}
		if f.rules, err = checks.Decode(raw); err != nil {
			return err
		}
	}
	site, err := pages.New(pages.Input{Report: r, Catalogue: f.rules, Payloads: f.store, Changes: f.changes.All, Live: true})
	if err != nil {
		return err
	}
	f.show(site, "")
	return nil
}

// tell brings the metrics up to date.
func (f *Follower) tell(r *period.Report) {
	for _, s := range r.Streams {
		if !f.streams[s.Stream] {
			continue
		}
		for _, state := range period.States() {
			f.metrics.SetPeriodSlots(s.Stream, string(state), s.Total.Of(state))
		}
	}
	type key struct {
		evidence.Scope
		check string
	}
	open, overdue := map[key]int{}, map[key]int{}
	for _, d := range r.Deviations {
		if d.End == period.EndOpen {
			open[key{d.Scope, d.Check}]++
			if d.Overdue == period.OverdueYes {
				overdue[key{d.Scope, d.Check}]++
			}
		}
	}
	known := map[string]bool{}
	for _, c := range r.Controls {
		for _, check := range c.Checks {
			known[check.ID] = true
		}
	}
	for _, j := range r.Judgements {
		if !f.scopes[j.Scope] || !known[j.Check] {
			continue
		}
		k := key{j.Scope, j.Check}
		f.metrics.SetDeviations(j.Scope, j.Control, j.Check, open[k], overdue[k])
	}
}

func (f *Follower) show(site *pages.Site, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.site, f.why = site, why
}

// ServeHTTP answers with the pages of the newest report.
func (f *Follower) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	site, why := f.site, f.why
	f.mu.Unlock()
	if site == nil {
		http.Error(w, "there is no report yet: "+why, http.StatusServiceUnavailable)
		return
	}
	site.ServeHTTP(w, r)
}
