package agent

import (
	"context"
	"maps"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
)

// chooseAnew notes the scopes that were judged while other projects of theirs were
// left out than are by now: a project that is left out must not stay failed until
// it is looked at again, nor one that is not anew be out of sight so long. It is
// called before this configuration is recorded.
func (a *Agent) chooseAnew() error {
	a.mu.Lock()
	digest := a.state.configured.schedule
	a.mu.Unlock()
	if digest == "" {
		return nil
	}
	before, err := readSchedule(digest, a.store)
	if err != nil {
		return err
	}
	for _, p := range a.Providers {
		if p.Lists == "" || maps.Equal(before.LeftOut(p.Name), a.inForce.LeftOut(p.Name)) {
			continue
		}
		for _, account := range p.Accounts {
			a.anew = append(a.anew, evidence.Scope{Provider: p.Name, Account: account})
		}
	}
	return nil
}

// judgeAnew judges those scopes again, beside everything else, by the runs by which
// they were judged.
func (a *Agent) judgeAnew(ctx context.Context) {
	scopes := a.anew
	a.anew = nil
	for _, scope := range scopes {
		a.mu.Lock()
		judged := maps.Clone(a.state.Assessed[scope])
		a.mu.Unlock()
		var which []string
		for _, check := range a.affected(scope, func(checks.Read) bool { return true }) {
			if _, was := judged[check]; was {
				which = append(which, check)
			}
		}
		a.tasks.Go(func() {
			ctx, cancel := outlive(ctx, judgeTimeout)
			defer cancel()
			if _, err := a.assess(ctx, scope, which); err != nil {
				a.Log.Error("assessment failed", zap.Stringer("scope", scope), zap.Error(err))
			}
		})
	}
}
