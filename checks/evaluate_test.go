package checks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// control wraps the YAML of checks in a control.
func control(checks string) string {
	if checks == "" {
		checks = "  []\n"
	}
	return `id: storage
title: Storage is kept
criteria: [{id: A1.2, why: it is}]
why: because
frequency: daily
severity: high
checks:
` + checks
}

// boxCheck is a small check over aws.box; more is put in where it says MORE.
func boxCheck(id, pass string, more ...string) string {
	return fmt.Sprintf(`  - id: %s
    title: The box is shut
    provider: aws
    kinds: [aws.box]
    pass: %q
    messages: {pass: "shut {resource.Name}", fail: "open {resource.Name}"}
    remediation: shut it
    documentation: https://example.com/box
%s
`, id, pass, strings.Join(more, "\n"))
}

func load(t testing.TB, files ...string) *Catalogue {
	t.Helper()
	fsys := fstest.MapFS{}
	for i, f := range files {
		fsys[fmt.Sprintf("control-%d.yaml", i)] = &fstest.MapFile{Data: []byte(f)}
	}
	c, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// box makes an observation of kind aws.box: "region/id" and a body.
func box(place, body string) evidence.Observation { return thing("aws.box", place, body) }

func thing(kind, place, body string) evidence.Observation {
	region, id, _ := strings.Cut(place, "/")
	return evidence.Observation{Kind: kind, Region: region, ID: id, Body: json.RawMessage(body)}
}

// facts groups observations by kind, in the order in which they are given.
func facts(observations ...evidence.Observation) map[string]Facts {
	byKind := map[string][]evidence.Observation{}
	for _, o := range observations {
		byKind[o.Kind] = append(byKind[o.Kind], o)
	}
	out := map[string]Facts{}
	for k, list := range byKind {
		out[k] = Facts{Observations: yieldAll(list)}
	}
	return out
}

// with adds gaps to the facts of their kinds, which count as collected.
func with(kinds map[string]Facts, gaps ...evidence.Gap) map[string]Facts {
	for _, g := range gaps {
		f := kinds[g.Kind]
		f.Gaps = append(f.Gaps, g)
		kinds[g.Kind] = f
	}
	return kinds
}

func evaluate(t testing.TB, c *Catalogue, kinds map[string]Facts, which ...string) []evidence.Verdict {
	t.Helper()
	out, err := tryEvaluate(c, Input{Kinds: kinds}, which)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryEvaluate(c *Catalogue, in Input, which []string) ([]evidence.Verdict, error) {
	in.Scope = evidence.Scope{Provider: "aws", Account: "111122223333"}
	if in.Now.IsZero() {
		in.Now = exampleNow()
	}
	var out []evidence.Verdict
	err := c.Evaluate(context.Background(), in, which, func(v evidence.Verdict) error {
		out = append(out, v)
		return nil
	})
	return out, err
}

// lines writes verdicts as "check region resource status".
func lines(verdicts []evidence.Verdict) string {
	var b strings.Builder
	for _, v := range verdicts {
		fmt.Fprintf(&b, "%s %s/%s %s\n", v.Check, v.Region, v.Resource, v.Status)
	}
	return b.String()
}

func gap(kind, region, resource, field string) evidence.Gap {
	return evidence.Gap{
		Kind: kind, Region: region, Resource: resource, Field: field,
		Operation: "box:Look", Permission: "box:LookInside", Class: evidence.Denied, Code: "AccessDenied",
	}
}

func TestEvaluateVerdict(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut == true && resource.Locked == true")))
	tests := []struct {
		name   string
		body   string
		gaps   []evidence.Gap
		want   evidence.Status
		reason string
		gapped int // gaps that the verdict names
	}{
		{"holds", `{"Name":"a","Shut":true,"Locked":true}`, nil, evidence.Pass, "shut a", 0},
		{"does not hold", `{"Name":"a","Shut":true,"Locked":false}`, nil, evidence.Fail, "open a", 0},
		{
			"field gap that matters", `{"Name":"a","Shut":true}`,
			[]evidence.Gap{gap("aws.box", "", "a", "Locked")},
			evidence.Unknown, "could not read Locked of aws.box: box:Look denied (AccessDenied), needs box:LookInside", 1,
		},
		{
			"field gap that does not", `{"Name":"a","Shut":false}`,
			[]evidence.Gap{gap("aws.box", "", "a", "Locked")},
			evidence.Fail, "open a", 0,
		},
		{
			"only the gap that mattered is named", `{"Name":"a","Shut":true}`,
			[]evidence.Gap{gap("aws.box", "", "a", "Locked"), gap("aws.box", "", "a", "Name")},
			evidence.Unknown, "could not read Locked of aws.box: box:Look denied (AccessDenied), needs box:LookInside", 1,
		},
		{
			"gap of a field that is only shown", `{"Shut":true,"Locked":true}`,
			[]evidence.Gap{gap("aws.box", "", "a", "Name")},
			evidence.Pass, "shut (unknown)", 0,
		},
		{
			"gap of another resource", `{"Name":"a","Shut":true,"Locked":true}`,
			[]evidence.Gap{gap("aws.box", "", "b", "Locked")},
			evidence.Pass, "shut a", 0,
		},
		{
			"gap of another kind", `{"Name":"a","Shut":true,"Locked":true}`,
			[]evidence.Gap{gap("aws.crate", "", "a", "Locked")},
			evidence.Pass, "shut a", 0,
		},
		{
			"gap of the whole resource hides what was sent", `{"Name":"a","Shut":true,"Locked":true}`,
			[]evidence.Gap{gap("aws.box", "", "a", "")},
			evidence.Unknown, "could not read aws.box: box:Look denied (AccessDenied), needs box:LookInside", 1,
		},
		{
			"gap of a field of every resource", `{"Name":"a","Shut":true}`,
			[]evidence.Gap{gap("aws.box", "", "", "Locked")},
			evidence.Unknown, "could not read Locked of aws.box", 1,
		},
		{"field absent", `{"Name":"a","Shut":true}`, nil, evidence.Unknown, "the provider's answer has no Locked for this aws.box", 0},
		{"field absent, but decided", `{"Name":"a","Shut":false}`, nil, evidence.Fail, "open a", 0},
		{"field null", `{"Name":"a","Shut":true,"Locked":null}`, nil, evidence.Fail, "open a", 0},
		{"body is not an object", `[1]`, nil, evidence.Unknown, "can not be understood", 0},
		{"body is cut short", `{"Name":"a","Shut":tr`, nil, evidence.Unknown, "can not be understood", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := evaluate(t, c, with(facts(box("/a", tt.body)), tt.gaps...))
			i := slices.IndexFunc(got, func(v evidence.Verdict) bool { return v.Resource == "a" })
			if i < 0 {
				t.Fatalf("no verdict on a: %s", lines(got))
			}
			v := got[i]
			if v.Status != tt.want || !strings.Contains(v.Reason, tt.reason) || len(v.Gaps) != tt.gapped {
				t.Errorf("got %s, %d gaps, %q; want %s, %d gaps, %q", v.Status, len(v.Gaps), v.Reason, tt.want, tt.gapped, tt.reason)
			}
			if decided := v.Status == evidence.Pass || v.Status == evidence.Fail; decided != (v.Basis != "") {
				t.Errorf("status %s with basis %q", v.Status, v.Basis)
			}
		})
	}
}

func TestEvaluateErrors(t *testing.T) {
	tests := []struct {
		name, pass, body, reason string
	}{
		{"wrong type", "resource.Days >= 7", `{"Days":"many"}`, "a field has a type that the rule does not expect; it reads resource.Days"},
		{"a number where a text is compared", "resource.State == 'on'", `{"State":1}`, "a field has a type that the rule does not expect; it reads resource.State"},
		{"a text where a number is compared", "resource.Keys == 0", `{"Keys":"0"}`, "a field has a type that the rule does not expect"},
		{"a text where a bool is compared", "resource.On == true", `{"On":"true"}`, "a field has a type that the rule does not expect"},
		{"a number where a text is looked up", "resource.State in ['on', 'off']", `{"State":1}`, "a field has a type that the rule does not expect"},
		{"a number where a text is ruled out", "resource.State != 'off'", `{"State":1}`, "a field has a type that the rule does not expect"},
		{"not a bool", "resource.Days", `{"Days":"many"}`, `gives many, not true or false`},
		{"presence in something that is no object", "has(resource.Days.Least)", `{"Days":"many"}`, "no Days.Least for this aws.box"},
		{"presence in null", "has(resource.Days.Least)", `{"Days":null}`, "no Days.Least for this aws.box"},
		{"nested absent", "resource.A.B.C == 1", `{"A":{}}`, "the provider's answer has no A.B for this aws.box"},
		{"not a time", "now - timestamp(resource.At) < days(1)", `{"At":"yesterday"}`, "can not be evaluated"},
		{"a name the rule does not know", "oneOf(resource.State, ['on', 'off']) == 'on'", `{"State":"odd"}`, `"odd" is not one of the values that the rule knows: on, off`},
		{"said so by the rule", "resource.A == 1 || undecided('look in ' + resource.Where)", `{"A":2,"Where":"the attic"}`, "look in the attic"},
		{"a document that is none", "document(resource.Policy).Version == '1'", `{"Policy":"<xml/>"}`, "a document is not JSON"},
		{"a document with bad percent-encoding", "document(resource.Policy).Version == '1'", `{"Policy":"%7B%zz"}`, "is not percent-encoded as it should be"},
		{"a document that lacks a field", "document(resource.Policy).Version == '1'", `{"Policy":"{}"}`, "no"},
		{"too much work", "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, [0,1,2,3,4,5,6,7,8,9].all(e, [0,1,2,3,4,5,6,7,8,9].all(f, a+b+c+d+e+f >= resource.A))))))", `{"A":0}`, "exceeded its cost limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, control(boxCheck("box-shut", tt.pass)))
			v := evaluate(t, c, facts(box("/a", tt.body)))[0]
			if v.Status != evidence.Unknown || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("got %s %q, want unknown %q", v.Status, v.Reason, tt.reason)
			}
		})
	}
}

