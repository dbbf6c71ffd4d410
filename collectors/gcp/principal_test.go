package gcp

import "testing"

// TestPrincipals demands that a run says as whom each of its calls was made.
func TestPrincipals(t *testing.T) {
	const reader, subject = "reader@example-ops.iam.gserviceaccount.com", "auditor@example.com"
	e := &Estate{identity: identity{principal: reader, workspace: subject}}
	for _, test := range []struct {
		c    *collector
		want string
	}{
		{cloudassetResources(e), reader},
		{securityServices(e), reader},
		{directoryUsers(e), subject},
		{cloudIdentityGroups(e), reader + " and " + subject},
	} {
		if got := test.c.principal(); got != test.want {
			t.Errorf("%s: %q, want %q", test.c.spec.Name, got, test.want)
		}
	}
	recorded := cloudIdentityGroups(&Estate{identity: identity{principal: "as it was"}})
	if got := recorded.principal(); got != "as it was" {
		t.Errorf("of a recording: %q", got)
	}
}
