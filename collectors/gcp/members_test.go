package gcp

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// listed makes the observation of a project; without ancestors where there are none.
func listed(number, id, labels string, ancestors ...string) evidence.Observation {
	body := fmt.Sprintf(`{"name":"projects/%s","projectId":%q,"state":"ACTIVE"`, number, id)
	if labels != "" {
		body += `,"labels":` + labels
	}
	if len(ancestors) > 0 {
		body += fmt.Sprintf(`,"parent":%q,"ancestors":["projects/%s","%s"]`, ancestors[0], number, strings.Join(ancestors, `","`))
	}
	return evidence.Observation{
		Kind: "gcp.cloudresourcemanager.listed_project", ID: "//cloudresourcemanager.googleapis.com/projects/" + number, Body: []byte(body + "}"),
	}
}

func yield(all ...evidence.Observation) iter.Seq2[evidence.Observation, error] {
	return func(yield func(evidence.Observation, error) bool) {
		for _, o := range all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// The estate: Production, with Web beneath it, and Sandbox.
func members(t *testing.T) []Member {
	t.Helper()
	const organization, production, web, sandbox = "organizations/123456789012", "folders/200000000001", "folders/200000000002", "folders/200000000003"
	all, err := Members(yield(
		listed("100000000001", "example-prod", `{"env":"prod"}`, production, organization),
		listed("100000000002", "example-dev", "", organization),
		listed("100000000003", "example-web", `{"env":"prod","throwaway":""}`, web, production, organization),
		listed("100000000004", "example-sandbox", `{"env":"test"}`, sandbox, organization),
		listed("100000000005", "example-lost", `{"env":"test"}`), // where it is could not be told
	))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func projectBy(r ProjectRule) ProjectRule {
	r.Reason, r.Approver = "because", "Sam Roe"
	return r
}

// wantLeft demands what is left out, as "example-dev because".
func wantLeft(t *testing.T, got []evidence.NotCollected, want ...string) {
	t.Helper()
	var left []string
	for _, n := range got {
		if n.Provider != Provider || !n.Excluded || n.State != "" || !strings.HasPrefix(n.Account, "projects/") {
			t.Errorf("left out is %+v", n)
		}
		left = append(left, n.Name+" "+n.Reason)
	}
	if !slices.Equal(left, want) {
		t.Errorf("left out are %q, want %q", left, want)
	}
}

func TestLeftOut(t *testing.T) {
	t.Parallel()
	id, folder, label := ProjectRule{ID: "example-dev"}, ProjectRule{Folder: "folders/200000000001"}, ProjectRule{Label: "env=test"}
	const not = " not among what is included: because"
	tests := []struct {
		name             string
		include, exclude []ProjectRule
		named            []string
		want             []string
	}{
		{name: "nothing without a rule"},
		{name: "by id", exclude: []ProjectRule{id}, want: []string{"example-dev because"}},
		{name: "by number", exclude: []ProjectRule{{ID: "100000000004"}}, want: []string{"example-sandbox because"}},
		{name: "an id is no part of another", exclude: []ProjectRule{{ID: "example"}, {ID: "10000000000"}}},
		{name: "by folder, with all beneath it", exclude: []ProjectRule{folder}, want: []string{"example-prod because", "example-web because"}},
		{name: "by the number of a folder", exclude: []ProjectRule{{Folder: "200000000002"}}, want: []string{"example-web because"}},
		{name: "by label", exclude: []ProjectRule{label}, want: []string{"example-sandbox because", "example-lost because"}},
		{
			name: "by label of any value", exclude: []ProjectRule{{Label: "env"}},
			want: []string{"example-prod because", "example-web because", "example-sandbox because", "example-lost because"},
		},
		{name: "by label without value", exclude: []ProjectRule{{Label: "throwaway="}}, want: []string{"example-web because"}},
		{name: "by label that nobody has", exclude: []ProjectRule{{Label: "env=none"}, {Label: "prod"}}},
		{name: "a value may have the sign", exclude: []ProjectRule{{Label: "env=prod=x"}}},
		{
			name: "only some, and one of which it is not known", include: []ProjectRule{folder},
			want: []string{"example-dev" + not, "example-sandbox" + not},
		},
		{
			name: "of those, not these", include: []ProjectRule{folder, id}, exclude: []ProjectRule{{Label: "throwaway"}},
			want: []string{"example-web because", "example-sandbox" + not},
		},
		{name: "never one that is named", exclude: []ProjectRule{id, label}, named: []string{"example-dev", "example-lost"}, want: []string{"example-sandbox because"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Rules{Named: tt.named}
			for _, rule := range tt.include {
				r.Include = append(r.Include, projectBy(rule))
			}
			for _, rule := range tt.exclude {
				r.Exclude = append(r.Exclude, projectBy(rule))
			}
			got := r.LeftOut(members(t), true, nil)
			wantLeft(t, got, tt.want...)
			// What the same listing said before makes no difference.
			wantLeft(t, r.LeftOut(members(t), true, &evidence.Schedule{NotCollected: got}), tt.want...)
		})
	}
}

// What is not known this time stays left out by the rule that left it out before;
// a rule that is another, or that is gone, does not hold.
func TestLeftOutBefore(t *testing.T) {
	t.Parallel()
	left := func(number, id, reason, approver string) *evidence.Schedule {
		return &evidence.Schedule{NotCollected: []evidence.NotCollected{
			{Scope: evidence.Scope{Provider: "aws", Account: "projects/100000000001"}, Name: "example-prod", Excluded: true, Reason: "because", Approver: "Sam Roe"},
			{Scope: evidence.Scope{Provider: Provider, Account: "projects/" + number}, Name: id, Excluded: true, Reason: reason, Approver: approver},
		}}
	}
	lost := func(reason, approver string) *evidence.Schedule {
		return left("100000000005", "example-lost", reason, approver)
	}
	gone := left("100000000006", "example-gone", "because", "Sam Roe") // in no listing
	sandbox, label, other := ProjectRule{Folder: "200000000003"}, ProjectRule{Label: "env=none"}, ProjectRule{ID: "example-other"}
	tests := []struct {
		name    string
		exclude ProjectRule
		whole   bool
		before  *evidence.Schedule
		want    []string
	}{
		{"a place that is not known", sandbox, true, lost("because", "Sam Roe"), []string{"example-sandbox because", "example-lost because"}},
		{"by another rule", sandbox, true, lost("another", "Sam Roe"), []string{"example-sandbox because"}},
		{"by another approver", sandbox, true, lost("because", "Jo Doe"), []string{"example-sandbox because"}},
		{"a label that is known", label, true, lost("because", "Sam Roe"), nil},
		{"vanished from a whole listing", label, true, gone, nil},
		{"by a label, in no listing", label, false, gone, []string{"example-gone because"}},
		{"by a place, in no listing", ProjectRule{Folder: "200000000009"}, false, gone, []string{"example-gone because"}},
		{"by its id, in no listing", ProjectRule{ID: "example-gone"}, false, gone, []string{"example-gone because"}},
		{"the rule is gone", other, false, gone, nil},
		{"in another listing", ProjectRule{Folder: "200000000002"}, false, left("100000000003", "example-web", "because", "Sam Roe"), []string{"example-web because"}},
		{"no more, by another listing", label, false, left("100000000003", "example-web", "because", "Sam Roe"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Rules{Exclude: []ProjectRule{projectBy(tt.exclude)}}
			wantLeft(t, r.LeftOut(members(t), tt.whole, tt.before), tt.want...)
		})
	}
	const not = "not among what is included: because"
	r := Rules{Include: []ProjectRule{projectBy(ProjectRule{Folder: "200000000003"})}}
	wantLeft(t, r.LeftOut(nil, false, lost(not, "Sam Roe")), "example-lost "+not)
	wantLeft(t, r.LeftOut(nil, false, lost("not among what is included: another", "Sam Roe")))
}

func TestMembersOfNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{`, `{"name":"projects/1"}`, `{"projectId":"example-dev"}`, `{"name":"folders/1","projectId":"example-dev"}`, `{"name":"projects/1","projectId":7}`} {
		if _, err := Members(yield(evidence.Observation{ID: "//p", Body: []byte(body)})); err == nil || !strings.Contains(err.Error(), "//p") {
			t.Errorf("%s: %v", body, err)
		}
	}
	broken := errors.New("torn")
	if _, err := Members(func(yield func(evidence.Observation, error) bool) { yield(evidence.Observation{}, broken) }); !errors.Is(err, broken) {
		t.Error(err)
	}
}
