package agent

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// wantScheduleNamed demands that each assessment names the schedule of the
// newest Configuration before it.
func (b *bench) wantScheduleNamed() {
	b.t.Helper()
	var inForce evidence.Digest
	seen := 0
	for _, e := range entries(b.t, b.dir) {
		schedule, _ := e.Statement.Payload(evidence.PayloadSchedule)
		switch e.Predicate.(type) {
		case *evidence.Configuration:
			inForce = schedule
		case *evidence.Assessment:
			seen++
			if schedule == "" || schedule != inForce {
				b.t.Errorf("record %d names the schedule %q, in force is %s", e.Index, schedule, inForce)
			}
		}
	}
	if seen == 0 {
		b.t.Error("nothing was assessed")
	}
}

// A member that is judged before the account that answers is unknown, and is
// judged once again when that was looked at, and not each time.
func TestJudgedAgainOnce(t *testing.T) {
	t.Parallel()
	things, parts, central := streamIn("fake.things", memberAccount), streamIn("fake.parts", memberAccount), streamIn("fake.parts", account)
	for _, test := range []struct {
		name    string
		between func(*bench, *Agent) *Agent
		denied  bool
		want    evidence.Status
		reason  string
	}{
		{name: "in one life", between: func(_ *bench, a *Agent) *Agent { return a }, want: evidence.Pass},
		{name: "over a restart", between: func(b *bench, a *Agent) *Agent { b.close(a); return b.open() }, want: evidence.Pass},
		{name: "when it can not be looked at", between: func(_ *bench, a *Agent) *Agent { return a }, denied: true, want: evidence.Unknown, reason: "fake:List denied (AccessDenied), needs fake:List"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := &leaping{now: at("2026-07-01T00:00:00Z")}
			b, o := newOrganization(t, clock, account, memberAccount)
			b.options.Event = evidence.EventManual
			do := func(a *Agent, key evidence.Stream) {
				clock.now = clock.now.Add(time.Minute)
				b.do(a, key)
			}
			o.set(func() { o.denied[central] = test.denied })
			a := b.open()
			do(a, things)
			do(a, parts)
			b.wantIn(a, memberAccount, evidence.Unknown, "was not collected in an account that answers for the organisation")
			before, _ := b.assessments(memberAccount)
			// Its own parts do not count for a check that looks at the organisation's alone.
			all := of[evidence.Assessment](t, b.dir)
			if last := all[len(all)-1]; len(last.Checks) != 1 || last.Checks[0].Check != "fake-thing-central" {
				t.Errorf("the member's own parts are a reason to judge %v", last.Checks)
			}

			a = test.between(b, a)
			do(a, central)
			b.wantIn(a, memberAccount, test.want, test.reason)
			if n, used := b.assessments(memberAccount); n != before+1 || !slices.Contains(used, central.String()+" for the organisation") {
				t.Errorf("assessed %d times, the last by %v; want once more than %d", n, used, before)
			}
			// What it sees later is for the member's own next look.
			o.set(func() { o.parts[account]["one"], o.denied[central] = false, false })
			do(a, central)
			if n, _ := b.assessments(memberAccount); n != before+1 {
				t.Errorf("assessed %d times, want %d", n, before+1)
			}
			b.wantIn(a, memberAccount, test.want, test.reason)
			do(a, things)
			b.wantIn(a, memberAccount, evidence.Fail, "it has no good part")
			b.close(a)
			b.verified()
		})
	}
}

// A verdict of an account that is not looked at any more says nothing of now.
func TestVerdictsOfAnAccountThatLeft(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b, _ := newOrganization(t, clock, account, memberAccount)
	a := b.open()
	b.until(a, "2026-07-01T07:00:00Z")
	b.close(a)
	accounts := func(a *Agent) []string {
		seen := map[string]bool{}
		for v, err := range a.state.Verdicts(a.store) {
			if err != nil {
				t.Fatal(err)
			}
			seen[v.Account] = true
		}
		return slices.Sorted(maps.Keys(seen))
	}
	if got := accounts(a); !slices.Equal(got, []string{account, memberAccount}) {
		t.Errorf("there are verdicts of %v", got)
	}
	b.options.Providers[0].Accounts = []string{account}
	a = b.open()
	if got := accounts(a); !slices.Equal(got, []string{account}) {
		t.Errorf("there are verdicts of %v", got)
	}
	b.close(a)
	// Tasks by hand have a schedule of their own; what is in force stays in view.
	b.options.Event, b.options.Providers[0].Accounts = evidence.EventManual, []string{memberAccount}
	a = b.open()
	b.close(a)
	if got := accounts(a); !slices.Equal(got, []string{account, memberAccount}) {
		t.Errorf("there are verdicts of %v", got)
	}
}
