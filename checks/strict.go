package checks

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// strictEquality makes ==, != and in an error where the two sides are of
// different types and neither is null. CEL says "not equal", so a provider that
// sends 1 for true, or a client that misreads it, would give a fail instead of
// an unknown.
func strictEquality(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return i, nil
	}
	left, right := call.Args()[0], call.Args()[1]
	switch call.Function() {
	case operators.Equals, operators.NotEquals:
		return &comparison{InterpretableV2: i, left: left, right: right}, nil
	case operators.In:
		c, ok := right.(interpreter.InterpretableConst)
		if !ok {
			return i, nil
		}
		list, ok := c.Value().(traits.Lister)
		if !ok || list.Size() == types.IntZero {
			return i, nil
		}
		// The elements of a literal list are of one type, or it holds anything.
		first := list.Get(types.IntZero)
		for it := list.Iterator(); it.HasNext() == types.True; {
			if differ(first, it.Next()) {
				return i, nil
			}
		}
		return &comparison{InterpretableV2: i, left: left, right: interpreter.NewConstValue(right.ID(), first)}, nil
	}
	return i, nil
}

// comparison looks at the types of both sides before it compares. The sides
// are free of effects, so they may be evaluated again by what it wraps.
type comparison struct {
	interpreter.InterpretableV2
	left, right interpreter.InterpretableV2
}

// Exec implements interpreter.InterpretableV2.
func (c *comparison) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	l, r := c.left.Exec(frame), c.right.Exec(frame)
	if !types.IsUnknownOrError(l) && !types.IsUnknownOrError(r) && differ(l, r) {
		return types.NewErr("no such overload: %s compared with %s", l.Type().TypeName(), r.Type().TypeName())
	}
	return c.InterpretableV2.Exec(frame)
}

// Eval implements interpreter.Interpretable.
func (c *comparison) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// differ tells whether two values are of types that can not be equal. Numbers
// are one type, and null may be compared with anything.
func differ(a, b ref.Val) bool {
	x, y := family(a), family(b)
	return x != y && x != "null" && y != "null"
}

func family(v ref.Val) string {
	switch v.(type) {
	case types.Int, types.Uint, types.Double:
		return "number"
	case types.Null:
		return "null"
	case traits.Lister:
		return "list"
	case traits.Mapper:
		return "map"
	}
	return v.Type().TypeName()
}
