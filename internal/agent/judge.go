package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	which := a.affected(scope.Provider, kinds)
	if len(which) == 0 {
		return nil, nil
	}
	// One assessment of a scope at a time: each sees all runs before it.
	unlock := a.lockScope(scope)
	defer unlock()
	now := a.Clock.Now()
	in := checks.Input{Scope: scope, Now: now, Kinds: make(map[string]checks.Facts)}
	used, err := a.facts(scope, which, in.Kinds)
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

// affected gives the checks that read one of the kinds, directly or by a join.
func (a *Agent) affected(provider string, kinds []string) []string {
	var which []string
	for _, check := range a.Catalogue.Checks() {
		if check.Provider != provider {
			continue
		}
		for _, read := range a.Catalogue.Reads(check.ID) {
			if slices.Contains(kinds, read.Kind) {
				which = append(which, check.ID)
				break
			}
		}
	}
	return which
}

// facts fills in what the checks look at from the newest runs, and says which
// runs those are, sorted by stream.
func (a *Agent) facts(scope evidence.Scope, which []string, into map[string]checks.Facts) ([]evidence.Used, error) {
	needed := make(map[string]bool)
	for _, id := range which {
		for _, read := range a.Catalogue.Reads(id) {
			needed[read.Kind] = true
		}
	}
	used := []evidence.Used{}
	for _, s := range a.streams {
		if s.Scope != scope {
			continue
		}
		kinds := slices.DeleteFunc(slices.Clone(s.collector.Spec().Kinds), func(kind string) bool { return !needed[kind] })
		run := a.known(s.Stream).Newest
		if len(kinds) == 0 || run == nil {
			continue
		}
		if err := run.Facts(a.store, kinds, into); err != nil {
			return nil, err
		}
		used = append(used, evidence.Used{Stream: s.Stream.String(), Sequence: run.Sequence, Slot: run.Slot, Record: run.Record})
	}
	slices.SortFunc(used, func(a, b evidence.Used) int { return strings.Compare(a.Stream, b.Stream) })
	return used, nil
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
		for o, err := range payload.Lines[evidence.Observation](store, digest) {
			if err != nil || o.Kind == kind {
				if !yield(o, err) {
					return
				}
			}
		}
	}
}
