package aws_test

import (
	"bytes"
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

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

var update = flag.Bool("update", false, "write the golden files anew")

// regions are those that the tests look at. The recorded accounts have a third
// one enabled, eu-central-1, which is so left out.
var regions = []string{"eu-west-1", "us-east-1"}

// estate gives the recorded estate with made-up credentials.
func estate(t *testing.T) *aws.Estate {
	t.Helper()
	return estateWith(t, 0)
}

// estateWith is estate with a number of attempts for each call.
func estateWith(t *testing.T, attempts int) *aws.Estate {
	t.Helper()
	var accounts []aws.Account
	for _, id := range recordings.Accounts() {
		accounts = append(accounts, aws.Account{ID: id})
	}
	e, err := aws.New(t.Context(), aws.Settings{
		Accounts: accounts, Regions: regions, Attempts: attempts,
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "test", "")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// seen is a collectors.Emit that keeps everything.
type seen struct {
	mu           sync.Mutex
	principal    string
	regions      []string
	leftOut      []string
	listed       map[string]bool // kind@region
	observations []evidence.Observation
	gaps         []evidence.Gap
	vanished     []string
	requests     map[string]int // operation → round trips
	unused       []string       // recorded requests that were not made
}

func (s *seen) Principal(name string) { s.principal = name }

func (s *seen) Regions(looked, leftOut []string) { s.regions, s.leftOut = looked, leftOut }

func (s *seen) Listed(kind, region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed[kind+"@"+region] = true
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

func (s *seen) Vanished(kind, _, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vanished = append(s.vanished, kind+" "+id)
}

// intercept answers in place of a recording, or not.
type intercept = func(*http.Request, capture.Labels) (*http.Response, error)

// replay runs one collector over the recordings of one account. It gives the
// files of exchanges that capture kept.
func replay(t *testing.T, c collectors.Collector, account string, in intercept) (*seen, []byte) {
	t.Helper()
	return replayWith(t, c, account, in, 4)
}

// replayWith is replay with a number of resources to read at a time. With 1
// the calls come in the order of the recording.
func replayWith(t *testing.T, c collectors.Collector, account string, in intercept, inFlight int) (*seen, []byte) {
	t.Helper()
	files, err := recordings.Open(account, c.Spec().Name)
	if err != nil {
		t.Fatalf("no recording for the collector: %v", err)
	}
	got := &seen{listed: map[string]bool{}, requests: map[string]int{}}
	replayer, err := capture.OpenReplay(capture.ReplayOptions{
		Describe: aws.Describe, RepeatLast: true, Now: recordings.At,
		Intercept: func(req *http.Request, l capture.Labels) (*http.Response, error) {
			got.mu.Lock()
			got.requests[l.Operation]++
			got.mu.Unlock()
			if in == nil {
				return nil, nil
			}
			return in(req, l)
		},
	}, files...)
	if err != nil {
		t.Fatal(err)
	}
	var kept bytes.Buffer
	recorder := capture.NewRecorder(capture.Options{
		Create:    func() (capture.Sink, error) { return sink{&kept}, nil },
		Describe:  aws.Describe,
		Sensitive: c.Spec().Sensitive,
		Key:       []byte("the golden files hold hashes"),
		Now:       recordings.At,
	})
	if err := c.Collect(t.Context(), collectors.Input{
		Scope:    evidence.Scope{Provider: "aws", Account: account},
		Captured: recorder.Transport(unrecorded{t, replayer}),
		InFlight: inFlight,
		Wait:     func(context.Context, time.Duration) error { return nil },
	}, got); err != nil {
		t.Fatalf("collect: %v", err)
	}
	if _, err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	got.sort()
	got.unused = replayer.Unused()
	return got, kept.Bytes()
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

func (s *seen) sort() {
	slices.SortFunc(s.observations, func(a, b evidence.Observation) int {
		return strings.Compare(a.Kind+"\x00"+a.Region+"\x00"+a.ID, b.Kind+"\x00"+b.Region+"\x00"+b.ID)
	})
	slices.SortFunc(s.gaps, func(a, b evidence.Gap) int {
		return strings.Compare(a.Kind+"\x00"+a.Region+"\x00"+a.Resource+"\x00"+a.Field, b.Kind+"\x00"+b.Region+"\x00"+b.Resource+"\x00"+b.Field)
	})
}

// TestRecordings replays every recording through the real SDK clients and
// compares what comes out with the golden files, which are read as code: each
// value in them was checked against the recording by eye.
func TestRecordings(t *testing.T) {
	e := estate(t)
	for _, c := range aws.Catalogue(e) {
		for _, account := range recordings.Accounts() {
			t.Run(c.Spec().Name+"/"+account, func(t *testing.T) {
				got, kept := replay(t, c, account, nil)
				var b bytes.Buffer
				encoder := json.NewEncoder(&b)
				encoder.SetEscapeHTML(false)
				for _, o := range got.observations {
					if len(o.Sources) == 0 {
						t.Errorf("%s %s names no exchange that it came from", o.Kind, o.ID)
					}
					o.Sources = nil // they depend on request bytes; TestSources looks at them
					if err := encoder.Encode(o); err != nil {
						t.Fatal(err)
					}
				}
				// What even a whole recording leaves open, such as the selectors of
				// an organisation's trail in a member account.
				for _, g := range got.gaps {
					if err := encoder.Encode(g); err != nil {
						t.Fatal(err)
					}
				}
				golden(t, filepath.Join("testdata", "golden", account, c.Spec().Name+".jsonl"), b.Bytes())
				for _, request := range got.unused {
					// The regions are in the file that all collectors share.
					if c.Spec().Reach == collectors.Regional || !strings.Contains(request, "ec2:DescribeRegions") {
						t.Errorf("recorded, and never asked for: %s", request)
					}
				}
				for _, found := range scan(t, kept) {
					t.Errorf("capture kept a secret: %v", found)
				}
			})
		}
	}
}

func scan(t *testing.T, kept []byte) []capture.Finding {
	t.Helper()
	found, err := capture.ScanSecrets(bytes.NewReader(kept))
	if err != nil {
		t.Fatal(err)
	}
	return found
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

// TestDeclaredCalls proves that a collector makes exactly the calls that it
// declares: policies and documentation are made from the declaration.
func TestDeclaredCalls(t *testing.T) {
	e := estate(t)
	for _, c := range aws.Catalogue(e) {
		t.Run(c.Spec().Name, func(t *testing.T) {
			made := map[string]bool{}
			for _, account := range recordings.Accounts() {
				got, _ := replay(t, c, account, nil)
				for operation := range got.requests {
					made[operation] = true
				}
			}
			for operation := range made {
				if _, ok := c.Spec().Call(operation); !ok {
					t.Errorf("calls %s and does not declare it", operation)
				}
			}
			for _, call := range c.Spec().Calls {
				if !made[call.Operation] {
					t.Errorf("declares %s, and no recording makes it", call.Operation)
				}
			}
		})
	}
}

// TestListsEnd proves that over a whole recording every declared kind is read
// to its end in every region.
func TestListsEnd(t *testing.T) {
	e := estate(t)
	for _, c := range aws.Catalogue(e) {
		for _, account := range recordings.Accounts() {
			got, _ := replay(t, c, account, nil)
			where := []string{""}
			if c.Spec().Reach == collectors.Regional {
				where = regions
				if !slices.Equal(got.leftOut, []string{"eu-central-1"}) {
					t.Errorf("%s: left out %v, want the enabled region that the tests do not configure", c.Spec().Name, got.leftOut)
				}
			}
			for _, kind := range c.Spec().Kinds {
				for _, region := range where {
					if !got.listed[kind+"@"+region] {
						t.Errorf("%s: the list of %s in %q of %s has no end", c.Spec().Name, kind, region, account)
					}
				}
			}
		}
	}
}

// TestCatalogueOrder keeps the list in order of name, without a name twice.
func TestCatalogueOrder(t *testing.T) {
	last := ""
	for _, c := range aws.Catalogue(estate(t)) {
		if name := c.Spec().Name; name <= last {
			t.Errorf("%s stands after %s", name, last)
		}
		last = c.Spec().Name
	}
}
