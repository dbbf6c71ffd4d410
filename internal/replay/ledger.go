package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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
	catalogues map[evidence.Digest]func() (*checks.Catalogue, error)  // guarded by mu
	schedules  map[evidence.Digest]func() (*evidence.Schedule, error) // guarded by mu
}

// seenRun is what an assessment needs of a run.
type seenRun struct {
	stream       evidence.Stream
	organization bool // it is looked at for joins in the organisation
	finished     time.Time
	observations evidence.Digest
	gaps         evidence.Digest
	schedule     evidence.Digest
}

func newLedger(store *payload.Store) *ledgerView {
	return &ledgerView{
		store: store, runs: make(map[uint64]seenRun),
		catalogues: make(map[evidence.Digest]func() (*checks.Catalogue, error)),
		schedules:  make(map[evidence.Digest]func() (*evidence.Schedule, error)),
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
		run.organization = u.Organization
		out = append(out, run)
	}
	return out, nil
}

// facts fills in what rules see of runs, in their order.
func (l *ledgerView) facts(runs []seenRun, in *checks.Input) error {
	looks := make([]agent.Look, 0, len(runs))
	for _, run := range runs {
		s, err := l.schedule(run.schedule)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(s.Collectors, func(c evidence.CollectorSchedule) bool { return c.Collector == run.stream.Collector })
		if i < 0 {
			return fmt.Errorf("the schedule %s does not have the collector %s, which ran under it", run.schedule, run.stream.Collector)
		}
		if has, err := l.store.Has(run.observations); err != nil || !has {
			return errors.Join(err, errAbsent{"the observations of a run that it used are not in this evidence"})
		}
		looks = append(looks, agent.Look{
			Used:  evidence.Used{Stream: run.stream.String(), Organization: run.organization},
			Run:   &agent.RunState{Run: evidence.Run{Finished: run.finished}, Observations: run.observations, GapsPayload: run.gaps},
			Kinds: s.Collectors[i].Kinds,
		})
	}
	return absent("gaps payload", agent.Facts(l.store, looks, in))
}

// inForce gives the schedule that an assessment was made under.
func (l *ledgerView) inForce(s evidence.Statement) (*evidence.Schedule, error) {
	d, ok := s.Payload(evidence.PayloadSchedule)
	if !ok {
		return nil, fmt.Errorf("it names no %s", evidence.PayloadSchedule)
	}
	return l.schedule(d)
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

// schedule reads a schedule; each is kept.
func (l *ledgerView) schedule(d evidence.Digest) (*evidence.Schedule, error) {
	l.mu.Lock()
	load, ok := l.schedules[d]
	if !ok {
		load = sync.OnceValues(func() (*evidence.Schedule, error) {
			raw, err := l.store.ReadAll(d, maxSchedule)
			if err != nil {
				return nil, absent("schedule", err)
			}
			s := new(evidence.Schedule)
			if err := json.Unmarshal(raw, s); err != nil {
				return nil, fmt.Errorf("read schedule %s: %w", d, err)
			}
			return s, nil
		})
		l.schedules[d] = load
	}
	l.mu.Unlock()
	return load()
}
