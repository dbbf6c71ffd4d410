package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/evidence/payload"
)

// TestGoogleReach runs the built program as one that has to go through a proxy
// with a certificate authority of its own, from workload identity federation to
// an account that it impersonates, and to a user by domain-wide delegation: the
// hosts are Google's, and no request leaves the machine.
func TestGoogleReach(t *testing.T) {
	t.Parallel()
	w := world{program: build(t)}
	t.Run("tests", func(t *testing.T) { // ends when the parallel tests in it have
		t.Run("proxy", w.googleProxy)
		t.Run("pool", w.googlePool)
		t.Run("refused", w.googleRefused)
		t.Run("untrusted", w.googleUntrusted)
		t.Run("closed", w.googleClosed)
		t.Run("endpoints", w.googleEndpoints)
	})
}

// google makes a bench behind the proxy, and gives what trusts its authority.
func (w world) google(t *testing.T, h *hosts, more string) (b *bench, trusting string) {
	t.Helper()
	b = w.bench(t, "http://127.0.0.1:1", `gcp:
  organization: "123456789012"
  workspace: {customer: my_customer, subject: `+domainUser+`, service_account: `+delegated+`}
`+more)
	b.env = append(b.env, "HTTPS_PROXY="+h.proxy, "HTTP_PROXY="+h.proxy,
		"GOOGLE_APPLICATION_CREDENTIALS="+federate(t, b.folder, "https://sts.googleapis.com/v1/token", ""))
	return b, "SSL_CERT_FILE=" + h.authority
}

// impersonating has tallystick itself ask for the token of the account.
const impersonating = "  service_account: " + reader + "\n"

// googleProxy reads everything, and shows what each token was used for.
func (w world) googleProxy(t *testing.T) {
	t.Parallel()
	h := startHosts(t)
	b, trusting := w.google(t, h, impersonating)
	b.env = append(b.env, trusting)
	b.read(t)
	counts := h.asked(t, slices.Concat(h.apis, tokenHosts())...)
	scopes := delegatedScopes()
	for call, want := range map[string]int{exchangeCall: 1, accountCall: 1, signCall: len(scopes), userCall: len(scopes)} {
		if counts[call] != want {
			t.Errorf("%s was called %d times, want %d: once, or once for each scope", call, counts[call], want)
		}
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	var asked struct{ Scope []string }
	h.readSent(t, accountCall, &asked)
	if !slices.Equal(asked.Scope, []string{cloudScope}) {
		t.Errorf("the account's token is for %q", asked.Scope)
	}
	var signed struct{ Payload string }
	h.readSent(t, signCall, &signed)
	var claims struct {
		Iss, Sub, Scope, Aud string
		Iat, Exp             int64
	}
	if err := json.Unmarshal([]byte(signed.Payload), &claims); err != nil {
		t.Fatalf("claims %q: %v", signed.Payload, err)
	}
	if lifetime := claims.Exp - claims.Iat; lifetime <= 0 || lifetime > 3600 {
		t.Errorf("what is signed holds for %d s", lifetime)
	}
	claims.Iat, claims.Exp = 0, 0
	if claims.Iss != delegated || claims.Sub != domainUser || !slices.Contains(scopes, claims.Scope) || claims.Aud != "https://oauth2.googleapis.com/token" {
		t.Errorf("signed for %+v", claims)
	}
	if form, err := url.ParseQuery(h.sent[userCall]); err != nil || form.Get("assertion") != signedToken {
		t.Errorf("exchanged %q, %v", h.sent[userCall], err)
	}
}

// delegatedScopes gives the OAuth scopes that the collectors declare.
func delegatedScopes() []string {
	var scopes []string
	for _, spec := range gcp.Specs() {
		for _, call := range spec.Calls {
			if strings.HasPrefix(call.Needs(), "https://") && !slices.Contains(scopes, call.Needs()) {
				scopes = append(scopes, call.Needs())
			}
		}
	}
	return scopes
}

// readSent reads what a call sent as JSON. The caller holds mu.
func (h *hosts) readSent(t *testing.T, call string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(h.sent[call]), into); err != nil {
		t.Fatalf("%s sent %q: %v", call, h.sent[call], err)
	}
}

