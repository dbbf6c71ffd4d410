package period

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strings"
)

// ColumnKind says what the cells of a column are.
type ColumnKind int

// The kinds of columns. Every cell is text; the kind says how to read it.
const (
	Text   ColumnKind = iota
	Number            // decimal digits, or empty
	Time              // RFC 3339 in UTC, or empty
)

// Column is a column of a Table.
type Column struct {
	Name  string // the header in CSV: "first_bad"
	Title string // for people: "First seen failing"
	Kind  ColumnKind
}

// Table is a part of a report as rows of cells. Its rows can be read more than
// once.
type Table struct {
	Name    string // file name without extension: "deviations"
	Title   string
	About   string // one sentence: what a row is
	Columns []Column
	Rows    iter.Seq2[[]string, error]
}

// WriteCSV writes the table as RFC 4180 with a header. A cell that a
// spreadsheet would take for a formula is written with an apostrophe before it.
// Source: OWASP, CSV injection.
func (t Table) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	cells := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cells[i] = c.Name
	}
	if err := out.Write(cells); err != nil {
		return fmt.Errorf("write table %s: %w", t.Name, err)
	}
	for row, err := range t.Rows {
		if err != nil {
			return fmt.Errorf("write table %s: %w", t.Name, err)
		}
		for i, cell := range row {
			cells[i] = Inert(cell)
		}
		if err := out.Write(cells[:len(row)]); err != nil {
			return fmt.Errorf("write table %s: %w", t.Name, err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write table %s: %w", t.Name, err)
	}
	return nil
}

// Inert keeps a spreadsheet from taking a cell for a formula.
func Inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
