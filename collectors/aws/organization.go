package aws

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// Organization says how the accounts of an organisation are found and read.
type Organization struct {
	Listing    Account // in which the organisation is listed
	MemberRole string  // name of the role in every other account, with its path
	ExternalID string  // for that role

	Include []AccountRule // only these accounts; empty: all
	Exclude []AccountRule // and of those, not these
}

// AccountRule chooses accounts by one of ID, Unit and Tag.
type AccountRule struct {
	ID       string
	Unit     string // id of an organisational unit or root, or the names from the root: "Sandbox/Teams"
	Tag      string // "key=value", or "key" for any value
	Reason   string
	Approver string
}

// Listing is what an organisation said of itself: the observations of
// aws.organizations_accounts by kind.
type Listing struct {
	Accounts  iter.Seq2[evidence.Observation, error]
	Units     iter.Seq2[evidence.Observation, error]
	Delegates iter.Seq2[evidence.Observation, error]
}

// Members is what follows from a listing for one configuration.
type Members struct {
	Listed       int                     // accounts that the organisation has
	Accounts     []Account               // to be collected, sorted by id, the listing one among them
	Central      []string                // of those, the ones that answer for the organisation, sorted
	NotCollected []evidence.NotCollected // the others, sorted by id

	answering map[string]bool // those that answer for the organisation, collected or not
}

