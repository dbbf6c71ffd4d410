package pages_test

import (
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// TestScopeNamesRegions demands the regions that were looked at, and those that
// were not although they are enabled.
func TestScopeNamesRegions(t *testing.T) {
	p := plant(t, 3)
	p.report.LeftOut = []period.LeftOut{{
		NotCollected: evidence.NotCollected{
			Scope: evidence.Scope{Provider: "aws", Account: "777788889999"}, Name: "sandbox",
			Excluded: true, Reason: "Thrown away <each> week", Approver: "Sam Roe",
		},
		From: p.day(1), To: p.day(3),
	}}
	page := write(t, p.in)["scope.html"]
	for _, want := range []string{
		"eu-west-1", "ap-south-1", "aws/777788889999", "sandbox", "Thrown away &lt;each&gt; week", "Sam Roe", "left out by the operator",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("scope.html does not name %s", want)
		}
	}
}
