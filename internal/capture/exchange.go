package capture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/collectors"
)

// transport keeps what crosses base.
type transport struct {
	recorder *Recorder
	base     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	r := t.recorder
	sent, err := requestBody(req, r.options.MaxBody)
	if err != nil {
		return nil, err
	}
	if err := r.failed(); err != nil {
		return nil, err
	}
	labels := r.options.Describe(req)
	e, err := r.begin(req, labels, sent)
	if err != nil {
		return nil, r.fail(err)
	}

	out := req.WithContext(req.Context())
	if req.Body != nil && req.Body != http.NoBody {
		out.Body = &Body{Reader: bytes.NewReader(sent), kept: sent}
		out.ContentLength = int64(len(sent))
		out.GetBody = func() (io.ReadCloser, error) {
			return &Body{Reader: bytes.NewReader(sent), kept: sent}, nil
		}
	}
	e.Started = r.options.Now().UTC()
	resp, failure := t.base.RoundTrip(out)
	answered := r.options.Now()
	var got answer
	var offset *time.Duration
	if failure == nil {
		offset = clockOffset(answered, resp.Header)
		got, failure = readAnswer(resp, r.options.MaxBody)
	}
	finished := r.options.Now()
	e.Timings.Wait = milliseconds(answered.Sub(e.Started))
	e.Timings.Receive = milliseconds(finished.Sub(answered))
	e.Time = e.Timings.Wait + e.Timings.Receive

	kept := r.answered(e, resp, got)
	if failure != nil {
		e.Error, failure = failed(failure)
	}
	if err := r.keep(e, labelOf(labels, req), got.wire, offset); err != nil {
		return nil, err
	}
	if failure != nil {
		return nil, &ExchangeError{ID: e.ID, Sort: e.Error.Sort, Err: failure}
	}
	return e.answer(req, kept), nil
}

// begin describes the request as it is kept.
func (r *Recorder) begin(req *http.Request, labels Labels, sent []byte) (*Entry, error) {
	body, fromBody := r.redactor.body("request.body", sent)
	kept, fromURL := r.redactor.url(req.URL)
	keptURL, err := url.Parse(kept)
	if err != nil {
		return nil, fmt.Errorf("parse url as kept: %w", err)
	}
	h := req.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if len(fromBody) > 0 {
		// A checksum of a short secret would let its reader guess it.
		for _, name := range slices.Sorted(maps.Keys(h)) {
			if isIntegrity(name) || name == "X-Amz-Content-Sha256" {
				delete(h, name)
				fromBody = append(fromBody, Redaction{Place: "request.header." + strings.ToLower(name), Rule: RuleIntegrity})
			}
		}
	}
	headers, fromHeaders := r.redactor.headers("request.header", h, r.redactor.keptInRequests)

	id := identityOf(req.Method, keptURL, req.Header.Get("X-Amz-Target"), body)
	digest := id.digest(labels.Operation, labels.Region)
	e := &Entry{
		ID:         hexID(digest) + "." + strconv.Itoa(r.occurrence(digest)),
		Service:    labels.Service,
		Operation:  labels.Operation,
		Region:     labels.Region,
		Attempt:    labels.Attempt,
		Redactions: append(append(fromHeaders, fromURL...), fromBody...),
		Request: Request{
			Method:      id.method,
			URL:         kept,
			HTTPVersion: "HTTP/1.1",
			Cookies:     []Pair{},
			Headers:     headers,
			QueryString: queryPairs(keptURL.RawQuery),
			HeadersSize: -1,
			BodySize:    int64(len(sent)),
		},
		Response: Response{
			HTTPVersion: "HTTP/1.1",
			Cookies:     []Pair{},
			Headers:     []Pair{},
			HeadersSize: -1,
			BodySize:    -1,
		},
	}
	if len(body) > 0 {
		p := &PostData{MimeType: req.Header.Get("Content-Type")}
		p.Text, p.Encoding = textOf(body)
		e.Request.PostData = p
	}
	return e, nil
}