// read collects without a gap of a call, replays, and looks for tokens in what was
// kept.
func (b *bench) read(t *testing.T) {
	t.Helper()
	b.run(t, "collect").want(t, 0)
	judged := 0
	for _, v := range b.verdicts(t) {
		if ofDirectory(v.Kind) && v.Status != "unknown" {
			judged++
		}
	}
	if judged == 0 {
		t.Error("no user of the domain was judged")
	}
	b.wantVerified(t)
	replayed := b.run(t, "replay", b.dir)
	replayed.want(t, 0)
	if n := len(gcp.Specs()); !strings.Contains(strings.Join(strings.Fields(replayed.stdout), " "), fmt.Sprintf("runs %d %d 0 0", n, n)) {
		t.Errorf("not all runs are the same again: %s", replayed)
	}
	store := payload.OpenRead(b.dir)
	for digest, err := range store.List() {
		if err != nil {
			t.Fatal(err)
		}
		data, err := store.ReadAll(digest, 256<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{googleWorker, federatedToken, readerToken, signedToken, userToken} {
			if bytes.Contains(data, []byte(token)) {
				t.Errorf("payload %s holds the token %s", digest, token)
			}
		}
	}
}

// ofDirectory says whether a kind or a collector is read with delegated tokens
// alone, as all of the Workspace domain is but the groups: which of them are asked
// for is in the policies of the cloud.
func ofDirectory(name string) bool {
	return strings.HasPrefix(name, "gcp.directory") || strings.HasPrefix(name, "gcp.cloudidentity") && name != groupsCollector
}

const groupsCollector = "gcp.cloudidentity_groups"

// googleCause is why a collector read nothing.
type googleCause struct{ Class, Operation, Permission, Code, Message string }

// scopePrefix is how the scopes begin that are delegated.
const scopePrefix = "https://www.googleapis.com/auth/"

// blind collects, and demands that the directory, or the cloud, or both were not
// read, for one cause, and that no verdict rests on what was not read.
func (b *bench) blind(t *testing.T, cloud, directory bool) googleCause {
	t.Helper()
	r := b.run(t, "collect", "--output", "json")
	r.want(t, 3)
	var out struct {
		Tasks []struct {
			Collector    string
			Observations int
			Causes       []googleCause `json:"gap_causes"`
		}
	}
	r.json(t, &out)
	var cause *googleCause
	for _, task := range out.Tasks {
		lost := cloud
		if ofDirectory(task.Collector) {
			lost = directory
		}
		for i, c := range task.Causes {
			if slices.Contains(delegatedScopes(), c.Permission) {
				task.Causes[i].Permission = directoryScope // each collector lacks its own
			}
		}
		if task.Collector == groupsCollector && directory && !cloud {
			if task.Observations == 0 || len(task.Causes) != 1 {
				t.Errorf("%s observed %d groups, without their members for %+v", task.Collector, task.Observations, task.Causes)
			}
			continue
		}
		if !lost {
			if task.Observations == 0 {
				t.Errorf("%s observed nothing", task.Collector)
			}
			continue
		}
		if task.Observations != 0 || len(task.Causes) != 1 || cause != nil && *cause != task.Causes[0] {
			t.Errorf("%s observed %d resources, for %+v; want none, and one cause", task.Collector, task.Observations, task.Causes)
			continue
		}
		cause = &task.Causes[0]
	}
	if len(out.Tasks) != len(gcp.Specs()) || cause == nil {
		t.Fatalf("want a task for each collector, and a cause: %s", r)
	}
	verdicts := b.verdicts(t)
	if len(verdicts) == 0 {
		t.Error("no verdict")
	}
	needs, known := "", 0
	if cause.Class == "denied" {
		needs = strings.TrimSuffix(cause.Permission, strings.TrimPrefix(directoryScope, scopePrefix))
	}
	for _, v := range verdicts {
		lost := cloud
		if ofDirectory(v.Kind) {
			lost = directory
		}
		if !lost && v.Status != "unknown" {
			known++
		}
		if lost && (v.Status != "unknown" || !strings.Contains(v.Reason, cause.Operation) || !strings.Contains(v.Reason, needs)) {
			t.Fatalf("%+v, want unknown for %+v", v, *cause)
		}
	}
	if (known > 0) != (!cloud || !directory) {
		t.Errorf("%d verdicts are known", known)
	}
	return *cause
}

// denied is what Google answers an identity that lacks a permission.
// Source: AIP-193.
func denied(permission string) answerOf {
	return answerOf{http.StatusForbidden, `{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Permission '` + permission + `' denied on resource (or it may not exist).",
 "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED", "domain": "iam.googleapis.com", "metadata": {"permission": "` + permission + `"}}]}}`}
}

// googlePool has the pool give the token of the account: that is then the identity
// that tallystick has anyway, and everything rests on it.
func (w world) googlePool(t *testing.T) {
	t.Parallel()
	h := startHosts(t)
	h.ambient = readerToken
	b, trusting := w.google(t, h, "")
	b.env = append(b.env, trusting, "GOOGLE_APPLICATION_CREDENTIALS="+federate(t, b.folder, "https://sts.googleapis.com/v1/token",
		"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"+reader+":generateAccessToken"))
	b.read(t)
	h.mu.Lock()
	h.refuse[accountCall] = denied("iam.serviceAccounts.getAccessToken")
	h.mu.Unlock()
	if got := b.blind(t, true, true); got.Class != "denied" || got.Operation != accountCall || got.Permission != "iam.serviceAccounts.getAccessToken" {
		t.Errorf("the cause is %+v", got)
	}
}

// googleRefused has each call for a token refused in turn.
func (w world) googleRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer    answerOf
		cloud     bool // is not read
		directory bool // is not read
		want      googleCause
	}{
		"account": {
			denied("iam.serviceAccounts.getAccessToken"), true, false,
			googleCause{"denied", accountCall, "iam.serviceAccounts.getAccessToken", "IAM_PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied"},
		},
		"account, broken": {
			answerOf{http.StatusServiceUnavailable, `{"error": {"code": 503, "status": "UNAVAILABLE", "message": "The service is currently unavailable."}}`},
			true, false,
			googleCause{"unavailable", accountCall, "iam.serviceAccounts.getAccessToken", "UNAVAILABLE", "currently unavailable"},
		},
		"account, API disabled": {
			answerOf{http.StatusForbidden, `{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "IAM Service Account Credentials API has not been used in project 100000000003 before or it is disabled.",
 "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com"}]}}`},
			true, false,
			googleCause{"disabled", accountCall, "iam.serviceAccounts.getAccessToken", "SERVICE_DISABLED", "has not been used"},
		},
		"signature": {
			denied("iam.serviceAccounts.signJwt"), false, true,
			googleCause{"denied", signCall, "iam.serviceAccounts.signJwt", "IAM_PERMISSION_DENIED", "Permission 'iam.serviceAccounts.signJwt' denied"},
		},
		// Source: Using OAuth 2.0 for server to server applications, JWT error codes.
		"delegation": {
			answerOf{http.StatusUnauthorized, `{"error": "unauthorized_client", "error_description": "Client is unauthorized to retrieve access tokens using this method."}`},
			false, true,
			googleCause{"denied", userCall, directoryScope, "unauthorized_client", "Client is unauthorized"},
		},
		// Source: Workload identity federation, troubleshooting.
		"federation": {
			answerOf{http.StatusBadRequest, `{"error": "invalid_grant", "error_description": "The given credential is rejected by the attribute condition."}`},
			true, true,
			googleCause{"denied", exchangeCall, "", "invalid_grant", "rejected by the attribute condition"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := startHosts(t)
			h.refuse[c.want.Operation] = c.answer
			b, trusting := w.google(t, h, impersonating)
			b.env = append(b.env, trusting)
			got := b.blind(t, c.cloud, c.directory)
			if !strings.Contains(got.Message, c.want.Message) {
				t.Errorf("says %q, want %q", got.Message, c.want.Message)
			}
			got.Message = c.want.Message
			if got != c.want {
				t.Errorf("the cause is %+v, want %+v", got, c.want)
			}
			b.wantVerified(t)
		})
	}
}

