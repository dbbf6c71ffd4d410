package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
)

// remembered is an agent.Known of listings of projects.
type remembered struct {
	before   *evidence.Schedule
	newest   map[string]uint64 // record, by scope
	rests    map[string]uint64 // that the newest discovery rests on, by scope
	projects map[uint64]string // what each record saw: "NUMBER ID PARENT" by line; absent: it could not be read whole
}

func (r *remembered) run(of map[string]uint64, s evidence.Stream) *agent.RunState {
	record, there := of[s.Account]
	if !there || s.Collector != projectsCollector || s.Provider != google {
		return nil
	}
	return &agent.RunState{Record: record}
}

func (r *remembered) Newest(s evidence.Stream) *agent.RunState { return r.run(r.newest, s) }
func (r *remembered) Listed(s evidence.Stream) (*agent.RunState, error) {
	return r.run(r.rests, s), nil
}
func (r *remembered) Before() (*evidence.Schedule, error) { return r.before, nil }
func (r *remembered) Observed(run *agent.RunState, kind string) (iter.Seq2[evidence.Observation, error], bool, error) {
	text, whole := r.projects[run.Record]
	return func(yield func(evidence.Observation, error) bool) {
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			body := fmt.Sprintf(`{"name":"projects/%s","projectId":%q,"parent":%q,"ancestors":["projects/%[1]s",%[3]q]}`, f[0], f[1], f[2])
			if !yield(evidence.Observation{Kind: kind, Body: []byte(body)}, nil) {
				return
			}
		}
	}, whole && kind == listedProject, nil
}

func TestFindProjects(t *testing.T) {
	t.Parallel()
	const one, two = "folders/200000000001", "folders/200000000002"
	inOne, inTwo := "100000000001 example-prod folders/200000000001\n100000000002 example-dev folders/200000000001", "100000000003 example-sandbox folders/200000000002"
	scope := func(account string) evidence.Scope { return evidence.Scope{Provider: google, Account: account} }
	rule := func(r config.ProjectRule) config.ProjectRule {
		r.Reason, r.Approver = "because", "Sam Roe"
		return r
	}
	// What was in force: the scopes, what was due beside the listing where, and what was left out.
	schedule := func(only []string, left ...string) *evidence.Schedule {
		s := &evidence.Schedule{
			Scopes:     []evidence.Scope{scope(one), scope(two)},
			Collectors: []evidence.CollectorSchedule{{Provider: google, Collector: projectsCollector}},
		}
		if only == nil || len(only) > 0 {
			s.Collectors = append(s.Collectors, evidence.CollectorSchedule{Provider: google, Collector: "gcp.cloudasset_resources", Accounts: only})
		}
		for _, project := range left {
			number, name, _ := strings.Cut(project, " ")
			s.NotCollected = append(s.NotCollected, evidence.NotCollected{Scope: scope("projects/" + number), Name: name, Excluded: true, Reason: "because", Approver: "Sam Roe"})
		}
		return s
	}
	dev, sandbox := rule(config.ProjectRule{ID: "example-dev"}), rule(config.ProjectRule{Folder: two})
	tests := []struct {
		name     string
		config   config.GCP
		known    remembered
		left     string // ids
		unlisted []string
		found    string
	}{
		{name: "no rules, no listing", config: config.GCP{Folders: []string{"200000000001"}}},
		{
			name: "the first start", config: config.GCP{Folders: []string{"200000000001", "200000000002"}, Exclude: []config.ProjectRule{dev}},
			unlisted: []string{one, two},
		},
		{
			name:     "a first listing that is not whole",
			config:   config.GCP{Organization: "123456789012", Exclude: []config.ProjectRule{dev}},
			known:    remembered{newest: map[string]uint64{"organizations/123456789012": 1}, before: schedule(nil)},
			unlisted: []string{"organizations/123456789012"},
		},
		{
			name:   "listed",
			config: config.GCP{Folders: []string{"200000000001", "200000000002"}, Exclude: []config.ProjectRule{dev, sandbox}},
			known: remembered{
				newest: map[string]uint64{one: 1, two: 2}, projects: map[uint64]string{1: inOne, 2: inTwo}, before: schedule([]string{}),
			},
			left: "example-dev example-sandbox", found: one + " 1 2 [] [] " + two + " 2 1 [] []",
		},
		{
			name:   "the projects that are named stay",
			config: config.GCP{Folders: []string{"200000000001"}, Projects: []string{"example-dev"}, Include: []config.ProjectRule{rule(config.ProjectRule{Label: "env"})}},
			known:  remembered{newest: map[string]uint64{one: 1}, projects: map[uint64]string{1: inOne}},
			left:   "example-prod", found: one + " 1 2 [] []",
		},
		{
			name:   "a folder that is new",
			config: config.GCP{Folders: []string{"200000000001", "200000000002"}, Exclude: []config.ProjectRule{dev}},
			known: remembered{
				newest: map[string]uint64{one: 1}, projects: map[uint64]string{1: inOne}, before: schedule([]string{one}),
			},
			left: "example-dev", unlisted: []string{two}, found: one + " 1 2 [] []",
		},
		{
			name:   "rules that are new, over a listing that is not whole",
			config: config.GCP{Folders: []string{"200000000001"}, Exclude: []config.ProjectRule{dev}},
			known:  remembered{newest: map[string]uint64{one: 1}, before: schedule(nil)},
		},
		{
			name:   "a listing that changed",
			config: config.GCP{Folders: []string{"200000000001"}, Exclude: []config.ProjectRule{dev}},
			known: remembered{
				newest: map[string]uint64{one: 5}, rests: map[string]uint64{one: 1}, before: schedule(nil, "100000000002 example-dev"),
				projects: map[uint64]string{1: inOne, 5: "100000000001 example-prod folders/200000000001\n100000000004 example-new folders/200000000001"},
			},
			found: one + " 5 2 [projects/100000000004] [projects/100000000002]",
		},
		{
			name:   "lost: by the listing of before",
			config: config.GCP{Folders: []string{"200000000001"}, Exclude: []config.ProjectRule{dev}},
			known: remembered{
				newest: map[string]uint64{one: 5}, rests: map[string]uint64{one: 1}, before: schedule(nil), projects: map[uint64]string{1: inOne},
			},
			left: "example-dev", found: one + " 1 2 [] []",
		},
		{
			name:   "lost: what was left out stays so",
			config: config.GCP{Folders: []string{"200000000001", "200000000002"}, Exclude: []config.ProjectRule{dev, sandbox}},
			known: remembered{
				newest: map[string]uint64{one: 1, two: 2}, projects: map[uint64]string{1: inOne},
				before: schedule(nil, "100000000003 example-sandbox", "100000000009 example-other"),
			},
			left: "example-dev example-sandbox example-other", found: one + " 1 2 [] []",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := findProjects(tt.config, &tt.known)
			if err != nil {
				t.Fatal(err)
			}
			var left, found []string
			for _, n := range f.left {
				left = append(left, n.Name)
			}
			for _, d := range f.discoveries {
				found = append(found, fmt.Sprint(d.Account, " ", d.Record, " ", d.Accounts, " ", d.Appeared, " ", d.Vanished))
			}
			if got := strings.Join(left, " "); got != tt.left {
				t.Errorf("left out are %q, want %q", got, tt.left)
			}
			if !slices.Equal(f.unlisted, tt.unlisted) {
				t.Errorf("not listed are %q, want %q", f.unlisted, tt.unlisted)
			}
			if got := strings.Join(found, " "); got != tt.found {
				t.Errorf("found %q, want %q", got, tt.found)
			}
		})
	}
}

