package checks

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadProblems(t *testing.T) {
	tests := []struct {
		name string
		file string
		want []string // "line:column: part of the message", in order
	}{
		{"not YAML", "id: [", []string{"1:5: "}},
		{"empty", "", []string{"1:1: holds 0 documents"}},
		{"two documents", "id: a\n---\nid: b\n", []string{"1:1: holds 2 documents"}},
		{"a list", "- id: a\n", []string{"1:1: : a list where a mapping"}},
		{"nothing filled in", "id: Bad_Id\n", []string{
			`1:5: id "Bad_Id"`, "1:1: title is missing", "1:1: why is missing", `1:1: frequency "" is not one of`,
			`1:1: severity "" is not one of`, "1:1: criteria are missing",
		}},
		{"unknown and wrong keys, all at once", strings.Replace(control(boxCheck("box-shut", "true")), "    kinds: [aws.box]",
			"    kinds: aws.box\n    kind: aws.box\n    tier: one\n    joins: [{name: 5, nome: x}]", 1), []string{
			`11:12: checks[0].kinds: aws.box where a list is expected`,
			`12:5: unknown key "kind"; known here: basis, documentation, examples,`,
			`13:11: checks[0].tier: one where a whole number is expected`,
			`14:20: checks[0].joins[0].name: 5 where a text is expected`,
			`14:23: unknown key "nome"`,
		}},
		{"a key twice", strings.Replace(control(""), "why: because", "why: because\nwhy: not", 1), []string{`5:1: mapping key "why" already defined`}},
		{"anchors", strings.Replace(control(""), "why: because", "why: &a because", 1), []string{"4:6: why: anchors, aliases and tags"}},
		{"bad expressions of two checks", control(boxCheck("box-shut", "resource.Shut &&") + boxCheck("box-full", "resorce.Full")), []string{
			"12:11: pass: Syntax error", "21:11: pass: undeclared reference to 'resorce'",
		}},
		{"a rule that is no bool", control(boxCheck("box-shut", "'shut'")), []string{"12:11: pass: gives a string where a bool is needed"}},
		{"an undeclared parameter", control(boxCheck("box-shut", "resource.Age < params.limit")), []string{"undeclared reference to 'params'"}},
		{"a parameter of another type", control(boxCheck("box-shut", "params.limit", "    parameters: {limit: {type: int, default: 1, description: x}}")), []string{"gives a int where a bool is needed"}},
		{"a default of another type", control(boxCheck("box-shut", "params.limit > 1", "    parameters: {limit: {type: int, default: one, description: x}}")), []string{"default: one is not of type int"}},
		{"a default that is not allowed", control(boxCheck("box-shut", "params.key == 'a'", "    parameters: {key: {type: string, default: c, allowed: [a, b], description: x}}")), []string{"c is not one of [a b]"}},
		{"a parameter that nothing uses", control(boxCheck("box-shut", "true", "    parameters: {limit: {type: int, default: 1, description: x}}")), []string{"no expression uses params.limit"}},
		{"a join that nothing uses", control(boxCheck("box-shut", "true", "    joins: [{name: lid, kind: aws.lid, field: Of, equals: resource.Name}]")), []string{"no expression uses lid"}},
		{"a join of a whole kind", control(boxCheck("box-shut", "lid.Shut", "    joins: [{name: lid, kind: aws.lid}]")), []string{"needs field and equals, or many"}},
		{"one match of a list", control(boxCheck("box-shut", "size(lid) > 0", "    joins: [{name: lid, kind: aws.lid, field: Of, equals: resource.Name, many: true, any: true}]")), []string{"gives one of the matches: it needs field and equals, and no many"}},
		{"one match of a whole kind", control(boxCheck("box-shut", "size(lid) > 0", "    joins: [{name: lid, kind: aws.lid, many: true, any: true}]")), []string{"gives one of the matches: it needs field and equals, and no many"}},
		{"an optional key that is none", control(boxCheck("box-shut", "size(lid) > 0", "    joins: [{name: lid, kind: aws.lid, many: true, optional: true}]")), []string{"needs a field that may be left out"}},
		{"a join with a name that is taken", control(boxCheck("box-shut", "now.Shut", "    joins: [{name: now, kind: aws.lid, many: true}]")), []string{`the name "now" is taken`, "pass: type 'timestamp' does not support field selection"}},
		{"a kind of another provider", strings.Replace(control(boxCheck("box-shut", "true")), "aws.box", "gcp.box", 1), []string{`kind "gcp.box" does not begin with "aws."`}},
		{"an open brace", strings.Replace(control(boxCheck("box-shut", "true")), "{resource.Name}", "{resource.Name", 1), []string{"messages.pass: a brace is not closed"}},
		{"a bad literal", control(boxCheck("box-shut", "now < timestamp('soon')")), []string{"invalid timestamp"}},
		{"a criterion that does not exist", strings.Replace(control(""), "A1.2", "CC99", 1), []string{`criterion "CC99"`}},
		{"to extend what is not there", "extends: nowhere\n", []string{`no control "nowhere" to extend`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(fstest.MapFS{"bad.yaml": {Data: []byte(tt.file)}})
			var loadErr *LoadError
			if !errors.As(err, &loadErr) {
				t.Fatalf("got %v", err)
			}
			rest := slices.Clone(loadErr.Problems)
			for _, want := range tt.want {
				i := slices.IndexFunc(rest, func(p Problem) bool { return strings.Contains(p.String(), want) })
				if i < 0 {
					t.Fatalf("no problem %q among\n%s", want, err)
				}
				rest = slices.Delete(rest, i, i+1)
			}
			if len(rest) > 0 {
				t.Errorf("further problems: %v", rest)
			}
		})
	}
}

