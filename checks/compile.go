package checks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// The names of the variables of every rule.
const (
	resourceVar = "resource"
	kindVar     = "kind"
	idVar       = "id"
	accountVar  = "account"
	regionVar   = "region"
	nowVar      = "now"
	scopeVar    = "scope"
	paramsVar   = "params"
)

// costLimit bounds the work of one expression on one resource, in cel-go's
// cost units: some ten thousand elements looked at, which takes half a second.
const costLimit = 500_000

// rule is a check, compiled. It is immutable.
type rule struct {
	check   Check
	control string

	notApplicable []condition
	pass          *expression
	basis         []*expression
	passText      text
	failText      text
	joins         []join

	decides dependence        // what verdicts depend on
	shows   map[string]fields // that, and what the messages show, by variable
	params  map[string]ref.Val
	scoped  bool // the rule looks at the scope in force
}

type condition struct {
	when   *expression
	reason text
}

type join struct {
	Join
	key    []string    // Field, split at its dots
	equals *expression // nil: the whole kind
	reads  dependence  // of equals
}

// expression is a CEL expression, compiled.
type expression struct {
	source  string
	program cel.Program
	paths   map[int64]string // expression id to the field path it selects
	uses    map[string]bool  // the tracked variables that decide its value
}

// fault is a problem in a part of a check: "pass", "joins[0].equals".
type fault struct {
	part         string
	source       string // the expression
	line, column int    // within it, from 1; 0 when it is the whole part
	message      string
}

// compiler turns one check into a rule and gathers what is wrong with it.
type compiler struct {
	env     *cel.Env
	tracked map[string]denotes
	decides dependence
	shows   map[string]fields
	kinds   []string
	params  map[string]any  // the values in force, by variable
	idents  map[string]bool // every variable that an expression mentions
	faults  []fault
}

func (c *compiler) fault(part, format string, args ...any) {
	c.faults = append(c.faults, fault{part: part, message: fmt.Sprintf(format, args...)})
}

// compile makes the rule of a check. The rule is usable only without faults.
func compile(base *cel.Env, control string, check Check) (*rule, []fault) {
	c := &compiler{
		env:     base,
		tracked: map[string]denotes{resourceVar: {variable: resourceVar}},
		decides: dependence{},
		kinds:   check.Kinds,
		shows:   map[string]fields{},
		params:  map[string]any{},
		idents:  map[string]bool{},
	}
	r := &rule{check: check, control: control, params: map[string]ref.Val{}}
	c.parameters(r)
	c.joins(r)
	for i, n := range check.NotApplicable {
		part := fmt.Sprintf("not_applicable[%d].", i)
		r.notApplicable = append(r.notApplicable, condition{
			when:   c.expression(part+"when", n.When, cel.BoolType, c.decides),
			reason: c.text(part+"reason", n.Reason),
		})
	}
	r.pass = c.expression("pass", check.Pass, cel.BoolType, c.decides)
	for i, b := range check.Basis {
		r.basis = append(r.basis, c.expression(fmt.Sprintf("basis[%d].when", i), b.When, cel.BoolType, c.decides))
	}
	r.passText = c.text("messages.pass", check.Messages.Pass)
	r.failText = c.text("messages.fail", check.Messages.Fail)
	if len(c.faults) == 0 {
		c.unused(check)
		c.prune(r)
	}
	r.decides, r.shows, r.scoped = c.decides, c.shows, c.idents[scopeVar]
	return r, c.faults
}

func (c *compiler) parameters(r *rule) {
	var opts []cel.EnvOption
	for _, name := range slices.Sorted(maps.Keys(r.check.Parameters)) {
		p := r.check.Parameters[name]
		part := "parameters." + name
		v, t, err := p.value()
		variable := paramsVar + "." + name
		if err != nil {
			c.fault(part, "%v", err)
			opts = append(opts, cel.Variable(variable, cel.DynType)) // no second fault where it is used
			continue
		}
		opts = append(opts, cel.Variable(variable, t))
		c.params[variable] = v
		r.params[variable] = types.DefaultTypeAdapter.NativeToValue(v)
	}
	c.extend("parameters", opts)
}

