package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/internal/capture"
)

// enough is the error for a call that would tell nothing new. It ends the read
// that wanted it.
type enough struct{}

// Error implements error. Gaps are told apart by this text.
func (enough) Error() string { return "not called: what it needs was tried" }

// CanceledError tells the AWS SDK's retryer (which looks for this method) that
// another attempt can not succeed.
func (enough) CanceledError() bool { return true }

const (
	// tries bounds how often a call is made in one place: a list in the search
	// of a resource on which the calls behind it can be tried, and a detail
	// that failed, on other resources. It bounds the polling of a report too.
	tries = 4
	// patience is how long a list waits for the calls behind it to begin,
	// before it goes on in their search. They begin in the same breath as the
	// next page or not at all.
	patience = 100 * time.Millisecond
)

// probe is the transport of one task. It lets a call through as long as it can
// tell something new, and answers again what the scope has answered before.
type probe struct {
	scope    *scope
	spec     collectors.Spec
	describe func(*http.Request) capture.Labels
	base     http.RoundTripper // within the limits; bodies are kept
	whole    func(collectors.Call) bool
}

// RoundTrip implements http.RoundTripper.
func (p *probe) RoundTrip(req *http.Request) (*http.Response, error) {
	labels := p.describe(req)
	call, declared := p.spec.Call(labels.Operation)
	if !declared {
		call = collectors.Call{Operation: labels.Operation}
	}
	key, out, err := again(req, labels)
	if err != nil {
		return nil, err
	}
	at := p.scope.at(placeOf(p.spec, call, labels.Region), call)
	ctx := req.Context()
	select { // one at a time: the next one may learn from it
	case at.turn <- struct{}{}:
		defer func() { <-at.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the same call to end: %w", context.Cause(ctx))
	}
	if labels.Attempt <= 1 {
		// A task that asks the same again hopes for another answer.
		if a := p.scope.answer(key); a != nil && a.to != p {
			return a.give(req), nil
		}
		if !p.may(ctx, at, call) {
			return nil, enough{}
		}
	}
	p.scope.begin(at, labels)
	resp, err := p.base.RoundTrip(out)
	if err != nil {
		p.scope.end(at, key, broken)
		return nil, err
	}
	a, err := keep(resp)
	if err != nil {
		p.scope.end(at, key, broken)
		return nil, err
	}
	p.scope.end(at, key, a.outcome(call))
	a.to, a.root = p, call.Kind == ""
	p.scope.remember(key, a, call)
	return a.give(req), nil
}

// may says whether a request that the scope has not answered yet is to be made.
func (p *probe) may(ctx context.Context, at *calls, call collectors.Call) bool {
	asked, answered := p.scope.soFar(at)
	switch {
	case asked == 0 || p.whole(call):
		return true
	case asked >= tries || call.Kind == "":
		return false
	case call.Field != "":
		return !answered
	default:
		return p.searching(ctx, call)
	}
}

// searching says whether a list is to be asked for more, since none of the
// calls that the collector declares behind it for the same kind has begun
// anywhere in the scope.
func (p *probe) searching(ctx context.Context, call collectors.Call) bool {
	i := slices.IndexFunc(p.spec.Calls, func(c collectors.Call) bool { return c.Operation == call.Operation })
	behind := slices.DeleteFunc(slices.Clone(p.spec.Calls[i+1:]), func(c collectors.Call) bool { return c.Kind != call.Kind })
	if len(behind) == 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		begun, changed := p.scope.begun(behind)
		if begun {
			return false
		}
		select {
		case <-changed:
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// again gives what identifies a request, and the request with a body that can
// be read.
func again(req *http.Request, labels capture.Labels) (key string, out *http.Request, err error) {
	var body []byte
	if req.Body != nil && req.Body != http.NoBody {
		if body, err = io.ReadAll(req.Body); err != nil {
			return "", nil, errors.Join(fmt.Errorf("read request: %w", err), req.Body.Close())
		}
		if err = req.Body.Close(); err != nil {
			return "", nil, fmt.Errorf("read request: %w", err)
		}
	}
	out = req
	if len(body) > 0 {
		out = req.WithContext(req.Context())
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.ContentLength = int64(len(body))
	}
	return strings.Join([]string{labels.Operation, labels.Region, req.Method, req.URL.String(), string(body)}, "\x00"), out, nil
}

// answer is what the provider answered, to be given again.
type answer struct {
	resp *http.Response // without its body
	body []byte
	to   *probe // the task that asked
	root bool   // of a call on which everything rests
}

func keep(resp *http.Response) (*answer, error) {
	body, kept := capture.Kept(resp)
	if !kept {
		return nil, errors.New("the answer did not come through capture")
	}
	return &answer{resp: resp, body: body}, nil
}

func (a *answer) give(req *http.Request) *http.Response {
	resp := *a.resp
	resp.Header = a.resp.Header.Clone()
	resp.Body = &keptBody{bytes.NewReader(a.body), a.body}
	resp.Request = req
	return &resp
}

// keptBody is a body that capture.Kept finds.
type keptBody struct {
	*bytes.Reader
	all []byte
}

func (b *keptBody) Bytes() []byte { return b.all }
func (b *keptBody) Close() error  { return nil }

// outcome is how one request ended.
type outcome int

const (
	pending  outcome = iota
	answered         // as asked, or by a declared code for "there is none"
	gone             // by a declared code for "the resource is gone"
	refused          // by an error of the caller's: HTTP 3xx and 4xx
	broken           // by none, or by an error of the provider's
)

// outcome looks for the declared codes wherever a protocol may put them: it
// decides only whether to ask once more.
func (a *answer) outcome(call collectors.Call) outcome {
	status := a.resp.StatusCode
	if status < 300 {
		return answered
	}
	says := func(code string) bool {
		return bytes.Contains(a.body, []byte(code)) || strings.Contains(a.resp.Header.Get("X-Amzn-Errortype"), code)
	}
	switch {
	case status >= 500:
		return broken
	case slices.ContainsFunc(call.Absent, says):
		return answered
	case slices.ContainsFunc(call.Vanished, says):
		return gone
	default:
		return refused
	}
}
