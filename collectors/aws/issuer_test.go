package aws_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// collect runs one collector over a transport. It gives the files of exchanges
// that capture kept.
func collect(t *testing.T, c collectors.Collector, account string, base http.RoundTripper) (*seen, []byte) {
	t.Helper()
	got := &seen{listed: map[string]bool{}}
	var kept bytes.Buffer
	recorder := capture.NewRecorder(capture.Options{
		Create:    func() (capture.Sink, error) { return sink{&kept}, nil },
		Describe:  aws.Describe,
		Sensitive: c.Spec().Sensitive,
		Key:       []byte("the golden files hold hashes"),
		Now:       recordings.At,
	})
	if err := c.Collect(t.Context(), collectors.Input{
		Scope:    evidence.Scope{Provider: aws.Provider, Account: account},
		Captured: recorder.Transport(base),
		InFlight: 4,
		Wait:     func(context.Context, time.Duration) error { return nil },
	}, got); err != nil {
		t.Errorf("%s: collect: %v", c.Spec().Name, err)
	}
	if _, err := recorder.Close(); err != nil {
		t.Error(err)
	}
	got.sort()
	return got, kept.Bytes()
}

// ambient makes the environment hold what the test says about AWS and proxies,
// and nothing else.
func ambient(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if upper := strings.ToUpper(name); strings.HasPrefix(upper, "AWS_") || strings.HasSuffix(upper, "_PROXY") {
			t.Setenv(name, value) // it comes back after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	none := write(t, "none", "")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

// write gives the name of a new file.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keys are the environment of an ambient identity with keys of its own.
func keys(endpoint string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "KEY-0", "AWS_SECRET_ACCESS_KEY": "secret-of-KEY-0",
	}
}

func newEstate(t *testing.T, s aws.Settings) *aws.Estate {
	t.Helper()
	s.Attempts = cmp.Or(s.Attempts, 1)
	e, err := aws.New(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// issuer is AWS on loopback: it hands out temporary credentials, and answers
// some calls to their holders. KEY-0 is the ambient identity.
type issuer struct {
	*httptest.Server

	mu      sync.Mutex
	issued  map[string]string // role by access key id
	lives   []time.Duration   // of the credentials to be issued, in turn; then an hour
	refuses map[string]string // what is said of a role that may not be assumed
	asked   []string          // for credentials, in words
	signed  []string          // "OPERATION by KEY" of all other calls
}

func newIssuer(t *testing.T, serve func(http.Handler) *httptest.Server) *issuer {
	t.Helper()
	i := &issuer{issued: map[string]string{"KEY-0": ownRole}}
	i.Server = serve(i)
	t.Cleanup(i.Close)
	return i
}

// ServeHTTP implements http.Handler.
func (i *issuer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if req.Method == http.MethodGet { // the agent of EKS Pod Identity
		i.asked = append(i.asked, "pod identity by "+req.Header.Get("Authorization"))
		i.podIdentity(w)
		return
	}
	_ = req.ParseForm()
	f, by := req.PostForm, i.signer(req)
	switch action := f.Get("Action"); action {
	case "AssumeRole", "AssumeRoleWithWebIdentity":
		asked := fmt.Sprintf("%s %s as %s", action, f.Get("RoleArn"), f.Get("RoleSessionName"))
		for _, name := range []string{"ExternalId", "SourceIdentity", "WebIdentityToken"} {
			if f.Has(name) {
				asked += fmt.Sprintf(", %s %s", name, f.Get(name))
			}
		}
		i.asked = append(i.asked, asked+" by "+by)
		if said, refused := i.refuses[f.Get("RoleArn")]; refused {
			answer(w, http.StatusForbidden, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>"+said+"</Message></Error></ErrorResponse>")
			return
		}
		key, expires := i.issue(f.Get("RoleArn"))
		answer(w, http.StatusOK, fmt.Sprintf("<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>secret-of-%[2]s</SecretAccessKey>"+
			"<SessionToken>token-of-%[2]s</SessionToken><Expiration>%[3]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>", action, key, expires))
	default:
		i.signed = append(i.signed, action+" by "+by)
		i.call(w, action, by)
	}
}

// signer names the key that signed a request, when it came with its token.
func (i *issuer) signer(req *http.Request) string {
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	token := req.Header.Get("X-Amz-Security-Token")
	switch {
	case key == "":
		return "nobody"
	case key == "KEY-0" && token == "", token == "token-of-"+key:
		return key
	default:
		return fmt.Sprintf("%s with the token %q", key, token)
	}
}

// issue makes new credentials.
func (i *issuer) issue(role string) (key, expires string) {
	life := time.Hour
	if len(i.lives) > 0 {
		life, i.lives = i.lives[0], i.lives[1:]
	}
	key = fmt.Sprintf("KEY-%d", len(i.issued))
	i.issued[key] = role
	return key, time.Now().Add(life).UTC().Format(time.RFC3339)
}

// Source: EKS user guide, "How EKS Pod Identity works", and the SDKs
// reference, container credential provider.
func (i *issuer) podIdentity(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if said, refused := i.refuses[ownRole]; refused {
		if !strings.HasPrefix(said, "{") {
			w.Header().Set("Content-Type", "text/plain")
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(said))
		return
	}
	key, expires := i.issue(ownRole)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": key, "SecretAccessKey": "secret-of-" + key, "Token": "token-of-" + key, "Expiration": expires, "AccountId": "777788889999",
	})
}

// call answers a holder of credentials, as an account that is empty.
func (i *issuer) call(w http.ResponseWriter, action, by string) {
	role := strings.Split(i.issued[by], ":")
	if len(role) < 6 {
		answer(w, http.StatusForbidden, rdsError("InvalidClientTokenId"))
		return
	}
	result := map[string]string{
		"GetCallerIdentity": fmt.Sprintf("<Arn>arn:aws:sts::%s:assumed-%s/tallystick</Arn><Account>%s</Account>", role[4], role[5], role[4]),
		"GetAccountSummary": "<SummaryMap><entry><key>Users</key><value>0</value></entry></SummaryMap>",
		"ListUsers":         "<IsTruncated>false</IsTruncated><Users/>",
	}[action]
	switch action {
	case "GetAccountPasswordPolicy":
		answer(w, http.StatusNotFound, rdsError("NoSuchEntity"))
	case "ListOrganizationsFeatures":
		answer(w, http.StatusNotFound, rdsError("OrganizationNotFoundException"))
	case "DescribeRegions":
		answer(w, http.StatusOK, "<DescribeRegionsResponse><regionInfo><item><regionName>eu-west-1</regionName></item></regionInfo></DescribeRegionsResponse>")
	case "DescribeVolumes":
		answer(w, http.StatusOK, "<DescribeVolumesResponse><volumeSet/></DescribeVolumesResponse>")
	default:
		answer(w, http.StatusOK, fmt.Sprintf("<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", action, result))
	}
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// whole demands that a collector had credentials, and that nothing of them
// was kept.
func whole(t *testing.T, got *seen, kept []byte, secrets ...string) {
	t.Helper()
	if len(got.gaps) != 0 {
		t.Errorf("gaps %+v, want none", got.gaps)
	}
	if len(kept) == 0 {
		t.Error("no exchange was kept")
	}
	for _, found := range scan(t, kept) {
		t.Errorf("capture kept a secret: %v", found)
	}
	for _, secret := range append(secrets, "secret-of-", "token-of-") {
		if bytes.Contains(kept, []byte(secret)) {
			t.Errorf("capture kept %q", secret)
		}
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
