package capture

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ReplayOptions are what a Replayer works with. The zero value replays a
// recording as it was.
type ReplayOptions struct {
	// Describe labels a live request. It tells operations apart that a fixture
	// written by hand distinguishes by _operation alone, and Intercept needs it.
	Describe func(*http.Request) Labels
	// Intercept may answer in place of the recording, by an answer or an
	// error; with neither, the recording answers. An intercepted request uses
	// up nothing. It may be called from several goroutines at once.
	Intercept func(*http.Request, Labels) (*http.Response, error)
	// RepeatLast serves the last recorded answer of a request again and again.
	// Otherwise one request more than was recorded is a NoAnswerError.
	RepeatLast bool
	// Now is the clock of the replay. With it, Date headers are its time, and
	// the timestamps under _moving move along. Without it nothing moves.
	Now func() time.Time
	// Sensitive are the names and paths that the recording was redacted by.
	Sensitive []string
}

// Replayer answers requests from recordings. It takes the place of the
// network: what was a dropped connection is one again. It is safe for
// concurrent use. It holds its recordings in memory.
//
// A request is answered from those recorded with the same method, host, path,
// query, X-Amz-Target and body (docs/formats/exchanges.md has the canonical
// forms), in the order in which they were made. Where an entry or a request
// lacks the target or the operation, these do not tell them apart.
type Replayer struct {
	options  ReplayOptions
	redactor *redactor
	entries  []*Entry

	mu     sync.Mutex // guards the positions within the queues
	queues map[string][]*queue
}

// queue is the recorded answers of one request.
type queue struct {
	identity  identity
	operation string
	entries   []*Entry
	served    int
}

