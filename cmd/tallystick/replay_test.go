package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/replay"
)

func replayed(t *testing.T, dir string) *replay.Report {
	t.Helper()
	from, _, err := replay.Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	report, err := replay.Run(t.Context(), from, replay.Options{Collector: again, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// trouble is a provider at its worst, over the recorded estate.
type trouble struct {
	base http.RoundTripper
	mu   sync.Mutex
	seen map[string]int // guarded by mu; by request
}

func (w *trouble) RoundTrip(req *http.Request) (*http.Response, error) {
	l := aws.Describe(req)
	w.mu.Lock()
	key := l.Operation + req.URL.String() + req.Header.Get("Authorization")[:40]
	w.seen[key]++
	n := w.seen[key]
	w.mu.Unlock()
	refuse := func(status int, code string) (*http.Response, error) {
		resp := capture.Respond(req, status, "text/xml", fmt.Sprintf(
			`<Response><Errors><Error><Code>%s</Code><Message>no</Message></Error></Errors><RequestID>r-%d</RequestID></Response>`, code, n))
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		return resp, nil
	}
	dial := func(err error) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	where := l.Operation + " " + l.Region
	switch {
	case where == "ec2:DescribeVolumes eu-west-1" && n <= 2: // twice throttled, then answered
		return refuse(http.StatusServiceUnavailable, "RequestLimitExceeded")
	case where == "ec2:DescribeVolumes us-east-1": // for ever
		return refuse(http.StatusServiceUnavailable, "RequestLimitExceeded")
	case where == "ec2:DescribeVpcs eu-west-1":
		return refuse(http.StatusForbidden, "UnauthorizedOperation")
	case where == "ec2:DescribeSnapshots eu-west-1" && n == 1: // the clock is told to be wrong, once
		resp, err := refuse(http.StatusForbidden, "AuthFailure")
		resp.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		return resp, err
	case where == "ec2:DescribeSnapshots us-east-1" && n == 1: // refused for good, though the next would be answered
		return refuse(http.StatusForbidden, "AuthFailure")
	case where == "rds:DescribeDBInstances eu-west-1":
		return dial(&net.DNSError{Err: "no such host", Name: req.URL.Host, Server: "192.0.2.1:53", IsNotFound: true})
	case where == "rds:DescribeDBClusters eu-west-1" && n == 1:
		return dial(&net.DNSError{Err: "server misbehaving", Name: req.URL.Host, Server: "192.0.2.1:53", IsTemporary: true})
	case where == "rds:DescribeDBClusters us-east-1":
		return dial(&net.DNSError{Err: "server misbehaving", Name: req.URL.Host, Server: "192.0.2.1:53", IsTemporary: true})
	case where == "dynamodb:ListTables eu-west-1":
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case where == "dynamodb:ListTables us-east-1":
		return nil, context.DeadlineExceeded
	case where == "kms:ListKeys eu-west-1":
		return nil, fmt.Errorf("http2: server sent GOAWAY and closed the connection")
	case where == "kms:ListKeys us-east-1":
		return dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case l.Service == "logs" && n%2 == 1: // half an answer, every other time
		resp, err := w.base.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		return capture.Truncate(resp, 5), nil
	case l.Operation == "s3:GetBucketEncryption" || l.Operation == "s3:GetBucketLogging" && n == 1:
		return refuse(http.StatusInternalServerError, "InternalError")
	case l.Service == "backup":
		return capture.Respond(req, http.StatusOK, "application/json", `{"BackupVaultList": 7`), nil
	case l.Operation == "iam:GenerateCredentialReport" && n <= 3: // waited for
		return capture.Respond(req, http.StatusOK, "text/xml",
			`<GenerateCredentialReportResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GenerateCredentialReportResult><State>STARTED</State></GenerateCredentialReportResult></GenerateCredentialReportResponse>`), nil
	case l.Operation == "ec2:DescribeRegions" && strings.Contains(key, "444455556666"):
		return refuse(http.StatusForbidden, "UnauthorizedOperation")
	}
	return w.base.RoundTrip(req)
}

// What went wrong when it was recorded goes wrong again when it is replayed,
// in the same way and as often: every byte is the same.
func TestReplayOfTrouble(t *testing.T) {
	t.Parallel()
	d := &demo{out: io.Discard, err: io.Discard, days: 1}
	if err := d.prepare(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	clock := agent.NewSimulatedClock(recordedAt().Add(2 * time.Minute))
	options, err := d.wire(t.Context(), clock, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var accounts []aws.Account
	for _, id := range append(recordings.Accounts(), "000000000000") {
		accounts = append(accounts, aws.Account{ID: id})
	}
	estate, err := aws.New(t.Context(), aws.Settings{
		Accounts: accounts, Regions: []string{"ap-south-2", "eu-west-1", "us-east-1"}, // the first is not enabled
		Credentials: func(account string) sdk.CredentialsProvider {
			if account == "000000000000" {
				return sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
					return sdk.Credentials{}, errors.New("there are none")
				})
			}
			return credentials.NewStaticCredentialsProvider(account, "made-up", "")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	was := options.Providers[0].Transport
	options.Providers = []agent.Provider{awsProvider(estate)}
	options.Providers[0].Transport = &trouble{base: was, seen: make(map[string]int)}
	options.Event = evidence.EventManual
	a, err := agent.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	results, err := a.Collect(t.Context(), func(evidence.Stream) bool { return true })
	if err = errors.Join(err, a.Close(t.Context(), "done")); err != nil {
		t.Fatal(err)
	}

	classes := make(map[evidence.Class]bool)
	again := 0
	for _, r := range results {
		for _, g := range r.Run.Gaps {
			classes[g.Class] = true
		}
		for _, c := range r.Run.Calls {
			again += c.Attempts - c.Calls
		}
	}
	for _, class := range []evidence.Class{
		evidence.Denied, evidence.Throttled, evidence.Disabled, evidence.Unavailable, evidence.Timeout, evidence.Malformed,
	} {
		if !classes[class] {
			t.Errorf("no gap of class %s was recorded", class)
		}
	}
	if again < 10 {
		t.Errorf("%d attempts were made again, want trouble", again)
	}

	report := replayed(t, d.evidenceDir())
	for _, diff := range report.Differences {
		t.Errorf("%s, record %d, %s %s %s %s:\n\tsealed   %s\n\treplayed %s\n\t%s",
			diff.Where, diff.Record, diff.Payload, diff.Kind, diff.Resource, diff.Field, diff.Sealed, diff.Replayed, diff.Problem)
	}
	third := len(results) / 3 // of the account without credentials
	if report.Runs.Same != len(results)-third || report.Runs.NotPerformed != third {
		t.Errorf("runs %+v of %d; want those of the account without credentials not performed, all others the same: %v", report.Runs, len(results), report.NotPerformed)
	}
	if report.Assessments.Same != report.Assessments.Total || report.Assessments.Total == 0 {
		t.Errorf("assessments %+v", report.Assessments)
	}
}

// doctor writes the records of a data directory anew, each signed as a whole
// ledger is, after change had its way with them.
func doctor(t *testing.T, s sample, change func(store *payload.Store, index uint64, statement *evidence.Statement)) string {
	t.Helper()
	d := &demo{dir: s.dir}
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, evidence.PayloadDir), os.DirFS(filepath.Join(d.evidenceDir(), evidence.PayloadDir))); err != nil {
		t.Fatal(err)
	}
	store, err := payload.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	signer := loadKey(t, filepath.Join(s.dir, "tallystick.key"))
	l, err := ledger.Open(t.Context(), to, signer, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var last func(context.Context) (uint64, error)
	index := uint64(0)
	for statement, err := range statements(d.evidenceDir(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		change(store, index, &statement)
		envelope, err := signer.Seal(statement)
		if err != nil {
			t.Fatal(err)
		}
		if last, err = l.Add(t.Context(), envelope); err != nil {
			t.Fatal(err)
		}
		index++
	}
	if _, err := last(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return to
}

// swapPayload puts other bytes in the place of a payload that a record names.
func swapPayload(t *testing.T, store *payload.Store, statement *evidence.Statement, name string, edit func([]byte) []byte) {
	t.Helper()
	digest, ok := statement.Payload(name)
	if !ok {
		t.Fatalf("no payload %s", name)
	}
	raw, err := store.ReadAll(digest, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	edited := edit(raw)
	if bytes.Equal(raw, edited) {
		t.Fatalf("%s is as it was:\n%s", name, raw)
	}
	if digest, err = store.Put(edited); err != nil {
		t.Fatal(err)
	}
	for i, s := range statement.Subject {
		if s.Name == name {
			statement.Subject[i] = evidence.SubjectOf(name, digest)
		}
	}
}

// What was sealed otherwise than it was seen or judged is found, with its
// check, resource and both values, however well it is signed.
func TestReplayFindsWhatWasDoctored(t *testing.T) {
	t.Parallel()
	made := makeSample(t)
	isVolumes := func(s *evidence.Statement) bool {
		return s.PredicateType == evidence.TypeRun && bytes.Contains(s.Predicate, []byte(`"aws.ec2_volumes"`)) &&
			bytes.Contains(s.Predicate, []byte(`"111122223333"`))
	}
	const check = "aws-ebs-volume-encrypted"
	judges := func(s *evidence.Statement) bool {
		return s.PredicateType == evidence.TypeAssessment && bytes.Contains(s.Predicate, []byte(check)) &&
			bytes.Contains(s.Predicate, []byte(`"111122223333"`))
	}
	first := func(match func(*evidence.Statement) bool, edit func(*payload.Store, *evidence.Statement)) (func(*payload.Store, uint64, *evidence.Statement), *uint64) {
		at := new(uint64)
		done := false
		return func(store *payload.Store, index uint64, s *evidence.Statement) {
			if !done && match(s) {
				done, *at = true, index
				edit(store, s)
			}
		}, at
	}
	replace := func(old, by string) func([]byte) []byte {
		return func(raw []byte) []byte { return bytes.Replace(raw, []byte(old), []byte(by), 1) }
	}
	for _, test := range []struct {
		name  string
		match func(*evidence.Statement) bool
		edit  func(*payload.Store, *evidence.Statement)
		want  replay.Difference // Record is filled in; a resource only has to be named
	}{
		{
			name: "an observation", match: isVolumes,
			edit: func(store *payload.Store, s *evidence.Statement) {
				swapPayload(t, store, s, evidence.PayloadObservations, replace(`"Encrypted":false`, `"Encrypted":true`))
			},
			want: replay.Difference{
				What: replay.OfRun, Payload: evidence.PayloadObservations, Kind: "aws.ec2.volume",
				Field: "body.Encrypted", Sealed: "true", Replayed: "false",
			},
		},
		{
			name: "an observation left out", match: isVolumes,
			edit: func(store *payload.Store, s *evidence.Statement) {
				swapPayload(t, store, s, evidence.PayloadObservations, func(raw []byte) []byte {
					_, rest, _ := bytes.Cut(raw, []byte("\n"))
					return rest
				})
			},
			want: replay.Difference{What: replay.OfRun, Payload: evidence.PayloadObservations, Kind: "aws.ec2.volume"},
		},
		{
			name: "a verdict", match: judges,
			edit: func(store *payload.Store, s *evidence.Statement) {
				swapPayload(t, store, s, evidence.PayloadVerdicts, replace(`"status":"fail"`, `"status":"pass"`))
			},
			want: replay.Difference{
				What: replay.OfAssessment, Payload: evidence.PayloadVerdicts, Check: check, Kind: "aws.ec2.volume",
				Field: "status", Sealed: `"pass"`, Replayed: `"fail"`,
			},
		},
		{
			name: "the counts of a run", match: isVolumes,
			edit: func(_ *payload.Store, s *evidence.Statement) {
				s.Predicate = bytes.Replace(s.Predicate, []byte(`"outcome":"complete"`), []byte(`"outcome":"failed"`), 1)
			},
			want: replay.Difference{What: replay.OfRun, Payload: replay.PayloadRecord, Field: "outcome", Sealed: `"failed"`, Replayed: `"complete"`},
		},
		{
			name: "the regions of a run", match: isVolumes,
			edit: func(_ *payload.Store, s *evidence.Statement) {
				s.Predicate = bytes.Replace(s.Predicate, []byte(`"regions_left_out":["eu-central-1"]`), []byte(`"regions_left_out":[]`), 1)
			},
			want: replay.Difference{What: replay.OfRun, Payload: replay.PayloadRecord, Field: "regions_left_out", Replayed: `["eu-central-1"]`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			change, at := first(test.match, test.edit)
			report := replayed(t, doctor(t, made, change))
			if report.Runs.Different+report.Assessments.Different == 0 {
				t.Fatalf("nothing was found: %+v", report)
			}
			test.want.Record = *at
			found := slices.ContainsFunc(report.Differences, func(d replay.Difference) bool {
				if (d.Payload == replay.PayloadRecord) != (d.Resource == "") {
					return false
				}
				if d.Field == "" {
					d.Replayed = "" // the whole line
				}
				d.Where, d.At, d.Region, d.Resource, d.RecordedBy = "", time.Time{}, "", "", ""
				return d == test.want
			})
			if !found {
				t.Errorf("want %+v among\n%+v", test.want, report.Differences)
			}
			for _, d := range report.Differences {
				if d.What == replay.OfRun && d.Record != *at {
					t.Errorf("a run that nobody touched differs: %+v", d)
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		report := replayed(t, doctor(t, made, func(*payload.Store, uint64, *evidence.Statement) {}))
		if report.Runs.Same != report.Runs.Total || report.Assessments.Same != report.Assessments.Total || report.Runs.Total == 0 {
			t.Errorf("runs %+v, assessments %+v: %+v", report.Runs, report.Assessments, report.Differences)
		}
	})
}

func loadKey(t *testing.T, path string) *seal.Signer {
	t.Helper()
	signer, err := seal.LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
