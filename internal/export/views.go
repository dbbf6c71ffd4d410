package export

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/internal/oscal"
	"github.com/tallystick/tallystick/internal/pages"
	"github.com/tallystick/tallystick/internal/workbook"
)

// The names of the views in a bundle.
const (
	readmeFile   = "README.txt"
	howToFile    = "VERIFY.md"
	workbookFile = "tallystick.xlsx"
	oscalFile    = "oscal-assessment-results.json"
)

//go:embed README.txt
var readme string

//go:embed VERIFY.md
var howTo string

const maxCatalogue = 64 << 20

// views writes what people read. All of it follows from the records.
func (e *exporter) views() error {
	raw, err := e.store.ReadAll(e.report.Catalogue, maxCatalogue)
	if err != nil {
		return fmt.Errorf("read catalogue: %w", err)
	}
	if e.rules, err = checks.Decode(raw); err != nil {
		return err
	}
	tables := period.Tables(e.report, period.Sources{Payloads: e.store, Changes: e.changes.All})
	for _, t := range tables {
		if err := e.write(bundle.TablesDir+"/"+t.Name+".csv", t.WriteCSV); err != nil {
			return err
		}
	}
	meta := workbook.Meta{Organization: e.report.Organization, Ledger: e.report.Ledger, Until: e.report.Until, Period: e.Window.String() + " (" + e.Window.Zone.String() + ")", Simulated: e.report.Simulated}
	if err := e.write(workbookFile, func(w io.Writer) error { return workbook.Write(w, meta, tables) }); err != nil {
		return err
	}
	err = e.write(oscalFile, func(w io.Writer) error {
		return oscal.Write(w, oscal.Input{Report: e.report, Catalogue: e.rules, Verdicts: e.verdicts})
	})
	if err != nil {
		return err
	}
	site, err := pages.New(pages.Input{Report: e.report, Catalogue: e.rules, Payloads: e.store, Changes: e.changes.All})
	if err != nil {
		return err
	}
	if err := site.Write(e.ctx, e.out.Create); err != nil {
		return err
	}
	return errors.Join(e.put(readmeFile, []byte(e.fill(readme))), e.put(howToFile, []byte(e.fill(howTo))))
}

// verdicts gives those of one judgement.
func (e *exporter) verdicts(j period.Judgement) iter.Seq2[evidence.Verdict, error] {
	return func(yield func(evidence.Verdict, error) bool) {
		for v, err := range payload.Lines[evidence.Verdict](e.store, j.Verdicts) {
			if (err != nil || v.Check == j.Check) && !yield(v, err) {
				return
			}
		}
	}
}

// fill puts what the bundle is about into a text.
func (e *exporter) fill(text string) string {
	note := ""
	if e.report.Simulated {
		note = "SIMULATED CLOCK: these records were made by a demo or a simulation. They are not evidence.\n\n"
	}
	return strings.NewReplacer(
		"{{simulated}}", note,
		"{{organization}}", e.report.Organization,
		"{{window}}", e.Window.String(),
		"{{from}}", e.Window.From.UTC().Format(time.RFC3339),
		"{{to}}", e.Window.To.UTC().Format(time.RFC3339),
		"{{zone}}", e.Window.Zone.String(),
		"{{ledger}}", e.report.Ledger,
	).Replace(text)
}
