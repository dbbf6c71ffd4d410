package workbook

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// names are the sheet names in use, in lower case: Excel takes names that
// differ in case only for the same.
type names map[string]bool

// take makes a valid name, that is not in use, for a part of a table.
// Source: Microsoft, rename a worksheet: at most 31 characters, none of
// / \ ? * : [ ], no apostrophe at either end, not empty, not "History".
func (n names) take(title string, part int) string {
	base := strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`/\?*:[]`, r), unicode.IsControl(r), r == unicode.ReplacementChar, r >= 0xfffe && r <= 0xffff:
			return ' '
		case r == '\'':
			return '’'
		}
		return r
	}, title))
	if base == "" || strings.EqualFold(base, "History") {
		base = strings.TrimSpace("Table " + base)
	}
	for i := max(part, 1); ; i++ {
		suffix := ""
		if i > 1 {
			suffix = fmt.Sprintf(" (%d)", i)
		}
		name := strings.TrimSpace(short(base, 31-len(suffix))) + suffix
		if key := strings.ToLower(name); !n[key] {
			n[key] = true
			return name
		}
	}
}

// short cuts a name to so many UTF-16 units.
func short(s string, limit int) string {
	u := 0
	for i, r := range s {
		if u += max(utf16.RuneLen(r), 1); u > limit {
			return s[:i]
		}
	}
	return s
}
