package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/replay"
)

// The collector that lists the projects of a scope, and the kind of what it lists.
const (
	projectsCollector = "gcp.cloudresourcemanager_projects"
	listedProject     = "gcp.cloudresourcemanager.listed_project"
)

// foundProjects is what the ledger says of the projects of a configuration.
type foundProjects struct {
	left        []evidence.NotCollected
	unlisted    []string // scopes of which no whole listing was ever read, and that were not collected without
	discoveries []evidence.Discovery
}

// findProjects applies the rules of a configuration to the newest listing of each
// scope that is sealed and whole. Without one, what was left out before stays so.
// Where there are no rules, no listing is needed.
func findProjects(c config.GCP, known agent.Known) (foundProjects, error) {
	rules := projectRules(c)
	if !rules.Any() {
		return foundProjects{}, nil
	}
	before, err := known.Before()
	if err != nil {
		return foundProjects{}, err
	}
	var f foundProjects
	var listed []gcp.Member
	whole := true
	for _, account := range gcpListing(c) {
		scope := evidence.Scope{Provider: gcp.Provider, Account: account}
		members, d, err := projectsOf(scope, known)
		if err != nil {
			return foundProjects{}, fmt.Errorf("read which projects %s has: %w", account, err)
		}
		if d == nil {
			whole = false
			if !collected(before, scope) {
				f.unlisted = append(f.unlisted, account)
			}
			continue
		}
		listed, f.discoveries = append(listed, members...), append(f.discoveries, *d)
	}
	f.left = rules.LeftOut(listed, whole, before)
	return f, nil
}

// projectRules gives the rules of a configuration.
func projectRules(c config.GCP) gcp.Rules {
	rules := func(list []config.ProjectRule) []gcp.ProjectRule {
		var out []gcp.ProjectRule
		for _, r := range list {
			out = append(out, gcp.ProjectRule{ID: r.ID, Folder: r.Folder, Label: r.Label, Reason: r.Reason, Approver: r.Approver})
		}
		return out
	}
	return gcp.Rules{Include: rules(c.Include), Exclude: rules(c.Exclude), Named: c.Projects}
}

// collected says whether a schedule looks at more in a scope than at which
// projects it has.
func collected(s *evidence.Schedule, scope evidence.Scope) bool {
	return s != nil && slices.Contains(s.Scopes, scope) && slices.ContainsFunc(s.Collectors, func(c evidence.CollectorSchedule) bool {
		return c.Collector != projectsCollector && c.In(scope)
	})
}

// projectsOf gives the projects of a scope by its newest whole listing, and in what
// that differs from the one that the newest discovery rests on; nil where there is
// none.
func projectsOf(scope evidence.Scope, known agent.Known) ([]gcp.Member, *evidence.Discovery, error) {
	stream := evidence.Stream{Collector: projectsCollector, Scope: scope}
	last, err := known.Listed(stream)
	if err != nil {
		return nil, nil, err
	}
	run := known.Newest(stream)
	members, whole, err := membersOf(run, known)
	if err == nil && !whole {
		run = last
		members, whole, err = membersOf(run, known)
	}
	if err != nil || !whole {
		return nil, nil, err
	}
	d := &evidence.Discovery{Scope: scope, Record: run.Record, Accounts: len(members)}
	if last != nil && last.Record != run.Record {
		were, _, err := membersOf(last, known)
		if err != nil {
			return nil, nil, err
		}
		d.Appeared, d.Vanished = notIn(were, members), notIn(members, were)
	}
	return members, d, nil
}

// membersOf gives the projects that a run saw, and whether those are all.
func membersOf(run *agent.RunState, known agent.Known) ([]gcp.Member, bool, error) {
	if run == nil {
		return nil, false, nil
	}
	seen, whole, err := known.Observed(run, listedProject)
	if err != nil || !whole {
		return nil, false, err
	}
	members, err := gcp.Members(seen)
	return members, err == nil, err
}

// notIn gives the names of the projects that one listing has and another does not,
// sorted.
func notIn(other, members []gcp.Member) []string {
	there := make(map[string]bool, len(other))
	for _, m := range other {
		there[m.Name] = true
	}
	var out []string
	for _, m := range members {
		if !there[m.Name] {
			out = append(out, m.Name)
		}
	}
	slices.Sort(out)
	return out
}

// gcpAccounts gives the scopes that a configuration names, as their records
// name them.
func gcpAccounts(c config.GCP) []string { return append(gcpListing(c), c.Projects...) }

// gcpListing gives those of them that hold other projects than are named.
func gcpListing(c config.GCP) []string {
	var accounts []string
	if c.Organization != "" {
		accounts = append(accounts, "organizations/"+c.Organization)
	}
	for _, folder := range c.Folders {
		accounts = append(accounts, "folders/"+folder)
	}
	return accounts
}

