package checks

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxShown bounds a value in a message, in runes.
const maxShown = 200

// text is a message with expressions in it: literals[0] values[0] literals[1]
// and so on.
type text struct {
	literals []string
	values   []*expression
}

// text compiles a message. Braces hold CEL expressions; there is no way to
// write a brace, and none is needed in a sentence.
func (c *compiler) text(part, source string) text {
	var t text
	rest := source
	if strings.TrimSpace(source) == "" {
		c.fault(part, "a text is missing")
		return t
	}
	for {
		literal, after, found := strings.Cut(rest, "{")
		t.literals = append(t.literals, literal)
		if !found {
			return t
		}
		inner, tail, closed := strings.Cut(after, "}")
		if !closed {
			c.fault(part, "a brace is not closed")
			return t
		}
		t.values = append(t.values, c.expression(part, inner, nil, nil))
		rest = tail
	}
}

// render fills in the values. It never fails: a message must not change a
// verdict.
func (t text) render(vars cel.Activation) string {
	if len(t.values) == 0 {
		return t.literals[0]
	}
	var b strings.Builder
	for i, l := range t.literals {
		b.WriteString(l)
		if i == len(t.values) {
			break
		}
		v, _, err := t.values[i].program.Eval(vars)
		switch {
		case err != nil:
			b.WriteString("(not given)")
		case types.IsUnknown(v):
			b.WriteString("(unknown)")
		default:
			b.WriteString(shown(v))
		}
	}
	return b.String()
}

// shown writes a value for a person, on one line and of bounded length: it may
// come from a stranger.
func shown(v ref.Val) string {
	var s string
	switch v := v.(type) {
	case types.String:
		s = string(v)
	case types.Null:
		s = "none"
	case types.Timestamp:
		s = v.Time.UTC().Format(time.RFC3339)
	case types.Duration:
		s = v.Duration.String()
	case traits.Lister:
		var parts []string
		for it := v.Iterator(); it.HasNext() == types.True; {
			parts = append(parts, shown(it.Next()))
		}
		s = strings.Join(parts, ", ")
		if s == "" {
			s = "none"
		}
	default:
		s = fmt.Sprint(v.Value())
	}
	return plain(s)
}

func plain(s string) string {
	n := 0
	s = strings.Map(func(r rune) rune {
		n++
		switch {
		case n == maxShown+1:
			return '…'
		case n > maxShown:
			return -1
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, s)
	return s
}
