package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// The checks of the agreed catalogue that are not there yet, one a line. A
// test takes out those that have come.
//
//go:embed later.tsv
var laterChecks string

// later is a check that is to come.
type later struct {
	check, control, tier string
	calls                []string
	why                  string
}

// provider is that of the check, whose id begins with it.
func (l later) provider() string {
	provider, _, _ := strings.Cut(l.check, "-")
	return provider
}

// parseLater reads later.tsv: a head, then check, control, tier, calls with
// spaces between, and why it comes later, with tabs between.
func parseLater(text string) ([]later, error) {
	var all []later
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		cells := strings.Split(line, "\t")
		if len(cells) != 5 {
			return nil, fmt.Errorf("later.tsv:%d: %d columns, want 5", i+1, len(cells))
		}
		if i > 0 {
			all = append(all, later{cells[0], cells[1], cells[2], strings.Fields(cells[3]), cells[4]})
		}
	}
	return all, nil
}
