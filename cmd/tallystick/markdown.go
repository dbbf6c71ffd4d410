package main

import (
	"fmt"
	"strings"
	"unicode"
)

// page is a Markdown text as GitHub reads it.
type page struct{ strings.Builder }

func (p *page) heading(level int, text string) {
	p.line("%s %s\n", strings.Repeat("#", level), text)
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// list writes items, and before them what they are, unless there are none.
func (p *page) list(what string, items []string) {
	if len(items) == 0 {
		return
	}
	if what != "" {
		p.line("**%s**\n", what)
	}
	for _, item := range items {
		p.line("- %s", item)
	}
	p.line("")
}

// table writes rows. A cell may hold Markdown; a bar in it does not end it.
func (p *page) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	p.line("| %s |", strings.Join(header, " | "))
	p.line("|%s", strings.Repeat("---|", len(header)))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = strings.ReplaceAll(strings.ReplaceAll(cell, `\|`, "|"), "|", `\|`)
		}
		p.line("| %s |", strings.Join(cells, " | "))
	}
	p.line("")
}

// prose makes Markdown of a text that is none.
func prose(s string) string {
	return strings.NewReplacer(`\`, `\\`, `<`, `\<`, `*`, `\*`, `|`, `\|`, `[`, `\[`).Replace(strings.Join(strings.Fields(s), " "))
}

// sentence is prose with a full stop.
func sentence(s string) string {
	if s = prose(s); strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// code is a text as it stands, but on one line.
// Source: CommonMark 0.31, section 6.1, code spans.
func code(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	s = strings.Join(lines, " ")
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

func codes(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = code(s)
	}
	return strings.Join(out, ", ")
}

// link leads to a heading of the same page.
func link(heading string) string { return fmt.Sprintf("[%s](#%s)", heading, anchor(heading)) }

// anchor is the name that GitHub gives a heading: lower case, blanks as
// hyphens, and of the other signs only hyphens and underscores.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// folded breaks a CEL expression behind && and ||, so that lines have at most
// width characters where that can be. It keeps the breaks that there are.
func folded(expression string, width int) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(expression)) {
		line = strings.TrimRight(line, " \n")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		for {
			at := 0 // where the next line begins
			for _, c := range connectives(line) {
				if at == 0 || c <= width {
					at = c
				}
			}
			if len(line) <= width || at == 0 {
				break
			}
			lines = append(lines, line[:at-1])
			if strings.Count(line[:at], "(") > strings.Count(line[:at], ")") {
				indent += 2
			}
			line = strings.Repeat(" ", indent) + line[at:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// connectives gives the places right behind each && and || and the blank that
// follows it, outside of texts in quotes.
func connectives(line string) []int {
	var all []int
	var quote byte
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ' ' && i > 2 && (line[i-2:i] == "&&" || line[i-2:i] == "||"):
			all = append(all, i+1)
		}
	}
	return all
}
