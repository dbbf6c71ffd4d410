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
