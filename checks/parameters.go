package checks

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"cel.dev/cel-go/cel"
)

// value gives the value in force, and its CEL type.
func (p Parameter) value() (any, *cel.Type, error) {
	v, what := p.Default, "default"
	if p.Override != nil {
		v, what = p.Override.Value, "value"
	}
	out, t, err := typed(p.Type, v)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(p.Allowed) == 0 {
		return out, t, nil
	}
	for _, a := range p.Allowed {
		if allowed, _, err := typed(p.Type, a); err == nil && reflect.DeepEqual(allowed, out) {
			return out, t, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: %v is not one of %v", what, v, p.Allowed)
}

// typed brings a value as YAML or JSON decode it to the Go value of its
// declared type.
func typed(declared string, v any) (any, *cel.Type, error) {
	switch declared {
	case "int":
		if n, ok := wholeNumber(v); ok {
			return n, cel.IntType, nil
		}
	case "string":
		if s, ok := v.(string); ok {
			return s, cel.StringType, nil
		}
	case "bool":
		if b, ok := v.(bool); ok {
			return b, cel.BoolType, nil
		}
	case "strings":
		if list, ok := v.([]string); ok {
			return list, cel.ListType(cel.StringType), nil
		}
		list, ok := v.([]any)
		out := make([]string, 0, len(list))
		for _, el := range list {
			s, isString := el.(string)
			ok = ok && isString
			out = append(out, s)
		}
		if ok {
			return out, cel.ListType(cel.StringType), nil
		}
	default:
		return nil, nil, fmt.Errorf("type %q is not one of int, string, bool, strings", declared)
	}
	return nil, nil, fmt.Errorf("%v is not of type %s", v, declared)
}

func wholeNumber(v any) (int64, bool) {
	if n, ok := v.(json.Number); ok {
		i, err := n.Int64()
		return i, err == nil
	}
	switch r := reflect.ValueOf(v); {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return r.Int(), true
	case r.CanUint():
		return int64(r.Uint()), r.Uint() < 1<<62 //nolint:gosec // the bound is checked beside it
	case r.CanFloat():
		f := r.Float()
		return int64(f), f == float64(int64(f))
	}
	return 0, false
}

// WithParameters gives a catalogue in which parameters have other values, by
// check id and parameter name. Its digest is another one. Every unknown check,
// unknown parameter and value of the wrong type is reported at once. Overrides
// that c already has are kept unless they are replaced.
func (c *Catalogue) WithParameters(overrides map[string]map[string]Override) (*Catalogue, error) {
	controls, err := decodeControls(c.json)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(overrides)) {
		check := findCheck(controls, id)
		if check == nil {
			problems = append(problems, fmt.Errorf("check %q: the catalogue has no such check", id))
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(overrides[id])) {
			p, ok := check.Parameters[name]
			if !ok {
				problems = append(problems, fmt.Errorf("check %q: no parameter %q; it has %v",
					id, name, slices.Sorted(maps.Keys(check.Parameters))))
				continue
			}
			o := overrides[id][name]
			p.Override = &o
			if _, _, err := p.value(); err != nil {
				problems = append(problems, fmt.Errorf("check %q: parameter %q: %w", id, name, err))
				continue
			}
			check.Parameters[name] = p
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return build(controls)
}

func findCheck(controls []Control, id string) *Check {
	for i := range controls {
		for k := range controls[i].Checks {
			if controls[i].Checks[k].ID == id {
				return &controls[i].Checks[k]
			}
		}
	}
	return nil
}
