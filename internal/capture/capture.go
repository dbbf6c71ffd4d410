// Package capture keeps each API exchange as it crossed the wire, as HAR 1.2,
// and gives it back: evidence in production, fixture in tests and
// re-performance at audit are the same bytes through the same code.
//
// It promises that what a client was answered is what was kept, that a call
// that could not be kept fails, and that credentials and declared sensitive
// fields are in neither. It does not know any cloud SDK (the caller describes
// requests), does not retry, does not limit rates and does not judge answers.
//
// Limits: an exchange is held in memory while it is under way, so bodies are
// bounded by Options.MaxBody; streaming answers are read to their end before
// the client sees them; sensitive names are not looked for inside documents
// that are themselves strings of a JSON or XML document.
//
// docs/formats/exchanges.md describes the files.
package capture

import (
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Labels are what a provider's package knows of a request.
type Labels struct {
	Service   string // "s3"
	Operation string // "s3:GetBucketEncryption", as collectors declare it
	Region    string // empty for a global service
	Attempt   int    // from 1; 0 when it is not known, which counts as a first attempt
}

// Sink takes the bytes of one file. A Recorder calls either Commit or Abort,
// once, after the last Write.
type Sink interface {
	io.Writer
	// Commit makes the file durable and gives its digest and size.
	Commit() (evidence.Digest, int64, error)
	// Abort discards the file.
	Abort()
}

// The defaults of Options.
const (
	DefaultRotateBytes = 64 << 20
	DefaultMaxBody     = 32 << 20
)

// Options are what a Recorder works with. Only Create is required.
type Options struct {
	// Create opens a new file. It is first called when there is something to
	// write, so that a task without exchanges has no files.
	Create func() (Sink, error)
	// Describe labels a request. It must not read the request's body.
	Describe func(*http.Request) Labels
	// Sensitive names fields of requests and answers, in any letter case, whose
	// values must not be kept. A name holds wherever it occurs. A path of names,
	// "metadata.items.value", holds in JSON for a member whose enclosing members
	// end in these, with no other between; arrays do not count. In XML, in forms
	// and in queries it holds for its last name wherever that occurs: these write
	// lists in ways of their own, so that a path would miss some, and to take out
	// too much is safe. A name that has a dot in it can not be told.
	Sensitive []string
	// Key salts the hashes that redactions leave behind. With a lasting key
	// the same value has the same hash in every task; without one, a random
	// key makes hashes comparable within the task alone.
	Key []byte
	// Now is the agent's clock.
	Now func() time.Time
	// RotateBytes is the size after which a file is closed and another begun.
	RotateBytes int64
	// MaxBody bounds the body of a request or answer, decoded, in bytes. A
	// longer answer is a failed call.
	MaxBody int64
	// Version is the program's, for the creator field of the files.
	Version string
}

// Recorder keeps the exchanges of one task. It is safe for concurrent use.
type Recorder struct {
	options  Options
	redactor *redactor
	buffers  sync.Pool // of *entryBuffer

	mu       sync.Mutex // guards everything below
	broken   error      // the first error; nothing is let through after it
	sink     Sink       // nil between files
	written  int64      // bytes in sink
	files    []File
	bytes    int64 // of HAR, in files that were committed
	received int64 // of answers' bodies, as they crossed the wire
	seen     map[[8]byte]int
	counts   map[string]evidence.CallCount
	offsets  map[int64]int // clock offset in milliseconds, and how often it was seen
}

// File is one file of exchanges that was committed.
type File struct {
	Name   string // "exchanges-0001.har"
	Digest evidence.Digest
	Bytes  int64
}

// Summary is what a Recorder kept.
type Summary struct {
	Files       []File
	Calls       []evidence.CallCount  // sorted by operation
	ClockOffset *evidence.ClockOffset // nil when no answer had a Date
	Bytes       int64                 // of the files together
	Received    int64                 // of answers' bodies, as they crossed the wire
}

// NewRecorder makes the recorder of one task. It opens nothing.
func NewRecorder(o Options) *Recorder {
	if o.Describe == nil {
		o.Describe = func(*http.Request) Labels { return Labels{} }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RotateBytes <= 0 {
		o.RotateBytes = DefaultRotateBytes
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Version == "" {
		o.Version = "devel"
	}
	if len(o.Key) == 0 {
		o.Key = make([]byte, 32)
		_, _ = rand.Read(o.Key) // never fails: crypto/rand since Go 1.24
	}
	return &Recorder{
		options:  o,
		redactor: newRedactor(o.Key, o.Sensitive),
		buffers:  sync.Pool{New: func() any { return new(entryBuffer) }},
		seen:     map[[8]byte]int{},
		counts:   map[string]evidence.CallCount{},
		offsets:  map[int64]int{},
	}
}

// Transport gives the transport that keeps what crosses base. A client over it
// sees the kept bytes and the kept headers, and collectors.ExchangeHeader.
//
// An answer that did not arrive whole is an *ExchangeError: what did arrive is
// kept, and no client can take a part for the whole. When an exchange can not
// be kept the error is a *WriteError, and so is every later one.
func (r *Recorder) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{recorder: r, base: base}
}

// Close completes the files. It must be called after the last exchange; what
// comes later fails. On an error nothing that was kept may count as evidence,
// though files that were full before may already be committed.
func (r *Recorder) Close() (Summary, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		r.discard()
		return Summary{}, r.broken
	}
	if err := r.finishFile(); err != nil {
		r.broken = &WriteError{Err: err}
		return Summary{}, r.broken
	}
	r.broken = &WriteError{Err: errClosed}

	calls := make([]evidence.CallCount, 0, len(r.counts))
	for _, c := range r.counts {
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b evidence.CallCount) int { return strings.Compare(a.Operation, b.Operation) })
	return Summary{
		Files:       r.files,
		Calls:       calls,
		ClockOffset: summarize(r.offsets),
		Bytes:       r.bytes,
		Received:    r.received,
	}, nil
}

// Abort discards the file that is being written. Exchanges after it fail. It
// does nothing after Close.
func (r *Recorder) Abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discard()
	if r.broken == nil {
		r.broken = &WriteError{Err: errAborted}
	}
}

// failed gives the error after which nothing is let through.
func (r *Recorder) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken
}

// occurrence counts how often the same request was made in this task.
func (r *Recorder) occurrence(id [8]byte) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[id]++
	return r.seen[id]
}
