package aws_test

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
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
)

// verdict is one line of a file of expected verdicts.
type verdict struct{ check, region, resource, status string }

func (v verdict) String() string {
	return strings.Join([]string{v.check, v.region, v.resource, v.status}, "\t")
}

// TestVerdicts judges the recorded estate by the whole catalogue. The expected
// verdicts were written by hand from the facts that were planted in the
// recordings: recordings/ACCOUNT/verdicts/CONTROL.tsv.
func TestVerdicts(t *testing.T) {
	c, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	all := aws.Catalogue(estate(t))
	surveyed := everything(t, all)
	came := map[string]map[evidence.Status]bool{} // by check, for single resources
	for _, account := range recordings.Accounts() {
		reasons := map[verdict]string{}
		var got []verdict
		if err := c.Evaluate(t.Context(), input(account, all, surveyed), nil, func(v evidence.Verdict) error {
			line := verdict{v.Check, v.Region, v.Resource, string(v.Status)}
			got = append(got, line)
			reasons[line] = v.Reason
			if v.Resource != evidence.Population {
				if came[v.Check] == nil {
					came[v.Check] = map[evidence.Status]bool{}
				}
				came[v.Check][v.Status] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
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
	for _, check := range c.Checks() {
		if check.Provider == aws.Provider {
			demonstrated(t, check, came[check.ID])
		}
	}
}

// demonstrated demands that the estate shows a check in each of its outcomes.
func demonstrated(t *testing.T, check checks.Check, came map[evidence.Status]bool) {
	t.Helper()
	statuses := []evidence.Status{evidence.Pass, evidence.Fail}
	if len(check.NotApplicable) > 0 {
		statuses = append(statuses, evidence.NotApplicable)
	}
	for _, status := range statuses {
		reason, excepted := undemonstrated()[check.ID+" "+string(status)]
		switch {
		case !came[status] && !excepted:
			t.Errorf("%s: no resource of the recordings comes out %s", check.ID, status)
		case came[status] && excepted:
			t.Errorf("%s does come out %s: take the exception away (%s)", check.ID, status, reason)
		}
	}
}

// undemonstrated lists, as "CHECK STATUS", what no recording can show, and why.
func undemonstrated() map[string]string {
	return map[string]string{
		"aws-alert-route not_applicable":             "findings are aggregated nowhere and administered in no other account",
		"aws-cloudtrail-data-events fail":            "no store is in scope unless the operator names one",
		"aws-cloudtrail-data-events pass":            "no store is in scope unless the operator names one",
		"aws-cloudtrail-kms not_applicable":          "the keys of S3 itself are not accepted unless the operator says so",
		"aws-cloudtrail-multiregion fail":            "the estate has two accounts, and a good trail of the organisation's covers both",
		"aws-ebs-snapshot-encrypted not_applicable":  "the call asks for the account's own snapshots, so that no other owner can be answered",
		"aws-iam-access-listing fail":                "no review is recorded unless the operator states one",
		"aws-iam-access-listing pass":                "no review is recorded unless the operator states one",
		"aws-iam-password-policy pass":               "the estate has two accounts: one fails, and in the other nobody has a password",
		"aws-iam-root-mfa fail":                      "the estate has two accounts: each shows another way to pass",
		"aws-iam-root-unused fail":                   "the estate has two accounts: one passes, and the other has no root credentials",
		"aws-iam-user-direct-policy not_applicable":  "no user is one of a service unless the operator names it",
		"aws-inspector-enabled not_applicable":       "no other scanner stands in for Inspector unless the operator names one",
		"aws-s3-account-public-block not_applicable": "no account hosts an approved public site unless the operator names one",
		"aws-s3-bucket-public not_applicable":        "no bucket is approved as public unless the operator names one",
		"aws-s3-ssl-only not_applicable":             "no tag is exempt unless the operator names one",
		"aws-s3-versioning not_applicable":           "no tag is exempt unless the operator names one",
		"aws-sso-mfa-evidence fail":                  "evidence is stated by a parameter, and nobody set it",
		"aws-sso-mfa-evidence pass":                  "evidence is stated by a parameter, and nobody set it",
	}
}

// everything runs every collector over the recordings of every account, and
// gives what was seen by account and collector.
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

// inForce is the schedule of the recorded estate: both accounts are collected in
// all enabled regions, and the first answers for their organisation. Of its
// other members one is suspended, and nobody thought of the other.
func inForce() *evidence.Schedule {
	s := new(evidence.Schedule)
	for _, id := range recordings.Accounts() {
		s.Scopes = append(s.Scopes, evidence.Scope{Provider: aws.Provider, Account: id})
	}
	s.Central = s.Scopes[:1]
	return s
}

// input is an evaluation over what was seen, by account and collector.
func input(account string, all []collectors.Collector, surveyed map[string]map[string]*seen) checks.Input {
	in := checks.Input{
		Scope:        evidence.Scope{Provider: aws.Provider, Account: account},
		Now:          recordings.At(),
		Kinds:        map[string]checks.Facts{},
		Organization: map[string][]checks.Facts{},
		InForce:      inForce(),
	}
	for _, id := range recordings.Accounts() {
		for _, c := range all {
			got, there := surveyed[id][c.Spec().Name]
			if !there {
				continue
			}
			for _, kind := range c.Spec().Kinds {
				facts := factsOf(kind, got)
				if slices.Contains(in.InForce.Central, evidence.Scope{Provider: aws.Provider, Account: id}) {
					in.Organization[kind] = append(in.Organization[kind], facts)
				}
				if id == account {
					in.Kinds[kind] = facts
				}
			}
		}
	}
	return in
}

// alone is an evaluation over what one collector saw.
func alone(account string, spec collectors.Spec, got *seen) checks.Input {
	in := checks.Input{
		Scope:   evidence.Scope{Provider: aws.Provider, Account: account},
		Now:     recordings.At(),
		Kinds:   map[string]checks.Facts{},
		InForce: inForce(),
	}
	for _, kind := range spec.Kinds {
		in.Kinds[kind] = factsOf(kind, got)
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
	names, err := fs.Glob(recordings.FS(), account+"/verdicts/*.tsv")
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
