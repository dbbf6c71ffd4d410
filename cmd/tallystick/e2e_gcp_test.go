package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/internal/capture"
)

// google stands in for Google: its token exchange for federated identities, and
// its APIs as recorded. It takes no call without the token that it gave.
type google struct {
	recorded http.RoundTripper

	mu        sync.Mutex
	exchanged int      // guarded by mu: tokens that were given
	strangers []string // guarded by mu: calls without one
	quota     []string // guarded by mu: whose quota was named
	deny      string   // guarded by mu: the content type that is refused
}

const (
	googleToken  = "made-up-access-token-of-a-test"
	googleWorker = "made-up.workload.token"
)

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if r.URL.Path == "/token" {
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), googleWorker) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		g.exchanged++
		_, _ = io.WriteString(w, `{"access_token": "`+googleToken+`", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600}`)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+googleToken {
		g.strangers = append(g.strangers, r.URL.Path)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.quota = append(g.quota, r.Header.Get("X-Goog-User-Project"))
	if g.deny != "" && r.URL.Query().Get("contentType") == g.deny {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "The caller does not have permission"}}`)
		return
	}
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if service == "directory" {
		service = "admin"
	}
	asked := r.Clone(r.Context())
	asked.URL.Scheme, asked.URL.Host, asked.URL.Path, asked.Host, asked.RequestURI = "https", service+".googleapis.com", "/"+path, "", ""
	answer, err := g.recorded.RoundTrip(asked)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	defer func() { _ = answer.Body.Close() }() // it was read to its end
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // a client that went away has its own error
}

// recordedGoogle gives the APIs as recorded for a scope.
func recordedGoogle(t *testing.T, account string) *capture.Replayer {
	t.Helper()
	var files []io.Reader
	for _, spec := range gcp.Specs() {
		of, err := recordings.Open(account, spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, of...)
	}
	replayer, err := capture.OpenReplay(capture.ReplayOptions{Describe: gcp.Describe, RepeatLast: true, Now: recordings.At}, files...)
	if err != nil {
		t.Fatal(err)
	}
	return replayer
}

// federate writes the configuration of a workload identity pool, and the token of
// a workload that it trusts, and gives its path. There is no key in it. An account
// for which the pool gives a token is named by the URL for one.
func federate(t *testing.T, folder, exchange, account string) string {
	t.Helper()
	worker, federation := filepath.Join(folder, "worker.jwt"), filepath.Join(folder, "federation.json")
	if err := os.WriteFile(worker, []byte(googleWorker), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(federation, []byte(`{"type": "external_account", "audience": "//iam.googleapis.com/projects/100000000003/locations/global/workloadIdentityPools/ci/providers/cluster",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "`+exchange+`", "service_account_impersonation_url": "`+account+`", "credential_source": {"file": "`+worker+`"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return federation
}

// googleEndpoints names each service at an address, under a path of its own.
func googleEndpoints(address string) string {
	var all []string
	for _, spec := range gcp.Specs() {
		for _, call := range spec.Calls {
			service, _ := collectors.Split(call.Operation)
			all = append(all, service+": "+strconv.Quote(address+"/"+service))
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// TestGoogle runs the built program over an organisation, with the credentials of
// workload identity federation and without any key: collect, a denied permission,
// results, verify and replay.
func TestGoogle(t *testing.T) {
	t.Parallel()
	const account = "organizations/123456789012"
	g := &google{recorded: recordedGoogle(t, account)}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)

	w := world{program: build(t)}
	b := w.bench(t, "http://127.0.0.1:1", `gcp:
  organization: "123456789012"
  quota_project: example-audit
  endpoints: {`+googleEndpoints(server.URL)+`}
`)
	federation := federate(t, b.folder, server.URL+"/token", "")

	// Without the variable the SDK would look for a machine of Google's.
	b.env = append(b.env, "GOOGLE_APPLICATION_CREDENTIALS="+filepath.Join(b.folder, "none"))
	missing := b.run(t, "collect")
	missing.want(t, 1)
	if !strings.Contains(missing.stderr, "Google credentials") || !strings.Contains(missing.stderr, "GOOGLE_APPLICATION_CREDENTIALS") {
		t.Errorf("without credentials it says: %s", missing.stderr)
	}
	b.env = append(b.env, "GOOGLE_APPLICATION_CREDENTIALS="+federation)

	// The Workspace domain is not set up: gaps, and so the exit code of gaps.
	collected := b.run(t, "collect", "--output", "json")
	collected.want(t, 3)
	var out struct {
		Tasks []struct {
			Collector string
			Causes    []googleCause `json:"gap_causes"`
		}
	}
	collected.json(t, &out)
	for _, task := range out.Tasks {
		domain := ofDirectory(task.Collector) || task.Collector == groupsCollector
		if domain != slices.ContainsFunc(task.Causes, func(c googleCause) bool { return c.Code == "NOT_CONFIGURED" }) || !domain && len(task.Causes) > 0 {
			t.Errorf("%s has the gaps %+v", task.Collector, task.Causes)
		}
	}
	verdicts := b.verdicts(t)
	unknown := 0
	for _, v := range verdicts {
		if v.Provider != "gcp" || v.Account != account {
			t.Fatalf("a verdict of another scope: %+v", v)
		}
		if strings.HasSuffix(v.Check, "-2sv") {
			unknown++
			if v.Status != "unknown" || !strings.Contains(v.Reason, "directory.users.list") || !strings.Contains(v.Reason, "admin.directory.user.readonly") {
				t.Errorf("%+v, want unknown with the call and what it needs", v)
			}
		}
	}
	if unknown != 2 {
		t.Errorf("%d verdicts on 2-Step Verification, want one for each of two checks", unknown)
	}
	if !slices.ContainsFunc(verdicts, func(v verdict) bool {
		return v.Check == "gcp-org-owner" && v.Resource == "//cloudresourcemanager.googleapis.com/"+account && v.Status == "fail"
	}) {
		t.Error("gcp-org-owner does not fail, although nobody is approved")
	}

	var dev []struct{ Project, Resource string }
	b.run(t, "results", "--project", "100000000002", "--output", "json").json(t, &dev)
	if len(dev) == 0 || len(dev) >= len(verdicts) {
		t.Errorf("%d verdicts of one project, of %d in all", len(dev), len(verdicts))
	}
	for _, v := range dev {
		if v.Project != "projects/100000000002" || strings.Contains(v.Resource, "/example-prod/") {
			t.Errorf("%+v is not of the project", v)
		}
	}

	g.mu.Lock()
	g.deny = "IAM_POLICY"
	if g.exchanged == 0 || len(g.strangers) > 0 || slices.ContainsFunc(g.quota, func(p string) bool { return p != "example-audit" }) {
		t.Errorf("%d tokens, calls without one %v, quota of %v", g.exchanged, g.strangers, g.quota)
	}
	g.mu.Unlock()
	b.run(t, "collect").want(t, 3)
	for _, v := range b.verdicts(t) {
		if v.Check == "gcp-iam-public" && (v.Status != "unknown" || !strings.Contains(v.Reason, "cloudasset.assets.listIamPolicy")) {
			t.Errorf("%+v, want unknown with the permission", v)
		}
	}
	b.wantVerified(t)
	// Of the domain no call was made, and so none of its five collectors, in either
	// look, can make one again.
	replayed := b.run(t, "replay", b.dir)
	replayed.want(t, 3)
	if !strings.Contains(replayed.stdout, "not performed: 10 of the runs") {
		t.Errorf("replay says: %s", replayed.stdout)
	}
}
