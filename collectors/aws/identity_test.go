package aws_test

import (
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
)

// The roles of the tests. The hub may be assumed by the ambient identity, the
// others by the hub.
const (
	hubRole   = "arn:aws:iam::777788889999:role/TallystickHub"
	ownRole   = "arn:aws:iam::777788889999:role/TallystickAgent"
	firstRole = "arn:aws:iam::111122223333:role/TallystickReader"
	otherRole = "arn:aws:iam::444455556666:role/TallystickReader"
)

// TestRoles assumes the role of an account, at once or through another one.
func TestRoles(t *testing.T) {
	tests := []struct {
		name     string
		settings aws.Settings
		asked    []string
		signed   string // as whom the account is read
	}{
		{
			name:     "ambient",
			settings: aws.Settings{Accounts: []aws.Account{{ID: "777788889999"}}, SessionName: "evidence", SourceIdentity: "collector"},
			signed:   "KEY-0",
		},
		{
			name:     "one role",
			settings: aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole}}},
			asked:    []string{"AssumeRole " + firstRole + " as tallystick by KEY-0"},
			signed:   "KEY-1",
		},
		{
			name:     "an external id",
			settings: aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole, ExternalID: "first-7f3a"}}},
			asked:    []string{"AssumeRole " + firstRole + " as tallystick, ExternalId first-7f3a by KEY-0"},
			signed:   "KEY-1",
		},
		{
			name: "a chain, with names",
			settings: aws.Settings{
				Accounts:    []aws.Account{{ID: "111122223333", Role: firstRole, ExternalID: "first-7f3a"}},
				Through:     aws.Account{Role: hubRole, ExternalID: "hub-52c1"},
				SessionName: "evidence", SourceIdentity: "collector",
			},
			asked: []string{
				"AssumeRole " + hubRole + " as evidence, ExternalId hub-52c1, SourceIdentity collector by KEY-0",
				"AssumeRole " + firstRole + " as evidence, ExternalId first-7f3a, SourceIdentity collector by KEY-1",
			},
			signed: "KEY-2",
		},
		{
			name: "a chain, with nothing that is not configured",
			settings: aws.Settings{
				Accounts: []aws.Account{{ID: "111122223333", Role: firstRole}}, Through: aws.Account{Role: hubRole},
			},
			asked: []string{
				"AssumeRole " + hubRole + " as tallystick by KEY-0",
				"AssumeRole " + firstRole + " as tallystick by KEY-1",
			},
			signed: "KEY-2",
		},
		{
			name: "an account without a role is not read through the hub",
			settings: aws.Settings{
				Accounts: []aws.Account{{ID: "777788889999"}}, Through: aws.Account{Role: hubRole},
			},
			signed: "KEY-0",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := newIssuer(t, httptest.NewServer)
			ambient(t, keys(i.URL))
			e := newEstate(t, tt.settings)
			got, kept := collect(t, named(t, e, "aws.iam_account_summary"), tt.settings.Accounts[0].ID, e.Transport())
			whole(t, got, kept, "first-7f3a", "hub-52c1")
			same(t, "asked for credentials", i.asked, tt.asked)
			same(t, "calls", i.signed, []string{
				"GetCallerIdentity by " + tt.signed, "GetAccountSummary by " + tt.signed, "ListOrganizationsFeatures by " + tt.signed,
			})
		})
	}
}

// TestCredentialsAreShared has the credentials of each role once, however many
// collectors begin at the same time.
func TestCredentialsAreShared(t *testing.T) {
	i := newIssuer(t, httptest.NewServer)
	ambient(t, keys(i.URL))
	accounts := []aws.Account{{ID: "111122223333", Role: firstRole}, {ID: "444455556666", Role: otherRole}}
	e := newEstate(t, aws.Settings{Accounts: accounts, Through: aws.Account{Role: hubRole}})
	var all sync.WaitGroup
	for _, a := range accounts {
		for _, name := range []string{"aws.iam_account_summary", "aws.iam_password_policy", "aws.iam_users", "aws.ec2_volumes"} {
			c := named(t, e, name)
			all.Go(func() {
				got, kept := collect(t, c, a.ID, e.Transport())
				whole(t, got, kept)
			})
		}
	}
	all.Wait()
	roles := map[string]int{}
	for _, asked := range i.asked {
		roles[strings.Fields(asked)[1]]++
	}
	if want := map[string]int{hubRole: 1, firstRole: 1, otherRole: 1}; !maps.Equal(roles, want) {
		t.Errorf("assumed %v, want %v", roles, want)
	}
}

