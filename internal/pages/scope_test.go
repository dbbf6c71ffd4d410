package pages_test

import (
	"strings"
	"testing"
)

// TestScopeNamesRegions demands the regions that were looked at, and those that
// were not although they are enabled.
func TestScopeNamesRegions(t *testing.T) {
	p := plant(t, 3)
	page := write(t, p.in)["scope.html"]
	for _, want := range []string{"eu-west-1", "ap-south-1"} {
		if !strings.Contains(page, want) {
			t.Errorf("scope.html does not name %s", want)
		}
	}
}
