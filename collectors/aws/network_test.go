package aws_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
)

// quiet is a TLS server that does not log who mistrusts it.
func quiet(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.StartTLS()
	return server
}

// TestCABundle reads through a server that only an authority of the operator's
// own vouches for, as behind a proxy that opens TLS: for credentials and for
// evidence alike.
func TestCABundle(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprint("trusted ", trusted), func(t *testing.T) {
			i := newIssuer(t, quiet)
			environment := keys(i.URL)
			if trusted {
				environment["AWS_CA_BUNDLE"] = write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw})))
			}
			ambient(t, environment)
			e := newEstate(t, aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole}, {ID: "777788889999"}}})
			for _, account := range e.Accounts() {
				for _, name := range []string{"aws.iam_account_summary", "aws.ec2_volumes"} {
					got, kept := collect(t, named(t, e, name), account, e.Transport())
					switch {
					case trusted:
						whole(t, got, kept)
					case len(got.gaps) != 1 || got.gaps[0].Class != evidence.Unavailable || !strings.Contains(got.gaps[0].Message, "certificate"):
						t.Errorf("%s: gaps %+v, want one that says why", name, got.gaps)
					}
				}
			}
		})
	}
}

// TestProxy calls by way of the proxy that the environment names, for
// credentials and for evidence alike. The standard library reads the
// environment once in a process, so the test runs itself again.
func TestProxy(t *testing.T) {
	if os.Getenv("HTTPS_PROXY") == "http://"+os.Getenv("TALLYSTICK_TEST_PROXY") {
		e := newEstate(t, aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole}, {ID: "777788889999"}}, Regions: []string{"eu-west-1"}})
		collect(t, named(t, e, "aws.iam_account_summary"), "111122223333", e.Transport())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://evidence.example.com/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := e.Transport().RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Error("an answer came from nowhere")
		}
		return
	}
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, req.Method+" "+req.Host)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	ambient(t, map[string]string{
		"AWS_ACCESS_KEY_ID": "KEY-0", "AWS_SECRET_ACCESS_KEY": "secret-of-KEY-0",
		"HTTPS_PROXY": proxy.URL, "TALLYSTICK_TEST_PROXY": u.Host,
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), self, "-test.run=^TestProxy$").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same(t, "asked of the proxy", asked, []string{"CONNECT sts.us-east-1.amazonaws.com:443", "CONNECT evidence.example.com:443"})
}
