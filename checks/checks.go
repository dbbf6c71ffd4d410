// Package checks judges observations against a published catalogue of rules.
//
// It promises that evaluation is pure and deterministic: no clock, no network,
// no state, the same facts give the same verdicts in the same order. It
// promises that what could not be read is never a verdict: a rule that needed
// it comes out unknown and names the call and the missing permission. It does
// not collect, it does not keep records, and it never weighs or scores.
//
// A rule is written in CEL, the Common Expression Language
// (https://github.com/google/cel-spec), over these variables:
//
//	resource  the body of the observation, as the provider sent it
//	kind      the kind of the resource: "aws.rds.instance"
//	id        the id of the resource: its ARN where it has one
//	account   the account of the scope
//	region    the region of the resource; empty for a global one
//	params.X  the parameter X of the check
//	now       the time at which the kind was collected
//	scope     what is looked at: accounts (a list of ids), central (those that
//	          answer for the organisation), not_collected (a map from the ids
//	          that the organisation lists and that are not looked at, and from
//	          the projects that are left out, to name, state, excluded, reason
//	          and approver), regions (a list; null: every enabled one)
//	NAME      one for each join: an object, or null when there is no match;
//	          a list when the join says many
//
// The functions are those of the CEL standard library, of cel-go's strings,
// lists and sets extensions, and six of our own: days(n) and hours(n) are
// durations; oneOf(value, list) is the value, or an error when the list does
// not have it; undecided(text) is an error, and the text becomes the reason;
// document(text) is the value that a JSON text writes, percent-encoded or not;
// many(value) is a list as it is, and anything else as the only element of one.
// Whoever goes over an object that was observed meets its keys in order. One
// that a rule writes itself has none: sort what is made of it.
//
// In two places rules are stricter than CEL: comparing values of different
// types, unless one is null, is an error and not false, and so is has(x.f)
// where x is not an object.
//
// # Unknown
//
// A field behind a gap is a CEL unknown attribute, and CEL's own rules carry
// it: unknown || true is true, unknown && true is unknown. A field that the
// provider did not send, a value of an unexpected type and a rule that exceeds
// its cost are unknown too. Null is an answer: the thing does not exist.
//
// # Not applicable
//
// The conditions are looked at before the rule. One that is known to be true
// decides, whatever the others are. Otherwise one that can not be decided
// makes the verdict unknown, even where the rule itself could be decided: a
// fail might be a resource to which the check does not apply, and so might a
// pass.
//
// What belongs to a project that the operator left out is not applicable before
// any condition is looked at, and whatever could not be read of it. It is there for
// joins all the same: another project may rest on it. A resource that only a gap
// names says of no project, and is unknown; no collector asks about the resources
// of a project that is left out, so that they leave no gaps.
//
// # Basis
//
// The first basis whose condition holds is the verdict's; customer_config is
// the last resort. When a condition can not be decided, a pass becomes
// unknown, since it can not be said what it rests on; a fail stays a fail.
package checks

