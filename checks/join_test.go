package checks

import (
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/tallystick/tallystick/evidence"
)

func joins(j string) string { return "    joins: [" + j + "]" }

func TestJoinOne(t *testing.T) {
	c := load(t, control(boxCheck("box-shut",
		"lid == null ? resource.Flat : lid.Shut",
		joins("{name: lid, kind: aws.lid, field: Of.Name, equals: resource.Name, in: region}"))))
	b := box("r1/a", `{"Name":"a","Flat":false}`)
	lid := func(place, of, shut string) evidence.Observation {
		return thing("aws.lid", place, `{"Of":{"Name":"`+of+`"},"Shut":`+shut+`}`)
	}
	empty := func(k map[string]Facts) map[string]Facts { k["aws.lid"] = Facts{}; return k }
	tests := []struct {
		name   string
		kinds  map[string]Facts
		want   evidence.Status
		reason string
	}{
		{"matched, shut", facts(b, lid("r1/1", "a", "true")), evidence.Pass, ""},
		{"matched, open", facts(b, lid("r1/1", "a", "false"), lid("r1/2", "b", "true")), evidence.Fail, ""},
		{"no match in a complete list is null", empty(facts(b)), evidence.Fail, ""},
		{"no match in the same region is null", facts(b, lid("r2/1", "a", "true")), evidence.Fail, ""},
		{"never collected", facts(b), evidence.Unknown, "aws.lid was not collected"},
		{"no match, and the list is not complete", with(facts(b, lid("r1/2", "b", "true")), gap("aws.lid", "r1", "", "")), evidence.Unknown, "could not list every aws.lid: box:Look denied"},
		{"no match, the list of every region", with(facts(b), gap("aws.lid", "", "", "")), evidence.Unknown, "could not list every aws.lid"},
		{"no match, the list of another region does not matter", with(facts(b), gap("aws.lid", "r2", "", "")), evidence.Fail, ""},
		{"a match, so the list does not matter", with(facts(b, lid("r1/1", "a", "true")), gap("aws.lid", "r1", "", "")), evidence.Pass, ""},
		{"two matches", facts(b, lid("r1/1", "a", "true"), lid("r1/2", "a", "true")), evidence.Unknown, "2 resources of aws.lid match where one is expected"},
		{"the field of the match denied", with(facts(b, thing("aws.lid", "r1/1", `{"Of":{"Name":"a"}}`)), gap("aws.lid", "r1", "1", "Shut")), evidence.Unknown, "could not read Shut of aws.lid"},
		{"the match denied as a whole", with(facts(b, lid("r1/1", "a", "true")), gap("aws.lid", "r1", "1", "")), evidence.Unknown, "could not read aws.lid"},
		{"a resource whose key is denied may be the match", with(facts(b, thing("aws.lid", "r1/1", `{"Shut":true}`)), gap("aws.lid", "r1", "1", "Of")), evidence.Unknown, "could not read Of of aws.lid"},
		{"a resource without a key may be the match", facts(b, thing("aws.lid", "r1/1", `{"Of":{},"Shut":true}`)), evidence.Unknown, "1 of aws.lid has no text in Of.Name"},
		{"a resource whose key is null is not", facts(b, thing("aws.lid", "r1/1", `{"Of":null,"Shut":true}`)), evidence.Fail, ""},
		{"a resource that only a gap names may be", with(facts(b), gap("aws.lid", "r1", "9", "Shut")), evidence.Unknown, "could not read Shut of aws.lid"},
		{"a resource that can not be understood may be", facts(b, thing("aws.lid", "r1/1", `{`)), evidence.Unknown, "1 of aws.lid: not a JSON object"},
		{"the key of the resource itself denied", with(empty(facts(box("r1/a", `{"Flat":false}`))), gap("aws.box", "r1", "a", "Name")), evidence.Unknown, "could not read Name of aws.box"},
		{"the key of the resource itself absent", empty(facts(box("r1/a", `{"Flat":false}`))), evidence.Unknown, "no Name for this aws.box"},
		{"the key of the resource itself is no text", empty(facts(box("r1/a", `{"Name":7,"Flat":false}`))), evidence.Unknown, "the key of lid is not a text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := evaluate(t, c, tt.kinds)[0]
			if v.Status != tt.want || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("got %s %q, want %s %q", v.Status, v.Reason, tt.want, tt.reason)
			}
		})
	}
}

