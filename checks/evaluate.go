package checks

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tallystick/tallystick/evidence"
)

// Facts are what was collected of one kind in one scope.
type Facts struct {
	// Observations yields the resources sorted by region, then id, as often as
	// it is called. An error ends the evaluation. Nil yields nothing.
	Observations iter.Seq2[evidence.Observation, error]
	// Gaps are what could not be read. Those of other kinds are ignored.
	Gaps []evidence.Gap
	// At is when the facts were collected: the value of `now` in rules over
	// resources of this kind. Judging old facts by a later time would turn our
	// own silence into a verdict on freshness. Zero stands for Input.Now.
	At time.Time
}

// Input is everything that an evaluation looks at.
type Input struct {
	Scope evidence.Scope
	Now   time.Time // the value of `now` for facts that have no time of their own

	// Kinds holds the facts by kind. A kind that is not here was not collected.
	Kinds map[string]Facts
	// Organization holds the facts by kind of the accounts that answer for the
	// organisation, one element for each account, for joins in the organisation.
	Organization map[string][]Facts

	// InForce is the schedule in force, of which rules see the part of the
	// scope's provider as `scope`. Nil: rules that need it can not be decided. The
	// projects that it leaves out are not judged.
	InForce *evidence.Schedule
}

// Evaluate judges the facts by the checks that which names, or by all checks
// of the scope's provider when which is nil. It hands each verdict to emit,
// sorted by check, region and resource; an error of emit ends it.
//
// Each check gives a verdict for each resource of its kinds that was observed
// or that a gap names, and one for evidence.Population where a list could not
// be read, or where there is nothing to judge. Observations are streamed: what
// is held in memory are the joined kinds, reduced to the fields that rules
// read, and the verdicts of a kind that several checks judge.
func (c *Catalogue) Evaluate(ctx context.Context, in Input, which []string, emit func(evidence.Verdict) error) error {
	rules, err := c.choose(in.Scope.Provider, which)
	if err != nil {
		return err
	}
	ev := &evaluation{
		in:      in,
		now:     types.Timestamp{Time: in.Now.UTC()},
		account: types.String(in.Scope.Account),
		indexes: map[indexKey]*index{},
		needed:  map[indexKey]fields{},
		kept:    map[*rule][]evidence.Verdict{},
		scope:   scopeOf(in.InForce, in.Scope.Provider),
		left:    in.InForce.LeftOut(in.Scope.Provider),
	}
	for _, r := range rules {
		for _, j := range r.joins {
			f := ev.needed[j.index()].union(r.shows[j.Name])
			if len(j.key) > 0 {
				f = f.with(j.key[0])
			}
			ev.needed[j.index()] = f
		}
	}
	for i, r := range rules {
		if kept, done := ev.kept[r]; done {
			for _, v := range kept {
				if err := emit(v); err != nil {
					return err
				}
			}
			delete(ev.kept, r)
			continue
		}
		if err := ev.group(ctx, alike(r, rules[i:]), emit); err != nil {
			return err
		}
		ev.forget(rules[i+1:])
	}
	return nil
}

// forget lets go of the indexes that no later rule asks for.
func (ev *evaluation) forget(later []*rule) {
	maps.DeleteFunc(ev.indexes, func(key indexKey, _ *index) bool {
		return !slices.ContainsFunc(later, func(r *rule) bool {
			_, done := ev.kept[r]
			return !done && slices.ContainsFunc(r.joins, func(j join) bool { return j.index() == key })
		})
	})
}

// choose gives the rules to evaluate, sorted by check id.
func (c *Catalogue) choose(provider string, which []string) ([]*rule, error) {
	var rules []*rule
	if which == nil {
		for _, r := range c.rules {
			if r.check.Provider == provider {
				rules = append(rules, r)
			}
		}
		return rules, nil
	}
	for _, id := range which {
		r := c.rule(id)
		switch {
		case r == nil:
			return nil, fmt.Errorf("check %q: the catalogue has no such check", id)
		case r.check.Provider != provider:
			return nil, fmt.Errorf("check %q: is for %s, the scope is of %s", id, r.check.Provider, provider)
		}
		rules = append(rules, r)
	}
	slices.SortFunc(rules, func(a, b *rule) int { return compare(a.check.ID, b.check.ID) })
	return slices.Compact(rules), nil
}

// alike gives r and the later rules over the same single kind, so that its
// observations are read and decoded once for all of them.
func alike(r *rule, later []*rule) []*rule {
	group := []*rule{r}
	if len(r.check.Kinds) > 1 {
		return group
	}
	for _, o := range later {
		if o != r && len(o.check.Kinds) == 1 && o.check.Kinds[0] == r.check.Kinds[0] {
			group = append(group, o)
		}
	}
	return group
}

// evaluation is one call of Evaluate.
type evaluation struct {
	in      Input
	now     ref.Val // for the kind that is being judged
	account ref.Val
	scope   map[string]any                   // nil when it is not known
	left    map[string]evidence.NotCollected // by project, or by account
	indexes map[indexKey]*index
	needed  map[indexKey]fields // of each index, over all rules
	kept    map[*rule][]evidence.Verdict
}

// facts gives the facts of a kind, or why there are none.
func (ev *evaluation) facts(kind string) (Facts, string) {
	f, ok := ev.in.Kinds[kind]
	if !ok {
		return Facts{}, kind + " was not collected"
	}
	return f, ""
}

