package workbook

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/tallystick/tallystick/evidence/period"
)

// maxUnits is how many UTF-16 units a cell holds.
// Source: Microsoft, Excel specifications and limits.
const maxUnits = 32767

// cell makes what the library writes for a value: nothing, a number or a text.
// It is never a formula.
func cell(style int, value string, kind period.ColumnKind, csv string) any {
	if value == "" {
		return nil
	}
	if kind == period.Number {
		if n, ok := exact(value); ok {
			return excelize.Cell{Value: n}
		}
	}
	return textCell(style, value, csv)
}

// textCell is a text, inline in the sheet. csv is the table in which to find
// what was cut.
//
// The format reads _xHHHH_ in a text as the character of that number (ECMA-376
// part 1, 22.9.2.19, ST_Xstring), not all readers do, and the library's escape
// of it is wrong where two of them share an underscore. So a text that has one
// is written as runs of text that have none: every reader joins them to the same.
func textCell(style int, value, csv string) any {
	text := cellText(value, csv)
	parts := breakEscapes(text)
	if len(parts) <= 1 {
		return excelize.Cell{StyleID: style, Value: text}
	}
	runs := make([]excelize.RichTextRun, len(parts))
	for i, p := range parts {
		runs[i].Text = p
	}
	return excelize.Cell{StyleID: style, Value: runs}
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

// exact gives the number that a text is, if a spreadsheet, which calculates
// with 15 digits, shows that very number.
func exact(text string) (float64, bool) {
	digits := 0
	for _, r := range text {
		if '0' <= r && r <= '9' {
			digits++
		}
	}
	if digits > 15 || text == "-0" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strconv.FormatFloat(n, 'f', -1, 64) != text {
		return 0, false
	}
	return n, true
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
