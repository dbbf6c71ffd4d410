package workbook

import (
	"fmt"
	"strconv"
	"time"
)

// explain writes the first sheet.
func (b *book) explain(meta Meta) error {
	type line struct {
		style int
		cells []string
	}
	lines := []line{{styleTitle, []string{meta.Organization}}}
	if meta.Simulated {
		lines = append(lines, line{styleTitle, []string{"SIMULATED: records of this period were made under a simulated clock. This is not evidence."}})
	}
	lines = append(lines,
		line{styleText, []string{"Period", meta.Period}},
		line{styleText, []string{"Ledger", meta.Ledger}},
		line{styleText, []string{"Newest record", meta.Until.UTC().Format(time.RFC3339)}},
		line{},
		line{styleText, []string{"Each sheet is one table. A CSV file of the name below lies in the folder tables, beside this workbook, and holds the same rows."}},
		line{styleText, []string{"No cell is a formula. Text is text, account ids too; a CSV file has an apostrophe before text that a spreadsheet would take for a formula, this workbook needs none."}},
		line{styleText, []string{"Times are UTC. A character that a workbook can not hold is shown by its number, as in \\u0000. Text that is too long for a cell is cut, and says so."}},
		line{},
		line{styleBold, []string{"Sheet", "CSV", "Rows", "What a row is"}},
	)
	out, err := b.open(b.entries[0], []float64{24, 24, 24, 100}, false)
	if err != nil {
		return err
	}
	for _, l := range lines {
		var cells []content
		for _, c := range l.cells {
			cells = append(cells, textCell(l.style, c, explainer))
		}
		out.row(cells)
	}
	for i, s := range b.sheets {
		about := s.about
		if s.part > 1 || i+1 < len(b.sheets) && b.sheets[i+1].part > s.part {
			about += fmt.Sprintf(" The table is too long for one sheet: this is part %d, from its row %d on.", s.part, s.from)
		}
		out.row([]content{
			textCell(styleText, s.name, explainer), textCell(styleText, s.csv, explainer),
			{number: strconv.Itoa(s.rows)},
			textCell(styleWrap, about, explainer),
		})
	}
	return out.close(0)
}
