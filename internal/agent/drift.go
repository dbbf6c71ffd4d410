package agent

import (
	"hash/fnv"
	"io"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// judged is one check in one scope.
type judged struct {
	scope evidence.Scope
	check string
}

// passing are the resources that passed a check when that was last decided. A
// resource that could not be looked at since is still among them, so that one
// that comes back failing counts as drift.
type passing map[uint64]struct{}

// resourceKey stands for a resource: 8 bytes instead of its id, for estates of
// many. Two ids with the same key could hide or invent one drift in the
// metric; the evidence does not depend on it.
func resourceKey(v evidence.Verdict) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, v.Kind+"\x00"+v.Region+"\x00"+v.Resource) // never fails
	return h.Sum64()
}

// tally counts the verdicts of one assessment and finds the drift. It belongs
// to one goroutine, which holds the judging of the scope.
type tally struct {
	agent   *Agent
	scope   evidence.Scope
	checks  map[string]*checkTally
	drifted []evidence.Verdict
}

// checkTally is the tally of one check.
type checkTally struct {
	evidence.CheckCount
	control       string
	before, after passing
	drifted       passing // passed before, fail now
	blind         bool    // some list could not be read: what is not seen may be there
}

// maxDrifted bounds how many drifted verdicts a result carries; the count is exact.
const maxDrifted = 100

func newTally(a *Agent, scope evidence.Scope, which []string) *tally {
	t := &tally{agent: a, scope: scope, checks: make(map[string]*checkTally)}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range which {
		c := &checkTally{CheckCount: evidence.CheckCount{Check: id}, before: a.passing[judged{scope, id}], after: make(passing), drifted: make(passing)}
		_, c.control, _ = a.Catalogue.Check(id)
		t.checks[id] = c
	}
	return t
}

func (t *tally) add(v evidence.Verdict) {
	c := t.checks[v.Check]
	c.Add(v.Status)
	if v.Resource == evidence.Population {
		c.blind = c.blind || v.Status == evidence.Unknown
		return
	}
	key := resourceKey(v)
	_, passed := c.before[key]
	switch {
	case v.Status == evidence.Pass:
		c.after[key] = struct{}{}
	case v.Status == evidence.Fail && passed:
		c.drifted[key] = struct{}{}
		if len(t.drifted) < maxDrifted {
			t.drifted = append(t.drifted, v)
		}
	case v.Status != evidence.Fail && passed:
		// Nothing was decided: the last decision stands.
		c.after[key] = struct{}{}
	}
}

// counts gives the counts by check, sorted.
func (t *tally) counts() []evidence.CheckCount {
	out := make([]evidence.CheckCount, 0, len(t.checks))
	for _, c := range t.checks {
		out = append(out, c.CheckCount)
	}
	slices.SortFunc(out, func(a, b evidence.CheckCount) int { return strings.Compare(a.Check, b.Check) })
	return out
}

// tell makes the counts known, now that the assessment is sealed.
func (t *tally) tell() {
	for id, c := range t.checks {
		if c.blind {
			for key := range c.before {
				if _, fails := c.drifted[key]; !fails {
					c.after[key] = struct{}{}
				}
			}
		}
		t.agent.Metrics.SetVerdicts(t.scope, c.control, c.CheckCount)
		t.agent.Metrics.Drift(t.scope, c.control, id, len(c.drifted))
	}
	t.agent.mu.Lock()
	defer t.agent.mu.Unlock()
	for id, c := range t.checks {
		t.agent.passing[judged{t.scope, id}] = c.after
	}
}
