package aws

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// The estate: o-exampleorg1, managed by 111122223333, with the units Production
// (with Web beneath) and Sandbox. 444455556666 is a delegated administrator.
func exampleListing() Listing {
	const management = "111122223333"
	account := func(id, body string) evidence.Observation {
		return evidence.Observation{
			ID:   "arn:aws:organizations::" + management + ":account/o-exampleorg1/" + id,
			Body: json.RawMessage(`{"Id":"` + id + `","Name":"n` + id[:4] + `",` + body + `}`),
		}
	}
	path := func(units, id string) string {
		return `"Paths":["o-exampleorg1/r-ab12/` + units + id + `/"]`
	}
	const production, web, sandbox = "ou-ab12-11111111/", "ou-ab12-11111111/ou-ab12-33333333/", "ou-ab12-22222222/"
	unit := func(id, name string) evidence.Observation {
		return evidence.Observation{ID: id, Body: json.RawMessage(`{"Id":"` + id + `","Name":"` + name + `"}`)}
	}
	return Listing{
		Accounts: all(
			account(management, `"State":"ACTIVE","Tags":[],`+path("", management)),
			account("444455556666", `"State":"ACTIVE","Tags":[{"Key":"env","Value":"prod"}],`+path(production, "444455556666")),
			account("555500001111", `"State":"ACTIVE","Tags":[{"Key":"env","Value":"test"}],`+path(web, "555500001111")),
			account("666600001111", `"State":"ACTIVE","Tags":[],`+path(sandbox, "666600001111")),
			account("777700001111", `"State":"ACTIVE"`), // its tags and its place could not be read
			account("888800001111", `"State":"SUSPENDED","Status":"SUSPENDED","Tags":[],`+path(production, "888800001111")),
			account("999900001111", `"Status":"ACTIVE","Tags":[],`+path(production, "999900001111")), // as before State
		),
		Units: all(
			unit("ou-ab12-11111111", "Production"), unit("ou-ab12-33333333", "Web"), unit("ou-ab12-22222222", "Sandbox"),
		),
		Delegates: all(evidence.Observation{ID: "d", Body: json.RawMessage(`{"Id":"444455556666"}`)}),
	}
}

