package checks

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Verdicts come by check, region and resource, however the checks share kinds.
func TestEvaluateOrder(t *testing.T) {
	several := strings.Replace(boxCheck("c-both", "resource.Shut"), "[aws.box]", "[aws.box, aws.crate]", 1)
	crate := strings.Replace(boxCheck("b-crate", "resource.Shut"), "[aws.box]", "[aws.crate]", 1)
	c := load(t, control(boxCheck("d-box", "resource.Shut")+several+crate+boxCheck("a-box", "resource.Shut")))
	on := `{"Name":"x","Shut":true}`
	kinds := with(facts(box("r1/b", on), box("r2/a", on), thing("aws.crate", "r1/a", on), thing("aws.crate", "r2/b", on)),
		gap("aws.crate", "r0", "", ""), gap("aws.box", "r0", "", ""), gap("aws.box", "r1", "!early", ""))
	want := `a-box r0/* unknown
a-box r1/!early unknown
a-box r1/b pass
a-box r2/a pass
b-crate r0/* unknown
b-crate r1/a pass
b-crate r2/b pass
c-both r0/* unknown
c-both r1/!early unknown
c-both r1/a pass
c-both r1/b pass
c-both r2/a pass
c-both r2/b pass
d-box r0/* unknown
d-box r1/!early unknown
d-box r1/b pass
d-box r2/a pass
`
	if got := lines(evaluate(t, c, kinds)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := lines(evaluate(t, c, kinds, "d-box", "b-crate", "d-box")); !strings.HasPrefix(got, "b-crate r0") || strings.Count(got, "d-box") != 4 {
		t.Errorf("chosen checks: got\n%s", got)
	}
	delete(kinds, "aws.crate")
	got := evaluate(t, c, kinds, "c-both")
	if !strings.HasPrefix(lines(got), "c-both /* unknown\nc-both r0/* unknown\nc-both r1/!early") {
		t.Errorf("one kind of two not collected: got\n%s", lines(got))
	}
	if got := lines(evaluate(t, c, map[string]Facts{"aws.box": {}, "aws.crate": {}}, "c-both")); got != "c-both /* not_applicable\n" {
		t.Errorf("both kinds empty: got\n%s", got)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut")))
	broken := errors.New("disk on fire")
	tests := []struct {
		name  string
		kinds map[string]Facts
		which []string
		want  string
	}{
		{"unknown check", nil, []string{"box-ajar"}, `check "box-ajar": the catalogue has no such check`},
		{"out of order", facts(box("r1/b", `{}`), box("r1/a", `{}`)), nil, "out of order"},
		{"the same twice", facts(box("r1/a", `{}`), box("r1/a", `{}`)), nil, "out of order"},
		{"of another kind", map[string]Facts{"aws.box": {Observations: yieldAll([]evidence.Observation{thing("aws.crate", "/a", `{}`)})}}, nil, "its kind is aws.crate"},
		{"a source that breaks", map[string]Facts{"aws.box": {Observations: func(yield func(evidence.Observation, error) bool) {
			yield(evidence.Observation{}, broken)
		}}}, nil, "disk on fire"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tryEvaluate(c, Input{Kinds: tt.kinds}, tt.which); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	stop := errors.New("enough")
	err := c.Evaluate(context.Background(), Input{Scope: evidence.Scope{Provider: "aws"}, Kinds: facts(box("/a", `{}`))}, nil,
		func(evidence.Verdict) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error of emit: got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = c.Evaluate(ctx, Input{Scope: evidence.Scope{Provider: "aws"}, Kinds: facts(box("/a", `{}`))}, nil,
		func(evidence.Verdict) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
}

// The source's own time is the verdict's, and of several the oldest.
func TestEvaluateAsOf(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "lid.Shut", `    joins: [{name: lid, kind: aws.lid, field: Of, equals: resource.Name}]`)))
	early, late := exampleNow().Add(-4*time.Hour), exampleNow().Add(-time.Hour)
	for _, swap := range []bool{false, true} {
		o, l := box("/a", `{"Name":"a"}`), thing("aws.lid", "/l", `{"Of":"a","Shut":true}`)
		o.AsOf, l.AsOf = &early, &late
		if swap {
			o.AsOf, l.AsOf = nil, &early
		}
		v := evaluate(t, c, facts(o, l))[0]
		if v.AsOf == nil || !v.AsOf.Equal(early) {
			t.Errorf("got %v, want %v", v.AsOf, early)
		}
	}
}
