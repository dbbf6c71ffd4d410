package agent

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// newProjects makes a bench whose provider has two accounts with the same two
// projects: one with a bad thing, and sandbox with another.
func newProjects(t *testing.T, clock Clock) (*bench, *organization) {
	t.Helper()
	b := newBench(t, clock)
	o := &organization{denied: map[evidence.Stream]bool{}, hold: map[evidence.Stream]chan struct{}{}}
	things := &fake{
		collectors.Spec{Name: "fake.things", Provider: "fake", Kinds: []string{"fake.thing"}, Reach: collectors.Global},
		func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
			for _, project := range []string{"one", "sandbox"} {
				body := json.RawMessage(`{"Name":"` + project + `","Good":false}`)
				if err := emit.Observe(evidence.Observation{Kind: "fake.thing", ID: project, Project: "projects/" + project, Body: body, Sources: []string{}}); err != nil {
					return err
				}
			}
			emit.Listed("fake.thing", "")
			return nil
		},
	}
	listing := o.collector("fake.listing", "fake.project", collectors.Global, func(string) map[string]string {
		return map[string]string{"projects/one": `{}`, "projects/sandbox": `{}`}
	})
	b.options.Prompt = true
	p := &b.options.Providers[0]
	p.Collectors, p.Accounts, p.Lists = []collectors.Collector{listing, things}, []string{account, memberAccount}, "fake.listing"
	return b, o
}

// leavingOut gives the provider that leaves sandbox out, once it is listed.
func leavingOut(p Provider) func(context.Context, Known) ([]Provider, []evidence.Discovery, error) {
	return func(_ context.Context, known Known) ([]Provider, []evidence.Discovery, error) {
		p.Unlisted, p.NotCollected = nil, nil
		for _, account := range p.Accounts {
			run := known.Newest(streamIn("fake.listing", account))
			if run == nil {
				p.Unlisted = append(p.Unlisted, account)
				continue
			}
			if _, whole, err := known.Observed(run, "fake.project"); err != nil || !whole {
				p.Unlisted = append(p.Unlisted, account)
			}
		}
		if len(p.Unlisted) < len(p.Accounts) {
			p.NotCollected = []evidence.NotCollected{{
				Scope: evidence.Scope{Provider: "fake", Account: "projects/sandbox"}, Name: "sandbox", Excluded: true, Reason: "because", Approver: "Sam Roe",
			}}
		}
		return []Provider{p}, nil, nil
	}
}

