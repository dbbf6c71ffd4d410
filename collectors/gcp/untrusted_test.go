package gcp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
)

// TestUntrusted meets an endpoint whose certificate is of an authority that is not
// trusted: a gap that says so and what to do, without a second attempt.
func TestUntrusted(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop()) // clients hang up
	server.StartTLS()
	defer server.Close()
	e := largeEstate(t, server.URL)
	c := collectorOf(t, e, "gcp.cloudasset_resources")
	got := newSeen()
	collect(t, c, largeAccount, e.Transport(), got)
	lost(t, got, c.Spec().Kinds, evidence.Gap{
		Operation: "cloudasset.assets.list", Permission: "cloudasset.assets.listResource", Class: evidence.Unavailable,
	})
	for _, g := range got.gaps {
		if !strings.Contains(g.Message, "certificate signed by unknown authority") || !strings.Contains(g.Message, "SSL_CERT_FILE") {
			t.Fatalf("says %q", g.Message)
		}
	}
	if len(got.waits) > 0 {
		t.Errorf("tried again after %v", got.waits)
	}
}
