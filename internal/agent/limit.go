package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// Limits keep the agent a good neighbour: the quotas that it reads under are
// the operator's own.
type Limits struct {
	InFlight int                // calls at a time, all scopes together
	Default  float64            // calls per second per account, region and service; 0: no limit
	Service  map[string]float64 // the same for one service, by its prefix: "s3"
}

// burst is how many calls a budget may save up.
const burst = 10

// limiter spends the budgets. It is shared by every task.
type limiter struct {
	limits Limits
	slots  chan struct{} // one held by each call in flight

	mu      sync.Mutex
	budgets map[string]*rate.Limiter // guarded by mu; by account, region and service
}

func newLimiter(l Limits) *limiter {
	return &limiter{limits: l, slots: make(chan struct{}, max(1, l.InFlight)), budgets: make(map[string]*rate.Limiter)}
}

func (l *limiter) budget(scope evidence.Scope, labels capture.Labels) *rate.Limiter {
	perSecond, set := l.limits.Service[labels.Service]
	if !set {
		perSecond = l.limits.Default
	}
	if perSecond <= 0 {
		return nil
	}
	key := scope.String() + "/" + labels.Region + "/" + labels.Service
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.budgets[key]
	if !ok {
		b = rate.NewLimiter(rate.Limit(perSecond), burst)
		l.budgets[key] = b
	}
	return b
}

// transport puts the limits of a scope on top of base, which must have read an
// answer to its end when it returns, as a recorder does: from then on the call
// is no longer in flight, whatever the collector does with the answer.
func (l *limiter) transport(scope evidence.Scope, describe func(*http.Request) capture.Labels, base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		ctx := req.Context()
		if b := l.budget(scope, describe(req)); b != nil {
			if err := b.Wait(ctx); err != nil {
				return nil, fmt.Errorf("wait for the call budget: %w", err)
			}
		}
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a call in flight to end: %w", context.Cause(ctx))
		}
		return base.RoundTrip(req)
	})
}

// attemptTimeout bounds one attempt of one call, from the first byte sent to
// the last byte received. Time spent waiting for the budget does not count.
const attemptTimeout = 30 * time.Second

// bounded puts attemptTimeout on top of base.
func bounded(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(req.Context(), attemptTimeout)
		resp, err := base.RoundTrip(req.WithContext(ctx))
		if err != nil {
			cancel()
			return nil, err
		}
		resp.Body = &releasing{ReadCloser: resp.Body, release: cancel}
		return resp, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type releasing struct {
	io.ReadCloser
	release func()
}

func (r *releasing) Close() error {
	defer r.release()
	return r.ReadCloser.Close()
}
