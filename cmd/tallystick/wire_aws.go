package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
)

// The collectors from which the estate is derived: what they saw says which
// accounts there are, and which of them answer for the organisation.
const (
	listingCollector    = "aws.organizations_accounts"
	membershipCollector = "aws.organizations_membership"
)

// found is what the ledger says of the accounts of a configuration.
type found struct {
	aws.Members
	listing   []string // in which the organisation is listed
	discovery *evidence.Discovery
}

// find derives the accounts from the newest listing that is sealed and whole.
// Without one, an organisation is the account that lists it, or what it was
// before; the accounts that the configuration names are always among them.
func find(c config.AWS, known agent.Known) (found, error) {
	own := make([]aws.Account, 0, len(c.Accounts))
	for _, a := range c.Accounts {
		own = append(own, aws.Account{ID: a.ID, Role: a.Role, ExternalID: a.ExternalID})
	}
	if c.Organization.ManagementRole == "" {
		return findManager(own, known)
	}
	o := organizationOf(c.Organization)
	f := found{Members: o.Keep(known.Before()), listing: []string{o.Listing.ID}}
	run := known.Newest(streamOf(listingCollector, o.Listing.ID))
	if run != nil {
		whole, err := f.read(o, run, known)
		if err != nil {
			return found{}, err
		}
		if whole {
			f.discovery = discoveryOf(f.Members, run.Record, known.Before())
		}
	}
	f.Members = f.With(own)
	return f, nil
}

// read takes the members from a listing. It says whether that was whole; what
// of it was not stays as it was.
func (f *found) read(o aws.Organization, run *agent.RunState, known agent.Known) (bool, error) {
	var listing aws.Listing
	lists := []struct {
		kind string
		into *iter.Seq2[evidence.Observation, error]
	}{
		{"aws.organizations.account", &listing.Accounts},
		{"aws.organizations.unit", &listing.Units},
		{"aws.organizations.delegated_administrator", &listing.Delegates},
	}
	whole := make([]bool, len(lists))
	for i, list := range lists {
		var err error
		if *list.into, whole[i], err = known.Observed(run, list.kind); err != nil {
			return false, fmt.Errorf("read the organisation's listing: %w", err)
		}
	}
	if !whole[0] {
		return false, nil
	}
	before := f.Central
	members, err := o.Members(listing)
	if err != nil {
		return false, err
	}
	if !whole[2] {
		for _, id := range before {
			if !slices.Contains(members.Central, id) && slices.ContainsFunc(members.Accounts, func(a aws.Account) bool { return a.ID == id }) {
				members.Central = append(members.Central, id)
			}
		}
		slices.Sort(members.Central)
	}
	f.Members = members
	return true, nil
}

// findManager looks among the accounts that the configuration names for the one
// that manages their organisation, by what they said of their membership. The
// others of the organisation are not collected: nobody said so.
func findManager(own []aws.Account, known agent.Known) (found, error) {
	f := found{Members: aws.Members{}.With(own)}
	for _, a := range f.Accounts {
		run := known.Newest(streamOf(membershipCollector, a.ID))
		if run == nil {
			continue
		}
		memberships, _, err := known.Observed(run, "aws.organizations.membership")
		if err != nil {
			return found{}, fmt.Errorf("read the membership of account %s: %w", a.ID, err)
		}
		for o, err := range memberships {
			if err != nil {
				return found{}, fmt.Errorf("read the membership of account %s: %w", a.ID, err)
			}
			manager, err := aws.Manager(o)
			if err != nil {
				return found{}, err
			}
			if manager == a.ID {
				f.listing = append(f.listing, a.ID)
			}
		}
	}
	f.Central = slices.Clone(f.listing)
	for _, manager := range f.listing {
		run := known.Newest(streamOf(listingCollector, manager))
		if run == nil {
			continue
		}
		// What it says of delegated administrators counts, and nothing else: the
		// accounts are those of the configuration.
		other := found{}
		o := aws.Organization{Listing: aws.Account{ID: manager}}
		if _, err := other.read(o, run, known); err != nil {
			return found{}, err
		}
		for _, id := range other.Central {
			if !slices.Contains(f.Central, id) && slices.ContainsFunc(f.Accounts, func(a aws.Account) bool { return a.ID == id }) {
				f.Central = append(f.Central, id)
			}
		}
	}
	slices.Sort(f.Central)
	return f, nil
}

