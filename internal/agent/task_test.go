package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// once does every task once, by hand, and gives the result of fake.things.
func (b *bench) once(a *Agent) Result {
	b.t.Helper()
	results, err := a.Collect(b.t.Context(), func(s evidence.Stream) bool { return s.Collector == "fake.things" })
	if err != nil || len(results) != 1 {
		b.t.Fatalf("%d results, %v", len(results), err)
	}
	return results[0]
}

// What a collector does wrong must never pass for a complete run.
func TestCollectorsThatMisbehave(t *testing.T) {
	t.Parallel()
	observe := func(emit collectors.Emit, kind, body string) error {
		return emit.Observe(evidence.Observation{Kind: kind, ID: "one", Body: json.RawMessage(body), Sources: []string{}})
	}
	const isGood = `{"Name":"one","Good":true}`
	for _, test := range []struct {
		name    string
		hook    hook
		outcome evidence.Outcome
		fault   string
		message string // of a gap of class internal, unless empty
		verdict evidence.Status
		reason  string
		which   string // the resource; evidence.Population when empty
	}{
		{
			name: "returns without having listed",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				return observe(emit, "fake.thing", isGood)
			},
			outcome: evidence.Partial, message: "the collector ended without having read this list to its end",
			verdict: evidence.Unknown, reason: "internal",
		},
		{
			name:    "does nothing",
			hook:    func(context.Context, collectors.Input, collectors.Emit) error { return nil },
			outcome: evidence.Failed, message: "the collector ended without having read this list to its end",
			verdict: evidence.Unknown, reason: "internal",
		},
		{
			name: "emits a kind that it does not declare, and hides that",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				_ = observe(emit, "fake.part", `{}`)
				emit.Listed("fake.thing", "")
				return nil
			},
			outcome: evidence.Partial, fault: `collector fake.things emitted kind "fake.part", which it does not declare`,
			message: "which it does not declare", verdict: evidence.Unknown,
		},
		{
			name: "leaves a gap in a kind that it does not declare",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				emit.Gap(evidence.Gap{Kind: "fake.part", Operation: "fake:Call", Class: evidence.Denied})
				emit.Listed("fake.thing", "")
				return nil
			},
			outcome: evidence.Partial, fault: `collector fake.things left a gap for kind "fake.part"`,
			message: "which it does not declare", verdict: evidence.Unknown,
		},
		{
			name: "emits what is not JSON",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				_ = observe(emit, "fake.thing", `{"Good":`)
				emit.Listed("fake.thing", "")
				return nil
			},
			outcome: evidence.Partial, fault: `collector fake.things emitted fake.thing "one", which is not JSON`,
			message: "which is not JSON", verdict: evidence.Unknown,
		},
		{
			name: "gives an error after having listed",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				emit.Listed("fake.thing", "")
				return errors.Join(observe(emit, "fake.thing", isGood), errors.New("credentials have expired"))
			},
			outcome: evidence.Partial, fault: "credentials have expired", message: "credentials have expired",
			verdict: evidence.Unknown,
		},
		{
			name: "panics",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				emit.Listed("fake.thing", "")
				panic("out of cheese")
			},
			outcome: evidence.Partial, fault: "collector fake.things panicked: out of cheese", message: "out of cheese",
			verdict: evidence.Unknown,
		},
		{
			name: "has a very long error",
			hook: func(context.Context, collectors.Input, collectors.Emit) error {
				return errors.New(strings.Repeat("long ", 100_000))
			},
			outcome: evidence.Failed, fault: "long long", message: "long long", verdict: evidence.Unknown,
		},
		{
			name: "lists a resource twice and behaves otherwise",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				emit.Listed("fake.thing", "")
				return errors.Join(observe(emit, "fake.thing", isGood), observe(emit, "fake.thing", isGood))
			},
			outcome: evidence.Complete, verdict: evidence.Pass, which: "one",
		},
		{
			name: "finds nothing",
			hook: func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
				emit.Listed("fake.thing", "")
				return nil
			},
			outcome: evidence.Complete, verdict: evidence.NotApplicable, reason: "there is no fake.thing",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
			b.options.Event = evidence.EventManual
			b.estate.replace(test.hook)
			a := b.open()
			r := b.once(a)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if r.Run.Outcome != test.outcome || !strings.HasPrefix(r.Run.Fault, test.fault) || (r.Run.Fault == "") != (test.fault == "") {
				t.Errorf("outcome %s, fault %q; want %s, %q", r.Run.Outcome, r.Run.Fault, test.outcome, test.fault)
			}
			gaps, err := a.known(r.Stream).Newest.gaps(a.store)
			if err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(gaps, func(g evidence.Gap) bool {
				return g.Class == evidence.Internal && g.Kind == "fake.thing" && g.Resource == "" && strings.Contains(g.Message, test.message)
			})
			if told != (test.message != "") {
				t.Errorf("gaps are %v, want one with %q", gaps, test.message)
			}
			which := test.which
			if which == "" {
				which = evidence.Population
			}
			b.wantVerdict(a, "fake-thing-good "+which, test.verdict, test.reason)
			b.close(a)
			b.verified()
		})
	}
}

