package gcp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// The size of the Workspace domain beside the large organisation.
const (
	largeUsers   = 1200
	largeAdmins  = 3 // the first users
	largeGroups  = 20
	foreignGroup = 5 // it is of another domain, and can not be looked up
)

func (l *large) domainRoutes() []route {
	return []route{
		{regexp.MustCompile(`^/admin/directory/v1/users$`), (*large).users},
		{regexp.MustCompile(`^/admin/directory/v1/customer/my_customer/orgunits$`), (*large).units},
		{regexp.MustCompile(`^/v1/policies$`), (*large).settings},
		{regexp.MustCompile(`^/v1/inbound(SsoAssignments|SamlSsoProfiles|OidcSsoProfiles)$`), (*large).nothing},
		{regexp.MustCompile(`^/v1/groups:lookup$`), (*large).lookup},
		{regexp.MustCompile(`^/v1/groups/g\d+/memberships$`), (*large).memberships},
	}
}

func userID(u int) string      { return strconv.Itoa(300000 + u) }
func userEnrolled(u int) bool  { return u%9 != 0 }
func userSuspended(u int) bool { return u%50 == 7 }
func groupName(g int) string   { return fmt.Sprintf("team-%d@example.com", g) }
func groupOfProject(p int) int { return p % largeGroups }

func (l *large) users(_ int, q url.Values) (int, string) {
	size, err := strconv.Atoi(q.Get("maxResults"))
	if err != nil || size > 500 || q.Get("customer") != "my_customer" {
		return http.StatusBadRequest, `{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "maxResults or customer"}}`
	}
	var all []string
	from, _ := strconv.Atoi(q.Get("pageToken"))
	for u := from; u < min(from+size, largeUsers); u++ {
		all = append(all, fmt.Sprintf(`{"id": %q, "primaryEmail": "user-%04d@example.com", "isAdmin": %t, "isDelegatedAdmin": false, "isEnrolledIn2Sv": %t, "isEnforcedIn2Sv": true, "suspended": %t, "archived": false, "orgUnitPath": "/"}`,
			userID(u), u, u < largeAdmins, userEnrolled(u), userSuspended(u)))
	}
	next := ""
	if from+size < largeUsers {
		next = fmt.Sprintf(`, "nextPageToken": "%d"`, from+size)
	}
	return http.StatusOK, `{"users": [` + strings.Join(all, ", ") + `]` + next + `}`
}

func (l *large) units(int, url.Values) (int, string) {
	return http.StatusOK, `{"organizationUnits": [{"orgUnitId": "id:03root", "orgUnitPath": "/", "name": "example.com"}]}`
}

func (l *large) settings(int, url.Values) (int, string) {
	return http.StatusOK, `{"policies": [{"name": "policies/enforced", "customer": "customers/C01abc23d", "policyQuery": {"query": "entity.org_units.exists(org_unit, org_unit.org_unit_id == orgUnitId('03root'))", "orgUnit": "orgUnits/03root", "sortOrder": 1}, "setting": {"type": "settings/security.two_step_verification_enforcement", "value": {"enforcedFrom": "2024-03-01T00:00:00Z"}}, "type": "ADMIN"}]}`
}

func (l *large) nothing(int, url.Values) (int, string) { return http.StatusOK, `{}` }

func (l *large) lookup(_ int, q url.Values) (int, string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(q.Get("groupKey.id"), "team-"), "@")
	if g, err := strconv.Atoi(name); err != nil || g == foreignGroup {
		return http.StatusForbidden, refused
	}
	return http.StatusOK, `{"name": "groups/g` + name + `"}`
}

func (l *large) memberships(int, url.Values) (int, string) {
	return http.StatusOK, `{"memberships": [{"name": "groups/g1/memberships/1", "preferredMemberKey": {"id": "user-0001@example.com"}, "type": "USER", "roles": [{"name": "MEMBER"}]}]}`
}

// domainVerdicts gives the verdicts that the facts of the domain demand.
func domainVerdicts() map[string]map[string]evidence.Status {
	users, admins := map[string]evidence.Status{}, map[string]evidence.Status{}
	for u := range largeUsers {
		of, others := users, admins
		if u < largeAdmins {
			of, others = admins, users
		}
		others[userID(u)] = evidence.NotApplicable
		switch {
		case userSuspended(u):
			of[userID(u)] = evidence.NotApplicable
		case userEnrolled(u):
			of[userID(u)] = evidence.Pass
		default:
			of[userID(u)] = evidence.Fail
		}
	}
	return map[string]map[string]evidence.Status{
		"gcp-2sv-enforced-policy": {"id:03root": evidence.Pass},
		"gcp-superadmin-2sv":      admins,
		"gcp-user-2sv":            users,
	}
}
