package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/schedule"
	"github.com/tallystick/tallystick/evidence/seal"
)

// t0 is when the first configuration takes force: between two slots.
var t0 = time.Date(2026, time.July, 1, 0, 30, 0, 0, time.UTC)

func hour(n int) time.Time { return time.Date(2026, time.July, 1, n, 0, 0, 0, time.UTC) }

var (
	buckets = evidence.Stream{Collector: "aws.s3_buckets", Scope: evidence.Scope{Provider: "aws", Account: "111122223333"}}
	users   = evidence.Stream{Collector: "aws.iam_users", Scope: evidence.Scope{Provider: "aws", Account: "111122223333"}}
)

// world writes records as an agent would.
type world struct {
	t         testing.TB
	dir       string
	signer    *seal.Signer
	store     *payload.Store
	schedule  evidence.Digest
	catalogue evidence.Digest
	sequence  map[evidence.Stream]uint64
	numbered  uint64 // Configuration records so far
	written   map[string]evidence.Digest
	records   []evidence.Statement
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir())
}

func newWorldIn(t testing.TB, dir string) *world {
	t.Helper()
	skey, _, err := seal.NewKey("verify.test")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, sequence: map[evidence.Stream]uint64{}, written: map[string]evidence.Digest{}}
	if w.signer, err = seal.ParseKey(skey); err != nil {
		t.Fatal(err)
	}
	if w.store, err = payload.Open(w.dir); err != nil {
		t.Fatal(err)
	}
	w.catalogue = w.put(`{"catalogue":1}`)
	return w
}

func (w *world) put(data string) evidence.Digest {
	w.t.Helper()
	d, ok := w.written[data]
	if ok {
		return d
	}
	d, err := w.store.Put([]byte(data))
	if err != nil {
		w.t.Fatal(err)
	}
	w.written[data] = d
	return d
}

func (w *world) record(predicateType string, predicate any, subjects ...evidence.Subject) {
	w.t.Helper()
	raw, err := json.Marshal(predicate)
	if err != nil {
		w.t.Fatal(err)
	}
	w.records = append(w.records, evidence.Statement{
		Type: evidence.StatementType, Subject: subjects, PredicateType: predicateType, Predicate: raw,
	})
}

func header(at time.Time) evidence.Header {
	return evidence.Header{At: at, Clock: evidence.ClockSystem}
}

// configure puts a schedule in force: for each collector its expression.
func (w *world) configure(at time.Time, event string, exprs map[evidence.Stream]string) {
	w.t.Helper()
	w.configureAs(at, event, evidence.Schedule{TimeZone: "UTC", Scopes: []evidence.Scope{buckets.Scope}}, exprs)
}

