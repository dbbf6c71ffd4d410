package workbook

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The parts of a workbook, as ECMA-376 part 1 has them (SpreadsheetML, clause
// 18; packaging, part 2). They are written by hand: the library for it takes
// 60 MB of the program, see docs/dependencies.md.
const (
	xmlHead   = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	mainSpace = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	office    = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	types     = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// The styles, by their place among the cellXfs of stylesXML.
//
// Text cells have the number format "@" (49), text: when somebody edits a cell
// that begins with = and leaves it, a spreadsheet would otherwise take what is
// there for input and make a formula of it. The mark quotePrefix does the same
// in Excel, but other spreadsheets ignore it, and it shows.
const (
	styleText = 1 + iota
	styleWrap
	styleBold
	styleTitle
)

const stylesXML = xmlHead + `<styleSheet ` + mainSpace + `>` +
	`<fonts count="3"><font><sz val="11"/><name val="Calibri"/></font>` +
	`<font><b/><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="16"/><name val="Calibri"/></font></fonts>` +
	`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>` +
	`<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>` +
	`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
	`<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
	`<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1"><alignment vertical="top"/></xf>` +
	`<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1"><alignment vertical="top" wrapText="1"/></xf>` +
	`<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>` +
	`<xf numFmtId="49" fontId="2" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs>` +
	`<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`

// entry is a sheet as the workbook lists it.
type entry struct {
	name   string
	number int    // from 1, in the order of the workbook
	filter string // "$A$1:$C$5"; empty: none
}

func (e *entry) part() string { return fmt.Sprintf("worksheets/sheet%d.xml", e.number) }

// enter adds a sheet to the workbook.
func (b *book) enter(name string) *entry {
	e := &entry{name: name, number: len(b.entries) + 1}
	b.entries = append(b.entries, e)
	return e
}

// sheetWriter writes the rows of one sheet. After an error it writes nothing
// more, and close gives the error.
type sheetWriter struct {
	entry *entry
	out   *bufio.Writer
	n     int // rows
	err   error
}

// open begins a sheet. It ends the one before.
func (b *book) open(e *entry, widths []float64, frozen bool) (*sheetWriter, error) {
	part, err := b.pack.Create("xl/" + e.part())
	if err != nil {
		return nil, fmt.Errorf("open sheet %q: %w", e.name, err)
	}
	s := &sheetWriter{entry: e, out: bufio.NewWriterSize(part, 64<<10)}
	s.write(xmlHead, `<worksheet `, mainSpace, `>`)
	if frozen {
		s.write(`<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>`)
	}
	s.write(`<cols>`)
	for i, width := range widths {
		at := strconv.Itoa(i + 1)
		s.write(`<col min="`, at, `" max="`, at, `" width="`, strconv.FormatFloat(width, 'f', -1, 64), `" customWidth="1"/>`)
	}
	s.write(`</cols><sheetData>`)
	return s, nil
}

func (s *sheetWriter) write(texts ...string) {
	for _, text := range texts {
		if s.err == nil {
			_, s.err = s.out.WriteString(text)
		}
	}
}

// row adds a row.
func (s *sheetWriter) row(cells []content) {
	s.n++
	at := strconv.Itoa(s.n)
	s.write(`<row r="`, at, `">`)
	for i, c := range cells {
		switch {
		case c.number != "":
			s.write(`<c r="`, columnName(i), at, `"><v>`, c.number, `</v></c>`)
		case len(c.runs) == 1:
			s.write(`<c r="`, columnName(i), at, `" s="`, strconv.Itoa(c.style), `" t="inlineStr"><is>`, run(c.runs[0]), `</is></c>`)
		case len(c.runs) > 1:
			s.write(`<c r="`, columnName(i), at, `" s="`, strconv.Itoa(c.style), `" t="inlineStr"><is>`)
			for _, text := range c.runs {
				s.write(`<r>`, run(text), `</r>`)
			}
			s.write(`</is></c>`)
		}
	}
	s.write(`</row>`)
}

func run(text string) string { return `<t xml:space="preserve">` + escape(text) + `</t>` }

// escape makes text of XML 1.0 of a text that cellText gave. A carriage return
// as it is would be read as a line feed (section 2.11).
func escape(text string) string {
	if !strings.ContainsAny(text, "&<>\"\r") {
		return text
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xD;").Replace(text)
}

// columnName gives "A" for 0 and "AB" for 27.
func columnName(i int) string {
	name := ""
	for i++; i > 0; i = (i - 1) / 26 {
		name = string(rune('A'+(i-1)%26)) + name
	}
	return name
}

// close ends the sheet, with a filter over so many columns, if any.
func (s *sheetWriter) close(filtered int) error {
	s.write(`</sheetData>`)
	if filtered > 0 {
		last := columnName(filtered - 1)
		s.entry.filter = fmt.Sprintf("$A$1:$%s$%d", last, s.n)
		s.write(`<autoFilter ref="A1:`, last, strconv.Itoa(s.n), `"/>`)
	}
	s.write(`</worksheet>`)
	if s.err == nil {
		s.err = s.out.Flush()
	}
	if s.err != nil {
		return fmt.Errorf("write sheet %q: %w", s.entry.name, s.err)
	}
	return nil
}

// frame writes what holds the sheets together.
func (b *book) frame(meta Meta) error {
	var sheets, names, rels, overrides strings.Builder
	for i, e := range b.entries {
		fmt.Fprintf(&sheets, `<sheet name="%s" sheetId="%d" r:id="rId%d"/>`, escape(e.name), e.number, e.number)
		fmt.Fprintf(&rels, `<Relationship Id="rId%d" Type="%s/worksheet" Target="%s"/>`, e.number, office, e.part())
		fmt.Fprintf(&overrides, `<Override PartName="/xl/%s" ContentType="%sworksheet+xml"/>`, e.part(), types)
		if e.filter != "" {
			fmt.Fprintf(&names, `<definedName name="_xlnm._FilterDatabase" localSheetId="%d" hidden="1">'%s'!%s</definedName>`, i, escape(e.name), e.filter)
		}
	}
	defined := ""
	if names.Len() > 0 {
		defined = `<definedNames>` + names.String() + `</definedNames>`
	}
	const relationships = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	at := meta.Until.UTC().Format(time.RFC3339)
	title := escape(printable(strings.TrimSpace(meta.Organization + " " + meta.Period)))
	for _, part := range []struct{ name, text string }{
		{"[Content_Types].xml", xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + types + `sheet.main+xml"/>` +
			`<Override PartName="/xl/styles.xml" ContentType="` + types + `styles+xml"/>` + overrides.String() +
			`<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>` +
			`<Override PartName="/docProps/app.xml" ContentType="application/vnd.openxmlformats-officedocument.extended-properties+xml"/></Types>`},
		{"_rels/.rels", xmlHead + relationships +
			`<Relationship Id="rId1" Type="` + office + `/officeDocument" Target="xl/workbook.xml"/>` +
			`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/>` +
			`<Relationship Id="rId3" Type="` + office + `/extended-properties" Target="docProps/app.xml"/></Relationships>`},
		{"docProps/app.xml", xmlHead + `<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"><Application>tallystick</Application></Properties>`},
		{"docProps/core.xml", xmlHead + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"` +
			` xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
			`<dc:title>` + title + `</dc:title><dc:creator>tallystick</dc:creator><cp:lastModifiedBy>tallystick</cp:lastModifiedBy>` +
			`<dcterms:created xsi:type="dcterms:W3CDTF">` + at + `</dcterms:created><dcterms:modified xsi:type="dcterms:W3CDTF">` + at + `</dcterms:modified></cp:coreProperties>`},
		{"xl/styles.xml", stylesXML},
		{"xl/workbook.xml", xmlHead + `<workbook ` + mainSpace + ` xmlns:r="` + office + `"><sheets>` + sheets.String() + `</sheets>` + defined + `</workbook>`},
		{"xl/_rels/workbook.xml.rels", xmlHead + relationships + rels.String() +
			fmt.Sprintf(`<Relationship Id="rId%d" Type="%s/styles" Target="styles.xml"/></Relationships>`, len(b.entries)+1, office)},
	} {
		w, err := b.pack.Create(part.name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, part.text); err != nil {
			return fmt.Errorf("write %s: %w", part.name, err)
		}
	}
	return nil
}
