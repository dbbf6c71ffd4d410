package sample

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Version is that of sample.json.
const Version = 1

// Drawn is a sample.
type Drawn struct {
	Population *Population
	Choice     Choice
	Requested  string // by whom, and for what
	Places     []int  // in Population.Lines, in the order of the choice
}

// Draw chooses from a population. One that is not whole is refused with an
// *IncompleteError, unless incomplete says that it will do; the sample is then
// marked.
func Draw(p *Population, c Choice, requested string, incomplete bool) (*Drawn, error) {
	if len(p.Incomplete) > 0 && !incomplete {
		return nil, &IncompleteError{Reasons: p.Incomplete}
	}
	const most = 500
	if len(requested) > most {
		return nil, fmt.Errorf("what the sample is for takes %d bytes: say it in %d", len(requested), most)
	}
	places, err := Choose(c, p.Digest, p.Lines)
	if err != nil {
		return nil, err
	}
	return &Drawn{Population: p, Choice: c, Requested: requested, Places: places}, nil
}

// Document is sample.json.
type Document struct {
	Version      int               `json:"version"`
	Ledger       string            `json:"ledger"` // the checkpoint origin
	Organization string            `json:"organization"`
	Simulated    bool              `json:"simulated,omitempty"` // then this is not evidence
	Definition   Definition        `json:"definition"`
	From         time.Time         `json:"from"`
	To           time.Time         `json:"to"` // exclusive
	Population   FrozenPopulation  `json:"population"`
	Requested    string            `json:"requested"`
	Seed         string            `json:"seed"`
	Method       string            `json:"method"`
	Size         int               `json:"size"`
	Chosen       []Chosen          `json:"chosen"`  // in the order of the choice
	Records      map[string]string `json:"records"` // that the chosen items come from: index to what it is
}

// FrozenPopulation says what the sample was drawn from.
type FrozenPopulation struct {
	Size       int             `json:"size"`
	SHA256     evidence.Digest `json:"sha256"` // of population.csv
	Complete   bool            `json:"complete"`
	Incomplete []string        `json:"incomplete,omitempty"` // what is missing
	Notes      []string        `json:"notes,omitempty"`
}

// Chosen is one chosen item.
type Chosen struct {
	Number int    `json:"number"` // from 1
	Place  int    `json:"place"`  // its line of population.csv after the header, from 1
	Line   string `json:"line"`
	Folder string `json:"folder"`
}

// Document gives sample.json.
func (d *Drawn) Document() ([]byte, error) {
	p := d.Population
	doc := Document{
		Version: Version, Ledger: p.Ledger, Organization: p.Organization, Simulated: p.Simulated,
		Definition: p.Definition, From: p.From, To: p.To,
		Population: FrozenPopulation{Size: len(p.Lines), SHA256: p.Digest, Complete: len(p.Incomplete) == 0, Incomplete: p.Incomplete, Notes: p.Notes},
		Requested:  d.Requested, Seed: d.Choice.Seed, Method: d.Choice.Method, Size: len(d.Places),
		Chosen: []Chosen{}, Records: map[string]string{},
	}
	for i, place := range d.Places {
		it := p.items[place]
		doc.Chosen = append(doc.Chosen, Chosen{Number: i + 1, Place: place + 1, Line: p.Lines[place], Folder: d.folder(i)})
		switch {
		case it.run != nil:
			doc.Records[it.record] = "run " + it.run.ID()
		case it.missed != nil:
			doc.Records[it.record] = "missed " + missedOf(*it.missed).Stream.String()
		}
	}
	return indented(doc)
}

// Record gives the record that the sample was drawn.
func (d *Drawn) Record() *evidence.Sample {
	p := d.Population
	return &evidence.Sample{
		Requested: d.Requested, Population: p.Definition.Population, Control: p.Definition.Control, Check: p.Definition.Check,
		Kind: p.Definition.Kind, From: p.From, To: p.To, Seed: d.Choice.Seed, Method: d.Choice.Method,
		Size: len(d.Places), Of: len(p.Lines), Frozen: p.Digest,
	}
}

// csv gives sample.csv: the chosen lines with their numbers.
func (d *Drawn) csv() []byte {
	header := resourceHeader
	if d.Population.Definition.Population == Slots {
		header = slotHeader
	}
	var b strings.Builder
	b.WriteString("number," + header + "\n")
	for i, place := range d.Places {
		fmt.Fprintf(&b, "%d,%s\n", i+1, d.Population.Lines[place])
	}
	return []byte(b.String())
}

// folder names the folder of the i-th chosen item: its number, and what is left
// of its name when nothing but harmless letters is.
func (d *Drawn) folder(i int) string {
	const most = 60
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, d.Population.items[d.Places[i]].folder())
	name = strings.Trim(name[:min(len(name), most)], ".-")
	digits := max(3, len(fmt.Sprint(len(d.Places))))
	return strings.TrimSuffix(fmt.Sprintf("%0*d-%s", digits, i+1, name), "-")
}

// runs gives the runs of the chosen resources, by record, and which items are
// of each.
func (d *Drawn) runs() ([]*run, map[*run][]int) {
	of := map[*run][]int{}
	for i, place := range d.Places {
		if r := d.Population.items[place].run; r != nil {
			of[r] = append(of[r], i)
		}
	}
	return slices.SortedFunc(maps.Keys(of), func(a, b *run) int { return cmp.Compare(a.record, b.record) }), of
}

func indented(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return []byte(b.String()), nil
}
