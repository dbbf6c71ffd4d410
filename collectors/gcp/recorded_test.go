package gcp_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

var update = flag.Bool("update", false, "write the golden files anew")

// domain is the Workspace domain of the recorded estate.
func domain() *gcp.Workspace {
	return &gcp.Workspace{Customer: "my_customer", Subject: "auditor@example.com", ServiceAccount: "reader@example-prod.iam.gserviceaccount.com"}
}

// estate gives the recorded estate, without credentials.
func estate(t *testing.T) *gcp.Estate {
	t.Helper()
	return made(t, gcp.Settings{Accounts: recordings.Accounts(), Workspace: domain()})
}

func made(t *testing.T, s gcp.Settings) *gcp.Estate {
	t.Helper()
	s.Recorded = &gcp.Recorded{Principal: "reader@example-prod.iam.gserviceaccount.com"}
	e, err := gcp.New(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// seen is a collectors.Emit that keeps everything.
type seen struct {
	mu           sync.Mutex
	principal    string
	listed       map[string]bool // kind
	observations []evidence.Observation
	gaps         []evidence.Gap
	requests     map[string]int // operation → round trips
	waits        []time.Duration
	unused       []string
}

func newSeen() *seen { return &seen{listed: map[string]bool{}, requests: map[string]int{}} }

func (s *seen) Principal(name string)           { s.principal = name }
func (s *seen) Regions([]string, []string)      {}
func (s *seen) Vanished(string, string, string) {}

func (s *seen) Listed(kind, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed[kind] = true
}

func (s *seen) Observe(o evidence.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observations = append(s.observations, o)
	return nil
}

func (s *seen) Gap(g evidence.Gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = append(s.gaps, g)
}

func (s *seen) asked(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[operation]++
}

func (s *seen) wait(_ context.Context, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = append(s.waits, d)
	return nil
}

func (s *seen) sort() {
	slices.SortFunc(s.observations, func(a, b evidence.Observation) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(s.gaps, func(a, b evidence.Gap) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Resource, b.Resource), strings.Compare(a.Field, b.Field))
	})
}

// intercept answers in place of a recording, or not.
type intercept = func(*http.Request, capture.Labels) (*http.Response, error)

// replay runs one collector over the recordings of one scope. It gives the
// files of exchanges that capture kept.
func replay(t *testing.T, c collectors.Collector, account string, in intercept) (*seen, []byte) {
	t.Helper()
	files, err := recordings.Open(account, c.Spec().Name)
	if err != nil {
		t.Fatalf("no recording for the collector: %v", err)
	}
	got := newSeen()
	replayer, err := capture.OpenReplay(capture.ReplayOptions{
		Describe: gcp.Describe, RepeatLast: true, Now: recordings.At,
		Intercept: func(req *http.Request, l capture.Labels) (*http.Response, error) {
			got.asked(l.Operation)
			if in == nil {
				return nil, nil
			}
			return in(req, l)
		},
	}, files...)
	if err != nil {
		t.Fatal(err)
	}
	kept := collect(t, c, account, unrecorded{t, replayer}, got)
	got.unused = replayer.Unused()
	return got, kept
}

// collect runs one collector over a transport and gives what capture kept.
func collect(t *testing.T, c collectors.Collector, account string, base http.RoundTripper, got *seen) []byte {
	t.Helper()
	var kept bytes.Buffer
	recorder := capture.NewRecorder(capture.Options{
		Create:    func() (capture.Sink, error) { return sink{&kept}, nil },
		Describe:  gcp.Describe,
		Sensitive: c.Spec().Sensitive,
		Key:       []byte("the golden files hold hashes"),
		Now:       recordings.At,
	})
	if err := c.Collect(t.Context(), collectors.Input{
		Scope:    evidence.Scope{Provider: gcp.Provider, Account: account},
		Captured: recorder.Transport(base),
		InFlight: 4,
		Wait:     got.wait,
	}, got); err != nil {
		t.Fatalf("collect: %v", err)
	}
	if _, err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	got.sort()
	return kept.Bytes()
}

// unrecorded fails the test for a request that is not recorded. To the
// collector it is an answer that did not come, and would end as a gap.
type unrecorded struct {
	t *testing.T
	http.RoundTripper
}

