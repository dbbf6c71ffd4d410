package aws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// node is one place of a received document, JSON or XML alike: only whether
// something is there matters, not what it is. A nil node is a place that the
// document does not have; its methods give nil.
type node struct {
	fields map[string]*node // by lower-case name; the first where a name repeats
	items  []*node          // array elements, or XML children in order
}

func (n *node) field(name string) *node {
	if n == nil {
		return nil
	}
	return n.fields[strings.ToLower(name)]
}

func (n *node) item(i int) *node {
	if n == nil || i >= len(n.items) {
		return nil
	}
	return n.items[i]
}

func (n *node) add(name string, child *node) {
	if n.fields == nil {
		n.fields = make(map[string]*node)
	}
	name = strings.ToLower(name)
	if _, taken := n.fields[name]; !taken {
		n.fields[name] = child
	}
	n.items = append(n.items, child)
}

// parse reads a received document. It gives nil for bytes that are neither
// JSON nor XML, and for an empty body: then no zero value is vouched for.
func parse(body []byte) *node {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] == '<' {
		return parseXML(body)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return nil
	}
	return nodeOf(v)
}

// nodeOf gives nil for null, which says nothing: it stands where a value was
// not sent, or was redacted.
func nodeOf(v any) *node {
	if v == nil {
		return nil
	}
	n := new(node)
	switch v := v.(type) {
	case map[string]any:
		n.fields = make(map[string]*node, len(v))
		for name, child := range v {
			n.fields[strings.ToLower(name)] = nodeOf(child)
		}
	case []any:
		for _, child := range v {
			n.items = append(n.items, nodeOf(child))
		}
	}
	return n
}

// parseXML gives a node whose fields are those of the result: the children of
// the root, those of its ...Result element (the query protocol wraps), and the
// root itself by its name (an S3 answer that is one structure).
func parseXML(body []byte) *node {
	top := new(node)
	var result *node
	open := []*node{top}
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := new(node)
			open[len(open)-1].add(token.Name.Local, n)
			if len(open) == 2 && strings.HasSuffix(token.Name.Local, "Result") {
				result = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	if len(top.items) == 1 {
		merge(top, top.items[0])
	}
	if result != nil {
		merge(top, result)
	}
	return top
}

// merge makes the fields of from reachable in to, which keeps its own.
func merge(to, from *node) {
	for name, child := range from.fields {
		if _, taken := to.fields[name]; !taken {
			to.fields[name] = child
		}
	}
}
