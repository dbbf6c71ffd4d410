package gcp

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

// Rules say which of the projects that an organisation or a folder holds are
// left out.
type Rules struct {
	Include []ProjectRule // only these projects; empty: all
	Exclude []ProjectRule // and of those, not these
	Named   []string      // ids of projects that are collected whatever the rules say
}

// ProjectRule chooses projects by one of ID, Folder and Label.
type ProjectRule struct {
	ID       string // of a project, or its number
	Folder   string // with all beneath it: "folders/200000000001", or the number alone
	Label    string // "key=value", or "key" for any value
	Reason   string
	Approver string
}

// Any says whether there are rules: without them, nothing is left out.
func (r Rules) Any() bool { return len(r.Include) > 0 || len(r.Exclude) > 0 }

// Member is what counts of a project that a listing has.
// Source: Resource Manager API reference, v3, projects. A project without labels
// comes without the field. The ancestors are those by which the listing came to it.
type Member struct {
	Name      string // "projects/100000000001"
	ProjectID string
	Labels    map[string]string
	Ancestors []string // itself first

	listed bool // else it is remembered, and its labels are not known
}

// Members gives the projects of a listing: its observations of
// gcp.cloudresourcemanager.listed_project.
func Members(listing iter.Seq2[evidence.Observation, error]) ([]Member, error) {
	var all []Member
	for seen, err := range listing {
		if err != nil {
			return nil, err
		}
		m := Member{listed: true}
		if err := json.Unmarshal(seen.Body, &m); err != nil || !strings.HasPrefix(m.Name, "projects/") || m.ProjectID == "" {
			return nil, fmt.Errorf("project %s of the listing can not be understood", seen.ID)
		}
		all = append(all, m)
	}
	return all, nil
}

// LeftOut gives the projects that are left out, sorted by number. Whole says that
// the listings have every project; otherwise, one that they do not have and that
// was left out before stays so, as far as the rules still say it.
func (r Rules) LeftOut(listed []Member, whole bool, before *evidence.Schedule) []evidence.NotCollected {
	was := before.LeftOut(Provider)
	all := map[string]Member{}
	if !whole {
		for name, n := range was {
			all[name] = Member{Name: name, ProjectID: n.Name}
		}
	}
	for _, m := range listed {
		all[m.Name] = m
	}
	var out []evidence.NotCollected
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		if slices.Contains(r.Named, m.ProjectID) {
			continue
		}
		if reason, approver, left := collectors.LeftOut(m.by(r.Include), m.by(r.Exclude), was[name]); left {
			out = append(out, evidence.NotCollected{
				Scope: evidence.Scope{Provider: Provider, Account: name}, Name: m.ProjectID,
				Excluded: true, Reason: reason, Approver: approver,
			})
		}
	}
	return out
}

// by gives what rules say of a project.
func (m Member) by(rules []ProjectRule) []collectors.Rule {
	var out []collectors.Rule
	for _, rule := range rules {
		r := collectors.Rule{Reason: rule.Reason, Approver: rule.Approver}
		r.Applies, r.Known = rule.applies(m)
		out = append(out, r)
	}
	return out
}

// applies says whether a rule chooses a project, and whether that is known.
func (r ProjectRule) applies(m Member) (is, known bool) {
	switch {
	case r.ID != "":
		return r.ID == m.ProjectID || "projects/"+r.ID == m.Name, true
	case r.Label != "":
		key, value, valued := strings.Cut(r.Label, "=")
		has, there := m.Labels[key]
		return there && (!valued || has == value), m.listed
	}
	return slices.Contains(m.Ancestors, "folders/"+strings.TrimPrefix(r.Folder, "folders/")), len(m.Ancestors) > 0
}