// OpenReplay reads the recordings of one task, in their order. It reads them
// to their end and closes nothing.
func OpenReplay(o ReplayOptions, files ...io.Reader) (*Replayer, error) {
	if o.Describe == nil {
		o.Describe = func(*http.Request) Labels { return Labels{} }
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand since Go 1.24
	r := &Replayer{options: o, redactor: newRedactor(key, o.Sensitive), queues: map[string][]*queue{}}
	for i, f := range files {
		for e, err := range Read(f) {
			if err == nil {
				err = r.add(&e)
			}
			if err != nil {
				return nil, fmt.Errorf("open replay: %s: %w", nameOf(f, i), err)
			}
		}
	}
	for _, queues := range r.queues {
		for _, q := range queues {
			slices.SortStableFunc(q.entries, func(a, b *Entry) int { return cmp.Compare(a.occurrence(), b.occurrence()) })
		}
	}
	return r, nil
}

// nameOf names a recording for people: by its file, where it is one.
func nameOf(r io.Reader, i int) string {
	if f, ok := r.(interface{ Stat() (fs.FileInfo, error) }); ok {
		if info, err := f.Stat(); err == nil {
			return info.Name()
		}
	}
	return fmt.Sprintf("file %d", i+1)
}

// occurrence gives the number at the end of the ID; entries are written as
// they end, and numbered as they begin. It is 0 in a fixture written by hand.
func (e *Entry) occurrence() int {
	_, number, _ := strings.Cut(e.ID, ".")
	n, _ := strconv.Atoi(number)
	return n
}

// identity gives the identity of the recorded request.
func (e *Entry) identity() (identity, error) {
	u, err := url.Parse(e.Request.URL)
	if err != nil {
		return identity{}, fmt.Errorf("request.url: %w", err)
	}
	body, err := e.Request.Body()
	if err != nil {
		return identity{}, err
	}
	return identityOf(e.Request.Method, u, header(e.Request.Headers, "X-Amz-Target"), body), nil
}

// add files an entry under its request.
func (r *Replayer) add(e *Entry) error {
	id, err := e.identity()
	if err != nil {
		return fmt.Errorf("%s %s: %w", e.Request.Method, e.Request.URL, err)
	}
	if _, err := e.Response.Body(); err != nil {
		return fmt.Errorf("%s %s: %w", e.Request.Method, e.Request.URL, err)
	}
	if m := e.Response.Content.MimeType; m != "" && header(e.Response.Headers, "Content-Type") == "" {
		e.Response.Headers = append(e.Response.Headers, Pair{Name: "Content-Type", Value: m})
	}
	if e.Response.HTTPVersion == "" {
		e.Response.HTTPVersion = "HTTP/1.1"
	}
	r.entries = append(r.entries, e)
	for _, q := range r.queues[id.key()] {
		if q.identity == id && strings.EqualFold(q.operation, e.Operation) {
			q.entries = append(q.entries, e)
			return nil
		}
	}
	r.queues[id.key()] = append(r.queues[id.key()], &queue{identity: id, operation: e.Operation, entries: []*Entry{e}})
	return nil
}

// RoundTrip implements http.RoundTripper.
func (r *Replayer) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := requestBody(req, DefaultMaxBody)
	if err != nil {
		return nil, err
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	labels := r.options.Describe(req)
	if r.options.Intercept != nil {
		if resp, err := r.options.Intercept(req, labels); resp != nil || err != nil {
			return resp, err
		}
	}
	kept, _ := r.redactor.body("", sent)
	keptURL, _ := r.redactor.url(req.URL)
	u, err := url.Parse(keptURL)
	if err != nil {
		return nil, fmt.Errorf("parse url of request: %w", err)
	}
	id := identityOf(req.Method, u, req.Header.Get("X-Amz-Target"), kept)
	e, err := r.take(id, labels)
	if err != nil {
		return nil, err
	}
	return r.serve(req, e)
}

// take gives the next answer recorded for a request.
func (r *Replayer) take(id identity, l Labels) (*Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	served := 0
	for _, q := range r.queues[id.key()] {
		if id.target != "" && q.identity.target != "" && id.target != q.identity.target ||
			l.Operation != "" && q.operation != "" && !strings.EqualFold(l.Operation, q.operation) {
			continue
		}
		if q.served < len(q.entries) {
			q.served++
			return q.entries[q.served-1], nil
		}
		if r.options.RepeatLast {
			return q.entries[len(q.entries)-1], nil
		}
		served += q.served
	}
	err := &NoAnswerError{Request: id.line(l.Operation), Served: served}
	if served == 0 {
		err.Nearest = r.nearest(id, l)
	}
	return nil, err
}

// serve gives an entry as the network would.
func (r *Replayer) serve(req *http.Request, e *Entry) (*http.Response, error) {
	if e.Response.Status == 0 {
		return nil, &ExchangeError{ID: e.ID, Sort: e.Error.Sort, Err: errorOf(e.Error)}
	}
	body, err := e.Response.Body()
	if err != nil {
		return nil, err
	}
	moved := body
	if r.options.Now != nil && len(e.Moving) > 0 {
		if moved, err = move(body, e.Moving, r.options.Now().Sub(e.Started)); err != nil {
			return nil, fmt.Errorf("replay %s %s: %w", e.Request.Method, e.Request.URL, err)
		}
	}
	resp := e.answer(req, moved)
	if !bytes.Equal(body, moved) {
		adjustIntegrity(resp.Header, len(moved))
	}
	if r.options.Now != nil {
		resp.Header.Set("Date", r.options.Now().UTC().Format(http.TimeFormat))
	}
	if e.Error != nil {
		resp.ContentLength = -1
		resp.Body = &brokenBody{r: resp.Body, err: &ExchangeError{ID: e.ID, Sort: e.Error.Sort, Err: errorOf(e.Error)}}
	}
	return resp, nil
}

// brokenBody ends in an error.
type brokenBody struct {
	r   io.ReadCloser
	err error
}

func (b *brokenBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *brokenBody) Close() error { return b.r.Close() }

// Rewind makes every recorded answer new.
func (r *Replayer) Rewind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, queues := range r.queues {
		for _, q := range queues {
			q.served = 0
		}
	}
}

// Entries gives the recording: what a replay of it needs to know beside the
// answers. They must not be changed.
func (r *Replayer) Entries() []*Entry { return r.entries }

// Unused names the recorded requests that were answered less often than
// recorded, in the order of the recording.
func (r *Replayer) Unused() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := map[*Entry]string{}
	for _, queues := range r.queues {
		for _, q := range queues {
			for _, e := range q.entries[q.served:] {
				left[e] = q.identity.line(q.operation)
			}
		}
	}
	var lines []string
	for _, e := range r.entries {
		if line, ok := left[e]; ok {
			lines = append(lines, line)
		}
	}
	return lines
}

// Respond makes an answer for ReplayOptions.Intercept.
func Respond(req *http.Request, status int, contentType, body string) *http.Response {
	e := Entry{Response: Response{
		Status: status, HTTPVersion: "HTTP/1.1",
		Headers: []Pair{{Name: "Content-Type", Value: contentType}},
	}}
	return e.answer(req, []byte(body))
}

// Truncate gives the first n bytes of an answer's body and then drops the
// connection, for tests.
func Truncate(resp *http.Response, n int64) *http.Response {
	resp.ContentLength = -1
	resp.Body = &brokenBody{r: struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, n), resp.Body}, err: io.ErrUnexpectedEOF}
	return resp
}
