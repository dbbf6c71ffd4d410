package checks

import (
	"fmt"
	"testing"
)

func TestReads(t *testing.T) {
	const j = "    joins: [{name: lid, kind: aws.lid, field: Of.Name, equals: resource.Name}, {name: lids, kind: aws.lid, many: true}]"
	tests := []struct{ pass, resource, lid, lids string }{
		{"lid.A && lids.exists(l, l.B)", "[Name]", "[A Of]", "[B]"},
		{"resource.X.Y == 1 && has(resource.Z) && lid != null && size(lids) > 0", "[Name X Z]", "[Of]", "[]"},
		{"resource['X'] == 1 && lid['A'] == 1 && lids[0].B == 1", "[Name X]", "[A Of]", "[B]"},
		{"lids.filter(l, l.A).all(m, m.B) && lid == null", "[Name]", "[Of]", "[A B]"},
		{"lids.map(l, l.A)[0] == 1 && lid == null", "[Name]", "[Of]", "[A]"},
		{"lids.all(l, l.Inner.exists(i, i.Deep == resource.Y)) && lid == null", "[Name Y]", "[Of]", "[Inner]"},
		{"(lid == null ? lids[0] : lid).A", "[Name]", "[*]", "[*]"},
		{"(resource.X ? lid : lid).A", "[Name X]", "[A Of]", "[]"},
		{"resource == {} && lid == null && size(lids) == 0", "[*]", "[Of]", "[]"},
		{"resource[resource.Which] == 1 && lid == null && size(lids) == 0", "[*]", "[Of]", "[]"},
		{"resource.exists(k, k == 'X') && lid == null && size(lids) == 0", "[*]", "[Of]", "[]"},
		{"lids.exists(l, l in [lid])", "[Name]", "[*]", "[*]"},
		{"lids.exists(resource, resource.B) && lid == null", "[Name]", "[Of]", "[B]"},
	}
	for _, tt := range tests {
		t.Run(tt.pass, func(t *testing.T) {
			// Every join must be used somewhere, or loading refuses it.
			c := load(t, control(boxCheck("box-shut", "("+tt.pass+") && (lid == null || size(lids) >= 0)", j)))
			got := map[string]string{}
			for _, r := range c.Reads("box-shut") {
				got[r.Join] = fmt.Sprint(r.Fields)
			}
			if got[""] != tt.resource || got["lid"] != tt.lid || got["lids"] != tt.lids {
				t.Errorf("got resource %s, lid %s, lids %s; want %s, %s, %s", got[""], got["lid"], got["lids"], tt.resource, tt.lid, tt.lids)
			}
		})
	}
}

// What the kind and the parameters settle does not count as read, however it is
// written; what only looks settled does.
func TestReadsSettled(t *testing.T) {
	const check = `  - id: box-shut
    title: x
    provider: aws
    kinds: [aws.box, aws.crate]
    joins: [{name: lids, kind: aws.lid, many: true}]
    parameters:
      off: {type: bool, default: false, description: x}
      none: {type: strings, default: [], description: x}
      some: {type: strings, default: [a, b], description: x}
      limit: {type: int, default: 3, description: x}
    pass: %q
    messages: {pass: "{params.off} {params.none} {params.some} {params.limit} {lids}", fail: x}
    remediation: x
    documentation: https://example.com/
`
	tests := []struct{ pass, box, crate, lids string }{
		{"!params.off || (resource.A && lids.exists(l, l.B))", "[]", "[]", "[]"},
		{"resource.A && params.off", "[]", "[]", "[]"},
		{"resource.A && !params.off", "[A]", "[A]", "[]"},
		{"(kind == 'aws.box' ? resource.A : resource.B) == 1", "[A]", "[B]", "[]"},
		{"(kind == 'aws.box' && has(resource.A) ? resource.A : resource.B) == 1", "[A B]", "[B]", "[]"},
		{"!(kind == 'aws.box' && has(resource.A)) || resource.B", "[A B]", "[]", "[]"},
		{"kind in params.some || resource.A", "[A]", "[A]", "[]"},
		{"size(params.none) > 0 && resource.A", "[]", "[]", "[]"},
		{"params.none.exists(n, n == resource.A)", "[]", "[]", "[]"},
		{"params.none.all(n, n == resource.A) || resource.B", "[]", "[]", "[]"},
		{"params.none.filter(n, n == resource.A).exists(n, true) || resource.B", "[B]", "[B]", "[]"},
		{"params.some.exists(s, s == 'b') || resource.A", "[]", "[]", "[]"},
		{"params.some.exists(s, s == 'c') || resource.A", "[A]", "[A]", "[]"},
		{"params.some.exists(s, s == resource.A)", "[A]", "[A]", "[]"},
		{"lids.exists(l, kind == 'aws.box' && l.B == resource.A)", "[A]", "[]", "[B]"},
		{"lids.exists(l, l.B && (l.C || params.limit == 3))", "[]", "[]", "[B]"},
		// The element of the list is meant, not the kind.
		{"resource.Kinds.exists(kind, kind == 'aws.box' && resource.A)", "[A Kinds]", "[A Kinds]", "[]"},
		// An error is not a value.
		{"duration(params.some[0]) < duration('1s') && resource.A", "[A]", "[A]", "[]"},
		{"params.limit == 3 ? resource.A : resource.B", "[A]", "[A]", "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.pass, func(t *testing.T) {
			c := load(t, control(fmt.Sprintf(check, tt.pass)))
			got := map[string]string{}
			for _, r := range c.Reads("box-shut") {
				got[r.Kind] = fmt.Sprint(r.Fields)
			}
			if got["aws.box"] != tt.box || got["aws.crate"] != tt.crate || got["aws.lid"] != tt.lids {
				t.Errorf("got box %s, crate %s, lids %s; want %s, %s, %s", got["aws.box"], got["aws.crate"], got["aws.lid"], tt.box, tt.crate, tt.lids)
			}
		})
	}
}
