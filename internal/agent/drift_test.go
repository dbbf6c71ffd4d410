package agent

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

const drifts = "drift_total"

// Each step sets the estate, lets a day's slot run, and tells how often drift
// was counted by then.
func TestDrift(t *testing.T) {
	t.Parallel()
	type step struct {
		set     thing // of "one"
		other   thing // of "other", good unless set
		deny    bool  // nothing can be listed
		partly  bool  // not everything can be listed
		restart bool
		want    float64 // drift of fake-thing-good, in this process
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"pass, fail, fail, pass, fail", []step{{set: good}, {set: bad, want: 1}, {set: bad, want: 1}, {set: good, want: 1}, {set: bad, want: 2}}},
		{"a first fail is no drift", []step{{set: bad}, {set: bad}}},
		{"pass, unknown, fail", []step{{set: good}, {set: hidden}, {set: hidden}, {set: bad, want: 1}}},
		{"fail, unknown, fail", []step{{set: bad}, {set: hidden}, {set: bad}}},
		{"pass, its list denied, fail", []step{{set: good}, {set: good, deny: true}, {set: bad, want: 1}}},
		{"pass, fail, its list denied, fail", []step{{set: good}, {set: bad, want: 1}, {set: bad, deny: true, want: 1}, {set: bad, want: 1}}},
		{"pass, fail while there may be more, fail", []step{{set: good}, {set: bad, partly: true, want: 1}, {set: bad, want: 1}}},
		{"pass, fail beside an unknown, restart, fail", []step{{set: good}, {set: bad, other: hidden, want: 1}, {set: bad, other: hidden, restart: true}}},
		{"pass, restart, fail", []step{{set: good}, {set: bad, restart: true, want: 1}}},
		{"fail, restart, fail", []step{{set: good}, {set: bad, want: 1}, {set: bad, restart: true}}},
		{"pass, unknown, restart, fail", []step{{set: good}, {set: hidden}, {set: bad, restart: true, want: 1}}},
		{"pass, its list denied, restart, fail", []step{{set: good}, {deny: true}, {set: bad, restart: true, want: 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := &leaping{now: at("2026-07-01T06:00:00Z")}
			b := newBench(t, clock)
			var a *Agent
			for i, step := range test.steps {
				b.estate.set("one", step.set)
				b.estate.set("other", cmp.Or(step.other, good))
				b.estate.deny(step.deny, step.partly)
				if i == 0 || step.restart {
					if a != nil {
						b.close(a)
					}
					a = b.open()
				}
				if err := a.RunUntil(t.Context(), at("2026-07-01T12:00:00Z").AddDate(0, 0, i)); err != nil {
					t.Fatal(err)
				}
				if got := metric(t, b.registry, drifts, "check=fake-thing-good", "control=fake-things", "account="+account); got != step.want {
					t.Errorf("after step %d drift is %v, want %v", i, got, step.want)
				}
			}
			b.close(a)
			b.verified()
		})
	}
}

func TestDriftedVerdictsAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.options.Event = evidence.EventManual
	a := b.open()
	if got := b.once(a).Drifted; len(got) != 0 {
		t.Errorf("the first run has drift: %v", got)
	}
	b.estate.set("one", bad)
	got := b.once(a).Drifted
	if len(got) != 1 || got[0].Check != "fake-thing-good" || got[0].Resource != "one" || got[0].Status != evidence.Fail {
		t.Errorf("drifted: %v", got)
	}
}