func streamOf(collector, account string) evidence.Stream {
	return evidence.Stream{Collector: collector, Scope: evidence.Scope{Provider: aws.Provider, Account: account}}
}

func organizationOf(c config.AWSOrganization) aws.Organization {
	rules := func(list []config.AccountRule) []aws.AccountRule {
		var out []aws.AccountRule
		for _, r := range list {
			out = append(out, aws.AccountRule{ID: r.ID, Unit: r.Unit, Tag: r.Tag, Reason: r.Reason, Approver: r.Approver})
		}
		return out
	}
	return aws.Organization{
		Listing:    aws.Account{ID: accountOf(c.ManagementRole), Role: c.ManagementRole, ExternalID: c.ExternalID},
		MemberRole: c.MemberRole, ExternalID: c.ExternalID,
		Include: rules(c.Include), Exclude: rules(c.Exclude),
	}
}

// accountOf gives the account of a role's ARN, which the configuration has
// found to be one.
func accountOf(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 5 {
		return ""
	}
	return parts[4]
}

// discoveryOf compares what a listing says with the schedule before it.
func discoveryOf(m aws.Members, record uint64, before *evidence.Schedule) *evidence.Discovery {
	d := &evidence.Discovery{Record: record, Accounts: m.Listed}
	var was evidence.Schedule
	if before != nil {
		was = *before
	}
	collected, left := map[string]bool{}, map[string]bool{}
	for _, s := range was.Scopes {
		collected[s.Account] = s.Provider == aws.Provider
	}
	for _, n := range was.NotCollected {
		left[n.Account] = n.Provider == aws.Provider
	}
	now := map[string]bool{}
	see := func(id string) {
		now[id] = true
		if !collected[id] && !left[id] {
			d.Appeared = append(d.Appeared, id)
		}
	}
	for _, a := range m.Accounts {
		see(a.ID)
	}
	for _, n := range m.NotCollected {
		see(n.Account)
		if n.State != "" && collected[n.Account] {
			d.Suspended = append(d.Suspended, n.Account)
		}
	}
	for _, known := range []map[string]bool{collected, left} {
		for id, ours := range known {
			if ours && !now[id] {
				d.Vanished = append(d.Vanished, id)
			}
		}
	}
	slices.Sort(d.Appeared)
	slices.Sort(d.Vanished)
	slices.Sort(d.Suspended)
	return d
}

// live gives the providers that a configuration names, with the identity of
// this process, over the accounts that the ledger knows of.
func live(ctx context.Context, file *config.File, known agent.Known) ([]agent.Provider, *evidence.Discovery, error) {
	c := file.Config
	f, err := find(c.AWS, known)
	if err != nil {
		return nil, nil, err
	}
	estate, err := aws.New(ctx, aws.Settings{
		Accounts: f.Accounts, Regions: c.AWS.Regions.Names, InFlight: c.Limits.InFlight,
		Through:     aws.Account{Role: c.AWS.Through.Role, ExternalID: c.AWS.Through.ExternalID},
		SessionName: c.AWS.SessionName, SourceIdentity: c.AWS.SourceIdentity,
	})
	if err != nil {
		return nil, nil, err
	}
	p := awsProvider(estate)
	p.Central, p.Listing, p.NotCollected, p.Regions = f.Central, f.listing, f.NotCollected, c.AWS.Regions.Names
	return []agent.Provider{p}, f.discovery, nil
}

// changes says whether a run may have changed what the estate is derived from.
func changes(r agent.Result) bool {
	return r.Run != nil && (r.Collector == listingCollector || r.Collector == membershipCollector)
}

// sameEstate says whether the providers that would be made now are those of the
// schedule in force.
func sameEstate(o agent.Options, providers []agent.Provider) (bool, error) {
	next := o
	next.Providers = providers
	was, err := json.Marshal(o.Schedule())
	if err != nil {
		return false, fmt.Errorf("encode schedule: %w", err)
	}
	is, err := json.Marshal(next.Schedule())
	if err != nil {
		return false, fmt.Errorf("encode schedule: %w", err)
	}
	return bytes.Equal(was, is), nil
}