// settle puts the members in order, and tells which of them are central.
func (m *Members) settle() {
	slices.SortFunc(m.Accounts, func(a, b Account) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(m.NotCollected, func(a, b evidence.NotCollected) int { return strings.Compare(a.Account, b.Account) })
	m.Central = nil
	for _, a := range m.Accounts {
		if m.answering[a.ID] {
			m.Central = append(m.Central, a.ID)
		}
	}
}

// Answers says that some accounts answer for the organisation too, beside those
// of the listing.
func (m *Members) Answers(ids ...string) {
	for _, id := range ids {
		m.answering[id] = true
	}
	m.settle()
}

// listedAccount is what counts of an account of a listing.
// Source: Organizations API reference, Account.
type listedAccount struct {
	ID, Name, State, Status string
	Paths                   []string // "o-exampleorg1/r-ab12/ou-ab12-11111111/111122223333/"
	Tags                    []struct{ Key, Value string }
	tagged                  bool // Tags were read
}

// state gives what the account is. Before September 2026 only Status said it.
func (a listedAccount) state() string {
	if a.State != "" {
		return a.State
	}
	return a.Status
}

// Members chooses from a listing. Where it is not known whether a rule applies
// to an account, because its tags or its place could not be read, the account
// is collected, unless it was left out by that very rule before: what is left
// out must be known to be meant. The listing account itself is always collected.
func (o Organization) Members(l Listing, before *evidence.Schedule) (Members, error) {
	units, err := unitNames(l.Units)
	if err != nil {
		return Members{}, err
	}
	m := o.nobody()
	delegates, err := Delegates(l.Delegates)
	if err != nil {
		return Members{}, err
	}
	was := before.LeftOut(Provider)
	for seen, err := range l.Accounts {
		if err != nil {
			return Members{}, err
		}
		var a listedAccount
		if err := json.Unmarshal(seen.Body, &a); err != nil || a.ID == "" {
			return Members{}, fmt.Errorf("account %s of the organisation's listing can not be understood", seen.ID)
		}
		a.tagged = a.Tags != nil
		m.Listed++
		// The owner in the ARN of an account is the management account.
		// Source: service authorization reference, arn:aws:organizations::OWNER:account/o-ID/ACCOUNT.
		if arn := splitARN(seen.ID); arn != nil && arn[4] == a.ID {
			m.answering[a.ID] = true
		}
		o.take(&m, a, units, was[a.ID])
	}
	m.Answers(delegates...)
	return m, nil
}

// Keep gives the members of a schedule that was in force, for when there is no
// whole listing: neither an account nor an exclusion is lost by that. Rules that
// name an account by its id hold all the same.
func (o Organization) Keep(before *evidence.Schedule) Members {
	m := o.nobody()
	if before == nil {
		m.settle()
		return m
	}
	for _, s := range before.Scopes {
		if s.Provider == Provider {
			o.take(&m, listedAccount{ID: s.Account}, nil, evidence.NotCollected{})
		}
	}
	for _, n := range before.NotCollected {
		switch {
		case n.Provider != Provider:
		case n.Excluded:
			o.take(&m, listedAccount{ID: n.Account, Name: n.Name}, nil, n)
		default:
			m.NotCollected = append(m.NotCollected, n)
		}
	}
	for _, s := range before.Central {
		if s.Provider == Provider {
			m.answering[s.Account] = true
		}
	}
	m.settle()
	return m
}

func (o Organization) nobody() Members {
	return Members{Accounts: []Account{o.Listing}, answering: map[string]bool{o.Listing.ID: true}}
}

// take takes an account in, or leaves it out.
func (o Organization) take(m *Members, a listedAccount, units map[string]string, was evidence.NotCollected) {
	if a.ID == o.Listing.ID {
		return
	}
	if left, out := o.leavesOut(a, units, was); out {
		m.NotCollected = append(m.NotCollected, left)
		return
	}
	m.Accounts = append(m.Accounts, o.member(a.ID))
}

// member gives the way into a member account.
func (o Organization) member(id string) Account {
	return Account{
		ID: id, ExternalID: o.ExternalID,
		Role: fmt.Sprintf("arn:%s:iam::%s:role/%s", partitionOf(o.Listing.Role), id, o.MemberRole),
	}
}

// leavesOut says why an account is not collected, if so. was is why it was not
// before.
func (o Organization) leavesOut(a listedAccount, units map[string]string, was evidence.NotCollected) (evidence.NotCollected, bool) {
	left := evidence.NotCollected{Scope: evidence.Scope{Provider: Provider, Account: a.ID}, Name: a.Name}
	by := func(rules []AccountRule) []collectors.Rule {
		var out []collectors.Rule
		for _, rule := range rules {
			r := collectors.Rule{Reason: rule.Reason, Approver: rule.Approver}
			r.Applies, r.Known = rule.applies(a, units)
			out = append(out, r)
		}
		return out
	}
	if left.Reason, left.Approver, left.Excluded = collectors.LeftOut(by(o.Include), by(o.Exclude), was); left.Excluded {
		return left, true
	}
	// An account that is not active answers nobody: its roles can not be assumed.
	if state := a.state(); state != "ACTIVE" && state != "" {
		left.State = state
		return left, true
	}
	return evidence.NotCollected{}, false
}

// applies says whether a rule chooses an account, and whether that is known.
func (r AccountRule) applies(a listedAccount, units map[string]string) (is, known bool) {
	switch {
	case r.ID != "":
		return r.ID == a.ID, true
	case r.Tag != "":
		key, value, valued := strings.Cut(r.Tag, "=")
		for _, tag := range a.Tags {
			if tag.Key == key && (!valued || tag.Value == value) {
				return true, true
			}
		}
		return false, a.tagged
	}
	if len(a.Paths) == 0 {
		return false, false
	}
	known = true
	for _, path := range a.Paths {
		parts := strings.Split(strings.Trim(path, "/"), "/")
		if slices.Contains(parts, r.Unit) {
			return true, true
		}
		var names []string
		for _, id := range parts {
			if !strings.HasPrefix(id, "ou-") {
				continue
			}
			name, named := units[id]
			known = known && named
			names = append(names, name)
			if strings.Join(names, "/") == r.Unit {
				return true, true
			}
		}
	}
	// A unit that is named by its id is found in the path or is not in it.
	return false, known || strings.HasPrefix(r.Unit, "ou-") || strings.HasPrefix(r.Unit, "r-")
}

// unitNames gives the names of organisational units by their ids.
func unitNames(units iter.Seq2[evidence.Observation, error]) (map[string]string, error) {
	names := map[string]string{}
	for seen, err := range units {
		if err != nil {
			return nil, err
		}
		var unit struct{ ID, Name string }
		if err := json.Unmarshal(seen.Body, &unit); err != nil {
			return nil, fmt.Errorf("unit %s of the organisation's listing can not be understood: %w", seen.ID, err)
		}
		names[unit.ID] = unit.Name
	}
	return names, nil
}

// Delegates gives the ids of delegated administrators.
func Delegates(delegates iter.Seq2[evidence.Observation, error]) ([]string, error) {
	var ids []string
	for seen, err := range delegates {
		if err != nil {
			return nil, err
		}
		var d struct{ ID string }
		if err := json.Unmarshal(seen.Body, &d); err != nil {
			return nil, fmt.Errorf("delegated administrator %s of the organisation's listing can not be understood: %w", seen.ID, err)
		}
		ids = append(ids, d.ID)
	}
	return ids, nil
}

// Manager gives the id of the account that manages the organisation of an
// account, from an observation of aws.organizations_membership, and whether that
// could be read. It is empty for an account that belongs to none.
func Manager(o evidence.Observation) (id string, known bool, err error) {
	var m struct{ Organization json.RawMessage }
	if err := json.Unmarshal(o.Body, &m); err != nil {
		return "", false, fmt.Errorf("membership %s can not be understood: %w", o.ID, err)
	}
	if m.Organization == nil {
		return "", false, nil
	}
	var organization struct{ MasterAccountID string }
	if err := json.Unmarshal(m.Organization, &organization); err != nil {
		return "", false, fmt.Errorf("membership %s can not be understood: %w", o.ID, err)
	}
	return organization.MasterAccountID, true, nil
}

// With gives the members with accounts that the operator named: his way into
// an account takes the place of the organisation's, and one that the
// organisation does not list is collected too.
func (m Members) With(own []Account) Members {
	byID := map[string]Account{}
	for _, a := range m.Accounts {
		byID[a.ID] = a
	}
	for _, a := range own {
		byID[a.ID] = a
	}
	m.Accounts = slices.Collect(maps.Values(byID))
	m.NotCollected = slices.DeleteFunc(slices.Clone(m.NotCollected), func(n evidence.NotCollected) bool {
		_, named := byID[n.Account]
		return named
	})
	m.settle()
	return m
}
