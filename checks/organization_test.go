package checks

import (
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// A join in the organisation looks at the accounts that answer for it, never
// at the account itself, and what several of them saw is one resource.
func TestJoinOrganization(t *testing.T) {
	c := load(t, control(boxCheck("box-shut",
		"lid == null ? resource.Flat : lid.Shut",
		joins("{name: lid, kind: aws.lid, field: Of, equals: resource.Name, in: organization}"))))
	b := box("r1/a", `{"Name":"a","Flat":false}`)
	lid := func(place, body string) evidence.Observation { return thing("aws.lid", place, body) }
	of := func(kinds map[string]Facts) Facts { return kinds["aws.lid"] }
	shut, open := lid("r1/1", `{"Of":"a","Shut":true}`), lid("r1/1", `{"Of":"a","Shut":false}`)
	dark := of(with(facts(lid("r1/1", `{"Of":"a"}`)), gap("aws.lid", "r1", "1", "Shut")))
	tests := []struct {
		name    string
		own     map[string]Facts
		central []Facts
		want    evidence.Status
		reason  string
	}{
		{"matched", facts(b), []Facts{of(facts(shut))}, evidence.Pass, ""},
		{"the account's own does not count", facts(b, open), []Facts{of(facts(shut))}, evidence.Pass, ""},
		{"no match in a whole list", facts(b, shut), []Facts{{}}, evidence.Fail, ""},
		{"nobody answers", facts(b, shut), nil, evidence.Unknown, "was not collected in an account that answers for the organisation"},
		{"a list that is not whole", facts(b), []Facts{of(with(facts(), gap("aws.lid", "r1", "", "")))}, evidence.Unknown, "could not list every aws.lid: box:Look denied"},
		{"one of two lists is not whole", facts(b), []Facts{{}, of(with(facts(), gap("aws.lid", "r1", "", "")))}, evidence.Unknown, "could not list every aws.lid"},
		{"seen twice, once without a field", facts(b), []Facts{dark, of(facts(shut))}, evidence.Pass, ""},
		{"seen twice, the other way round", facts(b), []Facts{of(facts(shut)), dark}, evidence.Pass, ""},
		{"seen only without the field", facts(b), []Facts{dark, {}}, evidence.Unknown, "could not read Shut of aws.lid"},
		{"seen twice, once broken", facts(b), []Facts{of(facts(lid("r1/1", `{`))), of(facts(shut))}, evidence.Pass, ""},
		{"two different ones", facts(b), []Facts{of(facts(shut)), of(facts(lid("r1/2", `{"Of":"a","Shut":true}`)))}, evidence.Unknown, "2 resources of aws.lid match"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Kinds: tt.own, Organization: map[string][]Facts{"aws.lid": tt.central}}
			out, err := tryEvaluate(c, in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if v := out[0]; v.Status != tt.want || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("got %s %q, want %s %q", v.Status, v.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestScope(t *testing.T) {
	c := load(t, control(boxCheck("box-shut",
		"resource.Name in scope.accounts || resource.Name in scope.not_collected && scope.not_collected[resource.Name].excluded && (scope.regions == null || 'r1' in scope.regions)")))
	of := func(id string) evidence.Scope { return evidence.Scope{Provider: "aws", Account: id} }
	inForce := &evidence.Schedule{
		Scopes: []evidence.Scope{of("1"), {Provider: "gcp", Account: "2"}},
		NotCollected: []evidence.NotCollected{
			{Scope: of("3"), Excluded: true, Reason: "a sandbox", Approver: "Sam Roe"},
			{Scope: of("4"), State: "SUSPENDED"},
			{Scope: evidence.Scope{Provider: "gcp", Account: "5"}, Excluded: true},
		},
		Regions: map[string][]string{"aws": {"r1"}, "gcp": {"r9"}},
	}
	for name, want := range map[string]evidence.Status{
		"1": evidence.Pass, "2": evidence.Fail, "3": evidence.Pass, "4": evidence.Fail, "5": evidence.Fail,
	} {
		out, err := tryEvaluate(c, Input{Kinds: facts(box("r1/a", `{"Name":"`+name+`"}`)), InForce: inForce}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Status != want {
			t.Errorf("%s is %s %q, want %s", name, out[0].Status, out[0].Reason, want)
		}
	}
	out, err := tryEvaluate(c, Input{Kinds: facts(box("r1/a", `{"Name":"1"}`))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Status != evidence.Unknown || !strings.Contains(out[0].Reason, "the schedule in force is not known") {
		t.Errorf("without a schedule: %s %q", out[0].Status, out[0].Reason)
	}
}

// What belongs to a project that is left out is not judged, whatever is known of
// it; it is there for joins.
func TestProjectLeftOut(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "lid != null && lid.Shut",
		`    not_applicable: [{when: resource.Flat, reason: it is flat}]`,
		joins("{name: lid, kind: aws.lid, field: Of, equals: resource.Name}"))))
	of := func(project string, o evidence.Observation) evidence.Observation {
		o.Project = project
		return o
	}
	const out, in = "projects/100000000002", "projects/100000000001"
	kinds := with(facts(
		of(out, box("r1/a", `{"Name":"a","Flat":false}`)), // it would fail
		of(out, box("r1/b", `{"Name":"b"}`)),              // unknown: whether it is flat could not be read
		of(out, box("r1/c", `{`)),
		of("projects/100000000003", box("r1/d", `{"Name":"d","Flat":false}`)), // in a state, and left out by nobody
		of(in, box("r1/e", `{"Name":"e","Flat":false}`)),
		of(in, box("r1/f", `{"Name":"f"}`)),
		box("r1/g", `{"Name":"g","Flat":false}`), // of no project
		of(out, thing("aws.lid", "r1/1", `{"Of":"e","Shut":true}`)),
	), gap("aws.box", "r1", "b", "Flat"), gap("aws.box", "r1", "f", "Flat"), gap("aws.box", "r1", "h", ""))
	inForce := &evidence.Schedule{NotCollected: []evidence.NotCollected{
		{Scope: evidence.Scope{Provider: "gcp", Account: in}, Excluded: true, Reason: "of another provider", Approver: "Sam Roe"},
		{Scope: evidence.Scope{Provider: "aws", Account: out}, Name: "example-dev", Excluded: true, Reason: "no customers", Approver: "Sam Roe"},
		{Scope: evidence.Scope{Provider: "aws", Account: "projects/100000000003"}, State: "SUSPENDED"},
	}}
	const left = "project example-dev is left out by the operator: no customers (approved by Sam Roe)"
	verdicts, err := tryEvaluate(c, Input{Kinds: kinds, InForce: inForce}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		status evidence.Status
		reason string
	}{
		{evidence.NotApplicable, left},
		{evidence.NotApplicable, left},
		{evidence.NotApplicable, left},
		{evidence.Fail, "open d"},
		{evidence.Pass, "shut e"},
		{evidence.Unknown, "could not read Flat"},
		{evidence.Fail, "open g"},
		{evidence.Unknown, "box:Look denied"}, // only a gap names it: it is not known to what it belongs
	} {
		if i >= len(verdicts) {
			t.Fatalf("there are %d verdicts", len(verdicts))
		}
		v := verdicts[i]
		if v.Status != want.status || !strings.Contains(v.Reason, want.reason) || v.Status == evidence.NotApplicable && len(v.Gaps) > 0 {
			t.Errorf("%s is %s %q, %v; want %s %q", v.Resource, v.Status, v.Reason, v.Gaps, want.status, want.reason)
		}
	}
	// Where the schedule is not known, nothing is left out.
	verdicts, err = tryEvaluate(c, Input{Kinds: kinds}, nil)
	if err != nil || verdicts[0].Status != evidence.Fail {
		t.Errorf("without a schedule: %+v, %v", verdicts[0], err)
	}
}

func TestExampleOfProjectLeftOut(t *testing.T) {
	e := Example{
		Resource: map[string]any{"Name": "a", "Shut": false}, Project: "projects/100000000002", Want: evidence.NotApplicable, Reason: "a sandbox",
		Scope: ExampleScope{NotCollected: []ExampleNotCollected{{Account: "projects/100000000002", Excluded: true, Reason: "a sandbox", Approver: "Sam Roe"}}},
	}
	c := load(t, control(boxCheck("box-shut", "resource.Shut")))
	if _, err := c.RunExample("box-shut", e); err != nil {
		t.Error(err)
	}
	e.Project = "projects/100000000001"
	if _, err := c.RunExample("box-shut", e); err == nil {
		t.Error("another project is left out too")
	}
}