func (u unrecorded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := u.RoundTripper.RoundTrip(req)
	if _, ok := errors.AsType[*capture.NoAnswerError](err); ok {
		u.t.Error(err)
	}
	return resp, err
}

type sink struct{ *bytes.Buffer }

func (sink) Commit() (evidence.Digest, int64, error) { return "", 0, nil }
func (sink) Abort()                                  {}

// TestRecordings replays every recording through the real REST clients and
// compares what comes out with the golden files, which are read as code: each
// value in them was checked against the recording by eye.
func TestRecordings(t *testing.T) {
	for _, c := range gcp.Catalogue(estate(t)) {
		for _, account := range recordings.Accounts() {
			t.Run(c.Spec().Name+"/"+account, func(t *testing.T) {
				got, kept := replay(t, c, account, nil)
				var b bytes.Buffer
				encoder := json.NewEncoder(&b)
				encoder.SetEscapeHTML(false)
				for _, o := range got.observations {
					if detailed := slices.ContainsFunc(c.Spec().Calls, func(c collectors.Call) bool { return c.Field != "" }); detailed != (len(o.Sources) > 1) || len(o.Sources) == 0 {
						t.Errorf("%s %s names %d exchanges, want the page that it came by, and those of its details", o.Kind, o.ID, len(o.Sources))
					}
					o.Sources = nil // they depend on request bytes
					if err := encoder.Encode(o); err != nil {
						t.Fatal(err)
					}
				}
				for _, g := range got.gaps {
					t.Errorf("a gap over a whole recording: %+v", g)
				}
				golden(t, filepath.Join("testdata", "golden", recordings.Folder(account), c.Spec().Name+".jsonl"), b.Bytes())
				for _, request := range got.unused {
					t.Errorf("recorded, and never asked for: %s", request)
				}
				found, err := capture.ScanSecrets(bytes.NewReader(kept))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range found {
					t.Errorf("capture kept a secret: %v", f)
				}
				if got.principal != "reader@example-prod.iam.gserviceaccount.com" {
					t.Errorf("principal %q", got.principal)
				}
			})
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update and read the difference):\ngot:\n%s", name, got)
	}
}

// TestDeclared proves that a collector makes exactly the calls that it declares,
// emits only the kinds that it declares, and reads each of their lists to its end.
func TestDeclared(t *testing.T) {
	last := ""
	for _, c := range gcp.Catalogue(estate(t)) {
		spec := c.Spec()
		if spec.Name <= last {
			t.Errorf("%s stands after %s", spec.Name, last)
		}
		last = spec.Name
		made, emitted := map[string]bool{}, map[string]bool{}
		for _, account := range recordings.Accounts() {
			got, _ := replay(t, c, account, nil)
			for operation := range got.requests {
				made[operation] = true
			}
			for _, o := range got.observations {
				emitted[o.Kind] = true
			}
			for _, kind := range spec.Kinds {
				if !got.listed[kind] {
					t.Errorf("%s: the list of %s in %s has no end", spec.Name, kind, account)
				}
			}
		}
		for operation := range made {
			if _, ok := spec.Call(operation); !ok {
				t.Errorf("%s calls %s and does not declare it", spec.Name, operation)
			}
		}
		for _, call := range spec.Calls {
			if !made[call.Operation] {
				t.Errorf("%s declares %s, and no recording makes it", spec.Name, call.Operation)
			}
		}
		for _, kind := range spec.Kinds {
			if !emitted[kind] {
				t.Errorf("%s declares %s, and no recording has one", spec.Name, kind)
			}
		}
	}
}

// kept gives a transport that keeps exchanges and lets go of the files.
func kept(base http.RoundTripper) http.RoundTripper {
	return capture.NewRecorder(capture.Options{
		Create:   func() (capture.Sink, error) { return discarding{}, nil },
		Describe: gcp.Describe,
	}).Transport(base)
}

type discarding struct{}

func (discarding) Write(p []byte) (int, error)             { return len(p), nil }
func (discarding) Commit() (evidence.Digest, int64, error) { return "", 0, nil }
func (discarding) Abort()                                  {}
