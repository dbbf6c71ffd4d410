package replay

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
)

// assessment performs an assessment again: by its own catalogue, over the
// sealed observations of the runs that it used.
func (p *performer) assessment(ctx context.Context, e evidence.Entry, a *evidence.Assessment, used []seenRun, err error) result {
	o := outcomeOf(e, Difference{What: OfAssessment, Where: a.Scope.String(), At: a.Evaluated})
	if err != nil {
		return o.broke(PayloadRecord, err)
	}
	digest, _ := e.Statement.Payload(evidence.PayloadCatalogue)
	catalogue, err := p.ledger.catalogue(digest)
	if err != nil {
		return o.broke(evidence.PayloadCatalogue, err)
	}
	in := checks.Input{Scope: a.Scope, Now: a.Evaluated}
	if in.InForce, err = p.ledger.inForce(e.Statement); err != nil {
		return o.broke(evidence.PayloadSchedule, err)
	}
	if err = p.ledger.facts(used, &in); err != nil {
		return o.broke(PayloadRecord, err)
	}
	which := make([]string, 0, len(a.Checks))
	counts := make(map[string]*evidence.CheckCount)
	for _, c := range a.Checks {
		which = append(which, c.Check)
		counts[c.Check] = &evidence.CheckCount{Check: c.Check}
		if _, _, known := catalogue.Check(c.Check); !known {
			return o.broke(PayloadRecord, fmt.Errorf("its catalogue %s has no check %s", digest, c.Check))
		}
	}
	var sealed io.ReadCloser
	if d, ok := e.Statement.Payload(evidence.PayloadVerdicts); ok {
		if sealed, err = p.store.Open(d); err != nil {
			return o.broke(evidence.PayloadVerdicts, absent("verdicts payload", err))
		}
	}
	w := newComparison(evidence.PayloadVerdicts, sealed, func(sealed, replayed *line) { o.lines(evidence.PayloadVerdicts, sealed, replayed) })
	err = agent.Judge(ctx, catalogue, in, which, w, func(v evidence.Verdict) { counts[v.Check].Add(v.Status) })
	if err != nil {
		_ = w.Abort() // read-only
		return o.broke(evidence.PayloadVerdicts, absent("observations", err))
	}
	replayed, _, err := w.Commit()
	if err != nil {
		return o.broke(evidence.PayloadVerdicts, err)
	}
	o.sameBytes(e.Statement, evidence.PayloadVerdicts, replayed)
	again := make([]evidence.CheckCount, 0, len(counts))
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		again = append(again, *counts[id])
	}
	o.record(map[string]any{"checks": a.Checks}, map[string]any{"checks": again})
	return o.result
}
