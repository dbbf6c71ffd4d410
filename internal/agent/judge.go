package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// judge evaluates every check that looks at one of the kinds, over the newest
// run of each collector in the scope, and seals an assessment. It gives the
// verdicts that went from pass to fail.
//
// The newest run counts even when it has gaps: an older complete one would let
// a check pass on what nobody can see any more.
func (a *Agent) judge(ctx context.Context, scope evidence.Scope, kinds []string) ([]evidence.Verdict, error) {
	return a.assess(ctx, scope, a.affected(scope, func(read checks.Read) bool {
		return slices.Contains(kinds, read.Kind) && (!read.Organization || a.central[scope])
	}))
}

// judgeWaiting evaluates the checks of other scopes that lacked a run of this
// stream, which answers for their organisation, when they were judged. Those
// that had one keep their verdicts until they are looked at again themselves:
// a change in one account is no reason to judge hundreds anew.
func (a *Agent) judgeWaiting(ctx context.Context, s *stream) error {
	a.mu.Lock()
	waiting := a.lacking[s.Stream]
	delete(a.lacking, s.Stream)
	a.mu.Unlock()
	kinds := s.collector.Spec().Kinds
	var errs []error
	for _, scope := range slices.SortedFunc(maps.Keys(waiting), func(a, b evidence.Scope) int { return strings.Compare(a.String(), b.String()) }) {
		which := a.affected(scope, func(read checks.Read) bool { return read.Organization && slices.Contains(kinds, read.Kind) })
		if _, err := a.assess(ctx, scope, which); err != nil {
			errs = append(errs, fmt.Errorf("judge %s again: %w", scope, err))
		}
	}
	return errors.Join(errs...)
}

// assess evaluates checks in a scope and seals an assessment.
func (a *Agent) assess(ctx context.Context, scope evidence.Scope, which []string) ([]evidence.Verdict, error) {
	if len(which) == 0 {
		return nil, nil
	}
	// One assessment of a scope at a time: each sees all runs before it.
	unlock := a.lockScope(scope)
	defer unlock()
	now := a.Clock.Now()
	in := checks.Input{Scope: scope, Now: now, InForce: &a.inForce}
	used, err := a.facts(which, &in)
	if err != nil {
		return nil, err
	}

	w, err := a.store.Create()
	if err != nil {
		return nil, fmt.Errorf("write verdicts: %w", err)
	}
	t := newTally(a, scope, which)
	if err := Judge(ctx, a.Catalogue, in, which, w, t.add); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	digest, _, err := w.Commit()
	if err != nil {
		return nil, fmt.Errorf("write verdicts: %w", err)
	}
	assessment := &evidence.Assessment{Scope: scope, Evaluated: now, Used: used, Checks: t.counts()}
	subjects := []evidence.Subject{
		evidence.SubjectOf(evidence.PayloadVerdicts, digest),
		evidence.SubjectOf(evidence.PayloadCatalogue, a.catalogueDigest),
		evidence.SubjectOf(evidence.PayloadSchedule, a.scheduleDigest),
	}
	a.mu.Lock()
	assessment.Sequence = a.state.judged[scope] + 1
	a.mu.Unlock()
	if _, err := a.seal(ctx, evidence.TypeAssessment, assessment, subjects); err != nil {
		return nil, err
	}
	t.tell()
	return t.drifted, nil
}

// affected gives the checks that read what concerns them, directly or by a
// join. A check is left to the accounts that answer for the organisation when
// all that it judges is only collected there.
func (a *Agent) affected(scope evidence.Scope, concerns func(checks.Read) bool) []string {
	var which []string
	for _, check := range a.Catalogue.Checks() {
		if check.Provider != scope.Provider || !slices.ContainsFunc(a.Catalogue.Reads(check.ID), concerns) {
			continue
		}
		if slices.ContainsFunc(check.Kinds, func(kind string) bool { return !a.elsewhere(scope, kind) }) {
			which = append(which, check.ID)
		}
	}
	return which
}

// elsewhere says whether a kind is collected in certain accounts only, and the
// scope is none of them.
func (a *Agent) elsewhere(scope evidence.Scope, kind string) bool {
	for _, c := range a.inForce.Collectors {
		if slices.Contains(c.Kinds, kind) {
			return !c.In(scope)
		}
	}
	return false
}