// A list with an element of which a field could not be read: what holds for
// one known element holds, whatever the unknown one is.
func TestJoinMany(t *testing.T) {
	lids := joins("{name: lids, kind: aws.lid, field: Of, equals: resource.Name, many: true}")
	good, bad, dark := `{"Of":"a","Shut":true}`, `{"Of":"a","Shut":false}`, `{"Of":"a"}`
	tests := []struct {
		pass   string
		bodies []string // a dark one has a gap
		want   evidence.Status
	}{
		{"lids.exists(l, l.Shut)", []string{good, bad}, evidence.Pass},
		{"lids.exists(l, l.Shut)", []string{bad, bad}, evidence.Fail},
		{"lids.exists(l, l.Shut)", []string{dark, good}, evidence.Pass},
		{"lids.exists(l, l.Shut)", []string{good, dark}, evidence.Pass},
		{"lids.exists(l, l.Shut)", []string{bad, dark}, evidence.Unknown},
		{"lids.all(l, l.Shut)", []string{dark, bad}, evidence.Fail},
		{"lids.all(l, l.Shut)", []string{good, dark}, evidence.Unknown},
		{"lids.all(l, l.Shut)", []string{good, good}, evidence.Pass},
		{"lids.exists_one(l, l.Shut)", []string{good, dark}, evidence.Unknown},
		{"size(lids.filter(l, l.Shut)) == 1", []string{good, dark}, evidence.Unknown},
		{"size(lids.filter(l, l.Shut)) == 1", []string{good, bad}, evidence.Pass},
		{"lids.filter(l, l.Of == 'a').exists(l, l.Shut)", []string{bad, dark}, evidence.Unknown},
		{"lids.map(l, l.Shut) == [true, true]", []string{good, dark}, evidence.Unknown},
		{"true in lids.map(l, l.Shut)", []string{good, dark}, evidence.Unknown},
		{"lids[0].Shut", []string{good, dark}, evidence.Pass},
		{"lids[1].Shut", []string{good, dark}, evidence.Unknown},
		{"has(lids[1].Shut)", []string{good, dark}, evidence.Unknown},
		{"size(lids) == 2", []string{good, dark}, evidence.Pass},
		{"lids.all(l, l.Of == 'a')", []string{good, dark}, evidence.Pass},
		// An element used as a whole makes the list unknown as a whole.
		{"lids.exists(l, l == {'Of': 'a', 'Shut': true})", []string{good, dark}, evidence.Unknown},
		{"lids.exists(l, l != {'Of': 'a', 'Shut': true})", []string{dark, dark}, evidence.Unknown},
		{"size(lids[1]) == 1", []string{good, dark}, evidence.Unknown},
		{"lids.exists(l, 'Shut' in l)", []string{dark, dark}, evidence.Unknown},
		{"lids.exists(l, l.exists(k, k == 'Shut'))", []string{dark, dark}, evidence.Unknown},
		{"lids == lids", []string{good, dark}, evidence.Unknown},
		{"[lids].exists(x, x[1].Shut)", []string{good, dark}, evidence.Unknown},
		{"{'x': lids}.x.exists(l, l.Shut)", []string{bad, dark}, evidence.Unknown},
		{"(size(lids) > 5 ? [] : lids).exists(l, l.Shut)", []string{bad, dark}, evidence.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.pass+strings.Join(tt.bodies, ""), func(t *testing.T) {
			c := load(t, control(boxCheck("box-shut", tt.pass, lids)))
			observations := []evidence.Observation{box("/a", `{"Name":"a"}`)}
			var gaps []evidence.Gap
			for i, b := range tt.bodies {
				id := fmt.Sprint(i)
				observations = append(observations, thing("aws.lid", "/"+id, b))
				if b == dark {
					gaps = append(gaps, gap("aws.lid", "", id, "Shut"))
				}
			}
			v := evaluate(t, c, with(facts(observations...), gaps...))[0]
			if v.Status != tt.want {
				t.Errorf("got %s %q, want %s", v.Status, v.Reason, tt.want)
			}
			if v.Status == evidence.Unknown && (len(v.Gaps) == 0 || !strings.Contains(v.Reason, "could not read Shut of aws.lid")) {
				t.Errorf("the gap is not named: %q", v.Reason)
			}
		})
	}
}

