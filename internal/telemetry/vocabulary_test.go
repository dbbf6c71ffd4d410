package telemetry

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// TestEveryWordHasSeries compares the label values that exist from the start
// with the constants of package evidence, so that a new cause, class or
// outcome gets its series by existing.
func TestEveryWordHasSeries(t *testing.T) {
	tests := []struct {
		typ string
		got []string
	}{
		{"Outcome", texts(outcomes())},
		{"Cause", texts(causes())},
		{"Class", texts(classes())},
	}
	for _, tt := range tests {
		want := constants(t, tt.typ)
		slices.Sort(tt.got)
		if !slices.Equal(tt.got, want) {
			t.Errorf("evidence.%s: series for %q, constants are %q", tt.typ, tt.got, want)
		}
	}
}

func texts[S ~string](in []S) []string {
	var out []string
	for _, s := range in {
		out = append(out, string(s))
	}
	return out
}

// constants gives the values of the constants of a string type of package
// evidence, sorted.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	var out []string
	for _, file := range []string{"../../evidence/evidence.go", "../../evidence/record.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typ {
				return true
			}
			for _, v := range spec.Values {
				s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, s)
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("evidence has no constants of type %s", typ)
	}
	slices.Sort(out)
	return out
}
