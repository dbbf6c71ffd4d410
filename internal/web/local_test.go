package web

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// TestReportIsLocal gives the report to this machine alone, under its own name.
func TestReportIsLocal(t *testing.T) {
	report := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "PLANTED") })
	s := &Server{Metrics: prometheus.NewRegistry(), Ready: func() error { return nil }, Report: report, Log: zap.NewNop()}
	loopback, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8480}, &net.TCPAddr{IP: net.IPv4zero, Port: 8480}
	for _, test := range []struct {
		name string
		on   net.Addr
		host string
		want int
	}{
		{"by address", loopback, "127.0.0.1:8480", http.StatusOK},
		{"by name", loopback, "localhost:8480", http.StatusOK},
		{"by IPv6 address", &net.TCPAddr{IP: net.IPv6loopback, Port: 8480}, "[::1]:8480", http.StatusOK},
		{"without a port", loopback, "localhost", http.StatusOK},
		{"by another site's name", loopback, "evil.example:8480", http.StatusForbidden},
		{"by a name that begins alike", loopback, "localhost.evil.example:8480", http.StatusForbidden},
		{"by an address of the network", loopback, "192.0.2.1:8480", http.StatusForbidden},
		{"on every address", everywhere, "127.0.0.1:8480", http.StatusForbidden},
		{"on no address", nil, "127.0.0.1:8480", http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/index.html", nil)
			r.Host = test.host
			w := httptest.NewRecorder()
			s.handler(test.on).ServeHTTP(w, r)
			if got := strings.Contains(w.Body.String(), "PLANTED"); w.Code != test.want || got != (test.want == http.StatusOK) {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
		})
	}
}
