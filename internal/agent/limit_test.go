package agent

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// fakeLabels reads the labels from the address: https://SERVICE.REGION/.
func fakeLabels(req *http.Request) capture.Labels {
	service, region, _ := strings.Cut(req.URL.Host, ".")
	return capture.Labels{Service: service, Region: region, Operation: service + ":Call"}
}

// fakeProvider refuses calls with status 429.
func fakeProvider() *Provider {
	return &Provider{Name: "fake", Describe: fakeLabels, Throttled: func(resp *http.Response) (bool, time.Duration) {
		after, _ := time.ParseDuration(resp.Header.Get("Retry-After"))
		return resp.StatusCode == http.StatusTooManyRequests, after
	}}
}

func fakeLimiter(t *testing.T, l Limits) (*limiter, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	return newLimiter(l, metrics, zap.NewNop()), registry
}

func fakeCall(ctx context.Context, rt http.RoundTripper, host string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", http.NoBody)
	if err != nil {
		return err
	}
	_, err = rt.RoundTrip(req)
	return err
}

func answering(takes time.Duration) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(takes):
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	})
}

// A budget may save up burst calls; after those the rate holds. Each account,
// region and service has its own.
func TestRates(t *testing.T) {
	t.Parallel()
	one, other := evidence.Scope{Provider: "fake", Account: "1"}, evidence.Scope{Provider: "fake", Account: "2"}
	for _, test := range []struct {
		name  string
		calls func(each func(scope evidence.Scope, host string, n int))
		want  time.Duration
		one   bool // quota for all accounts
	}{
		{"the burst is free", func(each func(evidence.Scope, string, int)) { each(one, "iam.us", burst) }, 0, false},
		{"then the rate holds", func(each func(evidence.Scope, string, int)) { each(one, "iam.us", burst+20) }, 10 * time.Second, false},
		{"the default rate", func(each func(evidence.Scope, string, int)) { each(one, "ec2.us", burst+20) }, 4 * time.Second, false},
		{"the rate of a provider's service", func(each func(evidence.Scope, string, int)) { each(one, "sts.us", burst+20) }, 2 * time.Second, false},
		{"no limit", func(each func(evidence.Scope, string, int)) { each(one, "s3.us", 1000) }, 0, false},
		{"accounts do not share", func(each func(evidence.Scope, string, int)) {
			each(one, "iam.us", burst+2)
			each(other, "iam.us", burst+2)
		}, time.Second, false},
		{"accounts share one quota", func(each func(evidence.Scope, string, int)) {
			each(one, "iam.us", burst+2)
			each(other, "iam.us", 2)
		}, 2 * time.Second, true},
		{"regions do not share", func(each func(evidence.Scope, string, int)) {
			each(one, "iam.us", burst+2)
			each(one, "iam.eu", burst+2)
		}, time.Second, false},
		{"services do not share", func(each func(evidence.Scope, string, int)) {
			each(one, "iam.us", burst+2)
			each(one, "ec2.us", burst+5)
		}, time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := fakeLimiter(t, Limits{InFlight: 1000, Default: 5, Service: map[string]float64{"iam": 2, "s3": 0, "sts": 1, "fake.sts": 10, "other.iam": 10}})
				var calls sync.WaitGroup
				p := fakeProvider()
				p.OneQuota = test.one
				begin := time.Now()
				test.calls(func(scope evidence.Scope, host string, n int) {
					rt := l.transport(scope, p, answering(0)) // one for each task
					for range n {
						calls.Go(func() {
							if err := fakeCall(t.Context(), rt, host); err != nil {
								t.Error(err)
							}
						})
					}
				})
				calls.Wait()
				if took := time.Since(begin).Round(time.Millisecond); took != test.want {
					t.Errorf("took %s, want %s", took, test.want)
				}
			})
		})
	}
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := fakeLimiter(t, Limits{InFlight: 3})
		var now, most atomic.Int32
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			return answering(time.Second).RoundTrip(req)
		})
		var calls sync.WaitGroup
		begin := time.Now()
		for _, account := range []string{"1", "2"} {
			rt := l.transport(evidence.Scope{Provider: "fake", Account: account}, fakeProvider(), base)
			for range 6 {
				calls.Go(func() {
					if err := fakeCall(t.Context(), rt, "s3.us"); err != nil {
						t.Error(err)
					}
				})
			}
		}
		calls.Wait()
		if took := time.Since(begin); most.Load() != 3 || took != 4*time.Second {
			t.Errorf("%d calls at a time, %s for twelve of a second; want 3 and 4s", most.Load(), took)
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := fakeLimiter(t, Limits{InFlight: 1, Service: map[string]float64{"slow": 0.001}})
		rt := l.transport(evidence.Scope{}, fakeProvider(), answering(time.Hour))
		held, release := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- fakeCall(held, rt, "s3.us") }()
		synctest.Wait()

		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the agent was told to stop")
		go func() { done <- fakeCall(ctx, rt, "s3.us") }()
		synctest.Wait()
		cancel(why)
		if err := <-done; !errors.Is(err, why) {
			t.Errorf("waiting for a place in flight: %v", err)
		}
		release()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a call in flight: %v", err)
		}

		for range burst {
			l.budget(evidence.Scope{}, capture.Labels{Service: "slow"}).spend(time.Now())
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		go func() { done <- fakeCall(ctx, rt, "slow.") }()
		synctest.Wait()
		inLine, leave := context.WithCancelCause(t.Context())
		go func() { done <- fakeCall(inLine, rt, "slow.") }()
		synctest.Wait()
		leave(why)
		if err := <-done; !errors.Is(err, why) {
			t.Errorf("waiting in line for the budget: %v", err)
		}
		cancel(why)
		if err := <-done; !errors.Is(err, why) {
			t.Errorf("waiting for the budget: %v", err)
		}
		if len(l.slots) != 0 {
			t.Error("a call that never began is in flight")
		}
	})
}

// Time spent waiting does not count towards the timeout of an attempt; time
// spent on the attempt does.
func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := fakeLimiter(t, Limits{InFlight: 1})
		rt := l.transport(evidence.Scope{}, fakeProvider(), bounded(answering(attemptTimeout-time.Second)))
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				if err := fakeCall(t.Context(), rt, "s3.us"); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		begin := time.Now()
		err := fakeCall(t.Context(), bounded(answering(time.Hour)), "s3.us")
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != attemptTimeout {
			t.Errorf("an attempt that hangs ended after %s with %v", took, err)
		}
	})
}

func TestOutlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancelCause(t.Context())
		ctx, cancel := outlive(parent, 10*time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		why := errors.New("the agent was told to stop")
		end(why)
		time.Sleep(10*time.Second - time.Millisecond)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("ended too early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if context.Cause(ctx) != why { //nolint:errorlint // the very one
			t.Errorf("cause is %v", context.Cause(ctx))
		}
		short, cancel := outlive(t.Context(), time.Second)
		cancel()
		if short.Err() == nil {
			t.Error("cancel did nothing")
		}
	})
}
