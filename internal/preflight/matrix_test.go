package preflight_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/preflight"
)

// undenied gives what a preflight of the whole recorded estate finds.
func undenied(t *testing.T) (found []preflight.Permission, w *world) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, preflight.Options{}, all, nil)
		found = w.try(t)
	})
	return found, w
}

// needs gives the collectors' calls by the permission that they need.
func needs() map[string][]collectors.Call {
	out := map[string][]collectors.Call{}
	for _, spec := range aws.Specs() {
		for _, call := range spec.Calls {
			out[call.Needs()] = append(out[call.Needs()], call)
		}
	}
	return out
}

func TestNothingIsMissing(t *testing.T) {
	found, _ := undenied(t)
	allowed := by(found, preflight.Allowed)
	for _, p := range found {
		if p.Bad() {
			t.Errorf("%s %s in %s %q: %s %s %s", p.Permission, p.Result, p.Account, p.Region, p.Class, p.Code, p.Message)
		}
		if p.Result == preflight.NotTried && p.Message == "" {
			t.Errorf("%s in %s does not say why it was not tried", p.Permission, p.Account)
		}
		if strings.Contains(p.Message, "not called") {
			t.Errorf("%s in %s shows that the read was cut short: %s", p.Permission, p.Account, p.Message)
		}
	}
	for permission, calls := range needs() {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(allowed)), func(k key) bool { return k.permission == permission }) {
			t.Errorf("%s is allowed in no account: where the recordings answer it, preflight does not get there", permission)
		}
		for _, account := range []string{management, "444455556666"} {
			// In the other account the organisation is not asked of itself.
			organization := account != management && strings.HasPrefix(permission, "organizations:")
			if !organization && !slices.ContainsFunc(found, func(p preflight.Permission) bool { return p.Permission == permission && p.Account == account }) {
				t.Errorf("%s of %d calls has no entry in %s", permission, len(calls), account)
			}
		}
	}
	// The trail of the organisation belongs to another account: that it is not
	// known here says nothing of the permission.
	trail := slices.IndexFunc(found, func(p preflight.Permission) bool {
		return p.Permission == "cloudtrail:GetEventSelectors" && p.Account == "444455556666"
	})
	if p := found[trail]; p.Result != preflight.NotTried || p.Code != "TrailNotFoundException" {
		t.Errorf("a trail that does not answer: %+v", p)
	}
}

// TestFewCalls counts at the transport: a list at most once in a region, a
// detail at most once in an account, but for the searches that the recordings
// give reason for.
func TestFewCalls(t *testing.T) {
	_, w := undenied(t)
	searched := map[made]int{
		// Those of AWS Backup are asked for first, and none of them is a manual one.
		{"rds:DescribeDBSnapshots", management, "eu-west-1"}:     2,
		{"rds:DescribeDBSnapshots", management, "us-east-1"}:     2,
		{"rds:DescribeDBSnapshots", "444455556666", "eu-west-1"}: 2,
		{"rds:DescribeDBSnapshots", "444455556666", "us-east-1"}: 2,
		// The first page is empty.
		{"organizations:ListDelegatedAdministrators", management, "us-east-1"}: 2,
		// The first page holds another account's instance.
		{"sso:ListInstances", "444455556666", "eu-west-1"}: 2,
		// The report is not ready at once.
		{"iam:GenerateCredentialReport", management, "us-east-1"}: 2,
	}
	details, all := map[made]int{}, 0
	for m, n := range w.made {
		all += n
		want := max(1, searched[m])
		if n != want {
			t.Errorf("%s in %s %s: %d calls, want %d; where the recordings give reason for a search, say so here", m.operation, m.account, m.region, n, want)
		}
		delete(searched, m)
		detail, known := true, false
		for _, spec := range aws.Specs() {
			if call, ok := spec.Call(m.operation); ok {
				known = true
				detail = detail && (call.Field != "" || call.Kind == "" || spec.Reach != collectors.Regional)
			}
		}
		if !known {
			t.Errorf("%s is called and not declared", m.operation)
		}
		if detail {
			details[made{m.operation, m.account, ""}] += want
		}
	}
	for m, n := range details {
		if n > 1 && m.operation != "organizations:ListDelegatedAdministrators" && m.operation != "iam:GenerateCredentialReport" {
			t.Errorf("%s in %s: %d calls in all regions together", m.operation, m.account, n)
		}
	}
	if w.Calls() != all {
		t.Errorf("it counts %d calls and made %d", w.Calls(), all)
	}
	for m := range searched {
		t.Errorf("%s in %s %s: no call", m.operation, m.account, m.region)
	}
}

// TestDenied denies each permission that is declared in turn: it is denied
// wherever it was allowed, nothing else is, and what rests on it says so.
func TestDenied(t *testing.T) {
	baseline, _ := undenied(t)
	before := by(baseline, preflight.Allowed)
	declared := needs()
	for _, permission := range slices.Sorted(maps.Keys(declared)) {
		t.Run(permission, func(t *testing.T) {
			denies := func(operation string) bool {
				return slices.ContainsFunc(declared[permission], func(c collectors.Call) bool { return strings.EqualFold(c.Operation, operation) })
			}
			needed := func(spec collectors.Spec) bool {
				return slices.ContainsFunc(spec.Calls, func(c collectors.Call) bool { return c.Needs() == permission })
			}
			var found []preflight.Permission
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, preflight.Options{}, needed, func(req *http.Request, l capture.Labels, _ string) (*http.Response, error) {
					if !denies(l.Operation) {
						return nil, nil
					}
					code := map[string]string{"ec2": "UnauthorizedOperation"}[l.Service]
					if code == "" {
						code = "AccessDenied"
					}
					return refuse(req, l.Service, http.StatusForbidden, code, "refused by the test"), nil
				})
				found = w.try(t)
			})
			denied := by(found, preflight.Denied)
			lists := slices.ContainsFunc(declared[permission], func(c collectors.Call) bool { return c.Field == "" })
			for k := range before {
				if k.permission != permission {
					continue
				}
				hit := func(d key) bool { return d.account == k.account && (d.region == k.region || !lists) }
				if !slices.ContainsFunc(slices.Collect(maps.Keys(denied)), hit) {
					t.Errorf("not denied in %s %q", k.account, k.region)
				}
			}
			if len(denied) == 0 {
				t.Error("nothing is denied")
			}
			for k, p := range denied {
				if k.permission != permission || p.Class != evidence.Denied || p.Code == "" || p.Message != "refused by the test" || p.Policy != "" {
					t.Errorf("denied is %+v", p)
				}
			}
			if failed := by(found, preflight.Failed); len(failed) > 0 {
				t.Errorf("failed: %+v", failed)
			}
			for k, p := range by(found, preflight.NotTried) {
				if _, was := before[k]; was && !slices.ContainsFunc(declared[permission], func(c collectors.Call) bool { return p.Message == "it rests on "+c.Operation+", which is denied" }) {
					t.Errorf("%s was not tried, and does not rest on it: %s", p.Permission, p.Message)
				}
			}
		})
	}
}
