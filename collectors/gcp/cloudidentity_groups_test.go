package gcp_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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

const platform = "platform@example.com"

// nested answers for a group that no policy names: it is in a group that does,
// which is in it again.
func nested(req *http.Request, _ capture.Labels) (*http.Response, error) {
	switch {
	case req.URL.Path == "/v1/groups/01example3security/memberships":
		return answered(req, http.StatusOK, `{"memberships": [{"name": "groups/01example3security/memberships/1", "type": "GROUP", "preferredMemberKey": {"id": "Platform@example.com"}}]}`), nil
	case req.URL.Query().Get("groupKey.id") == platform:
		return answered(req, http.StatusOK, `{"name": "groups/01example4platfor"}`), nil
	case req.URL.Path == "/v1/groups/01example4platfor/memberships":
		return answered(req, http.StatusOK, `{"memberships": [{"name": "groups/01example4platfor/memberships/1", "type": "GROUP", "preferredMemberKey": {"id": "security@example.com"}}]}`), nil
	}
	return nil, nil
}

// A group in a group is read like the one that a policy names, each once.
func TestNestedGroups(t *testing.T) {
	got, _ := replay(t, groupsOf(t), "organizations/123456789012", nested)
	for _, email := range []string{"break-glass@example.com", "org-admins@example.com", platform, "security@example.com"} {
		if !slices.ContainsFunc(got.observations, func(o evidence.Observation) bool {
			return o.ID == email && strings.Contains(string(o.Body), `"members"`) && len(o.Sources) >= 3
		}) {
			t.Errorf("%s was not observed with its members", email)
		}
	}
	if len(got.observations) != 4 || got.requests["cloudidentity.groups.lookup"] != 4 || len(got.gaps) > 0 {
		t.Errorf("%d groups after the calls %v, gaps %+v", len(got.observations), got.requests, got.gaps)
	}
}

// A group that can not be looked up, as one of another domain, is a gap of that
// group alone, and the list of groups is whole.
func TestGroupOfAnotherDomain(t *testing.T) {
	got, _ := replay(t, groupsOf(t), "organizations/123456789012", func(req *http.Request, l capture.Labels) (*http.Response, error) {
		if req.URL.Query().Get("groupKey.id") == platform {
			return answered(req, http.StatusForbidden, refused), nil
		}
		return nested(req, l)
	})
	want := evidence.Gap{Operation: "cloudidentity.groups.lookup", Permission: "https://www.googleapis.com/auth/cloud-identity.groups.readonly", Class: evidence.Denied, Code: "IAM_PERMISSION_DENIED"}
	if len(got.gaps) != 1 || !same(got.gaps[0], want) || got.gaps[0].Resource != platform || got.gaps[0].Field != "members" {
		t.Errorf("gaps %+v, want one for the members of %s", got.gaps, platform)
	}
	if !got.listed["gcp.cloudidentity.group"] || len(got.observations) != 4 {
		t.Errorf("%d groups, and the list is whole: %v", len(got.observations), got.listed)
	}
	for _, o := range got.observations {
		if strings.Contains(string(o.Body), `"members"`) == (o.ID == platform) {
			t.Errorf("%s is %s", o.ID, o.Body)
		}
	}
}

// Groups whose members are ever new groups are not read for ever, and what was
// read of them does not pass for a whole list.
func TestGroupsWithoutEnd(t *testing.T) {
	var n atomic.Int64
	got, _ := replay(t, groupsOf(t), "organizations/123456789012", func(req *http.Request, l capture.Labels) (*http.Response, error) {
		switch l.Operation {
		case "cloudidentity.groups.lookup":
			return answered(req, http.StatusOK, `{"name": "groups/`+strings.ReplaceAll(req.URL.Query().Get("groupKey.id"), "@", "-")+`"}`), nil
		case "cloudidentity.groups.memberships.list":
			var members []string
			for range 100 {
				members = append(members, fmt.Sprintf(`{"name": "groups/1/memberships/%[1]d", "type": "GROUP", "preferredMemberKey": {"id": "g%[1]d@example.com"}}`, n.Add(1)))
			}
			return answered(req, http.StatusOK, `{"memberships": [`+strings.Join(members, ", ")+`]}`), nil
		}
		return nil, nil
	})
	lost(t, got, []string{"gcp.cloudidentity.group"}, evidence.Gap{
		Operation: "cloudidentity.groups.memberships.list", Permission: "https://www.googleapis.com/auth/cloud-identity.groups.readonly", Class: evidence.Malformed,
	})
}