// configureAs puts a schedule in force, of the collectors with their
// expressions. What edit changes is recorded as changed.
func (w *world) configureAs(at time.Time, event string, s evidence.Schedule, exprs map[evidence.Stream]string, edit ...func(*evidence.Configuration)) {
	w.t.Helper()
	for _, key := range []evidence.Stream{buckets, users} {
		if expr, ok := exprs[key]; ok {
			s.Collectors = append(s.Collectors, evidence.CollectorSchedule{Provider: key.Provider, Collector: key.Collector, Schedule: expr})
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.schedule = w.put(string(raw))
	w.numbered++
	c := evidence.Configuration{Header: header(at), Sequence: w.numbered, Event: event, Ledger: "verify.test"}
	for _, e := range edit {
		e(&c)
	}
	w.record(evidence.TypeConfiguration, c,
		evidence.SubjectOf(evidence.PayloadConfiguration, w.put("organization: Example\n")),
		evidence.SubjectOf(evidence.PayloadSchedule, w.schedule),
		evidence.SubjectOf(evidence.PayloadCatalogue, w.catalogue))
}

// judged gives the subjects of an assessment with so many verdicts.
func (w *world) judged(verdicts int) []evidence.Subject {
	w.t.Helper()
	return []evidence.Subject{
		evidence.SubjectOf(evidence.PayloadVerdicts, w.put(strings.Repeat("{}\n", verdicts))),
		evidence.SubjectOf(evidence.PayloadCatalogue, w.catalogue), evidence.SubjectOf(evidence.PayloadSchedule, w.schedule),
	}
}

func (w *world) next(key evidence.Stream) uint64 {
	w.sequence[key]++
	return w.sequence[key]
}

// run makes the record of a task with two observations and one gap. What edit
// changes is recorded as changed.
func (w *world) run(key evidence.Stream, slot time.Time, edit ...func(*evidence.Run)) {
	w.t.Helper()
	r := evidence.Run{
		Header: header(slot.Add(time.Minute)), Task: evidence.Task{Stream: key, Slot: slot}, Sequence: w.next(key),
		Trigger: evidence.TriggerSchedule, Started: slot, Finished: slot.Add(30 * time.Second), Outcome: evidence.Partial,
		Observations:        []evidence.KindCount{{Kind: "aws.s3.bucket", Count: 2}},
		Gaps:                []evidence.GapCount{{Class: evidence.Denied, Operation: "s3:GetBucketPolicy", Count: 1}},
		ConfigurationDigest: w.schedule, CatalogueDigest: w.catalogue,
	}
	for _, e := range edit {
		e(&r)
	}
	w.record(evidence.TypeRun, r,
		evidence.SubjectOf("exchanges-0001.har", w.put(`{"log":{}}`)),
		evidence.SubjectOf(evidence.PayloadObservations, w.put("{\"id\":\"a\"}\n{\"id\":\"b\"}\n")),
		evidence.SubjectOf(evidence.PayloadGaps, w.put("{\"kind\":\"aws.s3.bucket\"}\n")))
}

func (w *world) missed(key evidence.Stream, at, first, last time.Time, slots int, cause evidence.Cause) {
	w.t.Helper()
	w.record(evidence.TypeMissed, evidence.Missed{
		Header: header(at), Stream: key, Sequence: w.next(key), First: first, Last: last, Slots: slots, Cause: cause, From: first, To: at,
	}, evidence.SubjectOf(evidence.PayloadSchedule, w.schedule))
}

func (w *world) stop(at time.Time) {
	w.t.Helper()
	w.record(evidence.TypeStop, evidence.Stop{Header: header(at), Reason: "done"}, evidence.SubjectOf(evidence.PayloadSchedule, w.schedule))
}

// judge runs the rules over the records, without a ledger.
func (w *world) judge(now time.Time) Report {
	w.t.Helper()
	c := newCheck(w.dir, Options{Now: now})
	c.Origin = "verify.test"
	for i, s := range w.records {
		p, err := evidence.Decode(s)
		if err != nil {
			w.t.Fatal(err)
		}
		c.rules.take(uint64(i), &record{statement: s, predicate: p})
	}
	if err := c.checkPayloads(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := c.checkSlots(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return c.Report
}

// seal writes the records into the ledger of the directory.
func (w *world) seal() {
	w.t.Helper()
	l, err := ledger.Open(w.t.Context(), w.dir, w.signer, ledger.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	var wait func(context.Context) (uint64, error)
	for _, s := range w.records {
		data, err := w.signer.Seal(s)
		if err != nil {
			w.t.Fatal(err)
		}
		if wait, err = l.Add(w.t.Context(), data); err != nil {
			w.t.Fatal(err)
		}
	}
	if wait != nil {
		if _, err := wait(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.records = nil
	if err := l.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) verify(opts Options) Report {
	w.t.Helper()
	r, err := Dir(w.t.Context(), w.dir, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// year gives a world with n hourly runs in its ledger, and a stop.
func year(t testing.TB, n int) *world {
	t.Helper()
	w := newWorld(t)
	w.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "@hourly"})
	for i := range n {
		w.run(buckets, hour(i+1))
	}
	w.stop(hour(n).Add(10 * time.Minute))
	w.seal()
	return w
}

func lines(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// want demands a problem of the kind at a place that begins so.
func want(t testing.TB, r Report, kind, place string) {
	t.Helper()
	for _, p := range r.Problems {
		if p.Kind == kind && strings.HasPrefix(p.Place, place) {
			return
		}
	}
	t.Errorf("no problem %s at %s; there are:\n%s", kind, place, lines(r.Problems))
}

// copyDir copies a data directory to another place.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func readIn(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeIn(t testing.TB, data []byte, elem ...string) {
	t.Helper()
	name := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustSchedule(t testing.TB, expr string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expr, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
