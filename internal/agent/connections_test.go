package agent

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tallystick/tallystick/config"
)

// The pool of the estate's transport is as large as the concurrency, of which
// one host may have all: no connection is closed that the next call needs.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	inFlight := config.Default().Limits.InFlight
	var got outcome
	synctest.Test(t, func(t *testing.T) {
		got = collectFrom(t, startThrottling(t, nil, 0), Limits{InFlight: inFlight})
	})
	if got.server.most != inFlight {
		t.Errorf("%d calls were in flight, want all %d", got.server.most, inFlight)
	}
	for host, opened := range got.server.connections {
		if opened > inFlight {
			t.Errorf("%d connections to %s were opened, want %d at the most", opened, host, inFlight)
		}
	}

	// All calls at once, and again when all have ended.
	synctest.Test(t, func(t *testing.T) {
		server := startThrottling(t, nil, 0)
		_, transport := throttlingEstate(t, server, inFlight)
		defer server.close(t, transport)
		for range 3 {
			var calls sync.WaitGroup
			for range inFlight {
				calls.Go(func() {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://sts.us-east-1.amazonaws.com/", strings.NewReader("Action=GetCallerIdentity"))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("Authorization", "Credential="+throttled+"/20260701/us-east-1/sts/aws4_request")
					resp, err := transport.RoundTrip(req)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
						t.Errorf("%s: %v", resp.Status, err)
					}
					resp.Body.Close()
				})
			}
			calls.Wait()
			synctest.Wait() // the connections are idle
		}
		if opened := server.connections["sts.us-east-1.amazonaws.com:443"]; opened != inFlight {
			t.Errorf("%d connections were opened for %d calls at a time, want one for each", opened, inFlight)
		}
	})
}