func TestPanicDoesNotStopTheStream(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b := newBench(t, clock)
	b.options.OnTask = func(Result) { b.estate.replace(nil) }
	b.estate.replace(func(context.Context, collectors.Input, collectors.Emit) error { panic("out of cheese") })
	a := b.open()
	b.until(a, "2026-07-01T12:00:00Z")
	b.close(a)
	b.wantStory("fake.things", "1 run initial now failed", "2 run schedule 01T06:17:00 complete")
	b.verified()
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	clock := newByHand(second(0))
	b := newBench(t, clock)
	b.options.Settle, b.options.ScheduleFor = false, func(string) string { return "@every 10s" }
	release, looks := make(chan struct{}), 0
	b.estate.replace(func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
		if looks++; looks == 2 {
			<-release
		}
		emit.Listed("fake.thing", "")
		return nil
	})
	a := b.open()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	s := a.streams[0]
	waitFor(t, "the first look", func() bool { return a.known(s.Stream).Sequence == 1 && s.idle() })
	clock.to(second(10))
	clock.to(second(20))
	waitFor(t, "the overlapping slot", func() bool { return a.known(s.Stream).Missed == 1 })
	b.wantMetric(1, "slots_missed_total", "cause=overlap")
	close(release)
	waitFor(t, "the long task", s.idle)
	clock.to(second(30))
	waitFor(t, "the next task", func() bool { return a.known(s.Stream).Sequence == 4 && s.idle() })
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.close(a)
	b.wantStory("fake.things", "1 run initial now complete", "2 missed overlap 1 01T00:00:20..01T00:00:20",
		"3 run schedule 01T00:00:10 complete", "4 run schedule 01T00:00:30 complete")
	b.verified()
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	clock := newByHand(second(0))
	b := newBench(t, clock)
	b.options.Settle, b.options.ScheduleFor = false, func(string) string { return "@every 10s" }
	begun, looks := make(chan struct{}), 0
	b.estate.replace(func(ctx context.Context, _ collectors.Input, emit collectors.Emit) error {
		emit.Listed("fake.thing", "")
		if looks++; looks == 2 {
			close(begun)
			<-ctx.Done()
			return nil // as if it had come to its end
		}
		return nil
	})
	a := b.open()
	ctx, stop := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	s := a.streams[0]
	waitFor(t, "the first look", func() bool { return a.known(s.Stream).Sequence == 1 && s.idle() })
	clock.to(second(10))
	<-begun
	stop(errors.New("signal: terminated"))
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.close(a)
	b.wantStory("fake.things", "1 run initial now complete", "2 missed interrupted 1 01T00:00:10..01T00:00:10")
	if got := of[evidence.Missed](t, b.dir)[0].Detail; got != "the agent was told to stop: signal: terminated" {
		t.Errorf("the detail is %q", got)
	}
	b.verified()

	// The slot was lost: the next start looks at once.
	b.options.Clock, b.options.Settle = &leaping{now: second(15)}, true
	a = b.open()
	b.until(a, "2026-07-01T00:00:16Z")
	b.close(a)
	if got := b.story("fake.things"); len(got) != 3 || got[2] != "3 run catch_up now complete" {
		t.Errorf("got %q", got)
	}
	b.verified()
}

func TestCollectIsInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: second(0)})
	b.options.Event = evidence.EventManual
	ctx, stop := context.WithCancel(t.Context())
	b.estate.replace(func(ctx context.Context, _ collectors.Input, _ collectors.Emit) error {
		stop()
		return context.Cause(ctx)
	})
	a := b.open()
	results, err := a.Collect(ctx, func(evidence.Stream) bool { return true })
	if !errors.Is(err, context.Canceled) || len(results) != 1 || !errors.Is(results[0].Err, errInterrupted) || results[0].Run != nil {
		t.Errorf("got %+v, %v", results, err)
	}
	b.close(a)
	if runs := of[evidence.Run](t, b.dir); len(runs) != 0 {
		t.Errorf("%d runs were sealed", len(runs))
	}
	b.verified()
}

// A call goes through the limiter, the recorder and the attempt's timeout; its
// exchange becomes a payload of the run, with the call counted.
func TestCallsAreCaptured(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: second(0)})
	b.options.Event = evidence.EventManual
	b.options.Providers[0].Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		if _, bounded := req.Context().Deadline(); !bounded {
			t.Error("the attempt has no deadline")
		}
		return &http.Response{
			StatusCode: http.StatusOK, Proto: "HTTP/1.1", ContentLength: -1, Request: req,
			Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Wed, 01 Jul 2026 00:00:00 GMT"}},
			Body:   io.NopCloser(strings.NewReader(`{"things":["<root>"]}`)),
		}, nil
	})
	b.estate.replace(func(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://fake.example/things", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := in.Captured.RoundTrip(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body) // and no Close: that must not cost a place in flight
		if err != nil {
			return err
		}
		emit.Listed("fake.thing", "")
		return emit.Observe(evidence.Observation{
			Kind: "fake.thing", ID: "<root>", Body: body, Sources: []string{resp.Header.Get(collectors.ExchangeHeader)},
		})
	})
	a := b.open()
	r := b.once(a)
	if r.Err != nil || r.Run.Outcome != evidence.Complete {
		t.Fatalf("%+v", r)
	}
	if got := fmt.Sprint(r.Run.Calls); got != "[{fake:Call 1 1}]" {
		t.Errorf("calls are %s", got)
	}
	if r.Run.ClockOffset == nil || r.Run.Principal != "arn:fake:"+account {
		t.Errorf("offset %v, principal %q", r.Run.ClockOffset, r.Run.Principal)
	}
	b.wantMetric(1, "api_calls_total", "service=fake", "operation=Call", "outcome=ok")
	if n := len(a.limiter.slots); n != 0 {
		t.Errorf("%d calls are in flight after the task", n)
	}
	known := a.known(r.Stream).Newest
	raw, err := a.store.ReadAll(known.Observations, 1<<20)
	if err != nil || !strings.Contains(string(raw), `"id":"<root>"`) || !strings.Contains(string(raw), `{"things":["<root>"]}`) {
		t.Errorf("observations are %s, %v", raw, err)
	}
	if name := known.Subjects[0].Name; name != "exchanges-0001.har" {
		t.Errorf("the first payload is %s", name)
	}
	if known.GapsPayload != "" {
		t.Error("a run without gaps names a payload of gaps")
	}
	b.close(a)
	b.verified()
}
