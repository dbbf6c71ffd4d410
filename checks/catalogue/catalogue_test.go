package catalogue_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/evidence"
)

func load(t *testing.T) *checks.Catalogue {
	t.Helper()
	c, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExamples(t *testing.T) {
	c := load(t)
	for _, check := range c.Checks() {
		seen := map[evidence.Status]int{}
		names := map[string]bool{}
		for _, e := range check.Examples {
			seen[e.Want]++
			if names[e.Name] {
				t.Errorf("%s: two examples are called %q", check.ID, e.Name)
			}
			names[e.Name] = true
			t.Run(check.ID+"/"+e.Name, func(t *testing.T) {
				v, err := c.RunExample(check.ID, e)
				if err != nil {
					t.Error(err)
				}
				if strings.Contains(v.Reason, "(not given)") {
					t.Errorf("its reason shows a value that is not there: %q", v.Reason)
				}
			})
		}
		for _, s := range evidence.Statuses() {
			if seen[s] == 0 && (s != evidence.NotApplicable || len(check.NotApplicable) > 0) {
				t.Errorf("%s: no example that is %s", check.ID, s)
			}
		}
		if n := seen[evidence.NotApplicable]; n < len(check.NotApplicable) {
			t.Errorf("%s: %d examples for %d conditions of not applicable", check.ID, n, len(check.NotApplicable))
		}
	}
}

// An example with a decided verdict stays as it is or becomes unknown when
// something can not be read; it never turns into another decided verdict. A
// field that Reads does not name changes nothing, and each field and each list
// that it names makes some example unknown.
func TestDenied(t *testing.T) {
	c := load(t)
	for _, check := range c.Checks() {
		t.Run(check.ID, func(t *testing.T) {
			undecided := map[string]bool{}
			for _, e := range check.Examples {
				if e.Want == evidence.Unknown {
					continue
				}
				for _, d := range denials(c, check, e) {
					if len(e.Parameters) > 0 && !d.list {
						continue // Reads says what is read under the default parameters
					}
					got, err := c.RunExample(check.ID, d.example)
					if err == nil {
						continue // as it was
					}
					if got.Status != evidence.Unknown || !d.read {
						t.Errorf("example %q with %s denied: %v", e.Name, d.what, err)
						continue
					}
					undecided[d.what] = true
					if !strings.Contains(got.Reason, "test:Look") || len(got.Gaps) == 0 {
						t.Errorf("example %q with %s denied: the call is not named: %q", e.Name, d.what, got.Reason)
					}
				}
			}
			for _, r := range c.Reads(check.ID) {
				for _, f := range r.Fields {
					if what := r.Kind + "." + f; f != "*" && !undecided[what] && slices.Contains(check.Kinds[:1], r.Kind) {
						t.Errorf("Reads names %s, but denying it changes no example", what)
					}
				}
				if r.Join != "" && !undecided["the list of "+r.Kind] {
					t.Errorf("denying the list of %s changes no example", r.Kind)
				}
			}
		})
	}
}

type denial struct {
	what    string
	read    bool // whether Reads names it
	list    bool // the list of a joined kind, and no field
	example checks.Example
}

// denials gives the variants of an example in which one field of its resource,
// or of every resource of a joined kind, or the list of a joined kind is
// denied.
func denials(c *checks.Catalogue, check checks.Check, e checks.Example) []denial {
	reads := map[string]bool{}
	for _, r := range c.Reads(check.ID) {
		for _, f := range r.Fields {
			reads[r.Kind+"."+f] = true
		}
	}
	e.Reason = ""
	kind := e.Kind
	if kind == "" {
		kind = check.Kinds[0]
	}
	var out []denial
	for f := range e.Resource {
		d := e
		d.Resource = without(e.Resource, f)
		d.Gaps = append(slices.Clip(e.Gaps), checks.ExampleGap{Field: f, Operation: "test:Look"})
		what := kind + "." + f
		out = append(out, denial{what, reads[what], false, d})
	}
	for k, bodies := range e.Joined {
		names := map[string]bool{}
		for _, b := range bodies {
			for f := range b {
				names[f] = true
			}
		}
		for f := range names {
			d := e
			d.Joined = maps.Clone(e.Joined)
			d.Joined[k] = nil
			d.Gaps = slices.Clip(e.Gaps)
			for i, b := range bodies {
				d.Joined[k] = append(d.Joined[k], without(b, f))
				d.Gaps = append(d.Gaps, checks.ExampleGap{Kind: k, Resource: fmt.Sprintf("%s/%d", k, i), Field: f, Operation: "test:Look"})
			}
			what := k + "." + f
			out = append(out, denial{what, reads[what], false, d})
		}
	}
	for _, j := range check.Joins {
		d := e
		d.Joined = maps.Clone(e.Joined)
		delete(d.Joined, j.Kind)
		d.Gaps = append(slices.Clip(e.Gaps), checks.ExampleGap{Kind: j.Kind, Operation: "test:Look"})
		out = append(out, denial{"the list of " + j.Kind, true, true, d})
	}
	return out
}

func without(body map[string]any, field string) map[string]any {
	out := maps.Clone(body)
	delete(out, field)
	return out
}

// What is recorded as catalogue.json judges the same as the files.
func TestDecode(t *testing.T) {
	c := load(t)
	again, err := checks.Decode(c.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != c.Digest() {
		t.Errorf("digest %s became %s", c.Digest(), again.Digest())
	}
	for _, check := range c.Checks() {
		same, _, _ := again.Check(check.ID)
		for i, e := range same.Examples {
			if len(e.Parameters) > 0 {
				continue // compiled anew from the same texts
			}
			got, err := again.RunExample(check.ID, e)
			if err != nil {
				t.Error(err)
			}
			want, _ := c.RunExample(check.ID, check.Examples[i])
			if got.Reason != want.Reason || got.Status != want.Status {
				t.Errorf("%s: %q: got %s %q, want %s %q", check.ID, e.Name, got.Status, got.Reason, want.Status, want.Reason)
			}
		}
	}
}

// One file for each control, named after it. A file that extends a control has
// a name that begins with it: CONTROL-more.yaml.
func TestFiles(t *testing.T) {
	names, err := fs.Glob(catalogue.FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, c := range load(t).Controls() {
		want = append(want, c.ID+".yaml")
		if len(c.Checks) == 0 {
			t.Errorf("control %s has no checks", c.ID)
		}
	}
	for _, name := range names {
		data, err := fs.ReadFile(catalogue.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		switch control, extends := strings.CutPrefix(first, "extends: "); {
		case !extends:
			got = append(got, name)
		case !strings.HasPrefix(name, control+"-"):
			t.Errorf("%s extends %s, and its name does not begin with %[2]s-", name, control)
		}
		for _, word := range []string{"compliant", "certified"} {
			if strings.Contains(strings.ToLower(string(data)), word) {
				t.Errorf("%s says %q, which is not ours to say", name, word)
			}
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("files %v for controls %v", got, want)
	}
}

// Where the list of controls that the catalogue grows towards lies beside the
// repository, ids, controls, tiers and criteria agree with it.
func TestPlan(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "catalog.json"))
	if err != nil {
		t.Skipf("no list of planned controls: %v", err)
	}
	var plan struct {
		Controls []struct{ ID, Title, Criteria, Severity string }
		Checks   []struct{ ID, Control, Tier, Provider string }
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	for _, control := range load(t).Controls() {
		i := slices.IndexFunc(plan.Controls, func(p struct{ ID, Title, Criteria, Severity string }) bool { return p.ID == control.ID })
		if i < 0 {
			t.Errorf("control %s is not planned", control.ID)
			continue
		}
		var ids []string
		for _, cr := range control.Criteria {
			ids = append(ids, cr.ID)
		}
		p := plan.Controls[i]
		if p.Title != control.Title || p.Severity != control.Severity || p.Criteria != strings.Join(ids, ", ") {
			t.Errorf("control %s: %q, %s, %v; planned %+v", control.ID, control.Title, control.Severity, ids, p)
		}
		for _, check := range control.Checks {
			k := slices.IndexFunc(plan.Checks, func(p struct{ ID, Control, Tier, Provider string }) bool { return p.ID == check.ID })
			if k < 0 {
				t.Errorf("check %s is not planned", check.ID)
				continue
			}
			if p := plan.Checks[k]; p.Control != control.ID || p.Tier != fmt.Sprint(check.Tier) || p.Provider != check.Provider {
				t.Errorf("check %s: control %s, tier %d; planned %+v", check.ID, control.ID, check.Tier, p)
			}
		}
	}
}

// BenchmarkLoad reads and compiles the whole catalogue: a part of every start,
// which is to be ready within a second.
func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := checks.Load(catalogue.FS()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode compiles it alone, as a replay does from the ledger.
func BenchmarkDecode(b *testing.B) {
	c, err := checks.Load(catalogue.FS())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := checks.Decode(c.JSON()); err != nil {
			b.Fatal(err)
		}
	}
}
