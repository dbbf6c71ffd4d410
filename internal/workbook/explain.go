package workbook

import (
	"fmt"
	"strconv"
	"time"

	"github.com/xuri/excelize/v2"
)

// explain writes the first sheet.
func (b *book) explain(meta Meta) error {
	type line struct {
		style int
		cells []string
	}
	lines := []line{{b.title, []string{meta.Organization}}}
	if meta.Simulated {
		lines = append(lines, line{b.title, []string{"SIMULATED: records of this period were made under a simulated clock. This is not evidence."}})
	}
	lines = append(lines,
		line{b.text, []string{"Period", meta.Period}},
		line{b.text, []string{"Ledger", meta.Ledger}},
		line{b.text, []string{"Newest record", meta.Until.UTC().Format(time.RFC3339)}},
		line{},
		line{b.text, []string{"Each sheet is one table. A CSV file of the name below lies in the folder tables, beside this workbook, and holds the same rows."}},
		line{b.text, []string{"No cell is a formula. Text is text, account ids too; a CSV file has an apostrophe before text that a spreadsheet would take for a formula, this workbook needs none."}},
		line{b.text, []string{"Times are UTC. A character that a workbook can not hold is shown by its number, as in \\u0000. Text that is too long for a cell is cut, and says so."}},
		line{},
		line{b.bold, []string{"Sheet", "CSV", "Rows", "What a row is"}},
	)
	if err := b.first.SetColWidth(1, 3, 24); err != nil {
		return err
	}
	if err := b.first.SetColWidth(4, 4, 100); err != nil {
		return err
	}
	row := 0
	set := func(cells []any) error {
		row++
		return b.first.SetRow("A"+strconv.Itoa(row), cells)
	}
	for _, l := range lines {
		var cells []any
		for _, c := range l.cells {
			cells = append(cells, textCell(l.style, c, explainer))
		}
		if err := set(cells); err != nil {
			return fmt.Errorf("write sheet %q: %w", explainer, err)
		}
	}
	for i, s := range b.sheets {
		about := s.about
		if s.part > 1 || i+1 < len(b.sheets) && b.sheets[i+1].part > s.part {
			about += fmt.Sprintf(" The table is too long for one sheet: this is part %d, from its row %d on.", s.part, s.from)
		}
		cells := []any{
			textCell(b.text, s.name, explainer), textCell(b.text, s.csv, explainer),
			excelize.Cell{Value: s.rows},
			textCell(b.wrap, about, explainer),
		}
		if err := set(cells); err != nil {
			return fmt.Errorf("write sheet %q: %w", explainer, err)
		}
	}
	if err := b.first.Flush(); err != nil {
		return fmt.Errorf("write sheet %q: %w", explainer, err)
	}
	return nil
}
