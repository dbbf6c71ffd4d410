package aws_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/internal/capture"
)

// TestSources proves that every exchange that an observation names was kept,
// with an answer, and that a second reading names the same ones: regions and
// resources are read at the same time, and that must not show.
func TestSources(t *testing.T) {
	e := estate(t)
	for _, c := range aws.Catalogue(e) {
		for _, account := range recordings.Accounts() {
			t.Run(c.Spec().Name+"/"+account, func(t *testing.T) {
				got, kept := replay(t, c, account, nil)
				answered := map[string]bool{}
				for entry, err := range capture.Read(bytes.NewReader(kept)) {
					if err != nil {
						t.Fatal(err)
					}
					answered[entry.ID] = entry.Response.Status != 0
				}
				again, _ := replay(t, c, account, nil)
				for i, o := range got.observations {
					if !slices.IsSorted(o.Sources) || len(slices.Compact(slices.Clone(o.Sources))) != len(o.Sources) {
						t.Errorf("%s: the sources %q are not sorted, or not distinct", o.ID, o.Sources)
					}
					for _, id := range o.Sources {
						if !answered[id] {
							t.Errorf("%s: names exchange %q, which was not kept or has no answer", o.ID, id)
						}
					}
					if !slices.Equal(o.Sources, again.observations[i].Sources) {
						t.Errorf("%s: names %q, and a second time %q", o.ID, o.Sources, again.observations[i].Sources)
					}
				}
			})
		}
	}
}
