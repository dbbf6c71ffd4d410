package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/evidence/verify"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// TestMain also serves as the processes that the crash tests start.
func TestMain(m *testing.M) {
	if what := os.Getenv(helperVar); what != "" {
		os.Exit(helper(what))
	}
	// The tests wait for checkpoints far more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

const (
	account = "111122223333"
	daily   = "17 6 * * *"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// leaping is a clock that stands still, except that a wait leaps to its end.
type leaping struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *leaping) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *leaping) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return context.Cause(ctx)
}

func (*leaping) Kind() evidence.Clock { return evidence.ClockSimulated }

// byHand is a clock that the test moves.
type byHand struct {
	leaping
	waiting chan struct{} // told each time the agent's loop comes to wait
	moved   chan struct{} // lets it go on
}

func newByHand(start time.Time) *byHand {
	return &byHand{leaping: leaping{now: start}, waiting: make(chan struct{}), moved: make(chan struct{})}
}

func (c *byHand) Wait(ctx context.Context, _ time.Duration) error {
	select {
	case c.waiting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-c.moved:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// to sets the clock and lets the loop attend to it, up to its next wait.
func (c *byHand) to(t time.Time) {
	<-c.waiting
	c.mu.Lock()
	c.now = t
	c.mu.Unlock()
	c.moved <- struct{}{}
}

// bench is a data directory with what an agent on it is made of.
type bench struct {
	t        testing.TB
	dir      string
	signer   *seal.Signer
	estate   *estate
	options  Options // for the next start
	registry *prometheus.Registry
}

func newBench(t testing.TB, clock Clock) *bench {
	t.Helper()
	skey, _, err := seal.NewKey("agent.test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.ParseKey(skey)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: t.TempDir(), signer: signer, estate: &estate{}}
	b.estate.set("one", good)
	b.options = fakeOptions(b.dir, signer, fakeCatalogue(t), clock, b.estate.thingsCollector())
	return b
}

func fakeOptions(dir string, signer *seal.Signer, catalogue *checks.Catalogue, clock Clock, list ...collectors.Collector) Options {
	return Options{
		Dir: dir, Signer: signer, Catalogue: catalogue,
		Providers: []Provider{{
			Name: "fake", Collectors: list, Accounts: []string{account},
			Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("there is no network") }),
			Describe:  func(*http.Request) capture.Labels { return capture.Labels{Service: "fake", Operation: "fake:Call"} },
		}},
		Organization: "Example, Inc.", PeriodStart: "2026-01-01", PeriodEnd: "2026-12-31",
		Configuration: []byte("organization: Example, Inc.\n"), Event: evidence.EventStarted,
		ScheduleFor: func(string) string { return daily }, Zone: time.UTC,
		Limits: Limits{InFlight: 4}, Clock: clock, Program: evidence.Agent{Version: "test"},
		Log: zap.NewNop(), RedactionKey: []byte("0123456789abcdef"), Settle: true,
	}
}

func verifierOf(t testing.TB, signer *seal.Signer) *seal.Verifier {
	t.Helper()
	v, err := seal.NewVerifier(signer.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// open starts an agent with fresh metrics, as a new process has them.
func (b *bench) open() *Agent {
	b.t.Helper()
	b.registry = prometheus.NewRegistry()
	metrics, err := telemetry.New(b.registry)
	if err != nil {
		b.t.Fatal(err)
	}
	b.options.Metrics = metrics
	a, err := Open(b.t.Context(), b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { kill(b.t, a) })
	return a
}

// until runs the agent up to a time.
func (b *bench) until(a *Agent, end string) {
	b.t.Helper()
	if err := a.RunUntil(b.t.Context(), at(end)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) close(a *Agent) {
	b.t.Helper()
	if err := a.Close(b.t.Context(), "the test ended"); err != nil {
		b.t.Fatal(err)
	}
}

// kill lets go of the directory without a word, as a killed process does.
func kill(t testing.TB, a *Agent) {
	t.Helper()
	if a.door != nil {
		if err := a.door.server.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := a.ledger.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// verified demands that verification finds nothing wrong.
func (b *bench) verified() {
	b.t.Helper()
	report, err := verify.Dir(b.t.Context(), b.dir, verify.Options{Key: b.signer.VerifierKey()})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range report.Problems {
		b.t.Errorf("verify: %s", p)
	}
}

// records gives the predicates of the ledger in order.
func records(t testing.TB, dir string) []any {
	t.Helper()
	var out []any
	for _, e := range entries(t, dir) {
		out = append(out, e.Predicate)
	}
	return out
}

// entries gives the records of the ledger in order.
func entries(t testing.TB, dir string) []evidence.Entry {
	t.Helper()
	r, err := ledger.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []evidence.Entry
	for e, err := range r.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := seal.PeekEntry(e.Index, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry)
	}
	return out
}

// story tells the runs and missed slots of the collector's stream, in order of
// the ledger, one line each, in which d is the day of July 2026 and the time.
func (b *bench) story(collector string) []string {
	b.t.Helper()
	var out []string
	for _, r := range records(b.t, b.dir) {
		switch r := r.(type) {
		case *evidence.Run:
			if r.Collector == collector {
				out = append(out, fmt.Sprintf("%d run %s %s %s", r.Sequence, r.Trigger, short(r.Slot), r.Outcome))
			}
		case *evidence.Missed:
			if r.Collector == collector {
				out = append(out, fmt.Sprintf("%d missed %s %d %s..%s", r.Sequence, r.Cause, r.Slots, short(r.First), short(r.Last)))
			}
		}
	}
	return out
}

// short gives a slot on a whole second as day and time; others are "now".
func short(t time.Time) string {
	if t.Nanosecond() != 0 {
		return "now"
	}
	return t.Format("02T15:04:05")
}

func (b *bench) wantStory(collector string, want ...string) {
	b.t.Helper()
	if got := b.story(collector); !slices.Equal(got, want) {
		b.t.Errorf("%s:\ngot\n\t%s\nwant\n\t%s", collector, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// of gives the records of one type.
func of[T any](t testing.TB, dir string) []*T {
	t.Helper()
	var out []*T
	for _, r := range records(t, dir) {
		if r, ok := r.(*T); ok {
			out = append(out, r)
		}
	}
	return out
}

// metric sums the series of a metric that have all of the labels, given as
// "name=value". It gives -1 when there is none.
func metric(t testing.TB, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != "tallystick_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := make(map[string]bool)
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			if slices.ContainsFunc(labels, func(l string) bool { return !has[l] }) {
				continue
			}
			found = true
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if !found {
		return -1
	}
	return sum
}

func (b *bench) wantMetric(want float64, name string, labels ...string) {
	b.t.Helper()
	if got := metric(b.t, b.registry, name, labels...); got != want {
		b.t.Errorf("%s%v is %v, want %v", name, labels, got, want)
	}
}

// verdicts gives the newest verdicts as "check resource": status.
func (b *bench) verdicts(a *Agent) map[string]evidence.Verdict {
	b.t.Helper()
	out := make(map[string]evidence.Verdict)
	for v, err := range a.state.Verdicts(a.store) {
		if err != nil {
			b.t.Fatal(err)
		}
		out[v.Check+" "+v.Resource] = v
	}
	return out
}

func (b *bench) wantVerdict(a *Agent, which string, want evidence.Status, reason string) {
	b.t.Helper()
	v, ok := b.verdicts(a)[which]
	if !ok || v.Status != want || !strings.Contains(v.Reason, reason) {
		b.t.Errorf("%s is %q (%s), want %s with %q; all: %v", which, v.Status, v.Reason, want, reason, slices.Sorted(maps.Keys(b.verdicts(a))))
	}
}
