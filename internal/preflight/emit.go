package preflight

import (
	"errors"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

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
	if strings.HasSuffix(g.Message, (enough{}).Error()) {
		return
	}
	call, declared := e.spec.Call(g.Operation)
	if _, method := collectors.Split(g.Operation); !declared && method == "" {
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
