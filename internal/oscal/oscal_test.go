package oscal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// valid holds a document against NIST's schema, which is not in the repository.
func valid(t *testing.T, document []byte) {
	t.Helper()
	const file = "../../../shared/schemas/oscal_assessment-results_schema.json"
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("NOT CHECKED against NIST's schema: there is no " + file)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	schema, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("oscal.json", schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("oscal.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("not valid: %v", err)
	}
}

func TestSchema(t *testing.T) {
	all, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	real := report()
	real.Controls, real.Judgements = nil, nil
	for _, c := range all.Controls() {
		cc := period.ControlCoverage{Control: period.Control{ID: c.ID, Title: c.Title, Criteria: []string{c.Criteria[0].ID}}}
		for _, check := range c.Checks {
			cc.Checks = append(cc.Checks, period.Check{ID: check.ID, Title: check.Title})
			real.Judgements = append(real.Judgements, period.Judgement{Scope: scope(), Check: check.ID, Control: c.ID, Evaluated: at(30, 6)})
		}
		real.Controls = append(real.Controls, cc)
	}
	inReal := input(real)
	inReal.Catalogue = all
	simulated := report()
	simulated.Simulated, simulated.Window.AsOf = true, true
	for _, tt := range []struct {
		name string
		in   Input
	}{
		{"everything", input(report())},
		{"as of, simulated", input(simulated)},
		{"nothing", input(&period.Report{Window: report().Window})},
		{"the catalogue", inReal},
	} {
		t.Run(tt.name, func(t *testing.T) { valid(t, written(t, tt.in)) })
	}
	if b := written(t, inReal); !bytes.Contains(b, []byte("Versioning.Status == 'Enabled'")) {
		t.Error("the rule of a check is missing")
	}
}

// parsed is what the tests look at.
type parsed struct {
	Results struct {
		Metadata struct{ Title string } `json:"metadata"`
		ImportAP struct{ Href string }  `json:"import-ap"`
		Results  []struct {
			Title        string `json:"title"`
			End          string `json:"end"`
			Observations []struct {
				UUID, Title, Description string
				Types                    []string
				Subjects                 []struct {
					UUID string `json:"subject-uuid"`
					Type string
				}
				Props []struct{ Name, Value string }
			}
			Risks    []struct{ UUID, Status, Deadline, Statement string }
			Findings []struct {
				Target struct {
					ID     string                 `json:"target-id"`
					Status struct{ State string } `json:"status"`
				}
				Risks        []map[string]string `json:"related-risks"`
				Observations []map[string]string `json:"related-observations"`
			}
		}
		BackMatter struct{ Resources []struct{ UUID string } } `json:"back-matter"`
	} `json:"assessment-results"`
}

func parse(t *testing.T, b []byte) (p parsed) {
	t.Helper()
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFindings(t *testing.T) {
	b := written(t, input(report()))
	p := parse(t, b).Results.Results[0]
	got := map[string]string{}
	for _, f := range p.Findings {
		got[f.Target.ID] = f.Target.Status.State
	}
	for _, o := range p.Observations {
		if slices.Contains(o.Types, "undetermined") {
			control := ""
			for _, pr := range o.Props {
				if pr.Name == "control" {
					control = pr.Value
				}
				if pr.Name == "state" {
					got["? "+control] = pr.Value
				}
			}
			got["? "+control] = o.Props[0].Value
			delete(got, "? ")
		}
	}
	want := map[string]string{
		"clean":             satisfied,
		"failing":           notSatisfied,
		"deviated":          notSatisfied,
		"? applies-to-none": notApplicable,
		"? holes":           notComplete,
		"? never-due":       notOccurred,
		"? never-judged":    notComplete,
		"? spans":           notComplete,
		"? undecided":       notDetermined,
		"? undecided-once":  notDetermined,
	}
	for c, state := range want {
		if got[c] != state {
			t.Errorf("%s: %q, want %q", c, got[c], state)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d controls, want %d: %v", len(got), len(want), got)
	}
	if p.End != "2026-03-30T06:00:00Z" {
		t.Errorf("it speaks of times until %s, later than the newest record", p.End)
	}
	if words := regexp.MustCompile(`(?i)compliant|certif|score [0-9]`).Find(b); words != nil {
		t.Errorf("it says %q", words)
	}
}

func TestRisks(t *testing.T) {
	p := parse(t, written(t, input(report()))).Results.Results[0]
	var states []string
	for _, r := range p.Risks {
		states = append(states, r.Status)
		if r.Deadline != "2026-03-19T06:00:00Z" { // 14 days after it was first seen
			t.Errorf("deadline %s", r.Deadline)
		}
	}
	if want := []string{"open", "closed", "closed", "closed", "open"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}

// TestReferences: every UUID that is pointed at is defined, and defined once.
func TestReferences(t *testing.T) {
	b := written(t, input(report()))
	p := parse(t, b)
	if p.Results.ImportAP.Href != "#"+p.Results.BackMatter.Resources[0].UUID {
		t.Errorf("import-ap leads to %s", p.Results.ImportAP.Href)
	}
	defined := map[string]bool{}
	for _, m := range regexp.MustCompile(`"uuid":\s*"([^"]+)"`).FindAllSubmatch(b, -1) {
		if defined[string(m[1])] {
			t.Errorf("%s is defined twice", m[1])
		}
		defined[string(m[1])] = true
	}
	refs := regexp.MustCompile(`"[a-z]+-uuid":\s*"([^"]+)"`).FindAllSubmatch(b, -1)
	for _, m := range refs {
		if !defined[string(m[1])] {
			t.Errorf("nothing is defined for %s", m[0])
		}
	}
	if len(defined) < 20 || len(refs) < 20 {
		t.Errorf("%d definitions and %d references", len(defined), len(refs))
	}
	var says []string
	for _, o := range p.Results.Results[0].Observations {
		if slices.Contains(o.Types, "finding") || slices.Contains(o.Types, typeUnknown) {
			says = append(says, o.Title+" "+o.Subjects[0].Type)
		}
	}
	want := []string{
		"check-failing failed on bucket-bad in eu-west-1 inventory-item",
		"check-failing could not be decided on bucket-dim in eu-west-1 inventory-item",
		"check-undecided could not be decided on the list of aws.s3.bucket in eu-west-1 component",
		"check-undecided-once could not be decided from 2026-03-05T00:00:00Z to 2026-03-05T00:00:00Z on the list of aws.s3.bucket component",
	}
	if !slices.Equal(says, want) {
		t.Errorf("observations:\n%s", strings.Join(says, "\n"))
	}
}

func TestSameBytes(t *testing.T) {
	a, b := written(t, input(report())), written(t, input(report()))
	if !bytes.Equal(a, b) {
		t.Error("twice the same report, two documents")
	}
	other := report()
	other.Ledger = "another"
	if bytes.Contains(written(t, input(other)), a[:80]) {
		t.Error("two ledgers share a document UUID")
	}
}

func TestSimulated(t *testing.T) {
	r := report()
	r.Simulated = true
	p := parse(t, written(t, input(r)))
	for _, title := range []string{p.Results.Metadata.Title, p.Results.Results[0].Title} {
		if !strings.HasPrefix(title, "SIMULATED") {
			t.Errorf("title %q", title)
		}
	}
}

func TestErrors(t *testing.T) {
	in := input(report())
	in.Verdicts = func(period.Judgement) iter.Seq2[evidence.Verdict, error] {
		return func(yield func(evidence.Verdict, error) bool) {
			yield(evidence.Verdict{}, errors.New("payload is gone"))
		}
	}
	if err := Write(io.Discard, in); err == nil || !strings.Contains(err.Error(), "payload is gone") || !strings.Contains(err.Error(), "check-failing") {
		t.Errorf("verdicts that can not be read: %v", err)
	}
	if err := Write(full{}, input(report())); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("a writer that fails: %v", err)
	}
	if err := Write(io.Discard, Input{}); err == nil {
		t.Error("no report: no error")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

// TestStreamed: 50,000 verdicts are not held.
func TestStreamed(t *testing.T) {
	in := input(report())
	in.Verdicts = func(period.Judgement) iter.Seq2[evidence.Verdict, error] {
		return func(yield func(evidence.Verdict, error) bool) {
			for i := range 50_000 {
				if !yield(evidence.Verdict{Check: "check-failing", Kind: "aws.s3.bucket", Resource: strconv.Itoa(i), Status: evidence.Fail, Reason: strings.Repeat("x", 500)}, nil) {
					return
				}
			}
		}
	}
	var peak uint64
	n := 0
	if err := Write(writer(func(b []byte) {
		if n += len(b); n>>24 != (n-len(b))>>24 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}), in); err != nil {
		t.Fatal(err)
	}
	if n < 50<<20 || peak > 24<<20 {
		t.Errorf("%d MiB were written, and %d MiB held at most", n>>20, peak>>20)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestUUID(t *testing.T) {
	// RFC 9562 appendix A.4.
	dns := uuid{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	if got := version5(dns, "www.example.com").String(); got != "2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("got %s", got)
	}
	if newUUID("a", "bc") == newUUID("ab", "c") || newUUID("a") == newUUID("a", "") {
		t.Error("other parts, the same UUID")
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{line(" a\r\nb\u2028c\u0085 "), "a  b c"},
		{markupLine("![x](y) <b> `c` {{ d }} &amp;"), "!\\[x\\](y) \\<b\\> \\`c\\` \\{\\{ d \\}\\} \\&amp;"},
		{markupLine(" \n"), "-"},
		{token("CC6.1"), "CC6.1"},
		{token("1.2 a/b"), "_1.2_a_b"},
		{token(""), "_"},
		{token("-x"), "_x"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
