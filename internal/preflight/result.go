package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// Result is what became of a permission in a place.
type Result string

// The results. Only Allowed and Denied say something of the permission; and
// NotTried is no fault of anybody's.
const (
	Allowed  Result = "allowed"   // a call that needs it was answered
	Denied   Result = "denied"    // refused for want of it, or by a policy
	Failed   Result = "failed"    // the call failed for another reason, as a task's would
	NotTried Result = "not_tried" // there was nothing to try it on
)

// Results lists every result, the worst first.
func Results() []Result { return []Result{Denied, Failed, Allowed, NotTried} }

// Permission is what became of one permission in one scope and region.
type Permission struct {
	Permission string   `json:"permission"` // empty: a collector that could not be run
	Operations []string `json:"operations"` // that need it and have the result, sorted
	evidence.Scope
	Region  string         `json:"region,omitempty"` // empty: of the whole scope
	Result  Result         `json:"result"`
	Class   evidence.Class `json:"class,omitempty"` // why, where it is not allowed
	Code    string         `json:"code,omitempty"`
	Policy  string         `json:"policy,omitempty"`
	Message string         `json:"message,omitempty"` // the provider's, or why it was not tried
	// Collectors are those that need it, sorted.
	Collectors []string `json:"collectors"`
	// Blocks counts the permissions that were not tried because the call on
	// which everything of a collector rests failed. They have no entries of
	// their own.
	Blocks int `json:"blocks,omitempty"`
}

// String gives one line for people.
func (p Permission) String() string {
	s := fmt.Sprintf("%s %s in %s", cmp.Or(p.Permission, strings.Join(p.Collectors, " ")), p.Result, p.Scope)
	if p.Region != "" {
		s += " " + p.Region
	}
	if why := strings.Trim(p.Code+": "+p.Message, ": "); why != "" {
		s += ": " + why
	}
	return s
}

// Bad says whether evidence will lack something because of it.
func (p Permission) Bad() bool { return p.Result == Denied || p.Result == Failed }

// Permissions gives what became of each permission that was to be tried, by
// scope, permission and region. Try must have returned.
func (p *Preflight) Permissions() []Permission {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Permission
	for _, s := range p.scopes {
		out = append(out, s.permissions()...)
	}
	slices.SortFunc(out, func(a, b Permission) int {
		return cmp.Or(
			cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Permission, b.Permission),
			cmp.Compare(a.Region, b.Region), slices.Compare(a.Collectors, b.Collectors),
		)
	})
	return out
}

func (s *scope) permissions() []Permission {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make(map[[2]string]Permission) // by permission and region
	add := func(row Permission) {
		key := [2]string{row.Permission, row.Region}
		if old, known := rows[key]; known {
			row = old.with(row)
		}
		rows[key] = row
	}
	blocks := make(map[*calls]map[string]bool) // permissions
	told := make(map[place]bool)
	for _, spec := range s.specs {
		root := s.root(spec)
		for _, call := range spec.Calls {
			if root != nil && call.Operation != root.call.Operation && !s.attempted[call.Operation] {
				if blocks[root] == nil {
					blocks[root] = make(map[string]bool)
				}
				blocks[root][call.Needs()] = true
				continue
			}
			for _, where := range s.where(spec, call) {
				told[where] = true
				add(s.row(spec, call, where))
			}
		}
	}
	for where, c := range s.places {
		if c.gap != nil && !told[where] { // of a call that no collector declares, or not there
			add(c.row(Permission{
				Permission: c.call.Needs(), Operations: []string{c.call.Operation}, Scope: s.Scope,
				Region: where.region, Collectors: slices.Sorted(slices.Values(c.by)),
			}))
		}
		if n := len(blocks[c]); n > 0 {
			add(Permission{Permission: c.call.Needs(), Scope: s.Scope, Region: where.region, Result: NotTried, Blocks: n})
		}
	}
	return slices.AppendSeq(slices.Clone(s.faults), maps.Values(rows))
}

