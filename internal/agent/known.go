package agent

import (
	"iter"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// Known is what the ledger says, as far as the estate is derived from it.
type Known interface {
	// Newest gives the newest run of a stream, or nil.
	Newest(evidence.Stream) *RunState
	// Before gives the newest schedule that took force, or nil.
	Before() *evidence.Schedule
	// Observed reads what a run saw of a kind, and says whether the list of it
	// was read to its end.
	Observed(r *RunState, kind string) (seen iter.Seq2[evidence.Observation, error], whole bool, err error)
}

// Newest gives the newest run of a stream that is sealed, or nil.
func (a *Agent) Newest(key evidence.Stream) *RunState { return a.known(key).Newest }

// Before gives the newest schedule that took force, or nil.
func (a *Agent) Before() *evidence.Schedule {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.InForce == nil {
		return nil
	}
	return &a.state.InForce.Schedule
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
	for _, g := range gaps {
		whole = whole && (g.Kind != kind || g.Resource != "" || g.Field != "")
	}
	return Observations(store, r.Observations, kind), whole, nil
}

// Relieve makes Run end, with nil, at the first moment at which nothing is under
// way or about to be: another agent, with another estate, can take over without
// that a slot is missed. It looks no oftener than Run itself does.
func (a *Agent) Relieve() { a.relieved.Store(true) }

// idle says whether no task runs, and no slot has come whose task has not begun.
// It is for the loop of Run, which alone begins tasks.
func (a *Agent) idle() bool {
	soon := a.Clock.Now().Add(handover)
	for _, s := range a.streams {
		s.mu.Lock()
		running := s.running
		s.mu.Unlock()
		if running || !s.next.After(soon) {
			return false
		}
	}
	return true
}