// TestListingOfProjectsOff: rules rest on the listing, which must be due.
func TestListingOfProjectsOff(t *testing.T) {
	t.Parallel()
	const text = `organization: Example, Inc.
period: {start: 2026-07-01, end: 2026-12-31}
gcp:
  organization: "123456789012"
  exclude: [{id: example-dev, reason: because, approver: Sam Roe}]
schedule: {collectors: {gcp.cloudresourcemanager_projects: "off"}}
`
	file, err := config.Parse("tallystick.yaml", []byte(text), config.Known{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := live(t.Context(), file, &remembered{}); err == nil || !strings.Contains(err.Error(), "tallystick.yaml:6") {
		t.Errorf("the listing is off: %v", err)
	}
}

// The listing on which rules rest is what preflight tries
// before all else, and to its end; a project that is named needs none.
func TestPreflightListsProjects(t *testing.T) {
	t.Parallel()
	f := &flight{config: config.Config{GCP: config.GCP{Folders: []string{"200000000001"}, Projects: []string{"example-solo"}}}}
	in := func(account string) evidence.Stream {
		return evidence.Stream{Collector: projectsCollector, Scope: evidence.Scope{Provider: google, Account: account}}
	}
	folder, call := in("folders/200000000001"), collectors.Call{Operation: "cloudresourcemanager.projects.list", Kind: listedProject}
	if f.first(folder) || f.whole(folder, call) {
		t.Error("the listing is waited for, and nothing follows from it")
	}
	f.config.GCP.Exclude = []config.ProjectRule{{ID: "example-dev"}}
	if !f.first(folder) || !f.whole(folder, call) || f.first(in("example-solo")) {
		t.Error("the listing, on which the rules rest, is not waited for")
	}
}
