// Package workbook writes the tables of a report as one XLSX workbook, for
// people who work in a spreadsheet.
//
// It promises that no cell is a formula, whatever the provider sent; that no
// digit of an account id and no digit of a number is lost; that what does not
// fit a cell says so in the cell; and that the same tables give the same bytes.
// A table is streamed: memory does not grow with its rows.
//
// It does not promise to be the evidence: the CSV of the same name is, which a
// verifier recomputes. It computes nothing and judges nothing.
//
// Limits: the compressed parts are kept in a temporary file until Write returns.
// That of a process that was killed stays behind.
package workbook

import (
	"fmt"
	"io"
	"time"

	"github.com/tallystick/tallystick/evidence/period"
)

// Meta is what the first sheet says of the workbook.
type Meta struct {
	Organization string
	Period       string // for people: "2026-01-01 to 2026-12-31"
	Ledger       string // the checkpoint origin

	// Until is the time of the newest record that the tables were made from.
	// It is the workbook's own time too: the clock is never asked.
	Until     time.Time
	Simulated bool // some record was made under a simulated clock

	TempDir string // for temporary files; empty: that of the system
}

// limits is where a sheet ends and the next one begins.
type limits struct {
	rows  int   // below the header
	bytes int64 // of the sheet's XML, at most, by an upper estimate
}

// sheetLimits are those of the format: 1,048,576 rows with the header, and a
// part of the package below 4 GiB, so that it needs no ZIP64.
// Source: ECMA-376 part 1, annex and Microsoft, Excel specifications and limits.
func sheetLimits() limits { return limits{rows: 1<<20 - 1, bytes: 3 << 30} }

// Write writes one sheet for each table, in their order, after a sheet that
// explains them. An error of the rows of a table is returned as it is wrapped,
// and what was written to w by then is not a workbook.
func Write(w io.Writer, meta Meta, tables []period.Table) error {
	return write(w, meta, tables, sheetLimits())
}

func write(w io.Writer, meta Meta, tables []period.Table, lim limits) error {
	p, err := newPack(w, meta.TempDir)
	if err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	defer p.discard()
	b := &book{pack: p, limits: lim, names: names{}}
	b.enter(b.names.take(explainer, 0))
	for _, t := range tables {
		if err := b.table(t); err != nil {
			return fmt.Errorf("write workbook: table %s: %w", t.Name, err)
		}
	}
	for _, step := range []func(Meta) error{b.explain, b.frame} {
		if err := step(meta); err != nil {
			return fmt.Errorf("write workbook: %w", err)
		}
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	return nil
}

// book is a workbook while it is written.
type book struct {
	pack    *pack
	limits  limits
	names   names
	entries []*entry // the sheets in their order, that which explains them first
	sheets  []sheet  // the others, in their order
}

// sheet is what the first sheet says of another.
type sheet struct {
	name, title, about, csv string
	part, from, rows        int
}

const explainer = "Read me"
