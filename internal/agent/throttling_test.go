package agent

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// The accounts of the throttling server. Most scenarios refuse the first alone.
const (
	throttled   = "111122223333"
	undisturbed = "444455556666"
)

// throttlingCollectors share the budgets of two services, and speak the three
// protocols.
func throttlingCollectors() []string {
	return []string{"aws.dynamodb_tables", "aws.ec2_snapshots", "aws.ec2_volumes", "aws.iam_credential_report", "aws.s3_buckets"}
}

// look is what came of one task.
type look struct {
	run          *evidence.Run
	observations map[string]map[string]json.RawMessage // bodies by kind, region and id
	gaps         []evidence.Gap
	took         time.Duration
}

// outcome is what came of all tasks, at the client and at the server.
type outcome struct {
	looks    map[evidence.Stream]look
	server   *throttling
	limits   Limits
	registry *prometheus.Registry
}

// defaultLimits has the rates of a configuration that says nothing of them.
func defaultLimits() Limits {
	rates := maps.Clone(config.Default().Limits.Rate)
	return Limits{InFlight: 8, Default: rates[config.DefaultRate], Service: rates}
}

// throttlingEstate is the estate of both accounts, whose transport leads to the
// server.
func throttlingEstate(t *testing.T, server *throttling, inFlight int) (*aws.Estate, *http.Transport) {
	t.Helper()
	estate, err := aws.New(t.Context(), aws.Settings{
		Accounts: []aws.Account{{ID: throttled}, {ID: undisturbed}}, Regions: throttlingRegions(), InFlight: inFlight,
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "made-up", "")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	pooled, ok := estate.Transport().(*http.Transport)
	if !ok {
		t.Fatalf("the estate's transport is a %T", estate.Transport())
	}
	return estate, server.transport(pooled)
}

// collectFrom runs the collectors of both accounts at once against the server.
func collectFrom(t *testing.T, server *throttling, limits Limits) outcome {
	t.Helper()
	estate, transport := throttlingEstate(t, server, limits.InFlight)
	defer server.close(t, transport)
	provider := &Provider{Name: aws.Provider, Transport: transport, Describe: aws.Describe, Throttled: aws.Throttled}
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store, err := payload.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{
		Options: Options{Dir: dir, Limits: limits, Clock: SystemClock{}, Log: zap.NewNop(), Metrics: metrics, RedactionKey: []byte("0123456789abcdef")},
		store:   store, limiter: newLimiter(limits, metrics, zap.NewNop()),
	}
	out := outcome{looks: make(map[evidence.Stream]look), server: server, limits: limits, registry: registry}
	var mu sync.Mutex
	var tasks sync.WaitGroup
	for _, c := range aws.Catalogue(estate) {
		if !slices.Contains(throttlingCollectors(), c.Spec().Name) {
			continue
		}
		for _, id := range []string{throttled, undisturbed} {
			s := &stream{Stream: evidence.Stream{Collector: c.Spec().Name, Scope: evidence.Scope{Provider: aws.Provider, Account: id}}, provider: provider, collector: c}
			a.streams = append(a.streams, s)
			tasks.Go(func() {
				begin := time.Now()
				run := &evidence.Run{Task: evidence.Task{Stream: s.Stream, Slot: begin.UTC()}, Started: begin.UTC()}
				subjects, err := a.collect(t.Context(), s, run)
				if err != nil {
					t.Errorf("%s: %v", s.Stream, err)
					return
				}
				got := look{run: run, observations: make(map[string]map[string]json.RawMessage), took: time.Since(begin)}
				for _, subject := range subjects {
					switch subject.Name {
					case evidence.PayloadObservations:
						for o := range linesOf[evidence.Observation](t, store, subject) {
							body := make(map[string]json.RawMessage)
							if err := json.Unmarshal(o.Body, &body); err != nil {
								t.Error(err)
							}
							got.observations[o.Kind+" "+o.Region+" "+o.ID] = body
						}
					case evidence.PayloadGaps:
						for g := range linesOf[evidence.Gap](t, store, subject) {
							got.gaps = append(got.gaps, g)
						}
					}
				}
				mu.Lock()
				defer mu.Unlock()
				out.looks[s.Stream] = got
			})
		}
	}
	a.declareServices()
	tasks.Wait()
	return out
}

// linesOf reads a payload of JSON lines.
func linesOf[T any](t *testing.T, store *payload.Store, subject evidence.Subject) func(yield func(T) bool) {
	t.Helper()
	raw, err := store.ReadAll(evidence.Digest(subject.Digest["sha256"]), 1<<20)
	if err != nil {
		t.Error(err)
	}
	return func(yield func(T) bool) {
		for line := range bytes.Lines(raw) {
			var v T
			if err := json.Unmarshal(line, &v); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if !yield(v) {
				return
			}
		}
	}
}

// wantNothingShort demands that what a task did not see, and the server has, is
// in a gap which says that the call was throttled.
func wantNothingShort(t *testing.T, s evidence.Stream, whole, got look) {
	t.Helper()
	if (got.run.Outcome == evidence.Complete) != (len(got.gaps) == 0) {
		t.Errorf("%s: %s with %d gaps", s, got.run.Outcome, len(got.gaps))
	}
	if got.run.Fault != "" {
		t.Errorf("%s: %s", s, got.run.Fault)
	}
	gap := make(map[string]bool)
	for _, g := range got.gaps {
		if g.Class != evidence.Throttled {
			t.Errorf("%s: the gap %s is not one of a call that was throttled", s, g)
		}
		gap[strings.Join([]string{g.Kind, g.Region, g.Resource, g.Field}, " ")] = true
	}
	for key, body := range got.observations {
		if whole.observations[key] == nil {
			t.Errorf("%s: saw %s, which is not there", s, key)
		}
		for field, value := range body {
			if !bytes.Equal(value, whole.observations[key][field]) {
				t.Errorf("%s: %s of %s is %s, want %s", s, field, key, value, whole.observations[key][field])
			}
		}
	}
	for key, body := range whole.observations {
		part := strings.SplitN(key, " ", 3)
		seen, ok := got.observations[key]
		if !ok && !gap[part[0]+" "+part[1]+"  "] && !gap[part[0]+"   "] {
			t.Errorf("%s: did not see %s, and has no gap for its list", s, key)
		}
		for field := range body {
			if _, has := seen[field]; ok && !has && !gap[key+" "+field] {
				t.Errorf("%s: did not see %s of %s, and has no gap for it", s, field, key)
			}
		}
	}
}

// wantGoodNeighbour holds what the server measured against the limits. In no
// stretch of time did a budget pay for more calls than its rate times the
// stretch, and the burst: a bucket that is drawn from at each arrival never
// runs dry.
func (o outcome) wantGoodNeighbour(t *testing.T) {
	t.Helper()
	type bucket struct {
		left float64
		at   time.Time
		dry  bool
	}
	buckets := make(map[string]*bucket)
	refusals, retries := 0, 0
	for _, c := range o.server.calls {
		rate, ok := o.limits.Service[c.service]
		if !ok {
			rate = o.limits.Default
		}
		key := c.account + " " + c.region + " " + c.service
		b := buckets[key]
		if b == nil {
			b = &bucket{left: burst, at: c.at}
			buckets[key] = b
		}
		b.left = min(burst, b.left+rate*c.at.Sub(b.at).Seconds()) - 1
		b.at = c.at
		if b.left < -1e-6 && !b.dry {
			b.dry = true
			t.Errorf("%s was asked more than %v times a second, %s after the start", key, rate, c.since)
		}
		if c.refused {
			refusals++
		}
		if c.attempt > 1 {
			retries++
		}
	}
	if o.server.most > o.limits.InFlight {
		t.Errorf("%d calls were in flight, want %d at the most", o.server.most, o.limits.InFlight)
	}
	for name, want := range map[string]int{"api_throttles_total": refusals, "api_retries_total": retries} {
		if got := metric(t, o.registry, name); got != float64(want) {
			t.Errorf("%s is %v; the server counted %d", name, got, want)
		}
	}
}

// took gives how long the tasks of an account took, all together.
func (o outcome) took(account string) time.Duration {
	var longest time.Duration
	for s, l := range o.looks {
		if s.Account == account {
			longest = max(longest, l.took)
		}
	}
	return longest
}

// A server that throttles, in every way and protocol. Whatever it refuses, a
// run is whole or says what it lacks, and the server is never asked for more
// than the limits allow.
func TestThrottlingServer(t *testing.T) {
	t.Parallel()
	var whole outcome
	synctest.Test(t, func(t *testing.T) { whole = collectFrom(t, startThrottling(t, nil, 0), defaultLimits()) })
	whole.wantGoodNeighbour(t)
	seen := 0
	for s, l := range whole.looks {
		if l.run.Outcome != evidence.Complete {
			t.Errorf("%s, which nothing was refused, is %s: %v", s, l.run.Outcome, l.gaps)
		}
		seen += len(l.observations)
	}
	const regions, credentials = 2, 3
	if want := 2 * (regions*(volumes+snapshots+tables) + buckets + credentials); seen != want {
		t.Fatalf("saw %d resources of %d", seen, want)
	}
	t.Run("credential report", whole.wantOneCredentialReport)

	first := func(c call) bool { return c.account == throttled }
	for _, test := range []struct {
		name     string
		refuse   func(call) bool
		status   int
		partial  []string // the collectors of the throttled account that must be, or "any"
		most     int      // calls that are refused for one budget; 0: no bound
		atMost   time.Duration
		disturbs bool // the other account too
	}{
		{name: "each page at its first attempt", refuse: func(c call) bool { return first(c) && c.page != "1" && c.attempt == 1 }},
		{name: "each page at its first attempt, with 429", refuse: func(c call) bool { return first(c) && c.page != "1" && c.attempt == 1 }, status: 429},
		{name: "a page twice", refuse: func(c call) bool { return first(c) && c.page == "3" && c.attempt <= 2 }},
		{
			name: "the last page for ever", refuse: func(c call) bool { return first(c) && c.operation == "DescribeVolumes" && c.page == "6" },
			partial: []string{"aws.ec2_volumes"},
		},
		{
			name: "a page of each list for ever, with 429", refuse: func(c call) bool { return first(c) && c.page == "2" }, status: 429,
			partial: []string{"aws.dynamodb_tables", "aws.ec2_snapshots", "aws.ec2_volumes", "aws.s3_buckets"},
		},
		{name: "a tenth of all calls", refuse: func(c call) bool { return c.portion(10) }, partial: []string{"any"}, disturbs: true},
		{name: "half of all calls", refuse: func(c call) bool { return c.portion(50) }, status: 429, partial: []string{"any"}, disturbs: true},
		{
			name: "everything for four seconds", refuse: func(c call) bool { return first(c) && c.since > 2*time.Second && c.since < 6*time.Second },
			partial: []string{"any"}, most: 8,
		},
		{
			name: "everything for a minute", refuse: func(c call) bool { return first(c) && c.since > 2*time.Second && c.since < 62*time.Second },
			partial: []string{"any"}, most: 150,
		},
		{
			name: "everything for ever, once the lists are read", refuse: func(c call) bool { return first(c) && c.about != "" },
			partial: []string{"aws.dynamodb_tables", "aws.s3_buckets"}, atMost: 8 * time.Minute,
		},
		{
			name: "everything for ever", refuse: first,
			partial: throttlingCollectors(), atMost: time.Minute,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got outcome
			synctest.Test(t, func(t *testing.T) {
				got = collectFrom(t, startThrottling(t, test.refuse, test.status), defaultLimits())
			})
			got.wantGoodNeighbour(t)
			refused := make(map[string]int)
			for _, c := range got.server.calls {
				if c.refused {
					refused[c.account+" "+c.region+" "+c.service]++
				}
			}
			if len(refused) == 0 {
				t.Fatal("nothing was refused")
			}
			for budget, n := range refused {
				if test.most > 0 && n > test.most {
					t.Errorf("%d calls of %s were refused, want %d at the most", n, budget, test.most)
				}
			}
			for s, l := range got.looks {
				wantNothingShort(t, s, whole.looks[s], l)
				must := s.Account == throttled && slices.Contains(test.partial, s.Collector)
				may := must || slices.Contains(test.partial, "any") && (s.Account == throttled || test.disturbs)
				if is := l.run.Outcome != evidence.Complete; is != must && is != may {
					t.Errorf("%s is %s: %v", s, l.run.Outcome, l.gaps)
				}
			}
			t.Logf("took %s and %s, refused %v of %d", got.took(throttled), got.took(undisturbed), refused, len(got.server.calls))
			if test.atMost > 0 && got.took(throttled) > test.atMost {
				t.Errorf("took %s, want %s at the most: the tasks of other accounts wait for an end", got.took(throttled), test.atMost)
			}
			// How the regions of a task share its places is left to chance.
			if took, usual := got.took(undisturbed), whole.took(undisturbed); !test.disturbs && took > usual*3/2 {
				t.Errorf("the account that nothing was refused took %s, want about %s as without", took, usual)
			}
		})
	}
}

// One collector asks for the credential report, once for an account and run.
func (o outcome) wantOneCredentialReport(t *testing.T) {
	var ask []string
	for _, spec := range aws.Specs() {
		for _, c := range spec.Calls {
			if c.Operation == "iam:GenerateCredentialReport" || c.Operation == "iam:GetCredentialReport" {
				ask = append(ask, spec.Name+" "+c.Operation)
			}
		}
	}
	if want := []string{"aws.iam_credential_report iam:GenerateCredentialReport", "aws.iam_credential_report iam:GetCredentialReport"}; !slices.Equal(ask, want) {
		t.Errorf("the report is asked for by %q, want %q", ask, want)
	}
	counts := make(map[string]int)
	for _, c := range o.server.calls {
		if strings.HasSuffix(c.operation, "CredentialReport") {
			counts[c.account+" "+c.operation]++
		}
	}
	for _, id := range []string{throttled, undisturbed} {
		for _, operation := range []string{"GenerateCredentialReport", "GetCredentialReport"} {
			if n := counts[id+" "+operation]; n != 1 {
				t.Errorf("%s was called %d times in account %s, want once", operation, n, id)
			}
		}
	}
}
