package checks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/tallystick/tallystick/evidence"
)

// why says why an expression came to no value.
func (row *row) why(e *expression, val ref.Val, err error) cause {
	if u, ok := val.(*types.Unknown); ok {
		return row.explain(u)
	}
	if err == nil {
		return cause{text: fmt.Sprintf("%q gives %s, not true or false", e.source, shown(val))}
	}
	if _, ok := errors.AsType[interpreter.EvalCancelledError](err); ok {
		return cause{text: "the rule exceeded its cost limit on this resource"}
	}
	message := err.Error()
	if text, ok := strings.CutPrefix(message, undecidedPrefix); ok {
		return cause{text: plain(text)}
	}
	if key, ok := strings.CutPrefix(message, "no such key: "); ok {
		return cause{text: fmt.Sprintf("the provider's answer has no %s", row.path(e, err, key))}
	}
	if strings.HasPrefix(message, "no such overload") {
		return cause{text: fmt.Sprintf("a field has a type that the rule does not expect; it reads %s", row.reading())}
	}
	return cause{text: plain("the rule can not be evaluated: " + message)}
}

// path names the field that was absent as the rule writes it, with the kind.
func (row *row) path(e *expression, err error, key string) string {
	full := ""
	if celErr, ok := errors.AsType[*types.Err](err); ok {
		full = e.paths[celErr.NodeID()]
	}
	parts := strings.Split(full, ".")
	if i := slices.Index(parts, key); i > 0 {
		parts = parts[:i+1]
	} else {
		parts = []string{key}
	}
	if parts[0] == resourceVar {
		return strings.Join(parts[1:], ".") + " for this " + row.kind
	}
	return strings.Join(parts, ".") + " that the rule reads (" + row.reading() + ")"
}

// reading lists what the rule reads, by variable.
func (row *row) reading() string {
	var all []string
	for _, v := range slices.Sorted(maps.Keys(row.rule.decides[row.kind])) {
		for _, f := range row.rule.decides[row.kind][v].list() {
			all = append(all, v+"."+f)
		}
	}
	return strings.Join(all, ", ")
}

// explain finds the causes behind an unknown by its attribute trails.
func (row *row) explain(u *types.Unknown) cause {
	found := map[string]bool{}
	for _, id := range u.IDs() {
		trails, _ := u.GetAttributeTrails(id)
		for _, t := range trails {
			path := []string{t.Variable()}
			for _, q := range t.QualifierPath() {
				path = append(path, fmt.Sprint(q))
			}
			row.match(path, found)
		}
	}
	var out cause
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(found)) {
		c := row.causes[key]
		out.gaps = append(out.gaps, c.gaps...)
		if c.text != "" && !slices.Contains(texts, c.text) {
			texts = append(texts, c.text)
		}
	}
	out.text = strings.Join(texts, "; ")
	return out
}

// match finds the cause of path: its own, that of the nearest prefix, or, when
// the path is a prefix itself, all those below it.
func (row *row) match(path []string, found map[string]bool) {
	for n := len(path); n > 0; n-- {
		if key := trail(path[:n]...); row.causes[key].text != "" || len(row.causes[key].gaps) > 0 {
			found[key] = true
			return
		}
	}
	below := trail(path...) + "\x00"
	for key := range row.causes {
		if strings.HasPrefix(key, below) {
			found[key] = true
		}
	}
}

// causeOf makes one cause of holes.
func causeOf(holes []hole) cause {
	var c cause
	var texts []string
	for _, h := range holes {
		c.gaps = append(c.gaps, h.gaps...)
		if h.reason != "" {
			texts = append(texts, h.reason)
		}
	}
	c.text = strings.Join(texts, "; ")
	return c
}

// undecided makes v unknown.
func undecided(v evidence.Verdict, c cause) evidence.Verdict {
	v.Status, v.Basis = evidence.Unknown, ""
	v.Gaps = sorted(c.gaps)
	v.Reason = reason(c.text, v.Gaps)
	return v
}

// holeVerdict is the verdict on what was not seen: a list, or a resource of
// which only a gap is known.
func (ev *evaluation) holeVerdict(r *rule, h hole) evidence.Verdict {
	v := ev.verdict(r, h.kind, h.region, h.resource)
	if v.Resource == "" {
		v.Resource = evidence.Population
	}
	return undecided(v, cause{text: h.reason, gaps: h.gaps})
}

// maxGapsNamed bounds the gaps that a reason names; the verdict has them all.
const maxGapsNamed = 3

// reason writes one sentence on why a verdict is unknown.
func reason(text string, gaps []evidence.Gap) string {
	var parts []string
	if text != "" {
		parts = append(parts, text)
	}
	named := map[string]bool{}
	for _, g := range gaps {
		s := "could not read " + g.Kind
		switch {
		case g.Field != "":
			s = "could not read " + g.Field + " of " + g.Kind
		case g.Resource == "":
			s = "could not list every " + g.Kind
		}
		s += ": " + plain(g.String())
		if !named[s] {
			named[s] = true
			parts = append(parts, s)
		}
	}
	if len(parts) > maxGapsNamed {
		more := len(parts) - maxGapsNamed
		parts = append(parts[:maxGapsNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