// streams gives the streams that ran, in order of name.
func (b *bench) streams() []string {
	b.t.Helper()
	var out []string
	for _, r := range of[evidence.Run](b.t, b.dir) {
		out = append(out, r.Collector+"@"+r.Account)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Before it is known which projects an account has, only that is looked at;
// afterwards, nothing is judged of one that is left out.
func TestProjectsLeftOut(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b, o := newProjects(t, clock)
	all := b.options.Providers
	b.options.Providers, b.options.Estate = nil, leavingOut(all[0])
	o.set(func() { o.denied[streamIn("fake.listing", memberAccount)] = true })
	a := b.open()
	b.until(a, "2026-07-01T07:00:00Z")
	b.close(a)
	if got, want := b.streams(), []string{"fake.listing@" + account, "fake.listing@" + memberAccount}; !slices.Equal(got, want) {
		t.Errorf("at first, %q ran, want %q", got, want)
	}
	if n := len(of[evidence.Assessment](t, b.dir)); n != 0 {
		t.Errorf("%d assessments were made", n)
	}

	// The one that could not be listed waits, and holds up no other.
	b.options.Event = evidence.EventDiscovered
	a = b.open()
	b.until(a, "2026-07-01T08:00:00Z")
	if got, want := b.streams(), []string{"fake.listing@" + account, "fake.listing@" + memberAccount, "fake.things@" + account}; !slices.Equal(got, want) {
		t.Errorf("%q ran, want %q", got, want)
	}
	for _, c := range a.inForce.Collectors {
		if want := map[string][]string{"fake.things": {account}}[c.Collector]; !slices.Equal(c.Accounts, want) {
			t.Errorf("%s is due in %q, want %q", c.Collector, c.Accounts, want)
		}
	}
	const left = "project sandbox is left out by the operator: because (approved by Sam Roe)"
	b.wantVerdict(a, "fake-thing-good sandbox", evidence.NotApplicable, left)
	b.wantVerdict(a, "fake-thing-good one", evidence.Fail, "it is bad")
	b.close(a)

	// Other rules: what was seen is judged by them at once, not at its next slot.
	runs := len(of[evidence.Run](t, b.dir))
	b.options.Event, b.options.Estate, b.options.Providers = evidence.EventReloaded, nil, all
	a = b.open()
	b.until(a, "2026-07-01T08:00:00Z")
	if n := len(of[evidence.Run](t, b.dir)); n != runs+1 { // of the other account, that waits no more
		t.Errorf("%d runs, want one", n-runs)
	}
	b.wantVerdict(a, "fake-thing-good sandbox", evidence.Fail, "it is bad")
	o.set(func() { clear(o.denied) })
	b.do(a, streamIn("fake.listing", memberAccount))
	b.close(a)
	clock.now = at("2026-07-01T08:01:00Z")
	b.options.Event, b.options.Estate, b.options.Providers = evidence.EventManual, leavingOut(all[0]), nil
	a = b.open()
	b.do(a, streamIn("fake.listing", memberAccount))
	b.wantVerdict(a, "fake-thing-good sandbox", evidence.NotApplicable, left)
	n := len(of[evidence.Assessment](t, b.dir))
	b.close(a)
	clock.now = at("2026-07-01T08:02:00Z")
	a = b.open() // the same is left out as before: nothing is judged again
	b.do(a, streamIn("fake.listing", account))
	b.close(a)
	if more := len(of[evidence.Assessment](t, b.dir)) - n; more != 0 {
		t.Errorf("%d assessments more, without any reason", more)
	}
	b.verified()
	b.wantScheduleNamed()
}

func TestDue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		unlisted []string
		reach    collectors.Reach
		want     string
	}{
		{"fake.things", nil, collectors.Global, "all"},
		{"fake.things", []string{"a"}, collectors.Global, "b c"},
		{"fake.things", []string{"b", "a", "c"}, collectors.Global, ""},
		{"fake.listing", []string{"b", "a", "c"}, collectors.Global, "all"},
		{"fake.people", nil, collectors.Organization, "a b"},
		{"fake.people", []string{"a"}, collectors.Organization, "b"},
		{"fake.people", []string{"a", "b"}, collectors.Organization, ""},
	} {
		p := Provider{Accounts: []string{"c", "b", "a"}, Listing: []string{"b", "a"}, Unlisted: tt.unlisted, Lists: "fake.listing"}
		only, all := p.due(collectors.Spec{Name: tt.name, Reach: tt.reach})
		got := strings.Join(only, " ")
		if all {
			got = "all"
		}
		if got != tt.want {
			t.Errorf("%s is due in %q while %v wait, want %q", tt.name, got, tt.unlisted, tt.want)
		}
	}
}

// What a gap names is not known, also where a body has it.
func TestObservedIsKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.estate.replace(func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
		for _, id := range []string{"moved", "still"} {
			o := evidence.Observation{Kind: "fake.thing", ID: id, Body: json.RawMessage(`{"Name":"` + id + `","Good":true,"Place":"here"}`), Sources: []string{}}
			if err := emit.Observe(o); err != nil {
				return err
			}
		}
		emit.Gap(evidence.Gap{Kind: "fake.thing", Resource: "moved", Field: "Place", Operation: "fake:List", Class: evidence.Unavailable})
		emit.Listed("fake.thing", "")
		return nil
	})
	a := b.open()
	things := streamIn("fake.things", account)
	b.do(a, things)
	seen, whole, err := a.Observed(a.Newest(things), "fake.thing")
	if err != nil || !whole {
		t.Fatalf("whole: %t, %v", whole, err)
	}
	var got []string
	for o, err := range seen {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(o.Body))
	}
	if want := []string{`{"Good":true,"Name":"moved"}`, `{"Name":"still","Good":true,"Place":"here"}`}; !slices.Equal(got, want) {
		t.Errorf("observed are %q, want %q", got, want)
	}
	b.close(a)
}