// TestCredentialsAreRenewed renews credentials while they are still good: a
// request that is under way when they lapse would be refused.
func TestCredentialsAreRenewed(t *testing.T) {
	i := newIssuer(t, httptest.NewServer)
	i.lives = []time.Duration{4 * time.Minute, 4 * time.Minute}
	ambient(t, keys(i.URL))
	e := newEstate(t, aws.Settings{
		Accounts: []aws.Account{{ID: "111122223333", Role: firstRole}}, Through: aws.Account{Role: hubRole},
	})
	for range 2 {
		got, kept := collect(t, named(t, e, "aws.iam_account_summary"), "111122223333", e.Transport())
		whole(t, got, kept)
	}
	hub, first := "AssumeRole "+hubRole+" as tallystick by KEY-0", "AssumeRole "+firstRole+" as tallystick by KEY-"
	same(t, "asked for credentials", i.asked, []string{hub, first + "1", hub, first + "3"})
	same(t, "calls", i.signed, []string{
		"GetCallerIdentity by KEY-2", "GetAccountSummary by KEY-4", "ListOrganizationsFeatures by KEY-4",
		"GetCallerIdentity by KEY-4", "GetAccountSummary by KEY-4", "ListOrganizationsFeatures by KEY-4",
	})
}

// TestRefusedRole ends as a gap for each kind, which names the call for
// credentials that was refused, and the policy that refused where AWS says so.
func TestRefusedRole(t *testing.T) {
	const who = "User: arn:aws:sts::777788889999:assumed-role/TallystickAgent/tallystick is not authorized to perform: "
	web := func(t *testing.T, i *issuer) map[string]string {
		t.Helper()
		return webIdentity(i, write(t, "token", "made-up-web-identity"))
	}
	static := func(_ *testing.T, i *issuer) map[string]string { return keys(i.URL) }
	tests := []struct {
		name        string
		environment func(*testing.T, *issuer) map[string]string
		role, says  string
		want        evidence.Gap
	}{
		{
			"the permission is missing", static, firstRole,
			who + "sts:AssumeRole on resource: " + firstRole,
			evidence.Gap{Operation: "sts:AssumeRole", Permission: "sts:AssumeRole"},
		},
		{
			"a service control policy", static, firstRole,
			who + "sts:AssumeRole on resource: " + firstRole + " with an explicit deny in a service control policy",
			evidence.Gap{Operation: "sts:AssumeRole", Permission: "sts:AssumeRole", Policy: "service control policy"},
		},
		{
			"the hub", static, hubRole,
			who + "sts:AssumeRole on resource: " + hubRole + " because no permissions boundary allows the sts:AssumeRole action",
			evidence.Gap{Operation: "sts:AssumeRole", Permission: "sts:AssumeRole", Policy: "permissions boundary"},
		},
		{
			"web identity", web, ownRole,
			"Not authorized to perform sts:AssumeRoleWithWebIdentity",
			evidence.Gap{Operation: "sts:AssumeRoleWithWebIdentity", Permission: "sts:AssumeRoleWithWebIdentity"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := newIssuer(t, httptest.NewServer)
			i.refuses = map[string]string{tt.role: tt.says}
			ambient(t, tt.environment(t, i))
			e := newEstate(t, aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole}}, Through: aws.Account{Role: hubRole}})
			for _, name := range []string{"aws.ec2_vpcs", "aws.iam_account_summary"} {
				c := named(t, e, name)
				got, kept := collect(t, c, "111122223333", e.Transport())
				var want []evidence.Gap
				for _, kind := range slices.Sorted(slices.Values(c.Spec().Kinds)) {
					g := tt.want
					g.Kind, g.Class, g.Code, g.Message = kind, evidence.Denied, "AccessDenied", tt.says
					want = append(want, g)
				}
				if !slices.Equal(got.gaps, want) {
					t.Errorf("%s: gaps\n%+v\nwant\n%+v", name, got.gaps, want)
				}
				if len(got.observations)+len(got.listed)+len(kept) != 0 {
					t.Errorf("%s: observed %v, listed %v, kept %d bytes; want nothing", name, got.observations, got.listed, len(kept))
				}
			}
			if len(i.signed) != 0 {
				t.Errorf("calls %q without credentials", i.signed)
			}
		})
	}
}