// root gives the call that kept a collector from making any other, or nil.
func (s *scope) root(spec collectors.Spec) *calls {
	if slices.ContainsFunc(spec.Calls, func(c collectors.Call) bool { return c.Kind != "" && s.attempted[c.Operation] }) {
		return nil
	}
	for _, where := range slices.SortedFunc(maps.Keys(s.places), place.compare) {
		if c := s.places[where]; c.gap != nil && c.call.Kind == "" && slices.Contains(c.by, spec.Name) {
			return c
		}
	}
	return nil
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.operation, q.operation), cmp.Compare(p.region, q.region))
}

// where gives the places in which a call of a collector is due.
func (s *scope) where(spec collectors.Spec, call collectors.Call) []place {
	var out []place
	for _, region := range s.regions {
		if where := placeOf(spec, call, region); !slices.Contains(out, where) {
			out = append(out, where)
		}
	}
	if out == nil {
		out = []place{{operation: call.Operation}}
	}
	return out
}

// row says what became of a call of a collector in a place.
func (s *scope) row(spec collectors.Spec, call collectors.Call, where place) Permission {
	row := Permission{
		Permission: call.Needs(), Operations: []string{call.Operation}, Scope: s.Scope, Region: where.region,
		Result: NotTried, Collectors: []string{spec.Name},
	}
	c := s.places[where]
	if c == nil || c.asked == 0 && c.gap == nil {
		row.Message = s.whyNot(spec, call, where)
		return row
	}
	if call.Field != "" && spec.Reach == collectors.Regional {
		row.Region = c.region
	}
	return c.row(row)
}

// whyNot says why a call was not made. A collector makes it for what its lists
// of the same kind hold.
func (s *scope) whyNot(spec collectors.Spec, call collectors.Call, where place) string {
	for _, list := range spec.Calls {
		if list.Field != "" || list.Operation == call.Operation || list.Kind != call.Kind && list.Kind != "" {
			continue
		}
		bad, somewhere := Result(""), false
		for at, c := range s.places {
			if at.operation != list.Operation || where.region != "" && at.region != "" && at.region != where.region {
				continue
			}
			switch row := c.row(Permission{}); {
			case row.Result == Allowed:
				somewhere = true
			case row.Bad() && bad != Denied:
				bad = row.Result
			}
		}
		switch {
		case bad != "" && somewhere:
			return fmt.Sprintf("there was nothing to try it on where %s was answered", list.Operation)
		case bad != "":
			return fmt.Sprintf("it rests on %s, which is %s", list.Operation, bad)
		}
	}
	return "there was nothing to try it on"
}

// row completes a row by what became of the calls.
func (c *calls) row(row Permission) Permission {
	if c.gap == nil {
		switch {
		case c.any(answered):
			row.Result = Allowed
		case c.any(gone):
			row.Result, row.Message = NotTried, "what it was tried on was gone"
		default:
			row.Result, row.Message = NotTried, "it was not answered before the end of what it was for"
		}
		return row
	}
	g := *c.gap
	unread := g.Code == "" && !c.any(broken) // an answer that is not what was asked for
	if c.any(answered) && !unread && c.asked > 1 {
		row.Result, row.Message = Allowed, "though not on another resource: "+g.String()
		return row
	}
	if g.Region != "" {
		row.Region = g.Region
	}
	row.Class, row.Code, row.Policy, row.Message = g.Class, g.Code, g.Policy, g.Message
	switch {
	case g.Class == evidence.Denied:
		row.Result = Denied
	case c.call.Field != "" && g.Class == evidence.Unavailable && c.any(refused):
		// The provider knows the caller and complains of the resource, such as a
		// trail that belongs to another account.
		row.Result, row.Message = NotTried, "what it was tried on does not answer: "+strings.Trim(g.Code+": "+g.Message, ": ")
	default:
		row.Result = Failed
	}
	return row
}

// with joins what became of two calls that need the same permission. The worse
// of the two counts, and the operations are those to which it happened.
func (p Permission) with(q Permission) Permission {
	collectors := slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Collectors, q.Collectors))))
	blocks := p.Blocks + q.Blocks
	rank := func(r Result) int { return slices.Index(Results(), r) }
	switch {
	case rank(p.Result) > rank(q.Result):
		p = q
	case p.Result == q.Result:
		p.Operations = slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Operations, q.Operations))))
	}
	p.Collectors, p.Blocks = collectors, blocks
	return p
}
