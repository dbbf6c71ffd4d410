package web_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/tallystick/tallystick/internal/web"
)

func newServer(t *testing.T, ready error) *web.Server {
	t.Helper()
	reg := prometheus.NewRegistry()
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", Help: "Planted."})
	g.Set(3)
	reg.MustRegister(g)
	return &web.Server{
		Metrics: reg,
		Ready:   func() error { return ready },
		Log:     zaptest.NewLogger(t),
	}
}

func TestPages(t *testing.T) {
	rebuilding := errors.New("rebuilding state from the ledger")
	tests := []struct {
		name, method, path string
		ready              error
		status             int
		body               string // is contained in the answer
	}{
		{"metrics", "GET", "/metrics", nil, 200, "\nplanted 3\n"},
		{"metrics before ready", "GET", "/metrics", rebuilding, 200, "\nplanted 3\n"},
		{"health", "GET", "/healthz", nil, 200, "ok\n"},
		{"health before ready", "GET", "/healthz", rebuilding, 200, "ok\n"},
		{"ready", "GET", "/readyz", nil, 200, "ready\n"},
		{"not ready", "GET", "/readyz", rebuilding, 503, "not ready: rebuilding state from the ledger\n"},
		{"root", "GET", "/", nil, 404, ""},
		{"below a page", "GET", "/metrics/x", nil, 404, ""},
		{"profiles are not served", "GET", "/debug/pprof/", nil, 404, ""},
		{"evidence is not served", "GET", "/payloads/", nil, 404, ""},
		{"head", "HEAD", "/healthz", nil, 200, ""},
		{"post", "POST", "/readyz", nil, 405, ""},
		{"delete", "DELETE", "/metrics", nil, 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			newServer(t, tt.ready).Handler().ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			if !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("body %q does not contain %q", w.Body, tt.body)
			}
			if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options %q", got)
			}
		})
	}
}

func TestRunAnswersThenStops(t *testing.T) {
	ln, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// A scrape that is under way when the agent is told to stop is answered.
	entered, release := make(chan struct{}), make(chan struct{})
	s := newServer(t, nil)
	s.Ready = func() error { close(entered); <-release; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()

	type result struct {
		body string
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String() + "/readyz")
		if err != nil {
			answered <- result{"", err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		answered <- result{string(b), err}
	}()
	<-entered
	cancel()
	select {
	case err := <-done:
		t.Fatalf("Run returned %v while an answer was under way", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if r := <-answered; r.err != nil || r.body != "ready\n" {
		t.Errorf("answer %q, %v", r.body, r.err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("the listener is still open after Run returned")
	}
}

func TestRunReportsLostListener(t *testing.T) {
	ln, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := newServer(t, nil).Run(t.Context(), ln); err == nil {
		t.Error("Run on a closed listener gives no error")
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct{ name, address, want string }{
		{"taken", taken.Addr().String(), "listen on " + taken.Addr().String() + ": the port is taken by another process"},
		{"foreign address", "192.0.2.1:8480", "this machine does not have that address; set http.listen"}, // RFC 5737, TEST-NET-1
		{"no port", "127.0.0.1", "set http.listen to host:port, for example 127.0.0.1:8480"},
		{"not a port", "127.0.0.1:http-ish", "set http.listen to host:port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := web.Listen(tt.address)
			if err == nil {
				ln.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
		})
	}
}