// facts fills in what the checks look at from the newest runs, and says which
// runs those are, sorted by stream.
func (a *Agent) facts(which []string, in *checks.Input) ([]evidence.Used, error) {
	own, organization := make(map[string]bool), make(map[string]bool)
	for _, id := range which {
		for _, read := range a.Catalogue.Reads(id) {
			if read.Organization {
				organization[read.Kind] = true
			} else {
				own[read.Kind] = true
			}
		}
	}
	var looks []Look
	for _, s := range a.streams {
		for _, place := range []struct {
			here, organization bool
			needed             map[string]bool
		}{
			{s.Scope == in.Scope, false, own},
			{s.Provider == in.Scope.Provider && a.central[s.Scope], true, organization},
		} {
			if !place.here || !slices.ContainsFunc(s.collector.Spec().Kinds, func(kind string) bool { return place.needed[kind] }) {
				continue
			}
			run := a.newest(s.Stream, in.Scope, place.organization)
			if run == nil {
				continue
			}
			looks = append(looks, Look{
				Used: evidence.Used{Stream: s.Stream.String(), Sequence: run.Sequence, Slot: run.Slot, Record: run.Record, Organization: place.organization},
				Run:  run, Kinds: s.collector.Spec().Kinds,
			})
		}
	}
	SortLooks(looks)
	if err := Facts(a.store, looks, in); err != nil {
		return nil, err
	}
	used := make([]evidence.Used, 0, len(looks))
	for _, look := range looks {
		used = append(used, look.Used)
	}
	return used, nil
}

// newest gives the newest run of a stream, by which a scope is about to be
// judged. Without one, of a stream that answers for its organisation, the scope
// waits for it. Both happen at once: the run is either seen here, or sees who
// waits.
func (a *Agent) newest(key evidence.Stream, scope evidence.Scope, organization bool) *RunState {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.state.Streams[key]; ok && known.Newest != nil {
		return known.Newest
	}
	if organization && key.Scope != scope {
		a.lack(key, scope)
	}
	return nil
}

// lack notes that a scope was judged without a run of a stream that answers for
// its organisation. It is called with a.mu held.
func (a *Agent) lack(key evidence.Stream, scope evidence.Scope) {
	if a.lacking[key] == nil {
		a.lacking[key] = make(map[evidence.Scope]bool)
	}
	a.lacking[key][scope] = true
}

// restoreLacking notes it for what was judged before this agent began.
func (a *Agent) restoreLacking() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.streams {
		if known, ok := a.state.Streams[s.Stream]; !a.central[s.Scope] || ok && known.Newest != nil {
			continue
		}
		for scope := range a.state.Assessed {
			if scope != s.Scope && slices.Contains(a.inForce.Scopes, scope) {
				a.lack(s.Stream, scope)
			}
		}
	}
}

// gaps reads the gaps of a run.
func (r *RunState) gaps(store *payload.Store) ([]evidence.Gap, error) {
	if r.GapsPayload == "" {
		return nil, nil
	}
	var gaps []evidence.Gap
	for g, err := range payload.Lines[evidence.Gap](store, r.GapsPayload) {
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, g)
	}
	return gaps, nil
}

// lockScope makes assessments of one scope take turns.
func (a *Agent) lockScope(scope evidence.Scope) (unlock func()) {
	a.mu.Lock()
	m, ok := a.judging[scope]
	if !ok {
		m = new(sync.Mutex)
		a.judging[scope] = m
	}
	a.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// Observations reads those of one kind from a payload.
func Observations(store *payload.Store, digest evidence.Digest, kind string) iter.Seq2[evidence.Observation, error] {
	return func(yield func(evidence.Observation, error) bool) {
		for line, err := range payload.RawLines(store, digest) {
			var o evidence.Observation
			if err == nil && ofOtherKind(line, kind) {
				continue
			}
			if err == nil {
				if err = json.Unmarshal(line, &o); err != nil {
					err = fmt.Errorf("read payload %s: %w", digest, err)
				}
			}
			if err != nil {
				yield(evidence.Observation{}, err)
				return
			}
			if o.Kind == kind && !yield(o, nil) {
				return
			}
		}
	}
}

// ofOtherKind says whether a line is an observation of another kind, where that
// shows without decoding it: the agent writes the kind first.
func ofOtherKind(line []byte, kind string) bool {
	rest, first := bytes.CutPrefix(line, []byte(`{"kind":"`))
	of, _, whole := bytes.Cut(rest, []byte(`"`))
	return first && whole && string(of) != kind
}
