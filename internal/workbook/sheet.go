package workbook

import (
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/tallystick/tallystick/evidence/period"
)

// table writes a table as one sheet, or as several.
func (b *book) table(t period.Table) error {
	if len(t.Columns) == 0 {
		return fmt.Errorf("it has no columns")
	}
	next, stop := iter.Pull2(rows(t))
	defer stop()
	row, err, more := next()
	for part, from := 1, 1; part == 1 || more; part++ {
		if err != nil {
			return err
		}
		s := sheet{title: t.Title, about: t.About, csv: t.Name + ".csv", part: part, from: from}
		if s.title == "" {
			s.title = t.Name
		}
		s.name = b.names.take(s.title, part)
		// The first rows are looked at before they are written, for the widths.
		var head [][]string
		for ; more && len(head) < min(100, b.limits.rows); row, err, more = next() {
			if err != nil {
				return err
			}
			head = append(head, row)
		}
		out, err2 := b.openTable(s.name, t, head)
		if err2 != nil {
			return err2
		}
		for _, r := range head {
			out.add(r)
		}
		for ; more && out.rows < b.limits.rows && out.bytes < b.limits.bytes; row, err, more = next() {
			if err != nil {
				return err
			}
			out.add(row)
			if out.err != nil {
				return out.err
			}
		}
		if err := out.close(len(t.Columns)); err != nil {
			return err
		}
		s.rows, from = out.rows, from+out.rows
		b.sheets = append(b.sheets, s)
	}
	return nil
}

// rows gives the rows of a table with an error for one of the wrong length, and
// none after an error.
func rows(t period.Table) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		n := 0
		for row, err := range t.Rows {
			n++
			if err == nil && len(row) != len(t.Columns) {
				err = fmt.Errorf("row %d has %d cells, and there are %d columns", n, len(row), len(t.Columns))
			}
			if err != nil {
				yield(nil, err)
				return
			}
			// The table may use the same slice for its next row.
			if !yield(append([]string(nil), row...), nil) {
				return
			}
		}
	}
}

// tableSheet is a sheet of a table while it is written.
type tableSheet struct {
	*sheetWriter
	table period.Table
	rows  int
	bytes int64 // at most so many of XML
	cells []content
}

func (b *book) openTable(name string, t period.Table, head [][]string) (*tableSheet, error) {
	widths := make([]float64, len(t.Columns))
	cells := make([]content, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = width(c, i, head)
		cells[i] = textCell(styleBold, title(c), t.Name)
	}
	out, err := b.open(b.enter(name), widths, true)
	if err != nil {
		return nil, err
	}
	out.row(cells)
	return &tableSheet{sheetWriter: out, table: t, cells: cells}, nil
}

func title(c period.Column) string {
	if c.Title != "" {
		return c.Title
	}
	return c.Name
}

// width is that of the widest cell of the first rows, within reason. The arrow
// of the filter needs room in the header.
func width(c period.Column, i int, head [][]string) float64 {
	n := utf8.RuneCountInString(title(c)) + 4
	for _, row := range head {
		n = max(n, utf8.RuneCountInString(row[i])+2)
	}
	return float64(min(max(n, 8), 60))
}

func (s *tableSheet) add(row []string) {
	for i, value := range row {
		s.cells[i] = cell(styleText, value, s.table.Columns[i].Kind, s.table.Name)
		s.bytes += cellBytes(value)
	}
	s.rows++
	s.row(s.cells)
}
