package agent

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Known is what the ledger says, as far as the estate is derived from it.
type Known interface {
	// Newest gives the newest run of a stream, or nil.
	Newest(evidence.Stream) *RunState
	// Listed gives the run of a stream that the newest discovery of its scope rests
	// on, or nil: when the newest run did not read everything, it is what is known.
	Listed(evidence.Stream) (*RunState, error)
	// Before gives the newest schedule that took force, or nil. For tasks run by
	// hand it is that of the newest tasks, whoever began them.
	Before() (*evidence.Schedule, error)
	// Observed reads what a run saw of a kind, without the fields that a gap names,
	// and says whether the list of it was read to its end.
	Observed(r *RunState, kind string) (seen iter.Seq2[evidence.Observation, error], whole bool, err error)
}

// Newest gives the newest run of a stream that is sealed, or nil.
func (a *Agent) Newest(key evidence.Stream) *RunState { return a.known(key).Newest }

// Before gives the schedule that the next one is compared with, or nil.
func (a *Agent) Before() (*evidence.Schedule, error) {
	a.mu.Lock()
	inForce, newest := a.state.InForce, a.state.configured.schedule
	a.mu.Unlock()
	switch {
	case inForce != nil && a.Event != evidence.EventManual:
		return &inForce.Schedule, nil
	case newest == "":
		return nil, nil
	}
	s, err := readSchedule(newest, a.store)
	return &s, err
}

// Listed gives the run of a stream that the newest discovery of its scope rests on,
// or nil.
func (a *Agent) Listed(key evidence.Stream) (*RunState, error) {
	a.mu.Lock()
	discovery, found := a.state.configured.discoveries[key.Scope]
	a.mu.Unlock()
	if !found {
		return nil, nil
	}
	r, err := ledger.OpenReader(a.Dir)
	if err != nil {
		return nil, err
	}
	for e, err := range r.Entries(discovery.Record) {
		if err != nil {
			return nil, err
		}
		entry, err := seal.PeekEntry(e.Index, e.Data)
		if err != nil {
			return nil, err
		}
		if run, ok := entry.Predicate.(*evidence.Run); ok && run.Stream == key {
			return runStateOf(e.Index, run, entry.Statement), nil
		}
		return nil, nil // of another organisation
	}
	return nil, fmt.Errorf("record %d, on which the accounts rest, is not in the ledger", discovery.Record)
}

// Observed reads what a run saw of a kind.
func (a *Agent) Observed(r *RunState, kind string) (iter.Seq2[evidence.Observation, error], bool, error) {
	return r.observed(a.store, kind)
}

func (r *RunState) observed(store *payload.Store, kind string) (iter.Seq2[evidence.Observation, error], bool, error) {
	gaps, err := r.gaps(store)
	if err != nil {
		return nil, false, err
	}
	whole := r.Outcome != evidence.Failed
	dark := make(map[[2]string][]string) // fields, by region and resource
	for _, g := range gaps {
		if g.Kind != kind {
			continue
		}
		whole = whole && (g.Resource != "" || g.Field != "")
		if at := [2]string{g.Region, g.Resource}; g.Field != "" {
			dark[at] = append(dark[at], g.Field)
		}
	}
	return func(yield func(evidence.Observation, error) bool) {
		for o, err := range Observations(store, r.Observations, kind) {
			if fields := dark[[2]string{o.Region, o.ID}]; err == nil && len(fields) > 0 {
				o.Body, err = without(o.Body, fields)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}, whole, nil
}

// without gives a body that lacks fields: one that a gap names may be there and
// not be known all the same, as of something that was seen in two places.
func without(body json.RawMessage, fields []string) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("read an observation: %w", err)
	}
	for _, field := range fields {
		delete(all, field)
	}
	return json.Marshal(all)
}

// Relieve makes Run end, with nil, at the first moment at which nothing is under
// way or about to be: another agent, with another estate, can take over without
// that a slot is missed. It looks no oftener than Run itself does.
func (a *Agent) Relieve() { a.relieved.Store(true) }

// Relieved gives the moment at which Run ended because of Relieve, and zero
// before: each slot up to it has its record. See Options.Since.
func (a *Agent) Relieved() time.Time { return a.ended }

// idle says whether no task runs, and no slot has come whose task has not begun
// or will within handover. Slots that come oftener than that are not waited for.
// It is for the loop of Run, which alone begins tasks.
func (a *Agent) idle() bool {
	now := a.Clock.Now()
	for _, s := range a.streams {
		s.mu.Lock()
		running := s.running
		s.mu.Unlock()
		soon := now.Add(handover)
		if !s.schedule.Next(s.next).After(soon) {
			soon = now
		}
		if running || !s.next.After(soon) {
			return false
		}
	}
	a.ended = now
	return true
}