func all(list ...evidence.Observation) iter.Seq2[evidence.Observation, error] {
	return func(yield func(evidence.Observation, error) bool) {
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestMembers(t *testing.T) {
	by := func(r AccountRule) []AccountRule {
		r.Reason, r.Approver = "because", "Sam Roe"
		return []AccountRule{r}
	}
	const (
		everyone   = "111122223333 444455556666 555500001111 666600001111 777700001111 999900001111"
		suspended  = "888800001111 SUSPENDED"
		management = "111122223333"
	)
	tests := []struct {
		name             string
		include, exclude []AccountRule
		collected, left  string
	}{
		{"all that are active", nil, nil, everyone, suspended},
		{"without one by id", nil, by(AccountRule{ID: "666600001111"}), strings.Replace(everyone, "666600001111 ", "", 1), "666600001111 because, " + suspended},
		{"never without the one that lists", nil, by(AccountRule{ID: management}), everyone, suspended},
		{"a suspended one that is excluded", nil, by(AccountRule{ID: "888800001111"}), everyone, "888800001111 because"},
		{
			"without a unit and all beneath it, by id", nil, by(AccountRule{Unit: "ou-ab12-11111111"}),
			"111122223333 666600001111 777700001111", "444455556666 because, 555500001111 because, 888800001111 because, 999900001111 because",
		},
		{
			"without a unit by its names", nil, by(AccountRule{Unit: "Production"}),
			"111122223333 666600001111 777700001111", "444455556666 because, 555500001111 because, 888800001111 because, 999900001111 because",
		},
		{
			"without a unit beneath another", nil, by(AccountRule{Unit: "Production/Web"}),
			strings.Replace(everyone, "555500001111 ", "", 1), "555500001111 because, " + suspended,
		},
		{"a name counts from the root", nil, by(AccountRule{Unit: "Web"}), everyone, suspended},
		{
			"without a tag", nil, by(AccountRule{Tag: "env=test"}),
			strings.Replace(everyone, "555500001111 ", "", 1), "555500001111 because, " + suspended,
		},
		{
			"without a key of a tag", nil, by(AccountRule{Tag: "env"}),
			"111122223333 666600001111 777700001111 999900001111", "444455556666 because, 555500001111 because, " + suspended,
		},
		{
			"only one, and one of which it is not known", by(AccountRule{Tag: "env=prod"}), nil,
			"111122223333 444455556666 777700001111",
			"555500001111 not among what is included: because, 666600001111 not among what is included: because, 888800001111 not among what is included: because, 999900001111 not among what is included: because",
		},
		{
			"of those, not these", by(AccountRule{Unit: "Production"}), by(AccountRule{Unit: "Production/Web"}),
			"111122223333 444455556666 777700001111 999900001111",
			"555500001111 because, 666600001111 not among what is included: because, " + suspended,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Organization{
				Listing:    Account{ID: management, Role: "arn:aws:iam::111122223333:role/TallystickOrganization"},
				MemberRole: "path/TallystickReader", ExternalID: "x-7f3a", Include: tt.include, Exclude: tt.exclude,
			}
			m, err := o.Members(exampleListing(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var collected, left []string
			for _, a := range m.Accounts {
				collected = append(collected, a.ID)
				role, external := "arn:aws:iam::"+a.ID+":role/path/TallystickReader", "x-7f3a"
				if a.ID == management {
					role, external = o.Listing.Role, ""
				}
				if a.Role != role || a.ExternalID != external {
					t.Errorf("%s is read with %s and %q", a.ID, a.Role, a.ExternalID)
				}
			}
			for _, n := range m.NotCollected {
				why := n.State
				if n.Excluded {
					why = n.Reason
					if n.Approver != "Sam Roe" || n.State != "" {
						t.Errorf("%+v: want the approver and no state", n)
					}
				}
				left = append(left, n.Account+" "+why)
			}
			if got := strings.Join(collected, " "); got != tt.collected {
				t.Errorf("collected %s, want %s", got, tt.collected)
			}
			if got := strings.Join(left, ", "); got != tt.left {
				t.Errorf("not collected %s, want %s", got, tt.left)
			}
			central := []string{management}
			if slices.Contains(collected, "444455556666") {
				central = append(central, "444455556666")
			}
			if m.Listed != 7 || !slices.Equal(m.Central, central) {
				t.Errorf("listed %d, central %v, want 7 and %v", m.Listed, m.Central, central)
			}
		})
	}
}

// The names of units can not be read: what is left out by them is not known,
// and so nothing is.
func TestMembersWithoutUnits(t *testing.T) {
	l := exampleListing()
	l.Units = all()
	rules := []AccountRule{{Unit: "Sandbox", Reason: "because", Approver: "Sam Roe"}}
	o := Organization{Listing: Account{ID: "111122223333"}, Exclude: rules}
	m, err := o.Members(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Accounts) != 6 || len(m.NotCollected) != 1 {
		t.Errorf("collected %v, not %v", m.Accounts, m.NotCollected)
	}
}

// A delegated administrator lists: the account that manages the organisation is
// among those that answer for it, and is told by the owner in the ARNs.
func TestMembersOfDelegate(t *testing.T) {
	o := Organization{Listing: Account{ID: "444455556666", Role: "arn:aws-us-gov:iam::444455556666:role/R"}, MemberRole: "R"}
	m, err := o.Members(exampleListing(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Central, []string{"111122223333", "444455556666"}) || m.Accounts[0].Role != "arn:aws-us-gov:iam::111122223333:role/R" {
		t.Errorf("central %v, the first account %+v", m.Central, m.Accounts[0])
	}
}

func TestMembersKeepAndWith(t *testing.T) {
	o := Organization{
		Listing: Account{ID: "111122223333", Role: "arn:aws:iam::111122223333:role/L"}, MemberRole: "R",
		Exclude: []AccountRule{{Tag: "x", Reason: "because"}}, // the rule that left it out is still there
	}
	of := func(id string) evidence.Scope { return evidence.Scope{Provider: Provider, Account: id} }
	m := o.Keep(&evidence.Schedule{
		Scopes:       []evidence.Scope{of("111122223333"), of("444455556666"), {Provider: "gcp", Account: "p"}},
		Central:      []evidence.Scope{of("111122223333"), of("444455556666")},
		NotCollected: []evidence.NotCollected{{Scope: of("999900001111"), Excluded: true, Reason: "because"}},
	})
	if len(m.Accounts) != 2 || m.Accounts[1].Role != "arn:aws:iam::444455556666:role/R" || len(m.Central) != 2 || len(m.NotCollected) != 1 {
		t.Errorf("kept %+v", m)
	}
	if first := o.Keep(nil); len(first.Accounts) != 1 || !slices.Equal(first.Central, []string{"111122223333"}) {
		t.Errorf("without a schedule: %+v", first)
	}
	m = m.With([]Account{{ID: "999900001111", Role: "own"}, {ID: "444455556666", Role: "other"}})
	if len(m.Accounts) != 3 || m.Accounts[1].Role != "other" || len(m.NotCollected) != 0 {
		t.Errorf("with accounts of the operator's own: %+v", m)
	}
}

func TestManager(t *testing.T) {
	for body, want := range map[string]string{
		`{"AccountId":"1","Organization":{"Id":"o-exampleorg1","MasterAccountId":"111122223333"}}`: "111122223333 true",
		`{"AccountId":"1","Organization":null}`:                                                    " true",
		`{"AccountId":"1"}`:                                                                        " false", // it could not be read
	} {
		got, known, err := Manager(evidence.Observation{Body: json.RawMessage(body)})
		if text := fmt.Sprintf("%s %t", got, known); err != nil || text != want {
			t.Errorf("%s: %q, %v; want %q", body, text, err, want)
		}
	}
	if _, _, err := Manager(evidence.Observation{Body: json.RawMessage(`{"Organization":7}`)}); err == nil {
		t.Error("what is no organisation is taken for one")
	}
}

// What can not be read this time stays left out by the rule that left it out
// before; a rule that is another, or that is gone, does not hold.
func TestMembersUndecided(t *testing.T) {
	of := func(id string) evidence.Scope { return evidence.Scope{Provider: Provider, Account: id} }
	dark := "777700001111" // in the listing without tags and place
	was := func(reason, approver string) *evidence.Schedule {
		return &evidence.Schedule{NotCollected: []evidence.NotCollected{{Scope: of(dark), Excluded: true, Reason: reason, Approver: approver}}}
	}
	const notIncluded = "not among what is included: because"
	rule := AccountRule{Tag: "env=test", Reason: "because", Approver: "Sam Roe"}
	place := AccountRule{Unit: "Sandbox", Reason: "because", Approver: "Sam Roe"}
	tests := []struct {
		name             string
		include, exclude []AccountRule
		before           *evidence.Schedule
		left             bool
	}{
		{"left out by it before", nil, []AccountRule{rule}, was("because", "Sam Roe"), true},
		{"by its place", nil, []AccountRule{place}, was("because", "Sam Roe"), true},
		{"never", nil, []AccountRule{rule}, &evidence.Schedule{Scopes: []evidence.Scope{of(dark)}}, false},
		{"nothing before", nil, []AccountRule{rule}, nil, false},
		{"by another rule", nil, []AccountRule{rule}, was("another", "Sam Roe"), false},
		{"by another approver", nil, []AccountRule{rule}, was("because", "Jo Doe"), false},
		{"for its state", nil, []AccountRule{rule}, &evidence.Schedule{NotCollected: []evidence.NotCollected{{Scope: of(dark), State: "SUSPENDED"}}}, false},
		{"not among what is included", []AccountRule{rule}, nil, was(notIncluded, "Sam Roe"), true},
		{"not included by another rule", []AccountRule{rule}, nil, was("not among what is included: another", "Sam Roe"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Organization{Listing: Account{ID: "111122223333"}, Include: tt.include, Exclude: tt.exclude}
			m, err := o.Members(exampleListing(), tt.before)
			if err != nil {
				t.Fatal(err)
			}
			if left := slices.ContainsFunc(m.NotCollected, func(n evidence.NotCollected) bool { return n.Account == dark }); left != tt.left {
				t.Errorf("left out: %t, want %t", left, tt.left)
			}
		})
	}
}

// An account of which the listing does not say what state it is in is collected.
func TestMembersWithoutState(t *testing.T) {
	l := exampleListing()
	l.Accounts = all(evidence.Observation{ID: "a", Body: json.RawMessage(`{"Id":"444455556666","Tags":[]}`)})
	m, err := Organization{Listing: Account{ID: "111122223333"}}.Members(l, nil)
	if err != nil || len(m.Accounts) != 2 || len(m.NotCollected) != 0 {
		t.Errorf("collected %v, not %v, %v", m.Accounts, m.NotCollected, err)
	}
}

// Without a whole listing, what was so before holds, and rules that name an id.
func TestMembersKeepWithRules(t *testing.T) {
	of := func(id string) evidence.Scope { return evidence.Scope{Provider: Provider, Account: id} }
	by := func(id string) AccountRule { return AccountRule{ID: id, Reason: "because", Approver: "Sam Roe"} }
	before := &evidence.Schedule{
		Scopes:  []evidence.Scope{of("111122223333"), of("444455556666"), of("555500001111")},
		Central: []evidence.Scope{of("111122223333"), of("444455556666")},
		NotCollected: []evidence.NotCollected{
			{Scope: of("666600001111"), Name: "n6", Excluded: true, Reason: "because", Approver: "Sam Roe"},
			{Scope: of("888800001111"), State: "SUSPENDED"},
			{Scope: evidence.Scope{Provider: "gcp", Account: "p"}, Excluded: true},
		},
	}
	for _, tt := range []struct {
		name             string
		include, exclude []AccountRule
		want             string
	}{
		{"as before", nil, []AccountRule{by("666600001111")}, "111122223333 444455556666 555500001111 | 666600001111 888800001111 | 111122223333 444455556666"},
		{"by a tag", nil, []AccountRule{{Tag: "x", Reason: "because", Approver: "Sam Roe"}}, "111122223333 444455556666 555500001111 | 666600001111 888800001111 | 111122223333 444455556666"},
		{"without a rule", nil, nil, "111122223333 444455556666 555500001111 666600001111 | 888800001111 | 111122223333 444455556666"},
		{"without another", nil, []AccountRule{by("444455556666")}, "111122223333 555500001111 666600001111 | 444455556666 888800001111 | 111122223333"},
		{"only one", []AccountRule{by("555500001111")}, nil, "111122223333 555500001111 | 444455556666 666600001111 888800001111 | 111122223333"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Organization{Listing: Account{ID: "111122223333"}, Include: tt.include, Exclude: tt.exclude}
			m := o.Keep(before)
			var collected, left []string
			for _, a := range m.Accounts {
				collected = append(collected, a.ID)
			}
			for _, n := range m.NotCollected {
				left = append(left, n.Account)
			}
			if got := strings.Join(collected, " ") + " | " + strings.Join(left, " ") + " | " + strings.Join(m.Central, " "); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// An account that answers for the organisation does so also when only the
// operator's own way leads into it.
func TestMembersWithDelegate(t *testing.T) {
	o := Organization{Listing: Account{ID: "111122223333"}, Exclude: []AccountRule{{ID: "444455556666", Reason: "because", Approver: "Sam Roe"}}}
	m, err := o.Members(exampleListing(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Central, []string{"111122223333"}) {
		t.Errorf("central %v without the delegated administrator", m.Central)
	}
	if m = m.With([]Account{{ID: "444455556666"}}); !slices.Equal(m.Central, []string{"111122223333", "444455556666"}) {
		t.Errorf("central %v with it", m.Central)
	}
}
