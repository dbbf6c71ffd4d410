package gcp_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/evidence"
)

// verdict is one line of a file of expected verdicts.
type verdict struct{ check, region, resource, status string }

func (v verdict) String() string {
	return strings.Join([]string{v.check, v.region, v.resource, v.status}, "\t")
}

// TestVerdicts judges the recorded estate by the whole catalogue. The expected
// verdicts were written by hand from the facts that were planted in the
// recordings: recordings/FOLDER/verdicts/*.tsv.
func TestVerdicts(t *testing.T) {
	rules, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	all := gcp.Catalogue(estate(t))
	surveyed := everything(t, all)
	came := map[string]map[evidence.Status]bool{} // by check, for single resources
	for _, account := range recordings.Accounts() {
		reasons := map[verdict]string{}
		var got []verdict
		for _, v := range judged(t, rules, input(account, all, surveyed[account])) {
			line := verdict{v.Check, v.Region, v.Resource, string(v.Status)}
			got = append(got, line)
			reasons[line] = v.Reason
			if v.Resource != evidence.Population {
				if came[v.Check] == nil {
					came[v.Check] = map[evidence.Status]bool{}
				}
				came[v.Check][v.Status] = true
			}
		}
		want := planted(t, account)
		for _, v := range got {
			if !slices.Contains(want, v) {
				t.Errorf("%s: not expected: %s (%s)", account, v, reasons[v])
			}
		}
		for _, v := range want {
			if !slices.Contains(got, v) {
				t.Errorf("%s: missing:      %s", account, v)
			}
		}
	}
	for _, check := range rules.Checks() {
		if check.Provider == gcp.Provider {
			for _, status := range []evidence.Status{evidence.Pass, evidence.Fail} {
				reason, excepted := undemonstrated()[check.ID+" "+string(status)]
				if came[check.ID][status] == excepted {
					t.Errorf("%s %s: shown by the recordings %v, excepted %v (%s)", check.ID, status, came[check.ID][status], excepted, reason)
				}
			}
		}
	}
}

// undemonstrated lists, as "CHECK STATUS", what no recording can show, and why.
func undemonstrated() map[string]string {
	return map[string]string{
		"gcp-asset-inventory fail":              "an inventory that answers can be read, and fails only where policy asks for the API in each project",
		"gcp-audit-admin-activity fail":         "Google keeps the log for 400 days, and fails only where policy asks for more",
		"gcp-bigquery-encryption fail":          "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-disk-encryption fail":              "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-external-identities pass":          "the domains of the organisation are not known unless the operator states them",
		"gcp-gke-secrets-encryption fail":       "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-iam-access-listing fail":           "no review of access is recorded unless the operator says so",
		"gcp-iam-access-listing pass":           "no review of access is recorded unless the operator says so",
		"gcp-log-alerts fail":                   "a missing alert fails only where policy says that each project keeps its own",
		"gcp-log-bucket-locked fail":            "the one sink of the estate that goes elsewhere goes to a locked bucket",
		"gcp-org-owner pass":                    "nobody is approved unless the operator says so",
		"gcp-other-encryption fail":             "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-snapshot-encryption fail":          "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-spanner-firestore-encryption fail": "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-sql-backup-location fail":          "no backup of the estate is kept in its own region alone",
		"gcp-sql-encryption fail":               "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-sso-assignment fail":               "there is no evidence of an identity provider unless the operator states it",
		"gcp-sso-assignment pass":               "there is no evidence of an identity provider unless the operator states it",
		"gcp-storage-encryption fail":           "Google encrypts always, and fails only where policy asks for keys of the customer",
		"gcp-superadmin-count fail":             "the estate has one organisation, with as many super administrators as there may be",
		"gcp-superadmin-count pass":             "nobody is approved unless the operator says so",
	}
}

// everything runs every collector over the recordings of every scope.
func everything(t *testing.T, all []collectors.Collector) map[string]map[string]*seen {
	t.Helper()
	out := map[string]map[string]*seen{}
	for _, account := range recordings.Accounts() {
		out[account] = map[string]*seen{}
		for _, c := range all {
			out[account][c.Spec().Name], _ = replay(t, c, account, nil)
		}
	}
	return out
}

// judged evaluates checks, all of them when none is named.
func judged(t *testing.T, rules *checks.Catalogue, in checks.Input, which ...string) []evidence.Verdict {
	t.Helper()
	var out []evidence.Verdict
	if err := rules.Evaluate(t.Context(), in, which, func(v evidence.Verdict) error {
		out = append(out, v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// input is an evaluation over what was seen in one scope, by collector.
func input(account string, all []collectors.Collector, surveyed map[string]*seen) checks.Input {
	in := checks.Input{
		Scope: evidence.Scope{Provider: gcp.Provider, Account: account},
		Now:   recordings.At(),
		Kinds: map[string]checks.Facts{},
	}
	in.InForce = new(evidence.Schedule)
	for _, id := range recordings.Accounts() {
		in.InForce.Scopes = append(in.InForce.Scopes, evidence.Scope{Provider: gcp.Provider, Account: id})
	}
	for _, c := range all {
		for _, kind := range c.Spec().Kinds {
			in.Kinds[kind] = factsOf(kind, surveyed[c.Spec().Name])
		}
	}
	return in
}

// factsOf gives what was seen of a kind.
func factsOf(kind string, got *seen) checks.Facts {
	var list []evidence.Observation
	for _, o := range got.observations {
		if o.Kind == kind {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b evidence.Observation) int {
		return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
	})
	return checks.Facts{
		Observations: func(yield func(evidence.Observation, error) bool) {
			for _, o := range list {
				if !yield(o, nil) {
					return
				}
			}
		},
		Gaps: got.gaps,
		At:   recordings.At(),
	}
}

// planted reads the verdicts that the facts of the recordings demand.
func planted(t *testing.T, account string) []verdict {
	t.Helper()
	names, err := fs.Glob(recordings.FS(), recordings.Folder(account)+"/verdicts/*.tsv")
	if err != nil {
		t.Fatal(err)
	}
	all := map[verdict]string{}
	for _, name := range names {
		data, err := fs.ReadFile(recordings.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if !slices.IsSorted(lines) {
			t.Errorf("%s is not sorted", name)
		}
		for i, line := range lines {
			place := fmt.Sprintf("%s:%d", name, i+1)
			f := strings.Split(line, "\t")
			if len(f) != 4 || !slices.Contains(evidence.Statuses(), evidence.Status(f[3])) {
				t.Fatalf("%s: %q is not CHECK, REGION, RESOURCE, STATUS", place, line)
			}
			v := verdict{f[0], f[1], f[2], f[3]}
			if other, twice := all[v]; twice {
				t.Errorf("%s: is in %s already", place, other)
			}
			all[v] = place
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b verdict) int { return strings.Compare(a.String(), b.String()) })
}
