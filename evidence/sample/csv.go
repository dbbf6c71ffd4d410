package sample

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// The headers of population.csv.
const (
	resourceHeader = "provider,account,region,kind,resource,observed,collector,slot,record"
	slotHeader     = "provider,account,collector,slot,state,record,cause"
)

// line gives an item as its line in population.csv, without its newline.
func (i item) line() string {
	slot := i.slot.UTC().Format(time.RFC3339Nano)
	if i.kind == "" {
		return csvLine(i.Provider, i.Account, i.collector, slot, i.state, i.record, i.cause)
	}
	observed := "no"
	if i.observed {
		observed = "yes"
	}
	return csvLine(i.Provider, i.Account, i.region, i.kind, i.id, observed, i.collector, slot, i.record)
}

// csvLine writes cells as RFC 4180 does, on one line whatever they hold.
func csvLine(cells ...string) string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		cell = oneLine(period.Inert(cell))
		if strings.ContainsAny(cell, `",`) {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		out[i] = cell
	}
	return strings.Join(out, ",")
}

// oneLine replaces what would end a line, or would not be seen in it.
func oneLine(cell string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(cell, string(unicode.ReplacementChar)))
}

// freeze sorts the items and writes them down.
func (p *Population) freeze(header string, items []item) {
	type pair struct {
		line string
		item item
	}
	pairs := make([]pair, len(items))
	for i, it := range items {
		pairs[i] = pair{it.line(), it}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.line, b.line) })
	var b strings.Builder
	b.WriteString(header + "\n")
	p.Lines, p.items = make([]string, len(pairs)), make([]item, len(pairs))
	for i, pair := range pairs {
		b.WriteString(pair.line + "\n")
		p.Lines[i], p.items[i] = pair.line, pair.item
	}
	p.Data = []byte(b.String())
	sum := sha256.Sum256(p.Data)
	p.Digest = evidence.Digest(hex.EncodeToString(sum[:]))
}
