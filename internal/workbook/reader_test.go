package workbook

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readSheet is a sheet as this file's own reader sees it: it shares nothing
// with the library that wrote it.
type readSheet struct {
	name    string
	rows    [][]readCell
	frozen  bool
	filter  string
	widths  int
	formula bool
}

type readCell struct {
	value  string
	typ    string // "inlineStr", or empty for a number
	format string // number format of its style
	bold   bool
}

func (s readSheet) texts() (out [][]string) {
	for _, row := range s.rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, c.value)
		}
		out = append(out, cells)
	}
	return out
}

// read opens a workbook and checks that the package is whole: every part has a
// content type, every relationship leads to a part within the package.
func read(t *testing.T, b []byte) []readSheet {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("open the archive: %v", err)
	}
	parts := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r) // checks the CRC
		if err != nil {
			t.Fatalf("read %s: %v", f.Name, err)
		}
		if _, twice := parts[f.Name]; twice {
			t.Errorf("part %s is there twice", f.Name)
		}
		parts[f.Name] = data
		if strings.Contains(strings.ToLower(f.Name), "vba") || strings.Contains(f.Name, "externalLink") || strings.Contains(f.Name, "calcChain") {
			t.Errorf("a part that must not be there: %s", f.Name)
		}
		if f.Modified.Year() != 1980 {
			t.Errorf("part %s is of %v", f.Name, f.Modified)
		}
	}
	if z.File[0].Name != "[Content_Types].xml" {
		t.Errorf("the first part is %s", z.File[0].Name)
	}
	contentTypes(t, parts)
	for name := range parts {
		if strings.HasSuffix(name, ".rels") {
			relations(t, parts, name)
		}
	}

	var book struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
			Rel  string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
		} `xml:"sheets>sheet"`
	}
	decode(t, parts["xl/workbook.xml"], &book)
	rels := relations(t, parts, "xl/_rels/workbook.xml.rels")
	formats, bolds := styles(t, parts["xl/styles.xml"])
	var out []readSheet
	seen := map[string]bool{}
	for _, s := range book.Sheets {
		key := strings.ToLower(s.Name)
		if seen[key] || len(utf16s(s.Name)) > 31 || s.Name == "" || strings.ContainsAny(s.Name, `/\?*:[]'`) || key == "history" {
			t.Errorf("sheet name %q is not valid, or is there twice", s.Name)
		}
		seen[key] = true
		got := readRows(t, parts[rels[s.Rel]], formats, bolds)
		got.name = s.Name
		out = append(out, got)
	}
	return out
}

func decode(t *testing.T, b []byte, into any) {
	t.Helper()
	if err := xml.Unmarshal(b, into); err != nil {
		t.Fatalf("decode: %v", err)
	}
}

func contentTypes(t *testing.T, parts map[string][]byte) {
	t.Helper()
	var types struct {
		Default []struct {
			Extension string `xml:"Extension,attr"`
		}
		Override []struct {
			PartName string `xml:"PartName,attr"`
		}
	}
	decode(t, parts["[Content_Types].xml"], &types)
	for _, o := range types.Override {
		if parts[strings.TrimPrefix(o.PartName, "/")] == nil {
			t.Errorf("content type of %s, which is no part", o.PartName)
		}
	}
	for name := range parts {
		ok := slices.ContainsFunc(types.Override, func(o struct {
			PartName string `xml:"PartName,attr"`
		},
		) bool {
			return o.PartName == "/"+name
		})
		for _, d := range types.Default {
			ok = ok || d.Extension == strings.TrimPrefix(path.Ext(name), ".") && d.Extension != "xml"
		}
		if !ok && name != "[Content_Types].xml" {
			t.Errorf("part %s has no content type", name)
		}
	}
}

func relations(t *testing.T, parts map[string][]byte, name string) map[string]string {
	t.Helper()
	var rels struct {
		Relationship []struct {
			ID         string `xml:"Id,attr"`
			Target     string `xml:"Target,attr"`
			TargetMode string `xml:"TargetMode,attr"`
		}
	}
	decode(t, parts[name], &rels)
	out := map[string]string{}
	for _, r := range rels.Relationship {
		target := path.Join(path.Dir(path.Dir(name)), r.Target)
		if strings.HasPrefix(r.Target, "/") {
			target = r.Target[1:]
		}
		if r.TargetMode != "" || parts[target] == nil {
			t.Errorf("%s: %q leads out of the package or nowhere", name, r.Target)
		}
		out[r.ID] = target
	}
	return out
}

func styles(t *testing.T, b []byte) (formats []string, bolds []bool) {
	t.Helper()
	var s struct {
		Fonts []struct {
			Bold *struct{} `xml:"b"`
		} `xml:"fonts>font"`
		Xfs []struct {
			Format string `xml:"numFmtId,attr"`
			Font   int    `xml:"fontId,attr"`
		} `xml:"cellXfs>xf"`
	}
	decode(t, b, &s)
	for _, x := range s.Xfs {
		formats = append(formats, x.Format)
		bolds = append(bolds, s.Fonts[x.Font].Bold != nil)
	}
	return formats, bolds
}

func readRows(t *testing.T, b []byte, formats []string, bolds []bool) (s readSheet) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(b))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			t.Fatalf("read a sheet: %v", err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "pane":
			s.frozen = attr(e, "state") == "frozen" && attr(e, "ySplit") == "1"
		case "autoFilter":
			s.filter = attr(e, "ref")
		case "col":
			s.widths++
		case "f":
			s.formula = true
		case "dimension":
			t.Error("a sheet says which cells it has")
		case "row":
			if got := attr(e, "r"); got != strconv.Itoa(len(s.rows)+1) {
				t.Fatalf("row %s after %d rows", got, len(s.rows))
			}
			s.rows = append(s.rows, nil)
		case "c":
			var c struct {
				F    *string `xml:"f"`
				V    string  `xml:"v"`
				T    string  `xml:"is>t"`
				Runs []struct {
					T string `xml:"t"`
				} `xml:"is>r"`
			}
			if err := dec.DecodeElement(&c, &e); err != nil {
				t.Fatal(err)
			}
			s.formula = s.formula || c.F != nil
			style, _ := strconv.Atoi(attr(e, "s"))
			cell := readCell{typ: attr(e, "t"), value: c.V, format: formats[style], bold: bolds[style]}
			if cell.typ == "inlineStr" {
				cell.value = unescape(c.T)
				for _, r := range c.Runs {
					cell.value += unescape(r.T)
				}
			}
			row := &s.rows[len(s.rows)-1]
			for len(*row) < column(attr(e, "r")) {
				*row = append(*row, readCell{})
			}
			(*row)[column(attr(e, "r"))-1] = cell
		}
	}
}

// unescape reads ST_Xstring: ECMA-376 part 1, 22.9.2.19.
func unescape(s string) string {
	return regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`).ReplaceAllStringFunc(s, func(m string) string {
		n, _ := strconv.ParseUint(m[2:6], 16, 16)
		return string(rune(n))
	})
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// column gives 28 for "AB7".
func column(ref string) (n int) {
	for _, r := range ref {
		if r < 'A' || r > 'Z' {
			break
		}
		n = n*26 + int(r-'A') + 1
	}
	return n
}