func TestSeriesAreBackAfterRestart(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T06:00:00Z")}
	b := newBench(t, clock)
	b.estate.set("two", bad)
	a := b.open()
	b.until(a, "2026-07-01T12:00:00Z")
	ran := metric(t, b.registry, "run_last_completed_timestamp_seconds", "collector=fake.things")
	b.estate.replace(func(context.Context, collectors.Input, collectors.Emit) error { return nil })
	b.until(a, "2026-07-02T12:00:00Z") // a failed run, which is the newest
	b.close(a)
	written := len(records(t, b.dir))

	clock.now = at("2026-07-02T13:00:00Z")
	b.open()
	b.wantMetric(1, "check_resources", "check=fake-thing-good", "status=unknown")
	b.wantMetric(0, "check_resources", "check=fake-thing-good", "status=fail")
	b.wantMetric(0, "drift_total", "check=fake-thing-good")
	b.wantMetric(0, "runs_total", "collector=fake.things")
	b.wantMetric(ran, "run_last_completed_timestamp_seconds", "collector=fake.things")
	b.wantMetric(1, "gaps", "collector=fake.things", "class=internal")
	b.wantMetric(float64(written+1), "ledger_records") // and the configuration
	b.wantMetric(24*3600, "schedule_period_seconds", "collector=fake.things")
	b.wantMetric(float64(at("2026-07-03T06:17:00Z").Unix()), "next_slot_timestamp_seconds", "collector=fake.things")
}

// The newest run counts even when it could not look: an older one would let a
// check pass on what nobody can see any more.
func TestTheNewestRunCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.options.Event = evidence.EventManual
	a := b.open()
	b.once(a)
	b.wantVerdict(a, "fake-thing-good one", evidence.Pass, "")
	b.estate.deny(true, false)
	b.once(a)
	if v, ok := b.verdicts(a)["fake-thing-good one"]; ok {
		t.Errorf("a thing that can not be seen has the verdict %s", v.Status)
	}
	b.wantVerdict(a, "fake-thing-good *", evidence.Unknown, "fake:ListThings denied (AccessDenied), needs fake:ListThings")
	b.estate.deny(false, false)
	b.estate.set("one", hidden)
	b.once(a)
	b.wantVerdict(a, "fake-thing-good one", evidence.Unknown, "fake:GetGood denied (AccessDenied), needs fake:GetGood")
}

func TestJoins(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.options.Event = evidence.EventManual
	b.options.Providers[0].Collectors = append(b.options.Providers[0].Collectors, b.estate.partsCollector())
	b.estate.parts = map[string]bool{"one": true}
	a := b.open()
	b.once(a)
	b.wantVerdict(a, "fake-thing-part one", evidence.Unknown, "fake.part was not collected")
	if _, err := a.Collect(t.Context(), func(s evidence.Stream) bool { return s.Collector == "fake.parts" }); err != nil {
		t.Fatal(err)
	}
	b.wantVerdict(a, "fake-thing-part one", evidence.Pass, "")
	used := of[evidence.Assessment](t, b.dir)
	if got := used[len(used)-1].Used; len(got) != 2 || got[0].Record != 3 || got[1].Record != 1 {
		t.Errorf("the last assessment used %+v, want the records 3 and 1", got)
	}
	b.close(a)
	b.verified()
}

// Nothing may be told before the published checkpoint covers the record.
func TestMetricsWaitForTheCheckpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.options.Event = evidence.EventManual
	a := b.open()
	type pause struct{ written, goOn chan struct{} }
	run, assessment := pause{make(chan struct{}), make(chan struct{})}, pause{make(chan struct{}), make(chan struct{})}
	pauses, add := []pause{run, assessment}, a.add
	a.add = func(ctx context.Context, data []byte) (func(context.Context) (uint64, error), error) {
		wait, err := add(ctx, data)
		if len(pauses) == 0 {
			return wait, err
		}
		p := pauses[0]
		pauses = pauses[1:]
		return func(ctx context.Context) (uint64, error) {
			close(p.written)
			<-p.goOn
			return wait(ctx)
		}, err
	}
	ended := make(chan Result)
	go func() { ended <- b.once(a) }()

	<-run.written
	time.Sleep(20 * time.Millisecond)
	b.wantMetric(0, "runs_total", "outcome=complete")
	b.wantMetric(-1, "run_last_completed_timestamp_seconds")
	b.wantMetric(1, "ledger_records")
	close(run.goOn)
	<-assessment.written
	b.wantMetric(1, "runs_total", "outcome=complete")
	b.wantMetric(2, "ledger_records")
	b.wantMetric(-1, "check_resources")
	close(assessment.goOn)
	<-ended
	b.wantMetric(1, "check_resources", "check=fake-thing-good", "status=pass")
	b.wantMetric(3, "ledger_records")
	b.close(a)
}