// googleUntrusted does not trust the authority of the proxy.
func (w world) googleUntrusted(t *testing.T) {
	t.Parallel()
	h := startHosts(t)
	b, _ := w.google(t, h, impersonating)
	got := b.blind(t, true, true)
	if got.Class != "unavailable" || got.Operation != exchangeCall || !strings.Contains(got.Message, "certificate signed by unknown authority") || !strings.Contains(got.Message, "SSL_CERT_FILE") {
		t.Errorf("%+v, want what is not trusted and what to do", got)
	}
	if counts := h.asked(t, "sts.googleapis.com"); len(counts) > 0 {
		t.Errorf("calls were made all the same: %v", counts)
	}
}

// googleClosed meets a proxy that does not let it through.
func (w world) googleClosed(t *testing.T) {
	t.Parallel()
	h := startHosts(t)
	h.closed = "iamcredentials.googleapis.com"
	b, trusting := w.google(t, h, impersonating)
	b.env = append(b.env, trusting)
	r := b.run(t, "collect")
	r.want(t, 3)
	r.says(t, accountCall+" unavailable", signCall+" unavailable", "the proxy "+strings.TrimPrefix(h.proxy, "http://")+" does not connect to iamcredentials.googleapis.com", "403")
	h.asked(t, "iamcredentials.googleapis.com", "sts.googleapis.com")
}

// googleEndpoints has private endpoints for both services that are read, each
// under a path of its own.
func (w world) googleEndpoints(t *testing.T) {
	t.Parallel()
	h := startHosts(t)
	private := http.NewServeMux()
	private.Handle("/private/", h.gateway(cloudHost, "/private"))
	private.Handle("/people/", h.gateway(directoryHost, "/people"))
	server := httptest.NewServer(private)
	t.Cleanup(server.Close)
	b, trusting := w.google(t, h, impersonating+`  endpoints: {cloudasset: "`+server.URL+`/private", directory: "`+server.URL+`/people/"}
`)
	b.env = append(b.env, trusting)
	b.read(t)
	through := slices.Concat(h.apis, tokenHosts())
	counts := h.asked(t, slices.DeleteFunc(through, func(host string) bool { return host == cloudHost || host == directoryHost })...)
	if counts[cloudHost] == 0 || counts[directoryHost] == 0 {
		t.Errorf("the private endpoints had %v", counts)
	}
}
