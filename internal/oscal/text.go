package oscal

import (
	"strings"
	"unicode"
)

// line makes a text fit OSCAL's string: one line, without white space at the
// ends. It is empty when nothing remains. Bytes that are no UTF-8 show as U+FFFD.
func line(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return ' '
		}
		return r
	}, s))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// markupLine makes a text what OSCAL calls a markup line: it is shown as it is,
// whatever of it Markdown would take for a link, an image, HTML or an insertion.
// Names and reasons come from elsewhere.
func markupLine(s string) string {
	var b strings.Builder
	for _, r := range line(s) {
		if strings.ContainsRune("\\`*[]<>{}~&", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return orDash(b.String())
}

// token makes an id fit OSCAL's token: a letter or _ first, then letters,
// digits and . - _.
func token(s string) string {
	var b strings.Builder
	for i, r := range s {
		ok := unicode.IsLetter(r) || r == '_' || i > 0 && (unicode.IsNumber(r) || r == '.' || r == '-')
		switch {
		case ok:
			b.WriteRune(r)
		case i == 0 && unicode.IsNumber(r):
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

// props makes properties of names and values. One without a value is left out:
// OSCAL has no empty strings.
func props(pairs ...string) (out []prop) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := line(pairs[i+1]); v != "" {
			out = append(out, prop{Name: pairs[i], NS: Namespace, Value: v})
		}
	}
	return out
}
