package main

import (
	"fmt"
	"slices"

	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
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
