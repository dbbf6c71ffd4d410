package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/internal/capture"
)

// transport is what a collector calls through when it is run again. From the
// collector down:
//
//   - an attempt beyond those that were recorded for its call ends as the last
//     of them did. How often a call was tried depended on settings, budgets and
//     the clock of then; the recording is what came of them;
//   - the request goes to the host that answered for its service then;
//   - a recorder gives each exchange its id, as it did then;
//   - the recording answers.
type transport struct {
	*recording
	describe func(*http.Request) capture.Labels
	recorded http.RoundTripper // the recorder over the recording

	mu         sync.Mutex
	last       map[string]attempt // guarded by mu; calls that failed so far, by the SDK's invocation id
	unrecorded map[string]bool    // guarded by mu; the errors for requests that are not recorded at all
}

// attempt is how the last attempt of a call ended.
type attempt struct {
	exchange string
	resp     *http.Response
	body     []byte
	err      error
}

func newTransport(r *recording, recorder *capture.Recorder, describe func(*http.Request) capture.Labels) *transport {
	return &transport{
		recording: r, describe: describe, recorded: recorder.Transport(r.replayer),
		last: make(map[string]attempt), unrecorded: make(map[string]bool),
	}
}

// invocationHeader is the same for all attempts of one call.
// Source: AWS SDKs reference, retry behavior.
const invocationHeader = "Amz-Sdk-Invocation-Id"

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	labels := t.describe(req)
	call := req.Header.Get(invocationHeader)
	if labels.Attempt > 1 && call != "" {
		t.mu.Lock()
		last, known := t.last[call]
		t.mu.Unlock()
		if known && !t.hasNext(last.exchange, labels.Attempt) {
			return last.again(req)
		}
	}
	resp, err := t.recorded.RoundTrip(t.toRecordedHost(req, labels))
	if none, ok := errors.AsType[*capture.NoAnswerError](err); ok && none.Served == 0 {
		t.mu.Lock()
		t.unrecorded[none.Error()] = true
		t.mu.Unlock()
	}
	if call != "" && (err != nil || resp.StatusCode >= http.StatusMultipleChoices) {
		t.mu.Lock()
		t.last[call] = attemptOf(resp, err)
		t.mu.Unlock()
	}
	return resp, err
}

func attemptOf(resp *http.Response, err error) attempt {
	if err != nil {
		a := attempt{err: err}
		if failed, ok := errors.AsType[*capture.ExchangeError](err); ok {
			a.exchange = failed.ID
		}
		return a
	}
	body, _ := capture.Kept(resp)
	return attempt{exchange: resp.Header.Get(collectors.ExchangeHeader), resp: resp, body: body}
}

// again ends an attempt as this one ended.
func (a attempt) again(req *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	resp := *a.resp
	resp.Header, resp.Request = a.resp.Header.Clone(), req
	resp.Body = io.NopCloser(bytes.NewReader(a.body))
	return &resp, nil
}

// hasNext says whether the attempt after an exchange was recorded.
func (r *recording) hasNext(exchange string, number int) bool {
	request, occurrence, _ := strings.Cut(exchange, ".")
	n, err := strconv.Atoi(occurrence)
	if err != nil {
		return true // not an id of ours: the recording decides
	}
	e := r.entries[request+"."+strconv.Itoa(n+1)]
	return e != nil && (e.Attempt == 0 || e.Attempt == number)
}

// toRecordedHost sends a request to where its service was reached then, such
// as an endpoint of the operator's own.
func (r *recording) toRecordedHost(req *http.Request, l capture.Labels) *http.Request {
	at := [2]string{l.Service, l.Region}
	hosts := r.hosts[at]
	if len(hosts) != 1 || hosts[0].Host == req.URL.Host {
		return req
	}
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = hosts[0].Scheme, hosts[0].Host, ""
	path := r.before(at, req.URL.EscapedPath()) + req.URL.EscapedPath()
	if unescaped, err := url.PathUnescape(path); err == nil { // both were parsed: they can be
		out.URL.Path, out.URL.RawPath = unescaped, path
	}
	return out
}

// before gives what the endpoint of a service had before the path of a request.
// It is before all paths of the service, so that no other call answers.
func (r *recording) before(at [2]string, path string) string {
	if path == "/" || slices.Contains(r.paths[at], path) {
		return ""
	}
	for _, recorded := range r.paths[at] {
		before, ok := strings.CutSuffix(recorded, path)
		if ok && !slices.ContainsFunc(r.paths[at], func(p string) bool { return !strings.HasPrefix(p, before+"/") }) {
			return before
		}
	}
	return ""
}

// split gives where a request went, scheme and host, and its path there.
func split(raw string) (host *url.URL, path string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "", err
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, u.EscapedPath(), nil
}

// waitNot is the wait of a replay: what was waited for is at hand.
func waitNot(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
