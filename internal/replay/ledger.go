package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/agent"
)

// The bounds of payloads that are read whole.
const (
	maxSchedule  = 16 << 20
	maxCatalogue = 64 << 20
)

// errAbsent is the error for evidence that an extract leaves out. Its text is
// for people.
type errAbsent struct{ what string }

func (e errAbsent) Error() string { return e.what }

// absent turns the error of a payload that is not there into errAbsent.
func absent(what string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errAbsent{"its " + what + " is not in this evidence"}
	}
	return err
}

// ledgerView is what records say of each other: the runs that assessments
// used, and the catalogues and schedules that were in force.
type ledgerView struct {
	store *payload.Store
	runs  map[uint64]seenRun // by index; belongs to the goroutine that reads the records

	mu         sync.Mutex
	catalogues map[evidence.Digest]func() (*checks.Catalogue, error)   // guarded by mu
	schedules  map[evidence.Digest]func() (map[string][]string, error) // guarded by mu; kinds by collector
}

// seenRun is what an assessment needs of a run.
type seenRun struct {
	stream       evidence.Stream
	finished     time.Time
	observations evidence.Digest
	gaps         evidence.Digest
	schedule     evidence.Digest
}

func newLedger(store *payload.Store) *ledgerView {
	return &ledgerView{
		store: store, runs: make(map[uint64]seenRun),
		catalogues: make(map[evidence.Digest]func() (*checks.Catalogue, error)),
		schedules:  make(map[evidence.Digest]func() (map[string][]string, error)),
	}
}

func seenOf(r *evidence.Run, s evidence.Statement) seenRun {
	seen := seenRun{stream: r.Stream, finished: r.Finished, schedule: r.ConfigurationDigest}
	seen.observations, _ = s.Payload(evidence.PayloadObservations)
	seen.gaps, _ = s.Payload(evidence.PayloadGaps)
	return seen
}

func (l *ledgerView) takeRun(index uint64, r *evidence.Run, s evidence.Statement) {
	l.runs[index] = seenOf(r, s)
}

// used finds the runs that an assessment was made from.
func (l *ledgerView) used(a *evidence.Assessment) ([]seenRun, error) {
	out := make([]seenRun, 0, len(a.Used))
	for _, u := range a.Used {
		run, ok := l.runs[u.Record]
		if !ok {
			return nil, errAbsent{"a run that it used is not in this evidence"}
		}
		if run.stream.String() != u.Stream {
			return nil, fmt.Errorf("it used record %d as a run of %s, which is of %s", u.Record, u.Stream, run.stream)
		}
		out = append(out, run)
	}
	return out, nil
}

// facts gives what rules see of runs.
func (l *ledgerView) facts(runs []seenRun) (map[string]checks.Facts, error) {
	into := make(map[string]checks.Facts)
	for _, run := range runs {
		byCollector, err := l.kinds(run.schedule)
		if err != nil {
			return nil, err
		}
		kinds, ok := byCollector[run.stream.Collector]
		if !ok {
			return nil, fmt.Errorf("the schedule %s does not have the collector %s, which ran under it", run.schedule, run.stream.Collector)
		}
		if has, err := l.store.Has(run.observations); err != nil || !has {
			return nil, errors.Join(err, errAbsent{"the observations of a run that it used are not in this evidence"})
		}
		state := agent.RunState{Run: evidence.Run{Finished: run.finished}, Observations: run.observations, GapsPayload: run.gaps}
		if err := state.Facts(l.store, kinds, into); err != nil {
			return nil, absent("gaps payload", err)
		}
	}
	return into, nil
}

// catalogue reads a catalogue. To compile one takes a while: each is kept.
func (l *ledgerView) catalogue(d evidence.Digest) (*checks.Catalogue, error) {
	l.mu.Lock()
	load, ok := l.catalogues[d]
	if !ok {
		load = sync.OnceValues(func() (*checks.Catalogue, error) {
			raw, err := l.store.ReadAll(d, maxCatalogue)
			if err != nil {
				return nil, absent("catalogue", err)
			}
			return checks.Decode(raw)
		})
		l.catalogues[d] = load
	}
	l.mu.Unlock()
	return load()
}

// kinds reads from a schedule which kinds each collector supplies.
func (l *ledgerView) kinds(d evidence.Digest) (map[string][]string, error) {
	l.mu.Lock()
	load, ok := l.schedules[d]
	if !ok {
		load = sync.OnceValues(func() (map[string][]string, error) {
			raw, err := l.store.ReadAll(d, maxSchedule)
			if err != nil {
				return nil, absent("schedule", err)
			}
			var s evidence.Schedule
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, fmt.Errorf("read schedule %s: %w", d, err)
			}
			kinds := make(map[string][]string, len(s.Collectors))
			for _, c := range s.Collectors {
				kinds[c.Collector] = c.Kinds
			}
			return kinds, nil
		})
		l.schedules[d] = load
	}
	l.mu.Unlock()
	return load()
}
