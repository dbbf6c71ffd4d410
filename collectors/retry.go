package collectors

import (
	"net/http"
	"strconv"
	"time"
)

// RetryAfter gives how long an answer asks to wait, 0 when it does not say.
// Source: RFC 9110 section 10.2.3, Retry-After in seconds or as a date.
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date")) // by the same clock
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}
