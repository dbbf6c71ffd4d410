package agent

import (
	"context"
	"slices"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// restoreMetrics makes the series of before the restart exist again, from the
// newest records, before anything scrapes them.
func (a *Agent) restoreMetrics(ctx context.Context) error {
	a.Metrics.Checkpoint(a.state.Records, a.state.Last)
	scopes := make(map[evidence.Scope]bool)
	for _, s := range a.streams {
		scopes[s.Scope] = true
		known, ok := a.state.Streams[s.Stream]
		if !ok || known.Newest == nil {
			continue
		}
		if known.completed != nil {
			a.Metrics.RestoreRun(known.completed)
		}
		a.Metrics.RestoreRun(&known.Newest.Run)
	}
	for scope, byCheck := range a.state.Assessed {
		if !scopes[scope] {
			continue
		}
		for id, assessed := range byCheck {
			if _, control, known := a.Catalogue.Check(id); known {
				a.Metrics.SetVerdicts(scope, control, assessed.Count)
				a.passing[judged{scope, id}] = make(passing)
			}
		}
		if err := a.restorePassing(ctx, scope, byCheck); err != nil {
			return err
		}
	}
	return nil
}

// restorePassing finds which resources passed when they were last decided: in
// the newest assessment or, where that could not look, in the newest one that
// could look everywhere.
func (a *Agent) restorePassing(ctx context.Context, scope evidence.Scope, byCheck map[string]Assessed) error {
	for _, choose := range []func(Assessed) evidence.Digest{
		func(r Assessed) evidence.Digest { return r.whole },
		func(r Assessed) evidence.Digest { return r.Verdicts },
	} {
		for _, digest := range digests(byCheck, choose) {
			for v, err := range payload.Lines[evidence.Verdict](a.store, digest) {
				if err != nil {
					return err
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				set := a.passing[judged{scope, v.Check}]
				if set == nil || choose(byCheck[v.Check]) != digest {
					continue
				}
				switch v.Status {
				case evidence.Pass:
					set[resourceKey(v)] = struct{}{}
				case evidence.Fail:
					delete(set, resourceKey(v))
				default: // not decided
				}
			}
		}
	}
	return nil
}

// digests gives the distinct payloads that choose picks, sorted.
func digests(byCheck map[string]Assessed, choose func(Assessed) evidence.Digest) []evidence.Digest {
	var out []evidence.Digest
	for _, assessed := range byCheck {
		if d := choose(assessed); d != "" {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
