package gcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	gax "github.com/googleapis/gax-go/v2"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// maxAttempts is how often a call is made before what it answers counts. With
// the pauses between them, they reach over the minute for which a quota is
// counted. Source: Cloud Asset Inventory, quotas and limits.
const maxAttempts = 6

// retrying makes a call again that was refused for rate, or failed for a cause
// that passes. Google's REST clients do not. Each attempt is an exchange of its
// own; the runner's budget slows down beneath.
type retrying struct {
	base http.RoundTripper
	wait func(context.Context, time.Duration) error
}

// RoundTrip implements http.RoundTripper. A request may have a body only if it
// can be had again: every call here only reads, those that are sent by POST too.
func (r *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	once := req.Body != nil && req.Body != http.NoBody && req.GetBody == nil
	pause := gax.Backoff{Initial: time.Second, Max: 32 * time.Second, Multiplier: 2}
	for attempt := 1; ; attempt++ {
		try := req.WithContext(withAttempt(req.Context(), attempt))
		if attempt > 1 && req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			try.Body = body
		}
		resp, err := r.base.RoundTrip(try)
		if attempt == maxAttempts || once || !passes(req.Context(), resp, err) {
			return resp, err
		}
		after := pause.Pause()
		if resp != nil {
			_, asked := Throttled(resp)
			after = max(after, min(asked, longestWait))
			_, err = io.Copy(io.Discard, resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil {
				return nil, err
			}
		}
		if err := r.wait(req.Context(), after); err != nil {
			return nil, err
		}
	}
}

// longestWait bounds a pause for which Google asks.
const longestWait = time.Minute

// passes says whether the cause of a failure may be over soon.
func passes(ctx context.Context, resp *http.Response, err error) bool {
	if err != nil {
		var canceled interface{ CanceledError() bool }
		var token *credentialError
		var exchange *capture.ExchangeError
		final := errors.As(err, &token) ||
			errors.As(err, &exchange) && exchange.Sort == capture.TLSFailure ||
			errors.As(err, &canceled) && canceled.CanceledError()
		return ctx.Err() == nil && !final
	}
	if throttled, _ := Throttled(resp); throttled {
		return true
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Throttled says whether an answer that came through a recorder refuses the
// call for there being too many, and how long Google asks to wait, 0 when it
// does not say. What it calls throttled is what a gap would be called.
func Throttled(resp *http.Response) (throttled bool, after time.Duration) {
	if resp.StatusCode < http.StatusBadRequest {
		return false, 0
	}
	body, _ := capture.Kept(resp)
	told := parseFailure(resp.StatusCode, body)
	if told.class() != evidence.Throttled {
		return false, 0
	}
	return true, max(told.retryDelay, collectors.RetryAfter(resp.Header))
}