func TestEvaluateFunctions(t *testing.T) {
	tests := []struct{ name, pass, body string }{
		{"document", "document(resource.P).Version == '2012-10-17'", `{"P":"{\"Version\": \"2012-10-17\"}"}`},
		{"document, percent-encoded as IAM sends it", "document(resource.P).Statement[0].Action == 's3:*'", `{"P":"%7B%22Statement%22%3A%5B%7B%22Action%22%3A%22s3%3A%2A%22%7D%5D%7D"}`},
		{"document with a plus, which stands for itself", "document(resource.P).A == '+'", `{"P":"%7B%22A%22%3A%22+%22%7D"}`},
		{"many of a text", "many(resource.A) == ['x']", `{"A":"x"}`},
		{"many of a list", "many(resource.A) == ['x', 'y']", `{"A":["x","y"]}`},
		{"many of an object", "many(resource.A).exists(a, a.B == 1)", `{"A":{"B":1}}`},
		{"the keys of an object come in order", "resource.O.map(k, k) == ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']", `{"O":{"h":1,"b":1,"g":1,"d":1,"a":1,"f":1,"c":1,"e":1}}`},
		{"those of an object in a document, too", "document(resource.P).O.map(k, k) == ['a', 'b', 'c', 'd', 'e', 'f']", `{"P":"{\"O\":{\"f\":1,\"b\":1,\"d\":1,\"a\":1,\"c\":1,\"e\":1}}"}`},
		{"id", "id == 'a'", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, control(boxCheck("box-shut", tt.pass)))
			if v := evaluate(t, c, facts(box("/a", tt.body)))[0]; v.Status != evidence.Pass {
				t.Errorf("got %s %q, want pass", v.Status, v.Reason)
			}
		})
	}
}