// gcpSettings says where to look in Google Cloud, and as whom.
func gcpSettings(c config.Config, left []evidence.NotCollected) gcp.Settings {
	s := gcp.Settings{
		Accounts: gcpAccounts(c.GCP), ServiceAccount: c.GCP.ServiceAccount, QuotaProject: c.GCP.QuotaProject,
		Endpoints: c.GCP.Endpoints, InFlight: c.Limits.InFlight,
	}
	for _, n := range left {
		s.NotCollected = append(s.NotCollected, n.Account)
	}
	if w := c.GCP.Workspace; w.Customer != "" {
		s.Workspace = &gcp.Workspace{Customer: w.Customer, Subject: w.Subject, ServiceAccount: w.ServiceAccount}
		if w.ServiceAccount == "" {
			s.Workspace.ServiceAccount = c.GCP.ServiceAccount
		}
	}
	return s
}

// liveGCP gives the scopes of a configuration, over what the ledger knows of the
// projects that they hold.
func liveGCP(ctx context.Context, c config.Config, known agent.Known) (agent.Provider, []evidence.Discovery, error) {
	f, err := findProjects(c.GCP, known)
	if err != nil {
		return agent.Provider{}, nil, err
	}
	estate, err := gcp.New(ctx, gcpSettings(c, f.left))
	if err != nil {
		return agent.Provider{}, nil, err
	}
	p := gcpProvider(estate)
	p.NotCollected, p.Unlisted, p.Lists = f.left, f.unlisted, projectsCollector
	return p, f.discoveries, nil
}

// gcpProvider is Google Cloud as the agent sees it. The Workspace domain is read
// in the first scope: a domain belongs to one organisation.
func gcpProvider(estate *gcp.Estate) agent.Provider {
	return agent.Provider{
		Name:       gcp.Provider,
		Collectors: gcp.Catalogue(estate),
		Accounts:   estate.Accounts(),
		Central:    estate.Answering(),
		Listing:    estate.Answering(),
		Transport:  estate.Transport(),
		Describe:   gcp.Describe,
		Throttled:  gcp.Throttled,
		OneQuota:   true,
	}
}

// gcpAgain gives the collector of a recording of Google's, without credentials.
// What the configuration said of the Workspace domain follows from what was asked;
// which projects were left out is what the schedule said.
func gcpAgain(ctx context.Context, r replay.Recording) (replay.Collector, error) {
	left, err := r.LeftOut()
	if err != nil {
		return replay.Collector{}, err
	}
	estate, err := gcp.New(ctx, gcp.Settings{
		Accounts: []string{r.Account}, Workspace: workspaceOf(r.First), NotCollected: left,
		Recorded: &gcp.Recorded{Principal: r.Principal},
	})
	if err != nil {
		return replay.Collector{}, err
	}
	for _, c := range gcp.Catalogue(estate) {
		if c.Spec().Name == r.Collector {
			return replay.Collector{Collector: c, Describe: gcp.Describe}, nil
		}
	}
	return replay.Collector{}, nil
}

// workspaceOf gives the Workspace domain of a recording by the URL of its first
// exchange: none where nothing was asked. The customer is a parameter, a part of
// the path or of a filter; a call that names none does not depend on it.
func workspaceOf(first string) *gcp.Workspace {
	asked, err := url.Parse(first)
	if err != nil || first == "" {
		return nil
	}
	if customer := asked.Query().Get("customer"); customer != "" {
		return &gcp.Workspace{Customer: customer}
	}
	for _, place := range []struct{ text, before, after string }{
		{asked.Path, "/customer/", "/"},
		{asked.Query().Get("filter"), `"customers/`, `"`},
	} {
		if _, rest, ok := strings.Cut(place.text, place.before); ok {
			customer, _, _ := strings.Cut(rest, place.after)
			return &gcp.Workspace{Customer: customer}
		}
	}
	return &gcp.Workspace{Customer: "my_customer"}
}

// gcpRecorded gives the real Google collectors over the embedded organisation.
func gcpRecorded(ctx context.Context, clock agent.Clock) (agent.Provider, error) {
	const account = "organizations/123456789012"
	estate, err := gcp.New(ctx, gcp.Settings{
		Accounts:  []string{account},
		Workspace: &gcp.Workspace{Customer: "my_customer"},
		Recorded:  &gcp.Recorded{Principal: "reader@example-prod.iam.gserviceaccount.com"},
	})
	if err != nil {
		return agent.Provider{}, err
	}
	p := gcpProvider(estate)
	var files []io.Reader
	for _, c := range p.Collectors {
		of, err := recordings.Open(account, c.Spec().Name)
		if err != nil {
			return agent.Provider{}, err
		}
		files = append(files, of...)
	}
	if p.Transport, err = capture.OpenReplay(capture.ReplayOptions{Describe: gcp.Describe, RepeatLast: true, Now: clock.Now}, files...); err != nil {
		return agent.Provider{}, fmt.Errorf("recordings of %s: %w", account, err)
	}
	return p, nil
}