// What only a message shows never changes a verdict, however it is shown.
func TestJoinShown(t *testing.T) {
	check := strings.Replace(boxCheck("box-shut", "lids.exists(l, l.Shut)",
		joins("{name: lids, kind: aws.lid, many: true}")), "{resource.Name}", "{lids.map(l, l.Label)} {lids == lids} {(lids + lids)[0] == lids[0]}", 2)
	c := load(t, control(check))
	for shut, want := range map[string]evidence.Status{"true": evidence.Pass, "false": evidence.Fail} {
		kinds := facts(box("/a", `{}`))
		var lids []evidence.Observation
		for i := range 2 * maxPlaceholders {
			id := fmt.Sprintf("%05d", i)
			lids = append(lids, thing("aws.lid", "/"+id, `{"Shut":`+shut+`}`))
		}
		kinds["aws.lid"] = Facts{Observations: yieldAll(lids)}
		for _, l := range lids {
			with(kinds, gap("aws.lid", "", l.ID, "Label"))
		}
		if v := evaluate(t, c, kinds)[0]; v.Status != want {
			t.Errorf("got %s %q, want %s", v.Status, v.Reason, want)
		}
	}
}

// A rule that asks whether there is a match: one that is known decides, and a
// resource that names none is none.
func TestJoinAny(t *testing.T) {
	const join = "{name: lid, kind: aws.lid, field: %s, equals: resource.Name, any: true, optional: true}"
	nested := load(t, control(boxCheck("box-shut", "lid != null", joins(fmt.Sprintf(join, "Of.Box.Name")))))
	flat := load(t, control(boxCheck("box-shut", "lid != null", joins(fmt.Sprintf(join, "Of")))))
	b := box("r1/a", `{"Name":"a"}`)
	lid := func(place, body string) evidence.Observation { return thing("aws.lid", place, body) }
	const of, ofOther = `{"Of":{"Box":{"Name":"a"}}}`, `{"Of":{"Box":{"Name":"b"}}}`
	tests := []struct {
		name   string
		c      *Catalogue
		kinds  map[string]Facts
		want   evidence.Status
		reason string
	}{
		{"one", nested, facts(b, lid("r1/1", of)), evidence.Pass, ""},
		{"two", nested, facts(b, lid("r1/1", of), lid("r2/2", of)), evidence.Pass, ""},
		{"none", nested, facts(b, lid("r1/1", ofOther)), evidence.Fail, ""},
		{"one that names none", nested, facts(b, lid("r1/1", `{"Of":{}}`)), evidence.Fail, ""},
		{"one that names none, flat", flat, facts(b, lid("r1/1", `{}`)), evidence.Fail, ""},
		{"one, flat", flat, facts(b, lid("r1/1", `{"Of":"a"}`)), evidence.Pass, ""},
		{"half a name", nested, facts(b, lid("r1/1", `{"Of":{"Box":{}}}`)), evidence.Fail, ""},
		{"nobody looked", nested, facts(b, lid("r1/1", `{}`)), evidence.Unknown, "1 of aws.lid has no text in Of.Box.Name"},
		{"no object where one is expected", nested, facts(b, lid("r1/1", `{"Of":"a"}`)), evidence.Unknown, "1 of aws.lid has no text in Of.Box.Name"},
		{"no object further down", nested, facts(b, lid("r1/1", `{"Of":{"Box":7}}`)), evidence.Unknown, "1 of aws.lid has no text in Of.Box.Name"},
		{"denied", nested, with(facts(b, lid("r1/1", `{}`)), gap("aws.lid", "r1", "1", "Of")), evidence.Unknown, "could not read Of of aws.lid"},
		{"denied, flat", flat, with(facts(b, lid("r1/1", `{}`)), gap("aws.lid", "r1", "1", "Of")), evidence.Unknown, "could not read Of of aws.lid"},
		{"denied, and one is known", nested, with(facts(b, lid("r1/1", `{}`), lid("r1/2", of)), gap("aws.lid", "r1", "1", "Of")), evidence.Pass, ""},
		{"an incomplete list", nested, with(facts(b, lid("r1/1", ofOther)), gap("aws.lid", "r1", "", "")), evidence.Unknown, "could not list every aws.lid"},
		{"an incomplete list, and one is known", nested, with(facts(b, lid("r1/1", of)), gap("aws.lid", "r1", "", "")), evidence.Pass, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := evaluate(t, tt.c, tt.kinds)[0]
			if v.Status != tt.want || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("got %s %q, want %s %q", v.Status, v.Reason, tt.want, tt.reason)
			}
		})
	}
}

