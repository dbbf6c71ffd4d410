package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// kind is what YAML says a node is.
type kind int

const (
	nothing kind = iota // no value, or null
	text
	boolean
	integer
	number
	list
	mapping
)

// String names the kind for a person.
func (k kind) String() string {
	return [...]string{"nothing", "text", "true or false", "a whole number", "a number", "a list", "a mapping"}[k]
}

// node is a value of the file. The rest of YAML (anchors, aliases, merge keys,
// tags, several documents) is refused: a file that an auditor reads says what
// it means where it says it.
type node struct {
	kind    kind
	raw     string // of a scalar, as YAML reads it, before references are replaced
	value   string // of a scalar
	quoted  bool   // a scalar in quotes, or a block
	pos     place
	items   []*node
	entries []entry // in the order of the file, without repeated keys
}

// reference says that the value comes from the environment.
func (n *node) reference() bool { return n.raw != n.value }

type entry struct {
	key   string
	pos   place
	value *node
}

// place is a position in the file; the zero place is none.
type place struct{ line, column int }

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// start gives the place where a node begins. The parser takes a mapping in
// block style to be where its first colon is.
func start(n ast.Node) place {
	switch v := n.(type) {
	case *ast.MappingNode:
		if len(v.Values) > 0 && !v.IsFlowStyle {
			return placeOf(v.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return placeOf(v.Key.GetToken())
	}
	return placeOf(n.GetToken())
}

// grow parses the file into a tree. The tree is nil if there is nothing that
// could be looked at further.
func (r *reader) grow(data string) (root *node) {
	defer func() {
		// The parser is not ours and meets any bytes.
		if fault := recover(); fault != nil {
			root = nil
			r.report(place{1, 1}, "", "this is not YAML that can be parsed: %v", fault)
		}
	}()
	file, err := parser.ParseBytes([]byte(data), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, message := place{1, 1}, err.Error()
		if e, ok := errors.AsType[yaml.Error](err); ok {
			at, message = placeOf(e.GetToken()), e.GetMessage()
		}
		if strings.Contains(r.line(at.line), "${") {
			message += "; within [ ] and { } a reference must be in quotes: \"${NAME}\""
		}
		r.report(at, "", "this is not YAML: %s", message)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil || doc.Body.Type() == ast.DirectiveType {
			r.report(start(doc.Body), "", "the file must be one YAML document without directives")
			return root
		}
		root = r.plant(doc.Body, "")
	}
	if root == nil {
		r.report(place{1, 1}, "", "the file is empty; `tallystick init` writes one to start from")
	}
	return root
}

// plant turns a node of the parser into ours. It gives a node of kind nothing
// for what it refuses.
func (r *reader) plant(from ast.Node, key string) *node {
	n := &node{pos: start(from)}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.kind, n.raw = text, v.Value
		n.quoted = v.Token.Type == token.DoubleQuoteType || v.Token.Type == token.SingleQuoteType
	case *ast.LiteralNode:
		n.kind, n.quoted, n.raw = text, true, v.Value.Value
	case *ast.BoolNode:
		n.kind, n.raw = boolean, v.Token.Value
	case *ast.IntegerNode:
		n.kind, n.raw = integer, v.Token.Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.raw = number, from.GetToken().Value
	case *ast.SequenceNode:
		n.kind = list
		for i, item := range v.Values {
			n.items = append(n.items, r.plant(item, fmt.Sprintf("%s[%d]", key, i)))
		}
	case *ast.MappingNode:
		r.plantEntries(n, v.Values, key)
	case *ast.MappingValueNode:
		r.plantEntries(n, []*ast.MappingValueNode{v}, key)
	default:
		r.spoil(n.pos, key, "%s is not used in this file; write the value out, or in quotes if it is text", strings.ToLower(from.Type().YAMLName()))
	}
	n.value = n.raw
	if n.kind == text {
		r.expand(n, key)
	}
	return n
}

func (r *reader) plantEntries(n *node, values []*ast.MappingValueNode, key string) {
	n.kind = mapping
	seen := make(map[string]int, len(values))
	for _, v := range values {
		at := placeOf(v.Key.GetToken())
		name := v.Key.GetToken().Value
		if k, ok := v.Key.(*ast.MappingKeyNode); ok && k.Value != nil {
			name = k.Value.GetToken().Value
		}
		path := join(key, name)
		if v.Key.IsMergeKey() {
			r.report(at, path, "a merge key is not used in this file; write the keys out")
			continue
		}
		if first, ok := seen[name]; ok {
			r.report(at, path, "this key is already on line %d; keep one of them", first)
			continue
		}
		seen[name] = at.line
		n.entries = append(n.entries, entry{key: name, pos: at, value: r.plant(v.Value, path)})
	}
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// expand replaces the references in a text.
func (r *reader) expand(n *node, key string) {
	// $${ first, or the second dollar would open a reference.
	opening := regexp.MustCompile(`\$\$\{|\$\{([^{}]*)\}?`)
	name := regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)
	n.value = opening.ReplaceAllStringFunc(n.raw, func(ref string) string {
		if ref == "$${" {
			return "${"
		}
		if !name.MatchString(ref) {
			r.spoil(n.pos, key, "%q is not a reference to an environment variable; write ${NAME}, or $${ for a literal ${", ref)
			return ref
		}
		value, ok := r.env(ref[2 : len(ref)-1])
		switch {
		case !ok:
			r.spoil(n.pos, key, "the environment variable %s is not set", ref[2:len(ref)-1])
		case value == "":
			r.spoil(n.pos, key, "the environment variable %s is set but empty", ref[2:len(ref)-1])
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
			r.spoil(n.pos, key, "the environment variable %s does not hold one line of text", ref[2:len(ref)-1])
		}
		return value
	})
}
