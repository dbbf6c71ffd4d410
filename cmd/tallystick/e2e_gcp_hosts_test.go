package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/internal/capture"
)

// The tokens of the stand-in for Google, each for one use.
const (
	federatedToken = "made-up-token-of-the-pool"       // to ask for the others
	readerToken    = "made-up-token-of-the-account"    // for the cloud
	signedToken    = "made-up.assertion.of-the-signer" // for the exchange
	userToken      = "made-up-token-of-the-user"       // for the domain
)

// The accounts that tallystick acts as. Each stands in a configuration of
// TestGoogleReach.
const (
	reader     = "reader@example-audit.iam.gserviceaccount.com"
	delegated  = "directory@example-audit.iam.gserviceaccount.com"
	domainUser = "auditor@example.com"

	cloudScope     = "https://www.googleapis.com/auth/cloud-platform"
	directoryScope = "https://www.googleapis.com/auth/admin.directory.user.readonly"
)

// The calls by which tokens are had, as gaps name them.
const (
	exchangeCall = "sts.token"
	accountCall  = "iamcredentials.serviceAccounts.generateAccessToken"
	signCall     = "iamcredentials.serviceAccounts.signJwt"
	userCall     = "oauth2.token"
)

// Some of the hosts of what is read.
const (
	cloudHost     = "cloudasset.googleapis.com"
	directoryHost = "admin.googleapis.com"
	identityHost  = "cloudidentity.googleapis.com"
)

// tokenHosts are those by which tokens are had.
func tokenHosts() []string {
	return []string{"iamcredentials.googleapis.com", "oauth2.googleapis.com", "sts.googleapis.com"}
}

// answerOf is an answer in place of the right one.
type answerOf struct {
	status int
	body   string
}

// hosts stands in for the hosts of Google, under a certificate authority of its
// own and behind a proxy that connects to nothing else.
type hosts struct {
	recorded  *capture.Replayer
	apis      []string // that were recorded
	authority string   // path of the bundle
	address   string   // of the server of them all
	proxy     string   // URL
	refuse    map[string]answerOf
	closed    string // the host to which the proxy does not connect
	ambient   string // the token of the identity that tallystick has anyway

	mu        sync.Mutex
	connected []string          // guarded by mu: to where the proxy was asked to connect
	calls     map[string]int    // guarded by mu: by name, or by the host of what is read
	sent      map[string]string // guarded by mu: what the newest such call sent
	wrong     []string          // guarded by mu: what should not have been asked
}

// startHosts starts the server and the proxy. At the end of the test nothing
// else may have been asked for.
func startHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{recorded: recordedGoogle(t, "organizations/123456789012"), ambient: federatedToken, refuse: map[string]answerOf{}, calls: map[string]int{}, sent: map[string]string{}}
	for _, e := range h.recorded.Entries() {
		u, err := url.Parse(e.Request.URL)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(h.apis, u.Host) {
			h.apis = append(h.apis, u.Host)
		}
	}
	certificate, bundle := certify(t, "*.googleapis.com")
	h.authority = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(h.authority, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop()) // clients that do not trust it hang up
	server.StartTLS()
	t.Cleanup(server.Close)
	h.address = server.Listener.Addr().String()
	proxy := httptest.NewServer(http.HandlerFunc(h.connect))
	t.Cleanup(proxy.Close)
	h.proxy = proxy.URL
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.wrong) > 0 {
			t.Errorf("asked for what it should not: %q", h.wrong)
		}
	})
	return h
}

// certify makes a certificate for a name, and the bundle of who issued it.
func certify(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Proxy CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	issuer, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	issued, err := x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{issued}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer})
}

// connect is the proxy.
func (h *hosts) connect(w http.ResponseWriter, r *http.Request) {
	host, port, _ := net.SplitHostPort(r.Host)
	h.mu.Lock()
	h.connected = append(h.connected, r.Host)
	refused := r.Method != http.MethodConnect || port != "443" || !slices.Contains(h.apis, host) && !slices.Contains(tokenHosts(), host)
	if refused {
		h.wrong = append(h.wrong, r.Method+" "+r.Host)
	}
	h.mu.Unlock()
	if refused || host == h.closed {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	there, err := net.Dial("tcp", h.address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(there, here) // until either end hangs up
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// ServeHTTP is all hosts of Google. Each call is answered for the token that it
// is for, and for no other.
func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, bearer := "", ""
	switch account := "/v1/projects/-/serviceAccounts/"; r.Host + " " + r.URL.Path {
	case "sts.googleapis.com /v1/token":
		call = exchangeCall
	case "iamcredentials.googleapis.com " + account + reader + ":generateAccessToken":
		call, bearer = accountCall, "Bearer "+federatedToken
	case "iamcredentials.googleapis.com " + account + delegated + ":signJwt":
		call, bearer = signCall, "Bearer "+h.ambient
	case "oauth2.googleapis.com /token":
		call, bearer = userCall, "Bearer "+h.ambient
	default:
		if slices.Contains(h.apis, r.Host) {
			call, bearer = r.Host, "Bearer "+readerToken
		}
		if r.Host == directoryHost || r.Host == identityHost {
			bearer = "Bearer " + userToken
		}
	}
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if call == "" || err != nil || r.Header.Get("Authorization") != bearer {
		h.wrong = append(h.wrong, r.Method+" "+r.Host+r.URL.Path+" as "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.calls[call]++
	h.sent[call] = string(body)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if instead, refused := h.refuse[call]; refused {
		w.WriteHeader(instead.status)
		_, _ = io.WriteString(w, instead.body)
		return
	}
	switch call {
	case exchangeCall:
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": federatedToken, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600})
	case accountCall:
		_ = json.NewEncoder(w).Encode(map[string]any{"accessToken": readerToken, "expireTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	case signCall:
		_ = json.NewEncoder(w).Encode(map[string]any{"keyId": "made-up", "signedJwt": signedToken})
	case userCall:
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": userToken, "token_type": "Bearer", "expires_in": 3599})
	default:
		h.replay(w, r, body)
	}
}

// replay answers as recorded.
func (h *hosts) replay(w http.ResponseWriter, r *http.Request, body []byte) {
	asked := r.Clone(r.Context())
	asked.URL.Scheme, asked.URL.Host, asked.RequestURI, asked.Body = "https", r.Host, "", nil
	if len(body) > 0 {
		asked.Body = io.NopCloser(bytes.NewReader(body))
	}
	answer, err := h.recorded.RoundTrip(asked)
	if err != nil {
		h.wrong = append(h.wrong, err.Error())
		w.WriteHeader(http.StatusNotFound)
		return
	}
	defer func() { _ = answer.Body.Close() }() // it was read to its end
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // a client that went away has its own error
}

// gateway is a private endpoint of a service, under a path of its own.
func (h *hosts) gateway(host, path string) http.Handler {
	return http.StripPrefix(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = host
		h.ServeHTTP(w, r)
	}))
}

// asked gives how often each call was made, and checks that the proxy was asked
// for the hosts that are wanted, and for no other.
func (h *hosts) asked(t *testing.T, want ...string) map[string]int {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var through []string
	for _, host := range h.connected {
		through = append(through, strings.TrimSuffix(host, ":443"))
	}
	slices.Sort(through)
	slices.Sort(want)
	if through = slices.Compact(through); !slices.Equal(through, want) {
		t.Errorf("went through the proxy to %q, want %q", through, want)
	}
	return maps.Clone(h.calls)
}