func TestEvaluatePopulation(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut")))
	shut := `{"Name":"x","Shut":true}`
	tests := []struct {
		name  string
		kinds map[string]Facts
		want  string
	}{
		{"nothing collected", map[string]Facts{}, "box-shut /* unknown\n"},
		{"nothing there", map[string]Facts{"aws.box": {}}, "box-shut /* not_applicable\n"},
		{"nothing seen and the list denied", with(map[string]Facts{}, gap("aws.box", "", "", "")), "box-shut /* unknown\n"},
		{
			"a list denied in one region of three", with(facts(box("r1/a", shut), box("r3/c", shut)), gap("aws.box", "r2", "", "")),
			"box-shut r1/a pass\nbox-shut r2/* unknown\nbox-shut r3/c pass\n",
		},
		{
			"some of a region seen before its list broke off", with(facts(box("r1/a", shut), box("r2/b", shut)), gap("aws.box", "r1", "", "")),
			"box-shut r1/* unknown\nbox-shut r1/a pass\nbox-shut r2/b pass\n",
		},
		{
			"two gaps of one list are one verdict",
			with(facts(box("r1/a", shut)), gap("aws.box", "r2", "", ""), func() evidence.Gap {
				g := gap("aws.box", "r2", "", "")
				g.Operation = "box:LookAgain"
				return g
			}()),
			"box-shut r1/a pass\nbox-shut r2/* unknown\n",
		},
		{
			"a resource that only a gap names does not vanish", with(facts(box("r1/a", shut), box("r1/c", shut)), gap("aws.box", "r1", "b", "")),
			"box-shut r1/a pass\nbox-shut r1/b unknown\nbox-shut r1/c pass\n",
		},
		{
			"nor does the only one", with(map[string]Facts{}, gap("aws.box", "r1", "b", "Shut")),
			"box-shut r1/b unknown\n",
		},
		{
			"a gap that leaves out the region of its resource", with(facts(box("r1/a", `{}`)), gap("aws.box", "", "a", "Shut")),
			"box-shut r1/a unknown\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := evaluate(t, c, tt.kinds)
			if lines(got) != tt.want {
				t.Errorf("got\n%swant\n%s", lines(got), tt.want)
			}
			for _, v := range got {
				if v.Status == evidence.Unknown && len(v.Gaps) == 0 && !strings.Contains(v.Reason, "not collected") {
					t.Errorf("unknown without a gap: %+v", v)
				}
			}
		})
	}
}

