package preflight

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// place is where a call is tried: a list of a regional collector in each
// region, anything else once in the scope.
type place struct{ operation, region string }

func placeOf(spec collectors.Spec, call collectors.Call, region string) place {
	if spec.Reach == collectors.Regional && call.Kind != "" && call.Field == "" {
		return place{call.Operation, region}
	}
	return place{operation: call.Operation}
}

// calls is what became of the calls in one place. What is not fixed belongs to
// the scope's mu.
type calls struct {
	call     collectors.Call // fixed
	turn     chan struct{}   // fixed; held by the call that is under way
	asked    int             // requests that were let through; further attempts of one do not count
	outcomes map[string]outcome
	region   string        // of the last request
	gap      *evidence.Gap // the one that says most
	by       []string      // the collectors that have it
}

func (c *calls) any(of outcome) bool {
	return slices.Contains(slices.Collect(maps.Values(c.outcomes)), of)
}

// scope is one scope and everything that was tried in it.
type scope struct {
	evidence.Scope

	mu        sync.Mutex // guards everything below
	specs     []collectors.Spec
	regions   []string // that are looked at
	places    map[place]*calls
	attempted map[string]bool    // operations, anywhere in the scope
	inside    bool               // some call was made for what the scope holds
	changed   chan struct{}      // closed when another operation is attempted
	answers   map[string]*answer // by request
	n         int                // calls that were made, with every attempt
	faults    []Permission
}

func newScope(of evidence.Scope) *scope {
	return &scope{
		Scope: of, places: make(map[place]*calls), attempted: make(map[string]bool),
		changed: make(chan struct{}), answers: make(map[string]*answer),
	}
}

// at finds the calls of a place.
func (s *scope) at(where place, call collectors.Call) *calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(where, call)
}

// find is at, with mu held.
func (s *scope) find(where place, call collectors.Call) *calls {
	c, known := s.places[where]
	if !known {
		c = &calls{call: call, turn: make(chan struct{}, 1), outcomes: make(map[string]outcome)}
		s.places[where] = c
	}
	return c
}

// begin notes that a request is let through.
func (s *scope) begin(c *calls, l capture.Labels) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if l.Attempt <= 1 {
		c.asked++
	}
	c.region = l.Region
	s.inside = s.inside || c.call.Kind != ""
	if !s.attempted[c.call.Operation] {
		s.attempted[c.call.Operation] = true
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// end notes how a request ended; of its attempts, the last one counts.
func (s *scope) end(c *calls, key string, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.outcomes[key] = o
}

// soFar says how many requests were made in a place, and whether one of them
// was answered.
func (s *scope) soFar(c *calls) (asked int, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.asked, c.any(answered)
}

// begun says whether one of the calls was attempted, and gives what is closed
// when that may have changed.
func (s *scope) begun(of []collectors.Call) (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(of, func(c collectors.Call) bool { return s.attempted[c.Operation] }), s.changed
}

// entered says whether a call was made for what the scope holds, and whether
// there was none because already the way into the scope failed.
func (s *scope) entered() (opened, shut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := slices.ContainsFunc(slices.Collect(maps.Values(s.places)), func(c *calls) bool { return c.gap != nil })
	return s.inside, !s.inside && failed
}

func (s *scope) made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *scope) answer(key string) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[key]
}

func (s *scope) remember(key string, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[key] = a
}

// drop lets go of the answers to some requests.
func (s *scope) drop(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		delete(s.answers, key)
	}
}

// forget lets go of every answer that only what was running needed.
func (s *scope) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.answers, func(_ string, a *answer) bool { return !a.shared })
}

func (s *scope) add(spec collectors.Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.specs = append(s.specs, spec)
}

// skip adds a collector that was not run: what keeps the scope shut keeps it too.
func (s *scope) skip(spec collectors.Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.specs = append(s.specs, spec)
	for _, c := range s.places {
		if c.gap != nil {
			c.by = append(c.by, spec.Name)
		}
	}
}

// fault notes a collector that could not be run.
func (s *scope) fault(spec collectors.Spec, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.faults, func(p Permission) bool { return p.Message == err.Error() && p.Collectors[0] == spec.Name }) {
		return // of another kind
	}
	s.faults = append(s.faults, Permission{
		Operations: []string{}, Scope: s.Scope, Result: Failed, Class: evidence.Internal,
		Message: err.Error(), Collectors: []string{spec.Name},
	})
}

// emit looks at what a collector could not read.
type emit struct {
	scope *scope
	spec  collectors.Spec
	also  collectors.Emit // may be nil
}

// Principal implements collectors.Emit.
func (e *emit) Principal(name string) {
	if e.also != nil {
		e.also.Principal(name)
	}
}

// Regions implements collectors.Emit.
func (e *emit) Regions(looked, leftOut []string) {
	e.scope.mu.Lock()
	e.scope.regions = looked // the same for every collector
	e.scope.mu.Unlock()
	if e.also != nil {
		e.also.Regions(looked, leftOut)
	}
}

// Listed implements collectors.Emit.
func (e *emit) Listed(kind, region string) {
	if e.also != nil {
		e.also.Listed(kind, region)
	}
}

// Observe implements collectors.Emit.
func (e *emit) Observe(o evidence.Observation) error {
	if e.also != nil {
		return e.also.Observe(o)
	}
	return nil
}

// Vanished implements collectors.Emit.
func (e *emit) Vanished(kind, region, id string) {
	if e.also != nil {
		e.also.Vanished(kind, region, id)
	}
}

// Gap implements collectors.Emit.
func (e *emit) Gap(g evidence.Gap) {
	if e.also != nil {
		e.also.Gap(g)
	}
	if g.Message == (enough{}).Error() {
		return
	}
	call, declared := e.spec.Call(g.Operation)
	if !declared && !strings.Contains(g.Operation, ":") {
		e.scope.fault(e.spec, errors.New(g.Message)) // of no call
		return
	}
	if !declared {
		// Of another's: the role could not be assumed, for example.
		call = collectors.Call{Operation: g.Operation, Permission: g.Permission}
	}
	where := placeOf(e.spec, call, g.Region)
	if call.Kind == "" {
		where.region = g.Region // what was asked for all regions failed for one
	}
	s := e.scope
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(where, call)
	if c.gap == nil || c.gap.Class != evidence.Denied && g.Class == evidence.Denied {
		c.gap = &g
	}
	if !slices.Contains(c.by, e.spec.Name) {
		c.by = append(c.by, e.spec.Name)
	}
}
