package main

import (
	"context"
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
	before, err := known.Before()
	if err != nil {
		return found{}, err
	}
	if c.Organization.ManagementRole == "" {
		return findManager(own, known, before)
	}
	o := organizationOf(c.Organization)
	f := found{Members: o.Keep(before), listing: []string{o.Listing.ID}}
	run := known.Newest(streamOf(listingCollector, o.Listing.ID))
	whole := false
	if run != nil {
		if whole, err = f.read(o, run, known, before); err != nil {
			return found{}, err
		}
	}
	if !whole {
		if run, err = known.Listed(streamOf(listingCollector, o.Listing.ID)); err != nil {
			return found{}, fmt.Errorf("read the organisation's listing of before: %w", err)
		}
		if run != nil {
			if whole, err = f.read(o, run, known, before); err != nil {
				return found{}, err
			}
		}
	}
	listed := f.Members
	f.Members = f.With(own)
	if whole {
		f.discovery = discoveryOf(listed, own, run, before)
	}
	return f, nil
}

// read takes the members from a listing. It says whether that was whole; what
// of it was not stays as it was.
func (f *found) read(o aws.Organization, run *agent.RunState, known agent.Known, before *evidence.Schedule) (bool, error) {
	var listing aws.Listing
	lists := []struct {
		kind string
		into *iter.Seq2[evidence.Observation, error]
	}{
		{"aws.organizations.account", &listing.Accounts},
		{"aws.organizations.unit", &listing.Units},
		{delegateKind, &listing.Delegates},
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
	was := f.Central
	members, err := o.Members(listing, before)
	if err != nil {
		return false, err
	}
	if !whole[2] {
		members.Answers(was...)
	}
	f.Members = members
	return true, nil
}

// delegateKind is what the listing says of delegated administrators.
const delegateKind = "aws.organizations.delegated_administrator"

// findManager looks among the accounts that the configuration names for the one
// that manages their organisation, by what they said of their membership, and
// for those to which it delegates. What could not be read stays as it was. The
// other accounts of the organisation are not collected: nobody said so.
func findManager(own []aws.Account, known agent.Known, before *evidence.Schedule) (found, error) {
	f := found{Members: aws.Organization{}.Keep(nil)}
	f.Members.Accounts = nil
	f.Members = f.With(own)
	for _, a := range f.Accounts {
		manages, err := managesOrganization(a.ID, known, before)
		if err != nil {
			return found{}, fmt.Errorf("read the membership of account %s: %w", a.ID, err)
		}
		if manages {
			f.listing = append(f.listing, a.ID)
		}
	}
	f.Answers(f.listing...)
	for _, manager := range f.listing {
		run := known.Newest(streamOf(listingCollector, manager))
		if run == nil {
			continue
		}
		seen, whole, err := known.Observed(run, delegateKind)
		if err != nil {
			return found{}, fmt.Errorf("read the organisation's listing: %w", err)
		}
		ids, err := aws.Delegates(seen)
		if err != nil {
			return found{}, err
		}
		f.Answers(ids...)
		if before != nil && !whole {
			for _, s := range before.Central {
				f.Answers(s.Account)
			}
		}
	}
	return f, nil
}

// managesOrganization says whether an account manages its organisation, by the
// newest that it said of its membership, or by what was so before.
func managesOrganization(id string, known agent.Known, before *evidence.Schedule) (bool, error) {
	was := false
	if before != nil {
		was = slices.ContainsFunc(before.Collectors, func(c evidence.CollectorSchedule) bool {
			return c.Collector == listingCollector && slices.Contains(c.Accounts, id)
		})
	}
	run := known.Newest(streamOf(membershipCollector, id))
	if run == nil {
		return was, nil
	}
	memberships, _, err := known.Observed(run, "aws.organizations.membership")
	if err != nil {
		return false, err
	}
	for o, err := range memberships {
		if err != nil {
			return false, err
		}
		manager, read, err := aws.Manager(o)
		if err != nil {
			return false, err
		}
		if read {
			return manager == id, nil
		}
	}
	return was, nil
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

// discoveryOf compares what a listing says with the schedule before it. The
// operator's own accounts are collected whether or not it has them.
func discoveryOf(m aws.Members, own []aws.Account, run *agent.RunState, before *evidence.Schedule) *evidence.Discovery {
	d := &evidence.Discovery{Scope: run.Scope, Record: run.Record, Accounts: m.Listed}
	collected, left := map[string]bool{}, map[string]bool{}
	if before != nil {
		for _, s := range before.Scopes {
			collected[s.Account] = s.Provider == aws.Provider
		}
	}
	for account := range before.LeftOut(aws.Provider) {
		left[account] = true
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
			named := slices.ContainsFunc(own, func(a aws.Account) bool { return a.ID == id })
			if ours && !now[id] && !named {
				d.Vanished = append(d.Vanished, id)
			}
		}
	}
	slices.Sort(d.Appeared)
	slices.Sort(d.Vanished)
	slices.Sort(d.Suspended)
	return d
}

// liveAWS gives the accounts of a configuration, over what the ledger knows of
// them.
func liveAWS(ctx context.Context, c config.Config, known agent.Known) (agent.Provider, *evidence.Discovery, error) {
	f, err := find(c.AWS, known)
	if err != nil {
		return agent.Provider{}, nil, err
	}
	estate, err := aws.New(ctx, aws.Settings{
		Accounts: f.Accounts, Regions: c.AWS.Regions.Names, InFlight: c.Limits.InFlight,
		Through:     aws.Account{Role: c.AWS.Through.Role, ExternalID: c.AWS.Through.ExternalID},
		SessionName: c.AWS.SessionName, SourceIdentity: c.AWS.SourceIdentity,
	})
	if err != nil {
		return agent.Provider{}, nil, err
	}
	p := awsProvider(estate)
	p.Central, p.Listing, p.NotCollected, p.Regions = f.Central, f.listing, f.NotCollected, c.AWS.Regions.Names
	return p, f.discovery, nil
}