// group evaluates rules over the same kinds. Verdicts of the first go to emit,
// those of the others are kept until it is their turn. A rule over several
// kinds is alone in its group and sorted at the end.
func (ev *evaluation) group(ctx context.Context, rules []*rule, emit func(evidence.Verdict) error) error {
	first := rules[0]
	several := len(first.check.Kinds) > 1
	out := func(r *rule, v evidence.Verdict) error {
		if r == first && !several {
			return emit(v)
		}
		ev.kept[r] = append(ev.kept[r], v)
		return nil
	}
	for _, r := range rules[1:] {
		ev.kept[r] = nil
	}
	seen := false
	var missing []string // why kinds have no facts
	var holes []hole
	for _, kind := range first.check.Kinds {
		facts, why := ev.facts(kind)
		if why != "" {
			missing = append(missing, why)
			continue
		}
		gaps := sortGaps(kind, facts.Gaps)
		holes = append(holes, gaps.lists...)
		inline := holes
		if several {
			inline = nil
		}
		some, err := ev.kind(ctx, kind, facts, gaps, inline, rules, out)
		if err != nil {
			return err
		}
		seen = seen || some
	}
	switch {
	case len(missing) > 0:
		h := hole{kind: first.check.Kinds[0], reason: strings.Join(missing, "; ")}
		for _, l := range holes {
			h.gaps = append(h.gaps, l.gaps...)
		}
		if several {
			holes = append(holes, h)
			break
		}
		for _, r := range rules {
			if err := out(r, ev.holeVerdict(r, h)); err != nil {
				return err
			}
		}
	case !seen && len(holes) == 0:
		for _, r := range rules {
			v := ev.verdict(r, first.check.Kinds[0], "", evidence.Population)
			v.Status = evidence.NotApplicable
			v.Reason = "there is no " + strings.Join(first.check.Kinds, " and no ") + " in this account"
			if err := out(r, v); err != nil {
				return err
			}
		}
	}
	if !several {
		return nil
	}
	for _, h := range mergeHoles(holes) {
		ev.kept[first] = append(ev.kept[first], ev.holeVerdict(first, h))
	}
	verdicts := ev.kept[first]
	delete(ev.kept, first)
	slices.SortStableFunc(verdicts, func(a, b evidence.Verdict) int {
		return cmp.Or(compare(a.Region, b.Region), compare(a.Resource, b.Resource), compare(a.Kind, b.Kind))
	})
	for _, v := range verdicts {
		if err := emit(v); err != nil {
			return err
		}
	}
	return nil
}

// kind streams the observations of one kind through rules, with the holes of
// its list and the resources that only a gap names put in at their places. It
// tells whether there was a resource.
func (ev *evaluation) kind(ctx context.Context, kind string, facts Facts, gaps gapSet, holes []hole,
	rules []*rule, out func(*rule, evidence.Verdict) error,
) (bool, error) {
	want := fields{}
	for _, r := range rules {
		want = want.union(r.shows[resourceVar])
	}
	unseen, err := unobserved(facts, gaps)
	if err != nil {
		return false, fmt.Errorf("read observations of %s in %s: %w", kind, ev.in.Scope, err)
	}
	ev.now = types.Timestamp{Time: ev.in.Now.UTC()}
	if !facts.At.IsZero() {
		ev.now = types.Timestamp{Time: facts.At.UTC()}
	}
	seen := len(unseen) > 0
	pending := mergeHoles(append(unseen, holes...))
	flush := func(before *evidence.Observation) error {
		for len(pending) > 0 && (before == nil || pending[0].before(before.Region, before.ID)) {
			for _, r := range rules {
				if err := out(r, ev.holeVerdict(r, pending[0])); err != nil {
					return err
				}
			}
			pending = pending[1:]
		}
		return nil
	}
	var last *evidence.Observation
	if facts.Observations != nil {
		for o, err := range facts.Observations {
			if err != nil {
				return false, fmt.Errorf("read observations of %s in %s: %w", kind, ev.in.Scope, err)
			}
			if err := ctx.Err(); err != nil {
				return false, fmt.Errorf("evaluate %s in %s: %w", kind, ev.in.Scope, err)
			}
			if err := inOrder(kind, last, &o); err != nil {
				return false, err
			}
			last, seen = &o, true
			if err := flush(&o); err != nil {
				return false, err
			}
			body, err := decodeBody(o.Body, want)
			broken := ""
			if err != nil {
				broken = err.Error()
			}
			for _, r := range rules {
				v, err := ev.judge(r, o, body, broken, gaps)
				if err != nil {
					return false, err
				}
				if err := out(r, v); err != nil {
					return false, err
				}
			}
		}
	}
	return seen, flush(nil)
}

// inOrder demands what Facts.Observations promises: a resource that came twice
// or out of order would give verdicts out of order.
func inOrder(kind string, last, o *evidence.Observation) error {
	if o.Kind != kind {
		return fmt.Errorf("observation %q: its kind is %s, among those of %s", o.ID, o.Kind, kind)
	}
	if last != nil && cmp.Or(compare(last.Region, o.Region), compare(last.ID, o.ID)) >= 0 {
		return fmt.Errorf("observation %q of %s: out of order after %q", o.ID, kind, last.ID)
	}
	return nil
}

// verdict fills in what every verdict says of its place.
func (ev *evaluation) verdict(r *rule, kind, region, resource string) evidence.Verdict {
	return evidence.Verdict{
		Check: r.check.ID, Control: r.control,
		Provider: ev.in.Scope.Provider, Account: ev.in.Scope.Account,
		Region: region, Kind: kind, Resource: resource,
	}
}
