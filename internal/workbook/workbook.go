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
// Limits: sheets longer than 16 MiB of XML, and the compressed parts, are kept
// in temporary files until Write returns. Those of a process that was killed
// stay behind. When there is no place for them the library that writes sheets
// keeps the sheets in memory and does not say so.
package workbook

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

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

func write(w io.Writer, meta Meta, tables []period.Table, lim limits) (err error) {
	f := excelize.NewFile(excelize.Options{TmpDir: meta.TempDir})
	defer func() {
		if cerr := f.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("remove temporary files of the workbook: %w", cerr))
		}
	}()
	b := &book{file: f, limits: lim, names: names{}}
	if err := b.begin(meta); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	for _, t := range tables {
		if err := b.table(t); err != nil {
			return fmt.Errorf("write workbook: table %s: %w", t.Name, err)
		}
	}
	if err := b.explain(meta); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}

	p, err := newPack(w, meta.TempDir)
	if err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	defer p.discard()
	f.SetZipWriter(func(io.Writer) excelize.ZipWriter { return p })
	if err := f.Write(io.Discard); err != nil { // the pack has w
		return fmt.Errorf("write workbook: %w", err)
	}
	return nil
}

// book is a workbook while it is written.
type book struct {
	file   *excelize.File
	limits limits
	names  names
	first  *excelize.StreamWriter // the sheet that explains the others
	sheets []sheet                // the others, in their order

	text, bold, title, wrap int // styles
}

// sheet is what the first sheet says of another.
type sheet struct {
	name, title, about, csv string
	part, from, rows        int
}

const explainer = "Read me"

// begin makes the styles, the properties and the first sheet, which is written
// last: only then is it known what the others hold.
func (b *book) begin(meta Meta) error {
	// Text cells have the number format "@", text: when somebody edits a cell
	// that begins with = and leaves it, a spreadsheet would otherwise take what
	// is there for input and make a formula of it. The mark quotePrefix does
	// the same in Excel, but other spreadsheets ignore it, and it shows.
	const text = 49
	top := &excelize.Alignment{Vertical: "top"}
	for _, s := range []struct {
		id    *int
		style excelize.Style
	}{
		{&b.text, excelize.Style{NumFmt: text, Alignment: top}},
		{&b.wrap, excelize.Style{NumFmt: text, Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}},
		{&b.bold, excelize.Style{NumFmt: text, Font: &excelize.Font{Bold: true}}},
		{&b.title, excelize.Style{NumFmt: text, Font: &excelize.Font{Bold: true, Size: 16}}},
	} {
		id, err := b.file.NewStyle(&s.style)
		if err != nil {
			return fmt.Errorf("make a style: %w", err)
		}
		*s.id = id
	}
	at := meta.Until.UTC().Format(time.RFC3339)
	if err := b.file.SetDocProps(&excelize.DocProperties{
		Creator: "tallystick", LastModifiedBy: "tallystick", Created: at, Modified: at,
		Title: printable(strings.TrimSpace(meta.Organization + " " + meta.Period)),
	}); err != nil {
		return fmt.Errorf("set properties: %w", err)
	}
	if err := b.file.SetAppProps(&excelize.AppProperties{Application: "tallystick"}); err != nil {
		return fmt.Errorf("set properties: %w", err)
	}
	if err := b.file.SetSheetName("Sheet1", b.names.take(explainer, 0)); err != nil {
		return fmt.Errorf("name the first sheet: %w", err)
	}
	var err error
	b.first, err = b.open(explainer)
	return err
}

// open begins the rows of a sheet that exists.
func (b *book) open(name string) (*excelize.StreamWriter, error) {
	// The template claims that the sheet is one cell, and some readers believe it.
	if err := b.file.SetSheetDimension(name, ""); err != nil {
		return nil, fmt.Errorf("open sheet %q: %w", name, err)
	}
	s, err := b.file.NewStreamWriter(name)
	if err != nil {
		return nil, fmt.Errorf("open sheet %q: %w", name, err)
	}
	return s, nil
}
