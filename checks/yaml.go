package checks

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// position is a place in a file, counted from 1.
type position struct{ line, column int }

// source is a file of the catalogue, decoded, with the places of its parts.
type source struct {
	file    string
	control Control
	places  map[string]position // "checks[0].pass"
	blocks  map[string]bool     // parts written as blocks, whose text begins on the next line
	lines   []string
}

// readSource decodes one file. It refuses unknown keys, repeated keys, values
// of the wrong shape, anchors and aliases, and reports all of them at once.
func readSource(file string, data []byte) (*source, []Problem) {
	s := &source{
		file: file, places: map[string]position{}, blocks: map[string]bool{},
		lines: strings.Split(string(data), "\n"),
	}
	parsed, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, []Problem{yamlProblem(file, err)}
	}
	var bodies []ast.Node
	for _, d := range parsed.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, []Problem{{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("holds %d documents where one control is expected", len(bodies))}}
	}
	w := walker{source: s}
	w.walk(bodies[0], reflect.TypeFor[Control](), "")
	if len(w.problems) > 0 {
		return nil, w.problems
	}
	if err := yaml.NodeToValue(bodies[0], &s.control, yaml.Strict()); err != nil {
		return nil, []Problem{yamlProblem(file, err)}
	}
	return s, nil
}

// yamlProblem takes the place out of an error of the YAML library.
func yamlProblem(file string, err error) Problem {
	p := Problem{File: file, Line: 1, Column: 1, Message: err.Error()}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		p.Message = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

// walker compares a document with the type that it is to be decoded into.
type walker struct {
	source   *source
	problems []Problem
}

func (w *walker) problem(t *token.Token, format string, args ...any) {
	p := Problem{File: w.source.file, Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	w.problems = append(w.problems, p)
}

func (w *walker) walk(n ast.Node, t reflect.Type, path string) {
	if n == nil {
		return
	}
	if tok := firstToken(n); tok != nil && tok.Position != nil {
		w.source.places[path] = position{tok.Position.Line, tok.Position.Column}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		w.mapping(n, n.Values, t, path)
	case *ast.MappingValueNode:
		w.mapping(n, []*ast.MappingValueNode{n}, t, path)
	case *ast.SequenceNode:
		el := t
		switch t.Kind() {
		case reflect.Slice:
			el = t.Elem()
		case reflect.Interface:
		default:
			w.problem(firstToken(n), "%s: a list where %s is expected", path, expected(t))
			return
		}
		for i, v := range n.Values {
			w.walk(v, el, fmt.Sprintf("%s[%d]", path, i))
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		w.problem(n.GetToken(), "%s: anchors, aliases and tags are not used here", path)
	case *ast.NullNode:
		if t.Kind() != reflect.Interface {
			w.problem(n.GetToken(), "%s: empty where %s is expected", path, expected(t))
		}
	case *ast.LiteralNode:
		w.source.blocks[path] = true
		w.scalar(n, t, path, reflect.String)
	case *ast.StringNode:
		w.scalar(n, t, path, reflect.String)
	case *ast.BoolNode:
		w.scalar(n, t, path, reflect.Bool)
	case *ast.IntegerNode:
		w.scalar(n, t, path, reflect.Int)
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		w.scalar(n, t, path, reflect.Float64)
	default:
		w.problem(n.GetToken(), "%s: unexpected %s", path, strings.ToLower(n.Type().String()))
	}
}

func (w *walker) scalar(n ast.Node, t reflect.Type, path string, got reflect.Kind) {
	if t.Kind() != reflect.Interface && t.Kind() != got {
		w.problem(n.GetToken(), "%s: %s where %s is expected", path, strings.TrimSpace(n.GetToken().Value), expected(t))
	}
}

func (w *walker) mapping(n ast.Node, values []*ast.MappingValueNode, t reflect.Type, path string) {
	var keys map[string]reflect.Type // nil: any key, of type el
	el := t
	switch t.Kind() {
	case reflect.Struct:
		keys = map[string]reflect.Type{}
		for f := range t.Fields() {
			if name := f.Tag.Get("yaml"); name != "-" {
				keys[name] = f.Type
			}
		}
	case reflect.Map:
		el = t.Elem()
	case reflect.Interface:
	default:
		w.problem(firstToken(n), "%s: a mapping where %s is expected", path, expected(t))
		return
	}
	seen := map[string]bool{}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			w.problem(v.Key.GetToken(), "%s: merge keys are not used here", path)
			continue
		}
		key := v.Key.GetToken().Value
		if seen[key] {
			w.problem(v.Key.GetToken(), "%s: the key %q comes twice", path, key)
		}
		seen[key] = true
		want := el
		if keys != nil {
			known, ok := keys[key]
			if !ok {
				names := make([]string, 0, len(keys))
				for k := range keys {
					names = append(names, k)
				}
				slices.Sort(names)
				w.problem(v.Key.GetToken(), "unknown key %q; known here: %s", key, strings.Join(names, ", "))
				continue
			}
			want = known
		}
		child := key
		if path != "" {
			child = path + "." + key
		}
		w.walk(v.Value, want, child)
	}
}

// firstToken gives the token at which a node begins for a reader: the first
// key of a mapping rather than its colon.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a mapping"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "a text"
	}
}
