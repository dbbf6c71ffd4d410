package agent

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// TestBudget: calls of no task are within the limits of tasks, and each attempt
// is bounded beneath what keeps its answer.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		p := Provider{
			Describe: func(*http.Request) capture.Labels { return capture.Labels{Service: "s3", Region: "eu-west-1"} },
			Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				if _, bound := req.Context().Deadline(); !bound {
					t.Error("the attempt is not bounded")
				}
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(10 * time.Millisecond)
				now.Add(-1)
				return capture.Respond(req, http.StatusOK, "text/plain", "answer"), nil
			}),
		}
		kept := 0
		metrics, err := telemetry.New(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		p.Throttled = func(*http.Response) (bool, time.Duration) { return false, 0 }
		b := NewBudget(Limits{InFlight: 1, Default: 10}, metrics, zap.NewNop())
		var group sync.WaitGroup
		began := time.Now()
		for _, account := range []string{"111122223333", "444455556666"} {
			transport := b.Transport(evidence.Scope{Provider: "aws", Account: account}, p, func(base http.RoundTripper) http.RoundTripper {
				return roundTripper(func(req *http.Request) (*http.Response, error) {
					if _, bound := req.Context().Deadline(); bound {
						t.Error("what keeps the answer is bounded")
					}
					kept++ // one at a time
					return base.RoundTrip(req)
				})
			})
			for range burst + 10 {
				group.Go(func() {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com", http.NoBody)
					if err != nil {
						t.Error(err)
						return
					}
					resp, err := transport.RoundTrip(req)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
				})
			}
		}
		group.Wait()
		if most.Load() != 1 || kept != 2*(burst+10) {
			t.Errorf("%d calls in flight at a time and %d kept", most.Load(), kept)
		}
		if took := time.Since(began); took < time.Second || took > 1100*time.Millisecond {
			t.Errorf("ten calls over the burst at ten a second took %s", took)
		}
	})
}
