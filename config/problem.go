package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File    string // as named by the caller; empty for a configuration without a file
	Line    int    // from 1; 0 without a file
	Column  int    // from 1, in characters
	Key     string // "aws.accounts[0].id"; empty for the file as a whole
	Message string // what is wrong and what to do
	Excerpt string // the line as written; empty where it must not be shown
}

// Error gives "file:line:column: key: message" and, on two more lines, the
// excerpt with a caret.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Excerpt != "" {
		text, caret := clip(p.Excerpt, p.Column)
		fmt.Fprintf(&b, "\n%6d | %s\n       | %s^", p.Line, text, strings.Repeat(" ", caret))
	}
	return b.String()
}

// clip makes an excerpt fit on a line of a terminal and gives how many
// characters stand before its column.
func clip(line string, column int) (string, int) {
	const width, before = 100, 60
	runes := []rune(strings.ReplaceAll(line, "\t", " "))
	caret := min(max(column-1, 0), len(runes))
	if from := caret - before; len(runes) > width && from > 0 {
		runes, caret = append([]rune("…"), runes[from:]...), before+1
	}
	if len(runes) > width {
		runes = append(runes[:width:width], '…')
	}
	return string(runes), caret
}

// Problems is everything that is wrong with a configuration, in the order of
// the file. It is never empty when it is an error.
type Problems []Problem

// Error gives each problem, then their number.
func (ps Problems) Error() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.Error() + "\n")
	}
	if len(ps) == 1 {
		b.WriteString("1 problem in the configuration")
	} else {
		fmt.Fprintf(&b, "%d problems in the configuration", len(ps))
	}
	return b.String()
}

// sort puts problems in the order of the file.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key))
	})
}

// suggest gives `; did you mean "x"?` for the nearest of the known words or,
// if none is near, the list of them while it is short.
func suggest(word string, known []string) string {
	best := nearest(word, known)
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) > 0 && len(known) <= 12:
		return "; there is " + strings.Join(known, ", ")
	}
	return ""
}

// nearest gives the known word that a word may be a misspelling of, or "".
func nearest(word string, known []string) string {
	best, least := "", 1+len(word)/3
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b: the optimal string alignment distance.
func distance(a, b string) int {
	if utf8.RuneCountInString(a) > 64 {
		return len(a) // no key is that long
	}
	s, t := []rune(a), []rune(b)
	var older []int
	last := make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row := make([]int, len(t)+1)
		row[0] = i + 1
		for j := range t {
			change := 1
			if s[i] == t[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, last = last, row
	}
	return last[len(t)]
}