// Two joins by the same field, of which one takes a resource without it for a
// possible match, do not share what they find.
func TestJoinOptionalApart(t *testing.T) {
	for _, strictFirst := range []bool{true, false} {
		soft := boxCheck("box-soft", "lid == null", joins("{name: lid, kind: aws.lid, field: Of, equals: resource.Name, optional: true}"))
		strict := boxCheck("box-strict", "lid == null", joins("{name: lid, kind: aws.lid, field: Of, equals: resource.Name}"))
		if strictFirst {
			strict = strings.Replace(strict, "box-strict", "box-a", 1)
		}
		c := load(t, control(soft+strict))
		got := map[evidence.Status]int{}
		for _, v := range evaluate(t, c, facts(box("/a", `{"Name":"a"}`), thing("aws.lid", "/1", `{}`))) {
			got[v.Status]++
		}
		if got[evidence.Pass] != 1 || got[evidence.Unknown] != 1 {
			t.Errorf("strict first: %t: got %v", strictFirst, got)
		}
	}
}

func TestJoinManyIncomplete(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "lids.exists(l, l.Shut)",
		joins("{name: lids, kind: aws.lid, field: Of, equals: resource.Name, many: true}"))))
	// A lid that is known to be good does not help: the list is unknown as a whole.
	kinds := with(facts(box("/a", `{"Name":"a"}`), thing("aws.lid", "/1", `{"Of":"a","Shut":true}`)), gap("aws.lid", "r9", "", ""))
	if v := evaluate(t, c, kinds)[0]; v.Status != evidence.Unknown || !strings.Contains(v.Reason, "could not list every aws.lid") {
		t.Errorf("got %s %q", v.Status, v.Reason)
	}
	// Many elements with gaps are one unknown, quickly.
	observations := []evidence.Observation{box("/a", `{"Name":"a"}`)}
	var gaps []evidence.Gap
	for i := range 3 * maxUnknownElements {
		id := fmt.Sprintf("%04d", i)
		observations = append(observations, thing("aws.lid", "/"+id, `{"Of":"a"}`))
		gaps = append(gaps, gap("aws.lid", "", id, "Shut"))
	}
	v := evaluate(t, c, with(facts(observations...), gaps...))[0]
	if v.Status != evidence.Unknown || len(v.Gaps) != 3*maxUnknownElements || len(v.Reason) > 500 {
		t.Errorf("got %s with %d gaps, a reason of %d bytes", v.Status, len(v.Gaps), len(v.Reason))
	}
}

