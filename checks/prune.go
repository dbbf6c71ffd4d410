package checks

import (
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/common/ast"
)

// prune drops the joins that nothing needs under the parameters in force, so
// that a rule does not depend on what an option that is off would read.
func (c *compiler) prune(r *rule) {
	used := map[string]bool{}
	for _, e := range r.expressions() {
		maps.Copy(used, e.uses)
	}
	var kept []join
	for _, j := range slices.Backward(r.joins) {
		if !used[j.Name] {
			continue
		}
		kept = append(kept, j)
		if j.equals != nil {
			maps.Copy(used, j.equals.uses)
			c.decides.add(j.reads)
		}
	}
	slices.Reverse(kept)
	r.joins = kept
}

// expressions lists those of the rule and its messages, not those of its joins.
func (r *rule) expressions() []*expression {
	all := append([]*expression{r.pass}, r.basis...)
	all = append(all, r.passText.values...)
	all = append(all, r.failText.values...)
	for _, n := range r.notApplicable {
		all = append(all, n.when)
		all = append(all, n.reason.values...)
	}
	return all
}

// loops tells whether an expression can do more work than its length: in a
// comprehension, or in a regular expression.
func loops(a *ast.AST) bool {
	found := false
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			found = true
		case ast.CallKind:
			found = found || e.AsCall().FunctionName() == "matches"
		default:
		}
	}))
	return found
}

// unused finds declarations that nothing refers to: a parameter that changes
// nothing would mislead whoever sets it.
func (c *compiler) unused(check Check) {
	for _, name := range slices.Sorted(maps.Keys(check.Parameters)) {
		if !c.idents[paramsVar+"."+name] {
			c.fault("parameters."+name, "no expression uses params.%s", name)
		}
	}
	for i, j := range check.Joins {
		if !c.idents[j.Name] {
			c.fault(fmt.Sprintf("joins[%d].name", i), "no expression uses %s", j.Name)
		}
	}
}
