package checks

import (
	"fmt"
	"net/url" //nolint:depguard // it takes texts apart and reaches nothing
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// undecidedPrefix marks the error of undecided(text).
const undecidedPrefix = "undecided: "

// functions are what rules have beyond CEL and its extensions. Whoever repeats
// a judgement with another implementation of CEL needs these six.
func functions() []cel.EnvOption {
	return []cel.EnvOption{
		// days(int) -> duration, hours(int) -> duration
		cel.Function("days", cel.Overload("days_int", []*cel.Type{cel.IntType}, cel.DurationType,
			cel.UnaryBinding(func(n ref.Val) ref.Val { return times(n, 24*time.Hour) }))),
		cel.Function("hours", cel.Overload("hours_int", []*cel.Type{cel.IntType}, cel.DurationType,
			cel.UnaryBinding(func(n ref.Val) ref.Val { return times(n, time.Hour) }))),

		// oneOf(string, list(string)) -> string: the string itself, or an error
		// when the list does not have it. A rule uses it for values that decide
		// by their name, so that a name it does not know is unknown.
		cel.Function("oneOf", cel.Overload("oneof_string_list",
			[]*cel.Type{cel.StringType, cel.ListType(cel.StringType)}, cel.StringType,
			cel.BinaryBinding(oneOf))),

		// undecided(string) -> dyn: always an error, whose text becomes the
		// reason of an unknown verdict.
		cel.Function("undecided", cel.Overload("undecided_string", []*cel.Type{cel.StringType}, cel.DynType,
			cel.UnaryBinding(func(text ref.Val) ref.Val {
				return types.NewErr("%s%v", undecidedPrefix, text.Value())
			}))),

		// document(string) -> dyn: the value that a JSON text writes, such as a
		// policy. IAM sends its policies percent-encoded (RFC 3986); such a text
		// is decoded first. A text that is no JSON is an error.
		cel.Function("document", cel.Overload("document_string", []*cel.Type{cel.StringType}, cel.DynType,
			cel.UnaryBinding(readDocument))),

		// many(dyn) -> list(dyn): a list as it is, anything else as the only
		// element of one. Policies write one value without its brackets.
		cel.Function("many", cel.Overload("many_dyn", []*cel.Type{cel.DynType}, cel.ListType(cel.DynType),
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				if l, ok := v.(traits.Lister); ok {
					return l
				}
				return types.DefaultTypeAdapter.NativeToValue([]ref.Val{v})
			}))),
	}
}

// maxDocument bounds a text that document reads. The largest policy of AWS has
// 20,480 bytes (S3 user guide, bucket policies), three times that when encoded.
const maxDocument = 1 << 20

func readDocument(text ref.Val) ref.Val {
	s, ok := text.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(text)
	}
	raw := strings.TrimSpace(string(s))
	if len(raw) > maxDocument {
		return types.NewErr("%sa document of %d bytes is too long to be read", undecidedPrefix, len(raw))
	}
	if strings.HasPrefix(raw, "%") {
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return types.NewErr("%sa document is not percent-encoded as it should be: %v", undecidedPrefix, err)
		}
		raw = decoded
	}
	v, err := decodeValue([]byte(raw))
	if err != nil {
		return types.NewErr("%sa document is not JSON: %v", undecidedPrefix, err)
	}
	return adapter{types.DefaultTypeAdapter}.NativeToValue(v)
}

// maxUnits keeps days and hours well inside a duration.
const maxUnits = 100_000

func times(n ref.Val, unit time.Duration) ref.Val {
	i, ok := n.(types.Int)
	if !ok || i < -maxUnits || i > maxUnits {
		return types.NewErr("%v is not a number of days or hours", n.Value())
	}
	return types.Duration{Duration: time.Duration(i) * unit}
}

func oneOf(value, list ref.Val) ref.Val {
	known, ok := list.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(list)
	}
	var names []string
	for it := known.Iterator(); it.HasNext() == types.True; {
		el := it.Next()
		if value.Equal(el) == types.True {
			return value
		}
		names = append(names, shown(el))
	}
	return types.NewErr("%s%q is not one of the values that the rule knows: %s",
		undecidedPrefix, shown(value), strings.Join(names, ", "))
}

// newEnv makes the CEL environment that all checks share. The versions of the
// extensions are pinned: a rule must mean the same in a later build.
func newEnv() (*cel.Env, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	env, err := cel.NewEnv(append(functions(),
		cel.CustomTypeAdapter(adapter{types.DefaultTypeAdapter}),
		cel.Variable(resourceVar, object),
		cel.Variable(kindVar, cel.StringType),
		cel.Variable(idVar, cel.StringType),
		cel.Variable(accountVar, cel.StringType),
		cel.Variable(regionVar, cel.StringType),
		cel.Variable(nowVar, cel.TimestampType),
		cel.Variable(scopeVar, object),
		// has(x.f) where x is null or a string is an error, hence unknown,
		// instead of false.
		cel.EnableErrorOnBadPresenceTest(true),
		cel.DefaultUTCTimeZone(true),
		ext.Strings(ext.StringsVersion(3)),
		ext.Lists(ext.ListsVersion(3)),
		ext.Sets(ext.SetsVersion(0)),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("make CEL environment: %w", err)
	}
	return env, nil
}