// answered completes e by what was answered, and gives the body as kept.
func (r *Recorder) answered(e *Entry, resp *http.Response, got answer) []byte {
	if resp == nil {
		return nil
	}
	h := resp.Header.Clone()
	h.Del(collectors.ExchangeHeader)
	body, redactions := r.redactor.body("response.body", got.body)
	if got.decoded {
		h.Del("Content-Encoding")
	}
	if got.decoded || len(redactions) > 0 {
		redactions = append(redactions, adjustIntegrity(h, len(body))...)
	}
	headers, fromHeaders := r.redactor.headers("response.header", h, r.redactor.keptInResponses)
	e.Redactions = append(append(e.Redactions, fromHeaders...), redactions...)
	e.RequestID = requestID(headers)
	sum := sha256.Sum256(body)
	e.SHA256 = hex.EncodeToString(sum[:])
	if resp.Proto != "" {
		e.Request.HTTPVersion = resp.Proto
	}
	e.Response = Response{
		Status:      resp.StatusCode,
		StatusText:  strings.TrimSpace(strings.TrimPrefix(resp.Status, strconv.Itoa(resp.StatusCode))),
		HTTPVersion: e.Request.HTTPVersion,
		Cookies:     []Pair{},
		Headers:     headers,
		RedirectURL: header(headers, "Location"),
		HeadersSize: -1,
		BodySize:    got.wire,
		Content:     Content{Size: int64(len(body)), MimeType: resp.Header.Get("Content-Type")},
	}
	if resp.Uncompressed {
		e.Response.BodySize = -1
	}
	e.Response.Content.Text, e.Response.Content.Encoding = textOf(body)
	return body
}

// answer makes the response that a client sees from what is kept. A Recorder
// and a Replayer both use it, so that live and replay are the same.
func (e *Entry) answer(req *http.Request, body []byte) *http.Response {
	h := make(http.Header, len(e.Response.Headers)+1)
	for _, p := range e.Response.Headers {
		if !strings.HasPrefix(p.Value, redactedPrefix) {
			h.Add(p.Name, p.Value)
		}
	}
	h.Set(collectors.ExchangeHeader, e.ID)
	text := e.Response.StatusText
	if text == "" {
		text = http.StatusText(e.Response.Status)
	}
	resp := &http.Response{
		Status:        strings.TrimSpace(strconv.Itoa(e.Response.Status) + " " + text),
		StatusCode:    e.Response.Status,
		Proto:         e.Response.HTTPVersion,
		Header:        h,
		Body:          &Body{Reader: bytes.NewReader(body), kept: body},
		ContentLength: int64(len(body)),
		Request:       req,
	}
	resp.ProtoMajor, resp.ProtoMinor, _ = http.ParseHTTPVersion(resp.Proto)
	if req.Method == http.MethodHead {
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
			resp.ContentLength = n
		}
	}
	return resp
}

// adjustIntegrity makes the headers true of a body that was changed.
func adjustIntegrity(h http.Header, size int) []Redaction {
	var redactions []Redaction
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch {
		case name == "Content-Length":
			h.Set(name, strconv.Itoa(size))
		case isIntegrity(name):
			delete(h, name)
		default:
			continue
		}
		redactions = append(redactions, Redaction{Place: "response.header." + strings.ToLower(name), Rule: RuleIntegrity})
	}
	return redactions
}

// clockOffset compares the agent's clock with a Date header. The header names
// a whole second, so the middle of that second is the best guess.
func clockOffset(now time.Time, h http.Header) *time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return nil
	}
	d := now.Sub(date.Add(500 * time.Millisecond))
	return &d
}

// labelOf names the operation for counting.
func labelOf(l Labels, req *http.Request) string {
	if l.Operation != "" {
		return l.Operation
	}
	return req.Method + " " + req.URL.Host
}

func queryPairs(raw string) []Pair {
	pairs := []Pair{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, Pair{Name: unescape(name), Value: unescape(value)})
	}
	return pairs
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// safeMessage gives an error's text, unless it seems to hold a credential.
func safeMessage(err error) string {
	message := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if findings, serr := ScanSecrets(strings.NewReader(message)); serr != nil || len(findings) > 0 {
		return "withheld: it may hold a credential"
	}
	return message
}

func milliseconds(d time.Duration) float64 {
	return float64(max(d, 0).Microseconds()) / 1000
}
