package follow

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
)

// told keeps what the metrics were told.
type told map[string]int

func (m told) SetPeriodSlots(s evidence.Stream, state string, n int) {
	m[fmt.Sprint("slots ", s.Account, " ", state)] = n
}

func (m told) SetDeviations(scope evidence.Scope, _, check string, open, overdue int) {
	m[fmt.Sprint("open ", scope.Account, " ", check)] = open
	m[fmt.Sprint("overdue ", scope.Account, " ", check)] = overdue
}

// world is a ledger of one bucket that is not versioned, looked at each day.
type world struct {
	t      *testing.T
	dir    string
	signer *seal.Signer
	ledger *ledger.Ledger
	store  *payload.Store
	rules  *checks.Catalogue
	digest evidence.Digest // of the catalogue
	plan   evidence.Schedule
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	key, _, err := seal.NewKey("follow.test")
	must(t, err)
	w.signer, err = seal.ParseKey(key)
	must(t, err)
	w.ledger, err = ledger.Open(t.Context(), w.dir, w.signer, ledger.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, w.ledger.Close(context.WithoutCancel(t.Context()))) })
	w.store, err = payload.Open(w.dir)
	must(t, err)
	w.rules, err = checks.Load(catalogue.FS())
	must(t, err)
	w.digest = w.put(string(w.rules.JSON()))
	w.plan = evidence.Schedule{
		TimeZone:   "UTC",
		Collectors: []evidence.CollectorSchedule{{Provider: "aws", Collector: "aws.s3_buckets", Schedule: "0 6 * * *", Kinds: []string{"aws.s3.bucket"}}},
		Scopes:     []evidence.Scope{{Provider: "aws", Account: "111122223333"}},
	}
	return w
}

func (w *world) put(text string) evidence.Digest {
	w.t.Helper()
	d, err := w.store.Put([]byte(text))
	must(w.t, err)
	return d
}

func (w *world) record(kind string, predicate any, subjects ...evidence.Subject) uint64 {
	w.t.Helper()
	raw, err := json.Marshal(predicate)
	must(w.t, err)
	sealed, err := w.signer.Seal(evidence.Statement{Type: evidence.StatementType, Subject: subjects, PredicateType: kind, Predicate: raw})
	must(w.t, err)
	index, err := w.ledger.Append(w.t.Context(), sealed)
	must(w.t, err)
	return index
}

func day(n int) time.Time { return time.Date(2026, 7, n, 6, 0, 0, 0, time.UTC) }

func header(at time.Time) evidence.Header {
	return evidence.Header{At: at, Clock: evidence.ClockSystem, Agent: evidence.Agent{Version: "test"}}
}

func (w *world) start() {
	w.t.Helper()
	raw, err := json.Marshal(w.plan)
	must(w.t, err)
	w.record(evidence.TypeConfiguration, evidence.Configuration{
		Header: header(day(1).Add(-time.Hour)), Sequence: 1, Event: evidence.EventStarted, Ledger: "follow.test", Organization: "Planted, Inc.",
		PeriodStart: "2026-07-01", PeriodEnd: "2026-12-31", RemediationDays: map[string]int{"high": 1},
	}, evidence.SubjectOf(evidence.PayloadConfiguration, w.put("organization: Planted, Inc.\n")),
		evidence.SubjectOf(evidence.PayloadSchedule, w.put(string(raw))), evidence.SubjectOf(evidence.PayloadCatalogue, w.digest))
}

// look has the bucket looked at, and judged.
func (w *world) look(n int) {
	w.t.Helper()
	scope := w.plan.Scopes[0]
	stream := evidence.Stream{Collector: "aws.s3_buckets", Scope: scope}
	run := w.record(evidence.TypeRun, evidence.Run{
		Header: header(day(n).Add(time.Minute)), Task: evidence.Task{Stream: stream, Slot: day(n)}, Sequence: uint64(n), Trigger: evidence.TriggerSchedule,
		Started: day(n), Finished: day(n).Add(time.Second), Outcome: evidence.Complete, Observations: []evidence.KindCount{{Kind: "aws.s3.bucket", Count: 1}},
	}, evidence.SubjectOf(evidence.PayloadObservations, w.put(`{"kind":"aws.s3.bucket","id":"arn:aws:s3:::planted","region":"eu-west-1","body":{},"sources":[]}`+"\n")))
	w.record(evidence.TypeAssessment, evidence.Assessment{
		Header: header(day(n).Add(2 * time.Minute)), Scope: scope, Sequence: uint64(n), Evaluated: day(n).Add(2 * time.Minute),
		Used:   []evidence.Used{{Stream: stream.String(), Sequence: uint64(n), Slot: day(n), Record: run}},
		Checks: []evidence.CheckCount{{Check: "aws-s3-versioning", Fail: 1}},
	}, evidence.SubjectOf(evidence.PayloadVerdicts, w.put(
		`{"check":"aws-s3-versioning","control":"backup-storage","provider":"aws","account":"111122223333","region":"eu-west-1","kind":"aws.s3.bucket","resource":"arn:aws:s3:::planted","status":"fail","basis":"customer_config","reason":"planted"}`+"\n")),
		evidence.SubjectOf(evidence.PayloadCatalogue, w.digest))
}

func TestFollower(t *testing.T) {
	w, metrics := newWorld(t), told{}
	now := day(1).AddDate(0, 0, -2)
	window := period.Window{From: day(1).Add(-6 * time.Hour), To: day(1).AddDate(0, 6, 0), Zone: time.UTC}
	f, err := New(w.dir, window, w.plan, func() time.Time { return now }, metrics, zap.NewNop())
	must(t, err)
	defer func() { must(t, f.Close()) }()
	page := func(want int, says string) {
		t.Helper()
		r := httptest.NewRecorder()
		f.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/", nil))
		if r.Code != want || !strings.Contains(r.Body.String(), says) {
			t.Errorf("the page: %d, want %d and %q:\n%.400s", r.Code, want, says, r.Body)
		}
	}
	wants := func(key string, want int) {
		t.Helper()
		if got, ok := metrics[key]; !ok || got != want {
			t.Errorf("%s is %d (told: %v), want %d", key, got, ok, want)
		}
	}

	must(t, f.Update(t.Context())) // there is no period yet
	page(http.StatusServiceUnavailable, "the period has not begun")

	w.start()
	w.look(1)
	now = day(1).Add(time.Hour)
	must(t, f.Update(t.Context()))
	page(http.StatusOK, "Planted, Inc.")
	wants("slots 111122223333 sealed", 1)
	wants("slots 111122223333 open", 0)
	wants("open 111122223333 aws-s3-versioning", 1)
	wants("overdue 111122223333 aws-s3-versioning", 0)

	// What was added since counts, and so does a slot that nothing accounts for.
	w.look(2)
	w.look(3)
	now = day(4).Add(time.Hour)
	must(t, f.Update(t.Context()))
	wants("slots 111122223333 sealed", 3)
	wants("slots 111122223333 open", 1)
	wants("open 111122223333 aws-s3-versioning", 1)
	wants("overdue 111122223333 aws-s3-versioning", 1) // two days, and one is allowed
}
