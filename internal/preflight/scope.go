package preflight

import (
	"maps"
	"slices"
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
	askers    map[string]int     // how many collectors make a call, by operation
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

// share says which collectors are about to run: what several of them ask is
// asked once.
func (s *scope) share(all []collectors.Collector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.askers = make(map[string]int)
	for _, c := range all {
		for _, call := range c.Spec().Calls {
			s.askers[call.Operation]++
		}
	}
}

// remember keeps an answer that another collector may ask for.
func (s *scope) remember(key string, a *answer, call collectors.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.root || s.askers[call.Operation] > 1 {
		s.answers[key] = a
	}
}

// forget lets go of the answers that only what was running needed.
func (s *scope) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.answers, func(_ string, a *answer) bool { return !a.root })
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