// A problem within a block of text is placed where it stands, folded or not.
func TestLoadProblemInBlock(t *testing.T) {
	for _, style := range []string{"|", ">-"} {
		block := "pass: " + style + "\n      resource.Shut &&\n        (resource.Dry ||\n         resorce.Locked)\n"
		file := strings.Replace(control(boxCheck("box-shut", "true")), "pass: \"true\"\n", block, 1)
		_, err := Load(fstest.MapFS{"bad.yaml": {Data: []byte(file)}})
		if err == nil || !strings.HasPrefix(err.Error(), "bad.yaml:15:10: pass: undeclared reference to 'resorce'") {
			t.Errorf("%s: got %v", style, err)
		}
	}
}

func TestLoadTogether(t *testing.T) {
	ours := fstest.MapFS{"ours.yaml": {Data: []byte(control(boxCheck("box-shut", "resource.Shut")))}}
	more := fstest.MapFS{
		"more.yaml":  {Data: []byte("extends: storage\nchecks:\n" + boxCheck("box-full", "resource.Full"))},
		"other.yaml": {Data: []byte(strings.Replace(control(boxCheck("box-dry", "resource.Dry")), "id: storage", "id: weather", 1))},
		"notes.md":   {Data: []byte("not read")},
	}
	c, err := Load(ours, more)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ch := range c.Checks() {
		_, control, _ := c.Check(ch.ID)
		got = append(got, control+"/"+ch.ID)
	}
	if want := []string{"weather/box-dry", "storage/box-full", "storage/box-shut"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	alone, err := Load(ours)
	if err != nil {
		t.Fatal(err)
	}
	if alone.Digest() == c.Digest() {
		t.Error("a catalogue with more checks has the same digest")
	}
	theirs := fstest.MapFS{
		"control.yaml": {Data: []byte(control(""))},
		"check.yaml":   {Data: []byte("extends: storage\nchecks:\n" + boxCheck("box-shut", "true"))},
	}
	_, err = Load(ours, theirs)
	for _, want := range []string{
		"control.yaml:1:5: control storage is already in ours.yaml",
		"check.yaml:3:9: check box-shut is already at ours.yaml:8; nothing is replaced silently",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDecodeRepeatsJudgement(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Age <= params.limit", "    parameters: {limit: {type: int, default: 3, description: x}}")))
	c, err := c.WithParameters(map[string]map[string]Override{"box-shut": {"limit": {Value: 5, Approver: "cto"}}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(c.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != c.Digest() || string(again.JSON()) != string(c.JSON()) {
		t.Errorf("digest %s became %s", c.Digest(), again.Digest())
	}
	kinds := facts(box("/a", `{"Age":4,"Name":"a"}`))
	if got := lines(evaluate(t, again, kinds)); got != "box-shut /a pass\n" {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{`{}`, `{"version":2,"controls":[]}`, `{"version":1,"controls":[{"colour":"red"}]}`, `[`} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestWithParameters(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Age <= params.limit && resource.Tag in params.tags",
		"    parameters:\n      limit: {type: int, default: 3, description: x}\n      tags: {type: strings, default: [a], description: x}")))
	old := evaluate(t, c, facts(box("/a", `{"Age":4,"Tag":"b","Name":"a"}`)))[0]
	before := c.Digest()
	changed, err := c.WithParameters(map[string]map[string]Override{"box-shut": {
		"limit": {Value: uint64(4), Owner: "ops", Approver: "cto", Reason: "agreed"},
		"tags":  {Value: []any{"b"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if v := evaluate(t, changed, facts(box("/a", `{"Age":4,"Tag":"b","Name":"a"}`)))[0]; old.Status != "fail" || v.Status != "pass" {
		t.Errorf("got %s, then %s", old.Status, v.Status)
	}
	if c.Digest() != before || changed.Digest() == before {
		t.Errorf("digests: %s, then %s and %s", before, c.Digest(), changed.Digest())
	}
	if !strings.Contains(string(changed.JSON()), `"override":{"approver":"cto","owner":"ops","reason":"agreed","value":4}`) {
		t.Errorf("the override is not in %s", changed.JSON())
	}
	_, err = c.WithParameters(map[string]map[string]Override{
		"box-ajar": {"limit": {Value: 1}},
		"box-shut": {"limits": {Value: 1}, "limit": {Value: "four"}, "tags": {Value: []any{1}}},
	})
	for _, want := range []string{
		`check "box-ajar": the catalogue has no such check`, `no parameter "limits"; it has [limit tags]`,
		`parameter "limit": value: four is not of type int`, `parameter "tags": value: [1] is not of type strings`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// FuzzLoad demands an answer, not a panic, for any file.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(control(boxCheck("box-shut", "resource.Shut", conditions))))
	f.Add([]byte("id: [\n"))
	f.Add([]byte("? {a: b}\n: - x\n"))
	f.Add([]byte("<<: *a\nid: !!binary x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Load(fstest.MapFS{"a.yaml": {Data: data}})
		if err == nil && c == nil {
			t.Error("neither a catalogue nor an error")
		}
	})
}