import (
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Control is what an auditor tests. A file of the catalogue holds one.
type Control struct {
	ID        string      `json:"id" yaml:"id"`
	Extends   string      `json:"-" yaml:"extends"` // instead of id: the checks of this file belong to a control of another
	Title     string      `json:"title" yaml:"title"`
	Criteria  []Criterion `json:"criteria" yaml:"criteria"`
	Why       string      `json:"why" yaml:"why"`
	Frequency string      `json:"frequency" yaml:"frequency"` // how often it is meant to be tested: "daily"
	Severity  string      `json:"severity" yaml:"severity"`   // low, medium, high or critical
	Checks    []Check     `json:"checks" yaml:"checks"`
}

// Criterion is one Trust Services Criterion that a control serves.
// Source: AICPA TSP section 100, 2017 criteria.
type Criterion struct {
	ID  string `json:"id" yaml:"id"` // "CC6.1"
	Why string `json:"why" yaml:"why"`
}

// Check is one rule over resources of one kind, or of a few kinds alike.
type Check struct {
	ID       string   `json:"id" yaml:"id"`
	Title    string   `json:"title" yaml:"title"` // what holds when it passes
	Provider string   `json:"provider" yaml:"provider"`
	Tier     int      `json:"tier,omitempty" yaml:"tier"`
	Kinds    []string `json:"kinds" yaml:"kinds"`
	Joins    []Join   `json:"joins,omitempty" yaml:"joins"`

	Parameters    map[string]Parameter `json:"parameters,omitempty" yaml:"parameters"`
	NotApplicable []Condition          `json:"not_applicable,omitempty" yaml:"not_applicable"`
	Pass          string               `json:"pass" yaml:"pass"` // CEL, a bool: false is a fail
	Basis         []BasisRule          `json:"basis,omitempty" yaml:"basis"`
	Messages      Messages             `json:"messages" yaml:"messages"`

	Remediation   string    `json:"remediation" yaml:"remediation"`
	Documentation string    `json:"documentation" yaml:"documentation"` // the provider's page on the fact
	Notes         []string  `json:"notes,omitempty" yaml:"notes"`       // what misleads, and what the check does not show
	Examples      []Example `json:"examples,omitempty" yaml:"examples"`
}

// Join gives a rule other resources of the same account, or of the accounts that
// answer for its organisation, under a name.
type Join struct {
	Name string `json:"name" yaml:"name"`
	Kind string `json:"kind" yaml:"kind"`

	// Field is a field of the joined resource, dotted for a nested one, and
	// Equals a CEL expression over resource and the joins before this one,
	// that gives the string it equals, or a list of such strings. Without
	// both, the join is the whole kind, and Many must be set.
	Field  string `json:"field,omitempty" yaml:"field"`
	Equals string `json:"equals,omitempty" yaml:"equals"`

	Many bool `json:"many,omitempty" yaml:"many"` // a list instead of the one match

	// Any is for a rule that asks whether there is a match: where there are
	// several, it is the first in order of region and id. One that is known
	// decides, whatever else might match.
	Any bool `json:"any,omitempty" yaml:"any"`

	// Optional says that the provider leaves Field out of a resource that
	// belongs to nothing. Without it, such a resource may be a match. Of a
	// nested field the outermost object must be there: a call fills it, and
	// where it is missing nobody looked.
	Optional bool `json:"optional,omitempty" yaml:"optional"`

	// In is "account" (the default), "region" or "organization". In the region,
	// only resources of the same region match, and a list that could not be
	// read elsewhere is no concern. In the organisation, the resources are
	// those that were seen in the accounts that answer for it: the management
	// account and the delegated administrators. One that several of them saw
	// is one resource, as seen by the one with the fewest gaps.
	In string `json:"in,omitempty" yaml:"in"`
}

// The values of Join.In.
const (
	inAccount      = "account"
	inRegion       = "region"
	inOrganization = "organization"
)

// Parameter is a threshold that the operator may set.
type Parameter struct {
	Type        string    `json:"type" yaml:"type"` // int, string, bool or strings
	Default     any       `json:"default" yaml:"default"`
	Allowed     []any     `json:"allowed,omitempty" yaml:"allowed"`
	Unit        string    `json:"unit,omitempty" yaml:"unit"`
	Description string    `json:"description" yaml:"description"`
	Owner       string    `json:"owner,omitempty" yaml:"owner"`
	Override    *Override `json:"override,omitempty" yaml:"-"`
}

// Override replaces the default of a parameter. It is part of the catalogue's
// digest, with the names of those who answer for it.
type Override struct {
	Value    any    `json:"value"`
	Owner    string `json:"owner,omitempty"`
	Approver string `json:"approver,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// Condition is a case in which a check does not apply.
type Condition struct {
	When   string `json:"when" yaml:"when"`     // CEL, a bool
	Reason string `json:"reason" yaml:"reason"` // a text, see Messages
}

// BasisRule says when a verdict rests on something else than the customer's
// configuration.
type BasisRule struct {
	When  string         `json:"when" yaml:"when"` // CEL, a bool
	Basis evidence.Basis `json:"basis" yaml:"basis"`
}

// Messages are the reasons of verdicts. A CEL expression in braces is replaced
// by its value, so that the reason names what was seen; a value that could not
// be read shows as "(unknown)" and never changes the verdict.
type Messages struct {
	Pass string `json:"pass" yaml:"pass"`
	Fail string `json:"fail" yaml:"fail"`
}

// Example is a resource with the verdict that it must get: documentation that
// is tested.
type Example struct {
	Name     string                      `json:"name" yaml:"name"`
	Kind     string                      `json:"kind,omitempty" yaml:"kind"` // the first of the check's kinds when empty
	ID       string                      `json:"id,omitempty" yaml:"id"`     // of the resource; "example" when empty
	Resource map[string]any              `json:"resource" yaml:"resource"`
	Joined   map[string][]map[string]any `json:"joined,omitempty" yaml:"joined"` // bodies by kind; ids are KIND/0, KIND/1, ...
	// Organization is the same for joins in the organisation.
	Organization map[string][]map[string]any `json:"organization,omitempty" yaml:"organization"`
	Gaps         []ExampleGap                `json:"gaps,omitempty" yaml:"gaps"`
	Scope        ExampleScope                `json:"scope,omitzero" yaml:"scope"` // what is looked at; the example's account alone when empty
	Account      string                      `json:"account,omitempty" yaml:"account"`
	Project      string                      `json:"project,omitempty" yaml:"project"` // that the resource belongs to
	Region       string                      `json:"region,omitempty" yaml:"region"`
	Now          string                      `json:"now,omitempty" yaml:"now"` // RFC 3339; 2026-07-01T06:00:00Z when empty
	Parameters   map[string]any              `json:"parameters,omitempty" yaml:"parameters"`

	Want   evidence.Status `json:"want" yaml:"want"`
	Basis  evidence.Basis  `json:"basis,omitempty" yaml:"basis"`   // checked when set
	Reason string          `json:"reason,omitempty" yaml:"reason"` // what the reason must contain
}

// ExampleScope is what is looked at in an example, beside its account.
type ExampleScope struct {
	Accounts     []string              `json:"accounts,omitempty" yaml:"accounts"`
	Central      []string              `json:"central,omitempty" yaml:"central"`
	NotCollected []ExampleNotCollected `json:"not_collected,omitempty" yaml:"not_collected"`
	Regions      []string              `json:"regions,omitempty" yaml:"regions"` // empty: every enabled one
}

// ExampleNotCollected is an account of the organisation, or a project of the
// account, that is not looked at.
type ExampleNotCollected struct {
	Account  string `json:"account" yaml:"account"`
	State    string `json:"state,omitempty" yaml:"state"`
	Excluded bool   `json:"excluded,omitempty" yaml:"excluded"`
	Reason   string `json:"reason,omitempty" yaml:"reason"`
	Approver string `json:"approver,omitempty" yaml:"approver"`
}

// ExampleGap is a gap of an example. Without Kind it is a gap of the resource
// itself. With Kind but no Resource it is the list of that kind, in the account
// and in the organisation alike.
type ExampleGap struct {
	Kind       string         `json:"kind,omitempty" yaml:"kind"`
	Resource   string         `json:"resource,omitempty" yaml:"resource"`
	Field      string         `json:"field,omitempty" yaml:"field"`
	Operation  string         `json:"operation" yaml:"operation"`
	Permission string         `json:"permission,omitempty" yaml:"permission"`
	Class      evidence.Class `json:"class,omitempty" yaml:"class"` // denied when empty
	Code       string         `json:"code,omitempty" yaml:"code"`
}

// Catalogue is a set of controls with their checks, compiled. It is immutable
// and may be used by several goroutines at once.
type Catalogue struct {
	controls []Control // sorted by id, their checks too
	rules    []*rule   // sorted by check id
	json     []byte
	digest   evidence.Digest
}

// Controls lists the controls, sorted by id. The caller must not change them.
func (c *Catalogue) Controls() []Control { return c.controls }

// Checks lists the checks, sorted by id.
func (c *Catalogue) Checks() []Check {
	all := make([]Check, len(c.rules))
	for i, r := range c.rules {
		all[i] = r.check
	}
	return all
}

// Check finds a check, and the id of its control.
func (c *Catalogue) Check(id string) (check Check, control string, found bool) {
	r := c.rule(id)
	if r == nil {
		return Check{}, "", false
	}
	return r.check, r.control, true
}

// JSON gives the catalogue as canonical JSON: sorted keys, no white space, all
// rule texts and parameters. Decode reads it back. The caller must not change
// the bytes.
func (c *Catalogue) JSON() []byte { return c.json }

// Digest is the SHA-256 of JSON.
func (c *Catalogue) Digest() evidence.Digest { return c.digest }

func (c *Catalogue) rule(id string) *rule {
	i, ok := slices.BinarySearchFunc(c.rules, id, func(r *rule, id string) int {
		return compare(r.check.ID, id)
	})
	if !ok {
		return nil
	}
	return c.rules[i]
}

// Read is what a check's verdict depends on: fields of a kind.
type Read struct {
	Kind string
	Join string // name of the join; empty for the resource itself
	Many bool   // of the join
	// Organization says that the join is over the accounts that answer for the
	// organisation.
	Organization bool
	Fields       []string // top-level fields of the body, sorted; ["*"] when the rule uses the body as a whole
}

// Reads derives from the check's expressions which fields of which kinds its
// verdicts depend on, the resource's own kinds first. Fields that only its
// messages show are not among them. The list of each kind is always depended
// on. It returns nil for an id that is not in the catalogue.
func (c *Catalogue) Reads(check string) []Read {
	r := c.rule(check)
	if r == nil {
		return nil
	}
	var reads []Read
	for _, k := range r.check.Kinds {
		reads = append(reads, Read{Kind: k, Fields: r.decides[k][resourceVar].list()})
	}
	for _, j := range r.joins {
		var of fields
		for _, k := range r.check.Kinds {
			of = of.union(r.decides[k][j.Name])
		}
		if j.Field != "" {
			of = of.with(j.key[0])
		}
		reads = append(reads, Read{Kind: j.Kind, Join: j.Name, Many: j.Many, Organization: j.In == inOrganization, Fields: of.list()})
	}
	return reads
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// exampleNow is the time of evaluation of an example that states none.
func exampleNow() time.Time { return time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC) }
