package gcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

func groupsOf(t *testing.T) collectors.Collector {
	t.Helper()
	for _, c := range gcp.Catalogue(estate(t)) {
		if c.Spec().Name == "gcp.cloudidentity_groups" {
			return c
		}
	}
	t.Fatal("there is no collector of groups")
	return nil
}

// A group that can not be looked up, as one of another domain, is a gap of that
// group alone, and the list of groups is whole.
func TestGroupOfAnotherDomain(t *testing.T) {
	const foreign = "platform@example.com"
	got, _ := replay(t, groupsOf(t), "organizations/123456789012", func(req *http.Request, _ capture.Labels) (*http.Response, error) {
		if req.URL.Query().Get("groupKey.id") != foreign {
			return nil, nil
		}
		return answered(req, http.StatusForbidden, refused), nil
	})
	want := evidence.Gap{Operation: "cloudidentity.groups.lookup", Permission: "https://www.googleapis.com/auth/cloud-identity.groups.readonly", Class: evidence.Denied, Code: "IAM_PERMISSION_DENIED"}
	if len(got.gaps) != 1 || !same(got.gaps[0], want) || got.gaps[0].Resource != foreign || got.gaps[0].Field != "members" {
		t.Errorf("gaps %+v, want one for the members of %s", got.gaps, foreign)
	}
	if !got.listed["gcp.cloudidentity.group"] {
		t.Error("the list of groups does not count as whole")
	}
	for _, o := range got.observations {
		if strings.Contains(string(o.Body), `"members"`) == (o.ID == foreign) {
			t.Errorf("%s is %s", o.ID, o.Body)
		}
	}
	if len(got.observations) != 4 {
		t.Errorf("%d groups, want the four of the recording", len(got.observations))
	}
}

// Groups whose members are ever new groups are not read for ever, and what was
// read of them does not pass for a whole list.
func TestGroupsWithoutEnd(t *testing.T) {
	n := 0
	got, _ := replay(t, groupsOf(t), "organizations/123456789012", func(req *http.Request, l capture.Labels) (*http.Response, error) {
		switch l.Operation {
		case "cloudidentity.groups.lookup":
			return answered(req, http.StatusOK, `{"name": "groups/`+strings.ReplaceAll(req.URL.Query().Get("groupKey.id"), "@", "-")+`"}`), nil
		case "cloudidentity.groups.memberships.list":
			var members []string
			for range 100 {
				n++
				members = append(members, fmt.Sprintf(`{"name": "groups/1/memberships/%d", "type": "GROUP", "preferredMemberKey": {"id": "g%d@example.com"}}`, n, n))
			}
			return answered(req, http.StatusOK, `{"memberships": [`+strings.Join(members, ", ")+`]}`), nil
		}
		return nil, nil
	})
	lost(t, got, []string{"gcp.cloudidentity.group"}, evidence.Gap{
		Operation: "cloudidentity.groups.memberships.list", Permission: "https://www.googleapis.com/auth/cloud-identity.groups.readonly", Class: evidence.Malformed,
	})
}
