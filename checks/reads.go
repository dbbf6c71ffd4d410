package checks

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// fields is a set of top-level fields of a body.
type fields struct {
	all   bool // the body as a whole
	names map[string]bool
}

func (f fields) has(name string) bool { return f.all || f.names[name] }

func (f fields) with(name string) fields {
	names := maps.Clone(f.names)
	if names == nil {
		names = map[string]bool{}
	}
	names[name] = true
	return fields{all: f.all, names: names}
}

func (f fields) union(g fields) fields {
	names := maps.Clone(f.names)
	if names == nil {
		names = map[string]bool{}
	}
	maps.Copy(names, g.names)
	return fields{all: f.all || g.all, names: names}
}

func (f fields) list() []string {
	if f.all {
		return []string{"*"}
	}
	return slices.Sorted(maps.Keys(f.names))
}

// dependence is what verdicts depend on: by kind of the resource, then by
// variable.
type dependence map[string]map[string]fields

func (d dependence) of(kind string) map[string]fields {
	if d[kind] == nil {
		d[kind] = map[string]fields{}
	}
	return d[kind]
}

func (d dependence) add(e dependence) {
	for kind, reads := range e {
		for v, f := range reads {
			d.of(kind)[v] = d.of(kind)[v].union(f)
		}
	}
}

// denotes says what an expression stands for: nothing that is tracked, an
// object (the resource, a joined resource, an element of a joined list), or a
// joined list.
type denotes struct {
	variable string // "" for nothing
	list     bool
}

// reader derives from an expression the top-level fields that it reads of each
// tracked variable. Where an object leaves its sight (it is compared as a
// whole, handed to a function, put in a map) the whole body counts as read: it
// may say too much, never too little.
type reader struct {
	tracked map[string]denotes
	reads   map[string]fields
	uses    map[string]bool  // the variables that come up
	paths   map[int64]string // expression id to the field it selects, for messages
	fold    *folder          // says what to leave out; nil: nothing
}

// readsOf adds what e reads of the tracked variables to reads.
func readsOf(e ast.Expr, tracked map[string]denotes, reads map[string]fields, fold *folder) *reader {
	r := &reader{tracked: maps.Clone(tracked), reads: reads, uses: map[string]bool{}, paths: map[int64]string{}, fold: fold}
	r.escape(r.visit(e))
	return r
}

func (r *reader) read(variable, field string) {
	r.reads[variable] = r.reads[variable].with(field)
}

func (r *reader) escape(d denotes) {
	if d.variable != "" {
		f := r.reads[d.variable]
		f.all = true
		r.reads[d.variable] = f
	}
}

func (r *reader) visit(e ast.Expr) denotes {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		r.paths[e.ID()] = name
		if d := r.tracked[name]; d.variable != "" {
			r.uses[d.variable] = true
		}
		return r.tracked[name]
	case ast.SelectKind:
		s := e.AsSelect()
		of := r.visit(s.Operand())
		r.paths[e.ID()] = r.paths[s.Operand().ID()] + "." + s.FieldName()
		switch {
		case of.variable != "" && !of.list:
			r.read(of.variable, s.FieldName())
		default:
			r.escape(of)
		}
	case ast.CallKind:
		return r.visitCall(e)
	case ast.ListKind:
		var out denotes
		for i, el := range e.AsList().Elements() {
			d := r.visit(el)
			if i == 0 && d.variable != "" && !d.list {
				out = denotes{variable: d.variable, list: true}
				continue
			}
			if d.variable != out.variable || d.list {
				r.escape(d)
			}
		}
		return out
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.escape(r.visit(entry.AsMapEntry().Key()))
			r.escape(r.visit(entry.AsMapEntry().Value()))
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			r.escape(r.visit(f.AsStructField().Value()))
		}
	case ast.ComprehensionKind:
		if r.fold.value(e) != nil {
			return denotes{}
		}
		return r.visitComprehension(e.AsComprehension())
	case ast.LiteralKind, ast.UnspecifiedExprKind:
	}
	return denotes{}
}

func (r *reader) visitCall(e ast.Expr) denotes {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.Conditional:
		if branch := r.fold.branch(args); branch != nil {
			return r.visit(branch)
		}
	case operators.LogicalAnd, operators.LogicalOr:
		if r.fold.value(e) != nil {
			return denotes{}
		}
	}
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	seen := make([]denotes, len(args))
	for i, a := range args {
		seen[i] = r.visit(a)
	}
	switch call.FunctionName() {
	case operators.Index:
		d := seen[0]
		r.escape(seen[1])
		if d.list {
			r.paths[e.ID()] = r.paths[args[0].ID()]
			return denotes{variable: d.variable}
		}
		if d.variable != "" {
			if key, ok := stringLiteral(args[1]); ok {
				r.paths[e.ID()] = r.paths[args[0].ID()] + "." + key
				r.read(d.variable, key)
				return denotes{}
			}
		}
		r.escape(d)
		return denotes{}
	case operators.Equals, operators.NotEquals:
		// Comparing with null asks whether it exists, not what is in it.
		if isNull(args[0]) || isNull(args[1]) {
			return denotes{}
		}
	case "size":
		if len(args) == 1 && seen[0].list {
			return denotes{}
		}
	case operators.Conditional:
		r.escape(seen[0])
		return r.merge(seen[1], seen[2])
	case operators.Add:
		return r.merge(seen[0], seen[1])
	}
	for _, d := range seen {
		r.escape(d)
	}
	return denotes{}
}

// merge gives what stands for either of two.
func (r *reader) merge(a, b denotes) denotes {
	switch {
	case a == b, b.variable == "":
		return a
	case a.variable == "":
		return b
	}
	r.escape(a)
	r.escape(b)
	return denotes{}
}

func (r *reader) visitComprehension(c ast.ComprehensionExpr) denotes {
	over := r.visit(c.IterRange())
	shadowed := maps.Clone(r.tracked)
	delete(r.tracked, c.IterVar())
	delete(r.tracked, c.IterVar2())
	switch {
	case over.list && c.HasIterVar2():
		r.tracked[c.IterVar2()] = denotes{variable: over.variable}
	case over.list:
		r.tracked[c.IterVar()] = denotes{variable: over.variable}
	default:
		r.escape(over) // the keys of an object
	}
	init := r.visit(c.AccuInit())
	r.tracked[c.AccuVar()] = init
	r.escape(r.visit(c.LoopCondition()))
	step := r.merge(init, r.visit(c.LoopStep()))
	r.tracked[c.AccuVar()] = step
	result := r.visit(c.Result())
	r.tracked = shadowed
	return result
}

func stringLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

func isNull(e ast.Expr) bool {
	return e.Kind() == ast.LiteralKind && e.AsLiteral().Type().TypeName() == "null_type"
}
