// Package preflight finds out which permissions are missing before evidence
// depends on them: it runs the real collectors, cut short, and sees how the
// provider answers each call that they declare.
//
// It promises that a permission counts as allowed only when the provider
// answered a call that needs it, that a call is made as a task would make it,
// and as seldom as that takes: a list once in a region, a detail once in a
// scope. It keeps nothing of what was answered and does not judge it.
//
// Limits: a detail is tried on one resource, so what refuses another one alone
// (a bucket's policy, a key's) does not show. A detail of which no resource was
// found on the pages that were looked at is not tried.
package preflight

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// Work is what is to be tried in one scope.
type Work struct {
	evidence.Scope
	Collectors []collectors.Collector
	Describe   func(*http.Request) capture.Labels
	// Through gives the way to the provider: the limits on top of keep, which
	// stands where a task has its capture.
	Through func(keep func(http.RoundTripper) http.RoundTripper) http.RoundTripper
}

// Options are what a Preflight works with. Whole, Also and OnTask may be nil.
type Options struct {
	InFlight int                                        // as in collectors.Input
	Wait     func(context.Context, time.Duration) error // likewise
	// Whole says which calls of a stream are not cut short, because somebody
	// needs what they answer.
	Whole func(evidence.Stream, collectors.Call) bool
	// Also gives what hears of everything that a stream emits, or nil. A list
	// that was cut short is not Listed.
	Also func(evidence.Stream) collectors.Emit
	// OnTask is called at the end of each collector in each scope, from several
	// goroutines at once.
	OnTask func()
}

// Preflight tries permissions and holds what became of them.
type Preflight struct {
	options Options

	mu     sync.Mutex
	scopes map[evidence.Scope]*scope // guarded by mu
}

// New makes a Preflight. It calls nothing.
func New(o Options) *Preflight {
	if o.Whole == nil {
		o.Whole = func(evidence.Stream, collectors.Call) bool { return false }
	}
	if o.Also == nil {
		o.Also = func(evidence.Stream) collectors.Emit { return nil }
	}
	if o.OnTask == nil {
		o.OnTask = func() {}
	}
	return &Preflight{options: o, scopes: make(map[evidence.Scope]*scope)}
}

// How much is done at a time. Calls are bounded by the limits on top of that.
const (
	scopesAtATime     = 8
	collectorsAtATime = 4
)

// Try runs the collectors of each scope. It may be called again, with other
// collectors: what a scope has answered is not asked again. The error is that
// of a context that ended.
func (p *Preflight) Try(ctx context.Context, all []Work) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(scopesAtATime)
	for _, w := range all {
		group.Go(func() error { return p.scope(w.Scope).try(ctx, &p.options, w) })
	}
	return group.Wait()
}

func (p *Preflight) scope(of evidence.Scope) *scope {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.scopes[of]
	if !known {
		s = newScope(of)
		p.scopes[of] = s
	}
	return s
}

// Calls gives the number of calls that were made, attempts included.
func (p *Preflight) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.scopes {
		n += s.made()
	}
	return n
}

// try runs the collectors, one of them first: when it could not even open the
// scope, the others could not either.
func (s *scope) try(ctx context.Context, o *Options, w Work) error {
	recorder := capture.NewRecorder(capture.Options{
		Create: func() (capture.Sink, error) { return nowhere{io.Discard}, nil }, Describe: w.Describe,
	})
	defer recorder.Abort()
	base := w.Through(recorder.Transport)
	s.share(w.Collectors)
	rest := slices.Clone(w.Collectors)
	if opened, shut := s.entered(); len(rest) > 0 && !opened && !shut {
		// One that is not regional rests on nothing but the way into the scope.
		first := max(0, slices.IndexFunc(rest, func(c collectors.Collector) bool { return c.Spec().Reach != collectors.Regional }))
		if err := s.run(ctx, o, w, base, rest[first]); err != nil {
			return err
		}
		rest = slices.Delete(rest, first, first+1)
	}
	if _, shut := s.entered(); shut {
		for _, c := range rest {
			s.skip(c.Spec())
			o.OnTask()
		}
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(collectorsAtATime)
	for _, c := range rest {
		group.Go(func() error { return s.run(ctx, o, w, base, c) })
	}
	err := group.Wait()
	s.forget()
	return err
}

// run runs one collector over a probe.
func (s *scope) run(ctx context.Context, o *Options, w Work, base http.RoundTripper, c collectors.Collector) error {
	spec := c.Spec()
	stream := evidence.Stream{Collector: spec.Name, Scope: s.Scope}
	s.add(spec)
	defer o.OnTask()
	p := &probe{
		scope: s, spec: spec, describe: w.Describe, base: base,
		whole: func(call collectors.Call) bool { return o.Whole(stream, call) },
	}
	err := collectSafely(ctx, c, collectors.Input{
		Scope: s.Scope, Captured: p, InFlight: max(1, o.InFlight),
		Wait: o.Wait,
	}, &emit{scope: s, spec: spec, also: o.Also(stream)})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.fault(spec, err)
	}
	return nil
}

// collectSafely turns a panic of a collector into an error.
func collectSafely(ctx context.Context, c collectors.Collector, in collectors.Input, e collectors.Emit) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("collector %s panicked: %v", c.Spec().Name, p)
		}
	}()
	return c.Collect(ctx, in, e)
}

// nowhere is a file of exchanges that nobody keeps.
type nowhere struct{ io.Writer }

func (nowhere) Commit() (evidence.Digest, int64, error) { return "", 0, nil }
func (nowhere) Abort()                                  {}
