package gcp_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

const (
	serviceAccount    = "gcp.iam.service_account"
	serviceAccountKey = "gcp.iam.service_account_key"
)

// TestKeysDenied denies the keys of one account. It alone is unknown, and so is
// which keys there are; those of other accounts are judged as ever.
func TestKeysDenied(t *testing.T) {
	const account, name, call = "organizations/123456789012", "projects/example-prod/serviceAccounts/ci@example-prod.iam.gserviceaccount.com", "iam.projects.serviceAccounts.keys.list"
	reading := []string{"gcp-sa-key-age", "gcp-sa-no-user-keys"}
	rules, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	all := gcp.Catalogue(estate(t))
	surveyed := everything(t, all)[account]
	got, _ := replay(t, collectorOf(t, estate(t), "gcp.iam_service_accounts"), account, func(req *http.Request, _ capture.Labels) (*http.Response, error) {
		if !strings.Contains(req.URL.Path, name) {
			return nil, nil
		}
		return answered(req, 403, refused), nil
	})
	lost(t, got, []string{serviceAccountKey}, evidence.Gap{Operation: call, Permission: "iam.serviceAccountKeys.list", Class: evidence.Denied, Code: "IAM_PERMISSION_DENIED"})
	if !got.listed[serviceAccount] || len(got.gaps) != 2 || !strings.HasPrefix(got.gaps[1].Message, name+": ") {
		t.Errorf("listed %v, gaps %+v", got.listed, got.gaps)
	}
	surveyed["gcp.iam_service_accounts"] = got
	const id = "//iam.googleapis.com/projects/example-prod/serviceAccounts/110000000000000000002"
	demanded := slices.DeleteFunc(planted(t, account), func(v verdict) bool {
		return !slices.Contains(reading, v.check) || strings.HasPrefix(v.resource, id)
	})
	demanded = append(demanded, verdict{"gcp-sa-no-user-keys", "", id, "unknown"}, verdict{"gcp-sa-key-age", "", evidence.Population, "unknown"})
	for _, v := range judged(t, rules, input(account, all, surveyed), reading...) {
		i := slices.Index(demanded, verdict{v.Check, v.Region, v.Resource, string(v.Status)})
		if i < 0 || v.Status == evidence.Unknown && !strings.Contains(v.Reason, call) {
			t.Errorf("%s on %s is %s: %s", v.Check, v.Resource, v.Status, v.Reason)
			continue
		}
		demanded = slices.Delete(demanded, i, i+1)
	}
	if len(demanded) > 0 {
		t.Errorf("missing %v", demanded)
	}
}

// TestAccountsLeftOut leaves a project out: IAM is not asked about it.
func TestAccountsLeftOut(t *testing.T) {
	e := made(t, gcp.Settings{Accounts: recordings.Accounts(), NotCollected: []string{"projects/100000000002"}})
	got, _ := replay(t, collectorOf(t, e, "gcp.iam_service_accounts"), "organizations/123456789012", func(req *http.Request, _ capture.Labels) (*http.Response, error) {
		if strings.Contains(req.URL.Path, "example-dev") {
			t.Errorf("%s was asked for", req.URL)
		}
		return nil, nil
	})
	for _, o := range got.observations {
		if o.Project != "projects/100000000001" {
			t.Errorf("%s of %s was observed", o.ID, o.Project)
		}
	}
	if len(got.observations) != 3+6 || len(got.gaps) > 0 || !got.listed[serviceAccount] || !got.listed[serviceAccountKey] {
		t.Errorf("%d observed, listed %v, gaps %+v", len(got.observations), got.listed, got.gaps)
	}
}
