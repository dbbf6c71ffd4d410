package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// Limits keep the agent a good neighbour: the quotas that it reads under are
// the operator's own.
type Limits struct {
	InFlight int                // calls at a time, all scopes together
	Default  float64            // calls per second per account, region and service; 0: no limit
	Service  map[string]float64 // the same for one service, by its prefix: "s3", or of one provider alone: "gcp.iam"
}

// limiter spends the budgets and the places in flight. It is shared by every
// task. It goes by the machine's time, whatever the agent's clock says: the
// quotas are those of a provider that is really there.
type limiter struct {
	limits  Limits
	metrics *telemetry.Metrics
	log     *zap.Logger
	slots   chan struct{} // one held by each call in flight

	mu      sync.Mutex
	budgets map[string]*budget // guarded by mu; by account, where these are counted apart, region and service
}

func newLimiter(l Limits, metrics *telemetry.Metrics, log *zap.Logger) *limiter {
	return &limiter{
		limits: l, metrics: metrics, log: log,
		slots: make(chan struct{}, max(1, l.InFlight)), budgets: make(map[string]*budget),
	}
}

func (l *limiter) budget(scope evidence.Scope, labels capture.Labels) *budget {
	key := scope.String() + "/" + labels.Region + "/" + labels.Service
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.budgets[key]
	if !ok {
		perSecond, set := l.limits.Service[scope.Provider+"."+labels.Service]
		if !set {
			perSecond, set = l.limits.Service[labels.Service]
		}
		if !set {
			perSecond = l.limits.Default
		}
		b = newBudget(perSecond)
		l.budgets[key] = b
	}
	return b
}

// transport puts the limits of a scope on top of base, which must have read an
// answer to its end when it returns, as a recorder does: from then on the call
// is no longer in flight, whatever the collector does with the answer, and the
// provider's Throttled may look at all of it.
func (l *limiter) transport(scope evidence.Scope, p *Provider, base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		labels := p.Describe(req)
		of := scope
		if p.OneQuota {
			of.Account = ""
		}
		b := l.budget(of, labels)
		came := time.Now()
		sent, err := l.enter(req.Context(), b)
		l.metrics.APIWaited(scope.Provider, labels.Service, time.Since(came))
		if err != nil {
			return nil, err
		}
		defer func() { <-l.slots }()
		if labels.Attempt > 1 {
			l.metrics.APIRetried(scope.Provider, labels.Service)
		}
		resp, err := base.RoundTrip(req)
		if err == nil {
			l.answered(scope, labels, p, b, sent, resp)
		}
		return resp, err
	})
}

// enter waits until a call may go: for its turn, for its budget and, last, for
// a place in flight, which it then holds. A call that has to wait for its
// budget holds no place, and of each budget one call at the most waits for one:
// an account that is throttled, or has much to read, does not keep others
// waiting. The budget is spent when the call goes, not before: calls that were
// held up do not go all at once. It gives the time of that.
func (l *limiter) enter(ctx context.Context, b *budget) (time.Time, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("wait for the call budget: %w", context.Cause(ctx))
	}
	for {
		if wait := b.wait(time.Now()); wait > 0 {
			if err := (SystemClock{}).Wait(ctx, wait); err != nil {
				return time.Time{}, fmt.Errorf("wait for the call budget: %w", err)
			}
			continue // it may be smaller by now
		}
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for a call in flight to end: %w", context.Cause(ctx))
		}
		if now := time.Now(); b.spend(now) {
			return now, nil
		}
		<-l.slots
	}
}

// answered lets the budget of a call have what its answer says of it.
func (l *limiter) answered(scope evidence.Scope, labels capture.Labels, p *Provider, b *budget, sent time.Time, resp *http.Response) {
	var throttled bool
	var after time.Duration
	if p.Throttled != nil {
		throttled, after = p.Throttled(resp)
	}
	if !throttled {
		b.served(sent)
		return
	}
	l.metrics.APIThrottled(scope.Provider, labels.Service)
	if b.refused(sent, time.Now(), after) {
		l.log.Warn("the provider refuses calls for being too many; fewer are made",
			zap.Stringer("scope", scope), zap.String("region", labels.Region), zap.String("operation", labels.Operation))
	}
}

// declareServices makes the counters of the services that the streams call.
func (a *Agent) declareServices() {
	for _, s := range a.streams {
		if s.collector == nil {
			continue
		}
		for _, call := range s.collector.Spec().Calls {
			service, _ := collectors.Split(call.Operation)
			a.Metrics.SetService(s.Provider, service)
		}
	}
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
