package workbook

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tallystick/tallystick/evidence/period"
)

// maxUnits is how many UTF-16 units a cell holds.
// Source: Microsoft, Excel specifications and limits.
const maxUnits = 32767

// content is what a cell holds: nothing, a number or a text. There is no way
// to say a formula.
type content struct {
	style  int
	number string   // decimal digits; empty: a text
	runs   []string // the text, in parts; nil: nothing
}

// cell makes what a sheet holds for a value.
func cell(style int, value string, kind period.ColumnKind, csv string) content {
	if value == "" {
		return content{}
	}
	if kind == period.Number && exact(value) {
		return content{number: value}
	}
	return textCell(style, value, csv)
}

// textCell is a text, inline in the sheet. csv is the table in which to find
// what was cut.
//
// The format reads _xHHHH_ in a text as the character of that number (ECMA-376
// part 1, 22.9.2.19, ST_Xstring), and not all readers do. So a text that has one
// is written as runs of text that have none: every reader joins them to the same.
func textCell(style int, value, csv string) content {
	if value == "" {
		return content{}
	}
	return content{style: style, runs: breakEscapes(cellText(value, csv))}
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// breakEscapes cuts a text so that no part holds an escape. The parts, joined,
// are the text.
func breakEscapes(text string) (parts []string) {
	if !strings.Contains(text, "_x") {
		return []string{text}
	}
	for {
		at := escaped.FindStringIndex(text)
		if at == nil {
			return append(parts, text)
		}
		parts = append(parts, text[:at[0]+1])
		text = text[at[0]+1:]
	}
}

// exact says whether a text is a number which a spreadsheet, that calculates
// with 15 digits, shows as that very text.
func exact(text string) bool {
	digits := 0
	for _, r := range text {
		if '0' <= r && r <= '9' {
			digits++
		}
	}
	if digits > 15 || text == "-0" {
		return false
	}
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && strconv.FormatFloat(n, 'f', -1, 64) == text
}

// cellText is a value as a cell can hold it: printable and, when it is longer
// than a cell, cut with a mark that says so.
func cellText(value, csv string) string {
	if len(value) <= maxUnits && plain(value) { // nearly all
		return value
	}
	mark := fmt.Sprintf("… (cut; the whole text is in %s.csv)", csv)
	room := maxUnits - units(mark)
	n, cut := 0, 0
	var b strings.Builder
	for i, r := range value {
		shown := show(value[i:], r)
		b.WriteString(shown)
		n += units(shown)
		if n <= room {
			cut = b.Len()
		}
		if n > maxUnits {
			return b.String()[:cut] + mark
		}
	}
	return b.String()
}

// plain says that a text is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func units(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// printable is a text with every character shown as show does.
func printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		b.WriteString(show(text[i:], r))
	}
	return b.String()
}

// show gives r, the first character of rest, or its number when XML 1.0 can not
// hold it (section 2.2), and a byte that is no UTF-8 by its value.
func show(rest string, r rune) string {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD"):
		return fmt.Sprintf(`\x%02x`, rest[0])
	case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0xfffe, r == 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return string(r)
}

// cellBytes is how many bytes of XML a cell takes at most: the longest
// replacement of a byte has six, and a cell's frame less than a hundred.
func cellBytes(value string) int64 { return 6*int64(min(len(value), 4*maxUnits)) + 100 }
