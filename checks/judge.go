package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/tallystick/tallystick/evidence"
)

// row is one resource under one rule: the variables, and why some of them are
// unknown.
type row struct {
	rule     *rule
	kind     string
	id       string
	region   string
	body     map[string]any
	ev       *evaluation
	vars     map[string]any // the joins
	patterns []*cel.AttributePatternType
	causes   map[string]cause // by trail
	ids      int64
	asOf     *time.Time     // of a joined resource that states one
	partial  cel.Activation // the row with its patterns, once there are some
}

// cause is why something is unknown: gaps, or a sentence.
type cause struct {
	text string
	gaps []evidence.Gap
}

// ResolveName implements cel.Activation.
func (row *row) ResolveName(name string) (any, bool) {
	switch name {
	case resourceVar:
		return row.body, true
	case kindVar:
		return types.String(row.kind), true
	case idVar:
		return types.String(row.id), true
	case accountVar:
		return row.ev.account, true
	case regionVar:
		return types.String(row.region), true
	case nowVar:
		return row.ev.now, true
	case scopeVar:
		return row.ev.scope, true
	}
	if v, ok := row.rule.params[name]; ok {
		return v, true
	}
	v, ok := row.vars[name]
	return v, ok
}

// Parent implements cel.Activation.
func (row *row) Parent() cel.Activation { return nil }

// activation gives the row with its unknown attributes.
func (row *row) activation() cel.Activation {
	if len(row.patterns) == 0 {
		return row
	}
	if row.partial == nil {
		// The error is for inputs that are not activations.
		if p, err := cel.PartialVars(row, row.patterns...); err == nil {
			row.partial = p
		}
	}
	return row.partial
}

// trail writes the path of an attribute as a key of causes.
func trail(path ...string) string { return strings.Join(path, "\x00") }

// unknown makes variable, or a field of it, an unknown attribute.
func (row *row) unknown(c cause, variable string, field ...string) {
	p := cel.AttributePattern(variable)
	for _, f := range field {
		p = p.QualString(f)
	}
	if row.because(c, append([]string{variable}, field...)...) {
		row.patterns = append(row.patterns, p)
		row.partial = nil
	}
	if _, ok := row.vars[variable]; !ok && variable != resourceVar {
		row.vars[variable] = types.NullValue // must exist, is never reached
	}
}

// because notes the cause of a path and tells whether it is the first.
func (row *row) because(c cause, path ...string) (first bool) {
	if row.causes == nil {
		row.causes = map[string]cause{}
	}
	key := trail(path...)
	old, again := row.causes[key]
	if again {
		c = cause{text: cmp.Or(old.text, c.text), gaps: append(slices.Clip(old.gaps), c.gaps...)}
	}
	row.causes[key] = c
	return !again
}

// placeholder gives an unknown that stands in the place of a value.
func (row *row) placeholder(c cause, path ...string) *types.Unknown {
	row.because(c, path...)
	t := types.NewAttributeTrail(path[0])
	for _, p := range path[1:] {
		types.QualifyAttribute(t, p)
	}
	row.ids-- // below every expression id, so that no two are taken for one
	return types.NewUnknown(row.ids, t)
}

// judge gives the verdict of one rule on one observation. broken says why its
// body could not be decoded, if so.
func (ev *evaluation) judge(r *rule, o evidence.Observation, body map[string]any, broken string, gaps gapSet) (evidence.Verdict, error) {
	v := ev.verdict(r, o.Kind, o.Region, o.ID)
	v.AsOf, v.Project = o.AsOf, o.Project
	if n, out := ev.left[o.Project]; out && n.Excluded {
		v.Status = evidence.NotApplicable
		v.Reason = fmt.Sprintf("project %s is left out by the operator: %s (approved by %s)", cmp.Or(n.Name, o.Project), n.Reason, n.Approver)
		return v, nil
	}
	if broken != "" {
		return undecided(v, cause{text: "the observation can not be understood: " + broken}), nil
	}
	row := &row{rule: r, kind: o.Kind, id: o.ID, region: o.Region, body: body, ev: ev}
	if len(r.joins) > 0 || r.scoped {
		row.vars = make(map[string]any, len(r.joins)+1)
	}
	if r.scoped && ev.scope == nil {
		row.unknown(cause{text: "the schedule in force is not known"}, scopeVar)
	}
	own, whole := gaps.of(o.Region, o.ID)
	if whole {
		row.unknown(cause{gaps: own}, resourceVar)
	} else {
		for _, g := range own {
			row.unknown(cause{gaps: []evidence.Gap{g}}, resourceVar, g.Field)
		}
	}
	for _, j := range r.joins {
		if err := ev.resolve(r, j, row); err != nil {
			return v, err
		}
	}
	v.AsOf = oldest(v.AsOf, row.asOf)
	return row.decide(v), nil
}

// oldest gives the earlier of two times, either of which may be nil.
func oldest(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// decide applies the conditions, the rule and the basis, in this order; the
// package comment says what an undecided one means.
func (row *row) decide(v evidence.Verdict) evidence.Verdict {
	var open *cause
	for _, n := range row.rule.notApplicable {
		holds, why := row.test(n.when)
		if holds {
			v.Status, v.Reason = evidence.NotApplicable, n.reason.render(row.activation())
			return v
		}
		if why != nil && open == nil {
			open = why
		}
	}
	if open != nil {
		return undecided(v, *open)
	}
	passes, why := row.test(row.rule.pass)
	if why != nil {
		return undecided(v, *why)
	}
	basis, why := row.basis()
	if passes && why != nil {
		return undecided(v, *why)
	}
	v.Basis = basis
	if passes {
		v.Status, v.Reason = evidence.Pass, row.rule.passText.render(row.activation())
	} else {
		v.Status, v.Reason = evidence.Fail, row.rule.failText.render(row.activation())
	}
	return v
}

// basis gives the basis of the verdict, or why it can not be decided, with
// customer_config.
func (row *row) basis() (evidence.Basis, *cause) {
	for i, e := range row.rule.basis {
		holds, why := row.test(e)
		if why != nil {
			return evidence.CustomerConfig, why
		}
		if holds {
			return row.rule.check.Basis[i].Basis, nil
		}
	}
	return evidence.CustomerConfig, nil
}

// test evaluates a condition. A cause says that it can not be decided.
func (row *row) test(e *expression) (bool, *cause) {
	val, _, err := e.program.Eval(row.activation())
	if b, ok := val.(types.Bool); ok && err == nil {
		return bool(b), nil
	}
	c := row.why(e, val, err)
	return false, &c
}
