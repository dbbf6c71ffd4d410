package capture_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// files is where tests keep evidence: in memory, with faults on demand.
type files struct {
	mu        sync.Mutex
	committed [][]byte
	aborted   int
	created   int

	room      int   // bytes that may still be written; 0 is no limit
	createErr error // of Create
	commitErr error // of Commit
}

var errDiskFull = errors.New("no space left on device")

func (f *files) create() (capture.Sink, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.createErr != nil {
		return nil, f.createErr
	}
	f.created++
	return &memorySink{files: f}, nil
}

// readers gives the committed files for reading.
func (f *files) readers() []io.Reader {
	readers := make([]io.Reader, len(f.committed))
	for i, b := range f.committed {
		readers[i] = bytes.NewReader(b)
	}
	return readers
}

// entries reads every committed file.
func (f *files) entries(t *testing.T) []capture.Entry {
	t.Helper()
	var entries []capture.Entry
	for _, r := range f.readers() {
		for e, err := range capture.Read(r) {
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
	}
	return entries
}

type memorySink struct {
	files *files
	buf   bytes.Buffer
}

func (s *memorySink) Write(p []byte) (int, error) {
	if s.files.room > 0 && s.buf.Len()+len(p) > s.files.room {
		return 0, errDiskFull
	}
	return s.buf.Write(p)
}

func (s *memorySink) Commit() (evidence.Digest, int64, error) {
	if s.files.commitErr != nil {
		return "", 0, s.files.commitErr
	}
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	s.files.committed = append(s.files.committed, s.buf.Bytes())
	sum := sha256.Sum256(s.buf.Bytes())
	return evidence.Digest(hex.EncodeToString(sum[:])), int64(s.buf.Len()), nil
}

func (s *memorySink) Abort() {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	s.files.aborted++
}

// serve starts a server and gives its URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// base gives a transport of its own, so that no test waits for another's
// connections.
func base(t *testing.T) *http.Transport {
	t.Helper()
	b := &http.Transport{}
	t.Cleanup(b.CloseIdleConnections)
	return b
}

func get(t *testing.T, rt http.RoundTripper, url string, header ...string) (*http.Response, error) {
	t.Helper()
	return send(t, rt, http.MethodGet, url, "", header...)
}

func send(t *testing.T, rt http.RoundTripper, method, url, body string, header ...string) (*http.Response, error) {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return rt.RoundTrip(req)
}

func text(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func closed(t *testing.T, r *capture.Recorder) capture.Summary {
	t.Helper()
	s, err := r.Close()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
