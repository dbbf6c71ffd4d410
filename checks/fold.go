package checks

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// folder finds the parts of one expression that the kind and the parameters
// settle, so that what they switch off does not count as read. CEL computes
// their values. A part that it takes for open may be settled all the same:
// then more counts as read than is, never less.
//
// cel-go's own folding rewrites the expression, and looks at every part of it
// again after each change: for all rules that took longer than all else.
type folder struct {
	whole  *ast.AST
	plan   func(*ast.AST) (cel.Program, error)
	known  map[string]any        // the variables that have values
	closed map[int64]cel.Program // the parts that mention no other; nil for the rest
	vars   cel.Activation        // of the kind at hand
	values map[int64]ref.Val     // for it
}

// folder makes the folder of an expression; nil when there is nothing to put in.
func (c *compiler) folder(whole *ast.AST, mentioned map[string]bool) *folder {
	f := &folder{whole: whole, plan: c.program, known: map[string]any{}, closed: map[int64]cel.Program{}}
	for name, v := range c.params {
		if mentioned[name] {
			f.known[name] = v
		}
	}
	if _, bound := variables(whole.Expr()); mentioned[kindVar] && !bound[kindVar] {
		f.known[kindVar] = ""
	}
	if len(f.known) == 0 {
		return nil
	}
	return f
}

// take makes the folder one for a kind.
func (f *folder) take(kind string) error {
	if f == nil {
		return nil
	}
	if _, known := f.known[kindVar]; known {
		f.known[kindVar] = kind
	}
	vars, err := cel.NewActivation(f.known)
	f.vars, f.values = vars, map[int64]ref.Val{}
	return err
}

// value gives the value of a part, or nil when it is open.
func (f *folder) value(e ast.Expr) ref.Val {
	if f == nil {
		return nil
	}
	v, done := f.values[e.ID()]
	if !done {
		if v = f.evaluate(e); v == nil {
			v = f.derive(e)
		}
		f.values[e.ID()] = v
	}
	return v
}

// truth is value for a part that is true or false.
func (f *folder) truth(e ast.Expr) (value, settled bool) {
	v, ok := f.value(e).(types.Bool)
	return bool(v), ok
}

// evaluate computes a part that mentions nothing but what has a value.
func (f *folder) evaluate(e ast.Expr) ref.Val {
	program, seen := f.closed[e.ID()]
	if !seen {
		if mentions, bound := variables(e); f.all(mentions, bound) {
			part := ast.NewCheckedAST(ast.NewAST(e, f.whole.SourceInfo()), f.whole.TypeMap(), f.whole.ReferenceMap())
			program, _ = f.plan(part) // what can not be planned stays open
		}
		f.closed[e.ID()] = program
	}
	if program == nil {
		return nil
	}
	v, _, err := program.Eval(f.vars)
	if err != nil || types.IsUnknownOrError(v) {
		return nil
	}
	return v
}

func (f *folder) all(mentions, bound map[string]bool) bool {
	for name := range mentions {
		if _, known := f.known[name]; !known && !bound[name] {
			return false
		}
	}
	return true
}

// derive settles a part by some of its parts: false && x is false, whatever x is.
func (f *folder) derive(e ast.Expr) ref.Val {
	if e.Kind() == ast.ComprehensionKind {
		// Over nothing, it comes to what it starts with.
		c := e.AsComprehension()
		over, ok := f.value(c.IterRange()).(traits.Sizer)
		if ok && over.Size() == types.IntZero && c.Result().Kind() == ast.IdentKind && c.Result().AsIdent() == c.AccuVar() {
			return f.value(c.AccuInit())
		}
		return nil
	}
	if e.Kind() != ast.CallKind {
		return nil
	}
	args := e.AsCall().Args()
	switch name := e.AsCall().FunctionName(); name {
	case operators.LogicalAnd, operators.LogicalOr:
		decisive := name == operators.LogicalOr
		open := false
		for _, a := range args {
			v, settled := f.truth(a)
			if settled && v == decisive {
				return types.Bool(decisive)
			}
			open = open || !settled
		}
		if !open {
			return types.Bool(!decisive)
		}
	case operators.LogicalNot:
		if v, settled := f.truth(args[0]); settled {
			return types.Bool(!v)
		}
	case operators.Conditional:
		if branch := f.branch(args); branch != nil {
			return f.value(branch)
		}
	}
	return nil
}

// branch gives the branch that a settled condition takes, or nil.
func (f *folder) branch(args []ast.Expr) ast.Expr {
	v, settled := f.truth(args[0])
	switch {
	case !settled:
		return nil
	case v:
		return args[1]
	}
	return args[2]
}

// variables gives the names that an expression mentions, and those that its
// comprehensions bind.
func variables(e ast.Expr) (mentions, bound map[string]bool) {
	mentions, bound = map[string]bool{}, map[string]bool{}
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			mentions[e.AsIdent()] = true
		case ast.ComprehensionKind:
			c := e.AsComprehension()
			bound[c.IterVar()], bound[c.IterVar2()], bound[c.AccuVar()] = true, true, true
		default:
		}
	}))
	return mentions, bound
}
