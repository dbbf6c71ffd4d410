package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// The accounts of the fake organisation beside account, which manages it.
const (
	memberAccount   = "444455556666"
	delegateAccount = "555566667777"
)

// organization is a fake provider of several accounts: what each has of parts,
// and which accounts account lists.
type organization struct {
	mu      sync.Mutex
	members []string                          // guarded by mu; that the listing has
	parts   map[string]map[string]bool        // guarded by mu; by account, then by name of the thing: whether it is good
	denied  map[evidence.Stream]bool          // guarded by mu: the list of the stream can not be read
	hold    map[evidence.Stream]chan struct{} // guarded by mu: a task of the stream waits for it
}

func (o *organization) set(edit func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	edit()
}

// collector makes a collector of one kind, that reads names and bodies.
func (o *organization) collector(name, kind string, reach collectors.Reach, read func(account string) map[string]string) collectors.Collector {
	return &fake{
		collectors.Spec{Name: name, Provider: "fake", Kinds: []string{kind}, Reach: reach},
		func(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
			key := evidence.Stream{Collector: name, Scope: in.Scope}
			o.mu.Lock()
			seen, denied, hold := read(in.Scope.Account), o.denied[key], o.hold[key]
			o.mu.Unlock()
			if hold != nil {
				select {
				case <-hold:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			emit.Principal("arn:fake:" + in.Scope.Account)
			if denied {
				emit.Gap(evidence.Gap{Kind: kind, Operation: "fake:List", Permission: "fake:List", Class: evidence.Denied, Code: "AccessDenied"})
				return nil
			}
			for id, body := range seen {
				if err := emit.Observe(evidence.Observation{Kind: kind, ID: id, Body: json.RawMessage(body), Sources: []string{}}); err != nil {
					return err
				}
			}
			emit.Listed(kind, "")
			return nil
		},
	}
}

func (o *organization) collectors() []collectors.Collector {
	return []collectors.Collector{
		o.collector("fake.listing", "fake.member", collectors.Organization, func(string) map[string]string {
			out := map[string]string{}
			for _, id := range o.members {
				out[id] = fmt.Sprintf(`{"Account":%q}`, id)
			}
			return out
		}),
		o.collector("fake.parts", "fake.part", collectors.Global, func(account string) map[string]string {
			out := map[string]string{}
			for name, good := range o.parts[account] {
				out["part-of-"+name] = fmt.Sprintf(`{"Thing":%q,"Good":%t}`, name, good)
			}
			return out
		}),
		o.collector("fake.things", "fake.thing", collectors.Global, func(string) map[string]string {
			return map[string]string{"one": `{"Name":"one","Good":true}`}
		}),
	}
}

const organizationControl = `id: fake-organization
title: Things and accounts are looked after
criteria: [{id: CC6.1, why: "A test needs one."}]
why: a test
frequency: daily
severity: low
checks:
  - id: fake-member-collected
    title: The account is collected
    provider: fake
    kinds: [fake.member]
    pass: resource.Account in scope.accounts || resource.Account in scope.not_collected
    messages: {pass: it is collected, fail: it is not collected}
    remediation: collect it
    documentation: https://example.com/things
  - id: fake-thing-central
    title: The organisation has a good part of the thing
    provider: fake
    kinds: [fake.thing]
    joins:
      - {name: part, kind: fake.part, field: Thing, equals: resource.Name, in: organization}
      - {name: own, kind: fake.part, many: true}
    pass: part != null && part.Good && size(own) < 9
    messages: {pass: its part is good, fail: it has no good part}
    remediation: give it a part
    documentation: https://example.com/things
  - id: fake-thing-elsewhere
    title: The organisation has a part of the thing
    provider: fake
    kinds: [fake.thing]
    joins: [{name: part, kind: fake.part, field: Thing, equals: resource.Name, in: organization}]
    pass: part != null
    messages: {pass: it has a part, fail: it has no part}
    remediation: give it a part
    documentation: https://example.com/things
`

// newOrganization makes a bench whose one provider has the accounts, of which
// account manages the organisation and, with delegateAccount, answers for it.
func newOrganization(t testing.TB, clock Clock, accounts ...string) (*bench, *organization) {
	t.Helper()
	o := &organization{
		parts:  map[string]map[string]bool{account: {"one": true}},
		denied: map[evidence.Stream]bool{}, hold: map[evidence.Stream]chan struct{}{},
	}
	b := newBench(t, clock)
	c, err := checks.Load(fstest.MapFS{"fake-organization.yaml": {Data: []byte(organizationControl)}})
	if err != nil {
		t.Fatal(err)
	}
	b.options.Catalogue, b.options.Prompt = c, true
	p := &b.options.Providers[0]
	p.Collectors, p.Accounts, p.Listing = o.collectors(), accounts, []string{account}
	p.Central = []string{account}
	return b, o
}

func streamIn(collector, account string) evidence.Stream {
	return evidence.Stream{Collector: collector, Scope: evidence.Scope{Provider: "fake", Account: account}}
}

// do does the tasks of streams once, by hand.
func (b *bench) do(a *Agent, streams ...evidence.Stream) {
	b.t.Helper()
	results, err := a.Collect(b.t.Context(), func(s evidence.Stream) bool { return slices.Contains(streams, s) })
	if err != nil || len(results) != len(streams) {
		b.t.Fatalf("%d results of %d, %v", len(results), len(streams), err)
	}
	for _, r := range results {
		if err := errors.Join(r.Err, r.Unjudged); err != nil {
			b.t.Fatal(err)
		}
	}
}

// assessments tells how often each account was assessed, and by which runs the
// newest time.
func (b *bench) assessments(account string) (n int, used []string) {
	b.t.Helper()
	for _, r := range of[evidence.Assessment](b.t, b.dir) {
		if r.Account != account {
			continue
		}
		n++
		used = nil
		for _, u := range r.Used {
			text := u.Stream
			if u.Organization {
				text += " for the organisation"
			}
			used = append(used, text)
		}
	}
	return n, used
}

// wantIn demands a verdict of the check that joins in the organisation.
func (b *bench) wantIn(a *Agent, account string, want evidence.Status, reason string) {
	b.t.Helper()
	const check = "fake-thing-central"
	for v, err := range a.state.Verdicts(a.store) {
		if err != nil {
			b.t.Fatal(err)
		}
		if v.Account == account && v.Check == check {
			if v.Status != want || !strings.Contains(v.Reason, reason) {
				b.t.Errorf("%s in %s is %s (%s), want %s with %q", check, account, v.Status, v.Reason, want, reason)
			}
			return
		}
	}
	b.t.Errorf("there is no verdict of %s in %s, want %s", check, account, want)
}

func TestScheduleOfOrganization(t *testing.T) {
	t.Parallel()
	left := []evidence.NotCollected{{
		Scope: evidence.Scope{Provider: "fake", Account: "999900001111"}, Name: "sandbox", Excluded: true, Reason: "because", Approver: "Sam Roe",
	}}
	for _, test := range []struct {
		name string
		edit func(*Provider)
		want string // of what is in the schedule of the organisation
	}{
		{
			name: "an account that lists, and two that answer",
			edit: func(p *Provider) {
				p.Central, p.NotCollected, p.Regions = []string{delegateAccount, account}, left, []string{"r2", "r1"}
			},
			want: `{"time_zone":"UTC","collectors":[` +
				`{"provider":"fake","collector":"fake.listing","schedule":"17 6 * * *","kinds":["fake.member"],"accounts":["111122223333"]},` +
				`{"provider":"fake","collector":"fake.parts","schedule":"17 6 * * *","kinds":["fake.part"]},` +
				`{"provider":"fake","collector":"fake.things","schedule":"17 6 * * *","kinds":["fake.thing"]}],` +
				`"scopes":[{"provider":"fake","account":"111122223333"},{"provider":"fake","account":"444455556666"}],` +
				`"central":[{"provider":"fake","account":"111122223333"},{"provider":"fake","account":"555566667777"}],` +
				`"not_collected":[{"provider":"fake","account":"999900001111","name":"sandbox","excluded":true,"reason":"because","approver":"Sam Roe"}],` +
				`"regions":{"fake":["r1","r2"]}}`,
		},
		{
			name: "nobody lists",
			edit: func(p *Provider) { p.Central, p.Listing = nil, nil },
			want: `{"time_zone":"UTC","collectors":[` +
				`{"provider":"fake","collector":"fake.parts","schedule":"17 6 * * *","kinds":["fake.part"]},` +
				`{"provider":"fake","collector":"fake.things","schedule":"17 6 * * *","kinds":["fake.thing"]}],` +
				`"scopes":[{"provider":"fake","account":"111122223333"},{"provider":"fake","account":"444455556666"}]}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, _ := newOrganization(t, &leaping{now: at("2026-07-01T00:00:00Z")}, account, memberAccount)
			test.edit(&b.options.Providers[0])
			s := b.options.Schedule()
			raw, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if string(raw) != test.want {
				t.Errorf("the schedule is\n%s\nwant\n%s", raw, test.want)
			}
			for key := range s.Streams {
				if key.Collector == "fake.listing" && key.Account != account {
					t.Errorf("%s is due", key)
				}
			}
		})
	}
}

// What a member is judged by are the newest runs of the accounts that answer
// for its organisation, and the record names them, and the schedule in force.
func TestJudgedByTheOrganization(t *testing.T) {
	t.Parallel()
	b, o := newOrganization(t, &leaping{now: at("2026-07-01T00:00:00Z")}, account, memberAccount, delegateAccount)
	b.options.Providers[0].Central = []string{account, delegateAccount}
	o.set(func() {
		o.members = []string{account, memberAccount, "999900001111"}
		o.parts[memberAccount] = map[string]bool{"one": false} // its own does not count
	})
	a := b.open()
	b.until(a, "2026-07-01T07:00:00Z")
	b.close(a)
	b.verified()

	b.wantIn(a, memberAccount, evidence.Pass, "its part is good")
	b.wantIn(a, account, evidence.Pass, "")
	for _, account := range []string{memberAccount, delegateAccount} { // a check of what only the listing has is not theirs
		if _, ok := a.state.Assessed[evidence.Scope{Provider: "fake", Account: account}]["fake-member-collected"]; ok {
			t.Errorf("fake-member-collected was judged in %s", account)
		}
	}
	fails := 0
	for v, err := range a.state.Verdicts(a.store) {
		if err != nil {
			t.Fatal(err)
		}
		if v.Check == "fake-member-collected" && v.Status == evidence.Fail {
			fails++
			if v.Resource != "999900001111" {
				t.Errorf("%s fails", v.Resource)
			}
		}
	}
	if fails != 1 {
		t.Errorf("%d accounts are not collected, want 1", fails)
	}

	const org = " for the organisation"
	for account, want := range map[string][]string{
		memberAccount: {
			"fake.parts@fake/" + account + org, "fake.parts@fake/" + memberAccount, "fake.parts@fake/" + delegateAccount + org,
			"fake.things@fake/" + memberAccount,
		},
		delegateAccount: {
			"fake.parts@fake/" + account + org, "fake.parts@fake/" + delegateAccount, "fake.parts@fake/" + delegateAccount + org,
			"fake.things@fake/" + delegateAccount,
		},
	} {
		if _, used := b.assessments(account); !slices.Equal(used, want) {
			t.Errorf("%s is judged by\n\t%s\nwant\n\t%s", account, strings.Join(used, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	b.wantScheduleNamed()
}