// A rule on freshness asks how fresh a thing was when it was looked at. Facts
// that are judged again later, because a joined kind was collected, must not
// turn into a fail by our own silence.
func TestEvaluateAsOfCollection(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "now - timestamp(resource.Seen) < hours(24)")))
	seen := exampleNow().Add(-30 * time.Hour)
	body := `{"Name":"a","Seen":"` + seen.Format(time.RFC3339) + `"}`
	for collected, want := range map[time.Time]string{
		{}:                               "box-shut /a fail\n", // judged by Input.Now
		exampleNow():                     "box-shut /a fail\n",
		exampleNow().Add(-7 * time.Hour): "box-shut /a pass\n",
	} {
		kinds := facts(box("/a", body))
		f := kinds["aws.box"]
		f.At = collected
		kinds["aws.box"] = f
		got, err := tryEvaluate(c, Input{Kinds: kinds, Now: exampleNow()}, nil)
		if err != nil || lines(got) != want {
			t.Errorf("collected at %s: got %s(%v), want %s", collected, lines(got), err, want)
		}
	}
}

const conditions = `    not_applicable:
      - {when: resource.A == 1, reason: A is one}
      - {when: resource.B == 1, reason: B is one}`

func TestNotApplicable(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut", conditions)))
	tests := []struct {
		name, body string
		gaps       []string
		want       evidence.Status
		reason     string
	}{
		{"neither holds", `{"A":0,"B":0,"Shut":false,"Name":"a"}`, nil, evidence.Fail, "open a"},
		{"the first of two", `{"A":1,"B":1,"Shut":false}`, nil, evidence.NotApplicable, "A is one"},
		{"the second", `{"A":0,"B":1,"Shut":false}`, nil, evidence.NotApplicable, "B is one"},
		{"one open, the other holds", `{"B":1,"Shut":false}`, []string{"A"}, evidence.NotApplicable, "B is one"},
		{"one open, which might excuse a fail", `{"B":0,"Shut":false}`, []string{"A"}, evidence.Unknown, "could not read A"},
		{"one open, a pass might not apply either", `{"B":0,"Shut":true}`, []string{"A"}, evidence.Unknown, "could not read A"},
		{"one absent", `{"B":0,"Shut":false}`, nil, evidence.Unknown, "no A for this aws.box"},
		{"it holds, the rule can not be decided", `{"A":1}`, []string{"B", "Shut"}, evidence.NotApplicable, "A is one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kinds := facts(box("/a", tt.body))
			for _, f := range tt.gaps {
				with(kinds, gap("aws.box", "", "a", f))
			}
			v := evaluate(t, c, kinds)[0]
			if v.Status != tt.want || !strings.Contains(v.Reason, tt.reason) || (v.Basis != "") != (v.Status == evidence.Fail) {
				t.Errorf("got %s (basis %q) %q, want %s %q", v.Status, v.Basis, v.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestBasis(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut", `    basis:
      - {when: resource.By == 'maker', basis: provider_default}
      - {when: resource.By == 'guard', basis: compensating}`)))
	tests := []struct {
		body   string
		gap    bool
		status evidence.Status
		basis  evidence.Basis
	}{
		{`{"Name":"a","Shut":true,"By":"maker"}`, false, evidence.Pass, evidence.ProviderDefault},
		{`{"Name":"a","Shut":true,"By":"guard"}`, false, evidence.Pass, evidence.Compensating},
		{`{"Name":"a","Shut":true,"By":"me"}`, false, evidence.Pass, evidence.CustomerConfig},
		{`{"Name":"a","Shut":false,"By":"maker"}`, false, evidence.Fail, evidence.ProviderDefault},
		{`{"Name":"a","Shut":true}`, true, evidence.Unknown, ""},
		{`{"Name":"a","Shut":false}`, true, evidence.Fail, evidence.CustomerConfig},
	}
	for _, tt := range tests {
		kinds := facts(box("/a", tt.body))
		if tt.gap {
			with(kinds, gap("aws.box", "", "a", "By"))
		}
		v := evaluate(t, c, kinds)[0]
		if v.Status != tt.status || v.Basis != tt.basis {
			t.Errorf("%s: got %s %s, want %s %s", tt.body, v.Status, v.Basis, tt.status, tt.basis)
		}
	}
}
