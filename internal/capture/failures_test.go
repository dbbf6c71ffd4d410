package capture_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/internal/capture"
)

func wantFailure(t *testing.T, err error, sort capture.Sort) {
	t.Helper()
	var x *capture.ExchangeError
	if !errors.As(err, &x) {
		t.Fatalf("error is %v, want an ExchangeError", err)
	}
	if x.Sort != sort {
		t.Errorf("sort is %s, want %s: %v", x.Sort, sort, err)
	}
}

// hijack drops the connection after writing raw bytes.
func hijack(w http.ResponseWriter, raw string) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = buf.WriteString(raw)
	_ = buf.Flush()
	_ = conn.Close()
}

func TestRecorderKeepsFailures(t *testing.T) {
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter, req *http.Request)
		sort   capture.Sort
		status int
		kept   string
	}{
		{
			name:   "no answer",
			answer: func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") },
			sort:   capture.ConnectionReset,
		},
		{
			name: "part of a body",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				hijack(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":")
			},
			sort: capture.TruncatedBody, status: 200, kept: `{"half":`,
		},
		{
			name: "part of a chunked body",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				hijack(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
			},
			sort: capture.TruncatedBody, status: 200, kept: `half`,
		},
		{
			name: "too long a body",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("x", 2000))
			},
			sort: capture.TooLarge, status: 200, kept: strings.Repeat("x", 1000),
		},
		{
			name:   "no answer in time",
			answer: func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
			sort:   capture.TimedOut,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, tt.answer)
			f := &files{}
			r := capture.NewRecorder(capture.Options{Create: f.create, MaxBody: 1000})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Transport(base(t)).RoundTrip(req)
			wantFailure(t, err, tt.sort)
			closed(t, r)

			e := f.entries(t)[0]
			if e.Error == nil || e.Error.Sort != tt.sort || e.Error.Message == "" || e.Response.Status != tt.status || e.Response.Content.Text != tt.kept {
				t.Fatalf("kept %+v with %+v", e.Response, e.Error)
			}

			// What was recorded replays as what happened, and is recorded alike.
			replay, err := capture.OpenReplay(capture.ReplayOptions{}, f.readers()...)
			if err != nil {
				t.Fatal(err)
			}
			again := &files{}
			r = capture.NewRecorder(capture.Options{Create: again.create, MaxBody: 1000})
			_, err = get(t, r.Transport(replay), url)
			wantFailure(t, err, tt.sort)
			closed(t, r)
			if a := again.entries(t)[0]; a.ID != e.ID || a.Error.Sort != e.Error.Sort || a.Response.Content.Text != tt.kept || a.Response.Status != tt.status {
				t.Errorf("recorded again %+v with %+v", a.Response, a.Error)
			}
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	_, err := get(t, r.Transport(base(t)), s.URL)
	wantFailure(t, err, capture.ConnectionRefused)
}

// A call that can not be kept must not be made, and must not seem to have
// worked.
func TestEvidenceThatCanNotBeWritten(t *testing.T) {
	tests := []struct {
		name  string
		files *files
		first bool // the first call fails already
	}{
		{"a file can not be created", &files{createErr: errDiskFull}, true},
		{"the disk is full at once", &files{room: 10}, true},
		{"the disk fills up", &files{room: 3000}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			served := 0
			url := serve(t, func(http.ResponseWriter, *http.Request) { served++ })
			r := capture.NewRecorder(capture.Options{Create: tt.files.create})
			rt := r.Transport(base(t))
			var err error
			calls := 0
			for err == nil && calls < 10 {
				calls++
				_, err = get(t, rt, url)
			}
			var w *capture.WriteError
			if !errors.As(err, &w) || !errors.Is(err, errDiskFull) || (calls == 1) != tt.first {
				t.Fatalf("call %d failed with %v", calls, err)
			}
			before := served
			if _, err := get(t, rt, url); !errors.As(err, &w) || served != before {
				t.Errorf("after the failure: error %v, %d more requests", err, served-before)
			}
			if _, err := r.Close(); !errors.Is(err, errDiskFull) {
				t.Errorf("Close gives %v", err)
			}
			if tt.files.aborted != tt.files.created || len(tt.files.committed) != 0 {
				t.Errorf("%d files created, %d aborted, %d committed", tt.files.created, tt.files.aborted, len(tt.files.committed))
			}
		})
	}
}

func TestCommitFails(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	f := &files{commitErr: errDiskFull}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	if _, err := get(t, r.Transport(base(t)), url); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Close(); !errors.Is(err, errDiskFull) {
		t.Errorf("Close gives %v", err)
	}
	// When a full file can not be committed, the call that filled it fails.
	r = capture.NewRecorder(capture.Options{Create: f.create, RotateBytes: 1})
	if _, err := get(t, r.Transport(base(t)), url); !errors.Is(err, errDiskFull) {
		t.Errorf("RoundTrip gives %v", err)
	}
}

func TestAbortAndClose(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	rt := r.Transport(base(t))
	if _, err := get(t, rt, url); err != nil {
		t.Fatal(err)
	}
	r.Abort()
	var w *capture.WriteError
	if _, err := get(t, rt, url); !errors.As(err, &w) {
		t.Errorf("RoundTrip after Abort gives %v", err)
	}
	if _, err := r.Close(); !errors.As(err, &w) {
		t.Errorf("Close after Abort gives %v", err)
	}
	if f.aborted != 1 || len(f.committed) != 0 {
		t.Errorf("%d aborted, %d committed", f.aborted, len(f.committed))
	}

	r = capture.NewRecorder(capture.Options{Create: f.create})
	if s := closed(t, r); len(s.Files) != 0 || s.ClockOffset != nil || len(s.Calls) != 0 || f.created != 1 {
		t.Errorf("a task without exchanges has %+v, %d files created", s, f.created)
	}
	if _, err := get(t, r.Transport(base(t)), url); !errors.As(err, &w) {
		t.Errorf("RoundTrip after Close gives %v", err)
	}
}

// An exchange that is under way when the recorder ends is not kept, and so
// must not seem to have worked.
func TestAbortDuringAnExchange(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	})
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	failed := make(chan error)
	go func() {
		_, err := get(t, r.Transport(base(t)), url)
		failed <- err
	}()
	<-asked
	r.Abort()
	close(release)
	var w *capture.WriteError
	if err := <-failed; !errors.As(err, &w) || f.created > 0 {
		t.Errorf("error %v, %d files created", err, f.created)
	}
}
