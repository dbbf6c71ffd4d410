package collectors

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "soon": 0, "-3": 0,
		"Tue, 30 Jun 2026 06:17:30 GMT": 30 * time.Second,
		"Tue, 30 Jun 2026 06:16:30 GMT": 0,
	} {
		h := http.Header{"Retry-After": {value}, "Date": {"Tue, 30 Jun 2026 06:17:00 GMT"}}
		if got := RetryAfter(h); got != want {
			t.Errorf("Retry-After %q: %v, want %v", value, got, want)
		}
	}
}
