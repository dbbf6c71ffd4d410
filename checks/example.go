package checks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// The names that an example takes where it states none.
const (
	exampleAccount  = "111122223333"
	exampleResource = "example"
)

// RunExample evaluates an example of a check and compares the verdict with
// what the example wants. The error says in what they differ.
func (c *Catalogue) RunExample(check string, e Example) (evidence.Verdict, error) {
	r := c.rule(check)
	if r == nil {
		return evidence.Verdict{}, fmt.Errorf("check %q: the catalogue has no such check", check)
	}
	one, err := single(r, e.Parameters)
	if err != nil {
		return evidence.Verdict{}, err
	}
	in, err := e.input(r.check)
	if err != nil {
		return evidence.Verdict{}, fmt.Errorf("check %q: example %q: %w", check, e.Name, err)
	}
	var got evidence.Verdict
	err = one.Evaluate(context.Background(), in, nil, func(v evidence.Verdict) error {
		if v.Resource == e.id() {
			got = v
		}
		return nil
	})
	if err == nil {
		err = e.compare(got)
	}
	if err != nil {
		return got, fmt.Errorf("check %q: example %q: %w", check, e.Name, err)
	}
	return got, nil
}

// single gives a catalogue of one rule, with parameters set.
func single(r *rule, parameters map[string]any) (*Catalogue, error) {
	if len(parameters) == 0 {
		return &Catalogue{rules: []*rule{r}}, nil
	}
	check := r.check
	check.Parameters = maps.Clone(check.Parameters)
	for name, v := range parameters {
		p, ok := check.Parameters[name]
		if !ok {
			return nil, fmt.Errorf("check %q: no parameter %q", check.ID, name)
		}
		p.Override = &Override{Value: v}
		check.Parameters[name] = p
	}
	return build([]Control{{ID: r.control, Checks: []Check{check}}})
}

func (e Example) compare(got evidence.Verdict) error {
	switch {
	case got.Status != e.Want:
		return fmt.Errorf("is %s (%s), want %s", got.Status, got.Reason, e.Want)
	case e.Basis != "" && got.Basis != e.Basis:
		return fmt.Errorf("rests on %s, want %s", got.Basis, e.Basis)
	case !strings.Contains(got.Reason, e.Reason):
		return fmt.Errorf("its reason is %q, which does not contain %q", got.Reason, e.Reason)
	}
	return nil
}

// id gives the id of the example's resource.
func (e Example) id() string { return cmp.Or(e.ID, exampleResource) }

// input makes the facts of an example: kinds of joins that it does not mention
// were collected and are empty.
func (e Example) input(check Check) (Input, error) {
	kind := e.Kind
	if kind == "" {
		kind = check.Kinds[0]
	}
	in := Input{
		Scope: evidence.Scope{Provider: check.Provider, Account: e.Account},
		Now:   exampleNow(),
		Kinds: map[string]Facts{},
	}
	if in.Scope.Account == "" {
		in.Scope.Account = exampleAccount
	}
	if e.Now != "" {
		now, err := time.Parse(time.RFC3339, e.Now)
		if err != nil {
			return in, fmt.Errorf("now: %w", err)
		}
		in.Now = now
	}
	observed := map[string][]evidence.Observation{}
	for _, k := range check.Kinds {
		observed[k] = nil
	}
	central := map[string][]evidence.Observation{}
	for _, j := range check.Joins {
		if j.In == inOrganization {
			central[j.Kind] = nil
			continue
		}
		observed[j.Kind] = nil
	}
	if err := e.join("joined", e.Joined, observed); err != nil {
		return in, err
	}
	if err := e.join("organization", e.Organization, central); err != nil {
		return in, err
	}
	o, err := observation(kind, e.id(), e.Region, e.Resource)
	if err != nil {
		return in, err
	}
	o.Project = e.Project
	observed[kind] = append(observed[kind], o)
	gaps := map[string][]evidence.Gap{}
	for _, g := range e.Gaps {
		gap := g.gap(kind, e.id())
		gaps[gap.Kind] = append(gaps[gap.Kind], gap)
	}
	for k, list := range observed {
		slices.SortFunc(list, func(a, b evidence.Observation) int { return compare(a.ID, b.ID) })
		in.Kinds[k] = Facts{Observations: yieldAll(list), Gaps: gaps[k], At: in.Now}
	}
	in.InForce = e.inForce(in.Scope)
	in.Organization = map[string][]Facts{}
	for k, list := range central {
		in.Organization[k] = []Facts{{Observations: yieldAll(list), Gaps: gaps[k], At: in.Now}}
	}
	return in, nil
}

// inForce makes the schedule in force from what the example says is looked at.
func (e Example) inForce(own evidence.Scope) *evidence.Schedule {
	s := &evidence.Schedule{Scopes: []evidence.Scope{own}}
	at := func(account string) evidence.Scope { return evidence.Scope{Provider: own.Provider, Account: account} }
	for _, account := range e.Scope.Accounts {
		s.Scopes = append(s.Scopes, at(account))
	}
	for _, account := range e.Scope.Central {
		s.Central = append(s.Central, at(account))
	}
	for _, n := range e.Scope.NotCollected {
		s.NotCollected = append(s.NotCollected, evidence.NotCollected{
			Scope: at(n.Account), State: n.State, Excluded: n.Excluded, Reason: n.Reason, Approver: n.Approver,
		})
	}
	if len(e.Scope.Regions) > 0 {
		s.Regions = map[string][]string{own.Provider: e.Scope.Regions}
	}
	return s
}

// join adds the bodies of joined kinds, which the check must join.
func (e Example) join(what string, bodies map[string][]map[string]any, into map[string][]evidence.Observation) error {
	for _, k := range slices.Sorted(maps.Keys(bodies)) {
		if _, known := into[k]; !known {
			return fmt.Errorf("%s: the check joins no %s there", what, k)
		}
		for i, body := range bodies[k] {
			o, err := observation(k, fmt.Sprintf("%s/%d", k, i), e.Region, body)
			if err != nil {
				return err
			}
			into[k] = append(into[k], o)
		}
	}
	return nil
}

func observation(kind, id, region string, body map[string]any) (evidence.Observation, error) {
	if body == nil {
		body = map[string]any{}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return evidence.Observation{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	return evidence.Observation{Kind: kind, ID: id, Region: region, Body: raw}, nil
}

func (g ExampleGap) gap(own, id string) evidence.Gap {
	out := evidence.Gap{
		Kind: g.Kind, Resource: g.Resource, Field: g.Field, Operation: g.Operation,
		Permission: g.Permission, Class: g.Class, Code: g.Code,
	}
	if g.Kind == "" {
		out.Kind, out.Resource = own, id
	}
	if out.Class == "" {
		out.Class = evidence.Denied
	}
	if out.Permission == "" {
		out.Permission = g.Operation
	}
	return out
}

func yieldAll(list []evidence.Observation) iter.Seq2[evidence.Observation, error] {
	return func(yield func(evidence.Observation, error) bool) {
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
	}
}