// Joins may build on each other, and on lists of keys.
func TestJoinChained(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "size(trays) == 2 && keys.all(k, k.Safe)",
		joins("{name: trays, kind: aws.tray, field: Box, equals: resource.Name, many: true}, "+
			"{name: keys, kind: aws.key, field: Tray, equals: 'trays.map(t, t.Name)', many: true}"))))
	tray := func(id string) evidence.Observation {
		return thing("aws.tray", "/"+id, `{"Box":"a","Name":"`+id+`"}`)
	}
	key := func(id, tray, safe string) evidence.Observation {
		return thing("aws.key", "/"+id, `{"Tray":"`+tray+`","Safe":`+safe+`}`)
	}
	b := box("/a", `{"Name":"a"}`)
	if v := evaluate(t, c, facts(b, tray("t1"), tray("t2"), key("1", "t1", "true"), key("2", "t3", "false")))[0]; v.Status != evidence.Pass {
		t.Errorf("got %s %q, want pass", v.Status, v.Reason)
	}
	if v := evaluate(t, c, facts(b, tray("t1"), tray("t2"), key("1", "t1", "true"), key("2", "t2", "false")))[0]; v.Status != evidence.Fail {
		t.Errorf("got %s %q, want fail", v.Status, v.Reason)
	}
	denied := with(facts(b, tray("t1"), key("1", "t1", "true")), gap("aws.tray", "", "", ""))
	if v := evaluate(t, c, denied)[0]; v.Status != evidence.Unknown || !strings.Contains(v.Reason, "aws.tray") {
		t.Errorf("got %s %q, want unknown over aws.tray", v.Status, v.Reason)
	}
}

// A join that only an option needs is not there while the option is off.
func TestJoinPruned(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut && (!params.lids || lid.Shut)",
		joins("{name: lid, kind: aws.lid, field: Of, equals: resource.Name}"),
		"    parameters: {lids: {type: bool, default: false, description: whether lids count}}")))
	kinds := facts(box("/a", `{"Name":"a","Shut":true}`))
	if v := evaluate(t, c, kinds)[0]; v.Status != evidence.Pass {
		t.Errorf("option off: got %s %q", v.Status, v.Reason)
	}
	if got := fmt.Sprint(c.Reads("box-shut")); got != "[{aws.box  false false [Shut]}]" {
		t.Errorf("option off: reads %s", got)
	}
	c, err := c.WithParameters(map[string]map[string]Override{"box-shut": {"lids": {Value: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if v := evaluate(t, c, kinds)[0]; v.Status != evidence.Unknown || v.Reason != "aws.lid was not collected" {
		t.Errorf("option on: got %s %q", v.Status, v.Reason)
	}
	if got := fmt.Sprint(c.Reads("box-shut")); got != "[{aws.box  false false [Name Shut]} {aws.lid lid false false [Of Shut]}]" {
		t.Errorf("option on: reads %s", got)
	}
}

// What setList builds on, of cel-go: an attribute pattern on one element makes
// a comprehension over the whole list unknown.
func TestCelPatternOnElement(t *testing.T) {
	env, err := newEnv()
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile("resource.lids.exists(l, l.Shut)")
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	p, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		t.Fatal(err)
	}
	lids := []any{map[string]any{"Shut": true}, map[string]any{"Shut": true}}
	vars, err := cel.PartialVars(map[string]any{"resource": map[string]any{"lids": lids}},
		cel.AttributePattern("resource").QualString("lids").QualInt(1).QualString("Shut"))
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := p.Eval(vars); err != nil || !types.IsUnknown(v) {
		t.Errorf("got %v, %v, want unknown", v, err)
	}
}