func (c *compiler) joins(r *rule) {
	for i, j := range r.check.Joins {
		part := fmt.Sprintf("joins[%d]", i)
		compiled := join{Join: j}
		switch {
		case j.Field == "" && j.Equals == "" && !j.Many:
			c.fault(part, "join %q needs field and equals, or many: true for the whole kind", j.Name)
		case (j.Field == "") != (j.Equals == ""):
			c.fault(part, "join %q needs both field and equals, or neither", j.Name)
		case j.Equals != "":
			compiled.key = strings.Split(j.Field, ".")
			compiled.reads = dependence{}
			compiled.equals = c.expression(part+".equals", j.Equals, nil, compiled.reads)
		}
		if j.Any && (j.Field == "" || j.Many) {
			c.fault(part+".any", "join %q gives one of the matches: it needs field and equals, and no many", j.Name)
		}
		if j.Optional && j.Field == "" {
			c.fault(part+".optional", "join %q needs a field that may be left out", j.Name)
		}
		if places := []string{inAccount, inRegion, inOrganization}; j.In != "" && !slices.Contains(places, j.In) {
			c.fault(part+".in", "%q is not one of %s", j.In, strings.Join(places, ", "))
		}
		if _, taken := c.tracked[j.Name]; taken || slices.Contains([]string{kindVar, idVar, accountVar, regionVar, nowVar, scopeVar, paramsVar}, j.Name) {
			c.fault(part+".name", "the name %q is taken", j.Name)
			continue
		}
		t := cel.DynType // an object or null
		if j.Many {
			t = cel.ListType(cel.MapType(cel.StringType, cel.DynType))
		}
		c.extend(part, []cel.EnvOption{cel.Variable(j.Name, t)})
		c.tracked[j.Name] = denotes{variable: j.Name, list: j.Many}
		r.joins = append(r.joins, compiled)
	}
}

func (c *compiler) extend(part string, opts []cel.EnvOption) {
	if len(opts) == 0 {
		return
	}
	env, err := c.env.Extend(opts...)
	if err != nil {
		c.fault(part, "%v", err)
		return
	}
	c.env = env
}

// expression compiles source. want nil takes any type; a dynamic type is taken
// always, and what it turns out to be is looked at when it is evaluated. What
// it reads is added to reads, unless that is nil: then it is only shown.
func (c *compiler) expression(part, source string, want *cel.Type, reads dependence) *expression {
	if strings.TrimSpace(source) == "" {
		c.fault(part, "an expression is missing")
		return nil
	}
	checked, issues := c.env.Compile(source)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			c.faults = append(c.faults, fault{
				part: part, source: source, line: e.Location.Line(), column: e.Location.Column() + 1, message: e.Message,
			})
		}
		return nil
	}
	if t := checked.OutputType(); want != nil && !t.IsExactType(want) && !t.IsExactType(cel.DynType) {
		c.fault(part, "gives a %s where a %s is needed", t, want)
		return nil
	}
	whole := checked.NativeRep()
	program, err := c.program(whole)
	if err != nil {
		c.fault(part, "%v", err)
		return nil
	}
	mentions, _ := variables(whole.Expr())
	maps.Copy(c.idents, mentions)
	shown := readsOf(whole.Expr(), c.tracked, c.shows, nil)
	e := &expression{source: source, program: program, paths: shown.paths, uses: shown.uses}
	if reads == nil {
		return e
	}
	e.uses = map[string]bool{}
	f := c.folder(whole, mentions)
	for _, kind := range c.kinds {
		if err := f.take(kind); err != nil {
			c.fault(part, "fold parameters: %v", err)
			return nil
		}
		maps.Copy(e.uses, readsOf(whole.Expr(), c.tracked, reads.of(kind), f).uses)
	}
	return e
}

// program plans an expression, or a part of one.
func (c *compiler) program(whole *ast.AST) (cel.Program, error) {
	options := []cel.ProgramOption{
		cel.EvalOptions(cel.OptPartialEval, cel.OptOptimize),
		cel.CustomDecoratorV2(strictEquality),
	}
	if loops(whole) {
		// Without a comprehension the work is bounded by the length of the
		// expression and of the body.
		options = append(options, cel.CostLimit(costLimit))
	}
	return c.env.PlanProgram(whole, options...)
}
