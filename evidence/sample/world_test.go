package sample

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

const (
	one = "111122223333"
	two = "444455556666"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// world writes records as an agent would.
type world struct {
	t       *testing.T
	store   *payload.Store
	entries []evidence.Entry
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := payload.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, store: store}
}

func (w *world) source() Source {
	return Source{Payloads: w.store, Entries: func(yield func(evidence.Entry, error) bool) {
		for _, e := range w.entries {
			if !yield(e, nil) {
				return
			}
		}
	}}
}

func (w *world) record(predicateType string, predicate any, payloads ...string) uint64 {
	w.t.Helper()
	raw, err := json.Marshal(predicate)
	if err != nil {
		w.t.Fatal(err)
	}
	s := evidence.Statement{Type: evidence.StatementType, PredicateType: predicateType, Predicate: raw}
	for i := 0; i < len(payloads); i += 2 {
		d, err := w.store.Put([]byte(payloads[i+1]))
		if err != nil {
			w.t.Fatal(err)
		}
		s.Subject = append(s.Subject, evidence.SubjectOf(payloads[i], d))
	}
	p, err := evidence.Decode(s)
	if err != nil {
		w.t.Fatal(err)
	}
	index := uint64(len(w.entries))
	w.entries = append(w.entries, evidence.Entry{Index: index, Statement: s, Predicate: p})
	return index
}

const worldCatalogue = `{"controls":[{"id":"storage","checks":[
	{"id":"bucket-good","provider":"aws","kinds":["aws.s3.bucket"],"joins":[{"kind":"aws.kms.key"}]}]},
	{"id":"people","checks":[{"id":"user-good","provider":"aws","kinds":["aws.iam.user"]}]}]}`

func header(when time.Time) evidence.Header {
	return evidence.Header{At: when, Clock: evidence.ClockSystem}
}

// configure puts a schedule in force: buckets of the accounts at 06:00, users
// of the first at 07:00.
func (w *world) configure(when string, accounts ...string) {
	w.t.Helper()
	s := evidence.Schedule{TimeZone: "UTC", Collectors: []evidence.CollectorSchedule{
		{Provider: "aws", Collector: "aws.s3_buckets", Schedule: "0 6 * * *", Kinds: []string{"aws.s3.bucket"}},
		{Provider: "aws", Collector: "aws.iam_users", Schedule: "0 7 * * *", Kinds: []string{"aws.iam.user"}},
	}}
	for _, a := range accounts {
		s.Scopes = append(s.Scopes, evidence.Scope{Provider: "aws", Account: a})
	}
	raw, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.record(evidence.TypeConfiguration, evidence.Configuration{
		Header: header(at(when)), Event: evidence.EventStarted, Ledger: "sample.test", Organization: "Example, Inc.",
		PeriodStart: "2026-07-01", PeriodEnd: "2026-07-10",
	}, evidence.PayloadSchedule, string(raw), evidence.PayloadCatalogue, worldCatalogue)
}

// exchange is a HAR entry whose answer says body.
func exchange(id, body string) string {
	return fmt.Sprintf(`{"_id":%q,"_operation":"s3:Call","startedDateTime":"2026-07-01T06:00:00Z","time":1,`+
		`"request":{"method":"GET","url":"https://s3.amazonaws.com/","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"queryString":[],"headersSize":-1,"bodySize":0},`+
		`"response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"content":{"size":%d,"mimeType":"text/plain","text":%q},"redirectURL":"","headersSize":-1,"bodySize":-1},`+
		`"cache":{},"timings":{"send":0,"wait":1,"receive":0}}`, id, len(body), body)
}

func har(entries ...string) string {
	return `{"log":{"version":"1.2","creator":{"name":"tallystick","version":"test"},"entries":[` + "\n" + strings.Join(entries, ",\n") + "\n]}}\n"
}

// bucket is an observation whose sources are a list and its own exchange.
func bucket(id string) evidence.Observation {
	name, err := json.Marshal("<" + id + ">")
	if err != nil {
		panic(err)
	}
	return evidence.Observation{
		Kind: "aws.s3.bucket", ID: id, Region: "eu-west-1", Body: json.RawMessage(`{"Name":` + string(name) + `}`),
		Sources: []string{"of-" + id + ".1", "list.1"},
	}
}

// buckets records a run of the bucket collector, an hour after midnight or at
// its slot, with one exchange for each bucket and one for the list.
func (w *world) buckets(account, slot string, trigger evidence.Trigger, gaps []evidence.Gap, list ...evidence.Observation) uint64 {
	w.t.Helper()
	var lines, missing strings.Builder
	first, second := []string{exchange("list.1", "all")}, []string{exchange("unwanted.1", "x")}
	for i, o := range list {
		raw, err := json.Marshal(o)
		if err != nil {
			w.t.Fatal(err)
		}
		lines.Write(append(raw, '\n'))
		if i%2 == 0 {
			first = append(first, exchange("of-"+o.ID+".1", "body of "+o.ID))
		} else {
			second = append(second, exchange("of-"+o.ID+".1", "body of "+o.ID))
		}
	}
	payloads := []string{"exchanges-0001.har", har(first...), "exchanges-0002.har", har(second...), evidence.PayloadObservations, lines.String()}
	outcome := evidence.Complete
	for _, g := range gaps {
		raw, err := json.Marshal(g)
		if err != nil {
			w.t.Fatal(err)
		}
		missing.Write(append(raw, '\n'))
		outcome = evidence.Partial
	}
	if missing.Len() > 0 {
		payloads = append(payloads, evidence.PayloadGaps, missing.String())
	}
	when := at(slot)
	return w.record(evidence.TypeRun, evidence.Run{
		Header: header(when.Add(2 * time.Minute)), Task: evidence.Task{Stream: bucketsOf(account), Slot: when}, Trigger: trigger,
		Started: when.Add(time.Minute), Finished: when.Add(2 * time.Minute), Outcome: outcome,
	}, payloads...)
}

func bucketsOf(account string) evidence.Stream {
	return evidence.Stream{Collector: "aws.s3_buckets", Scope: evidence.Scope{Provider: "aws", Account: account}}
}

// judge records an assessment of the buckets of one run by the check bucket-good.
func (w *world) judge(run uint64, status evidence.Status, ids ...string) {
	w.t.Helper()
	const check = "bucket-good"
	r := w.entries[run].Predicate.(*evidence.Run)
	var lines strings.Builder
	for _, id := range ids {
		raw, err := json.Marshal(evidence.Verdict{
			Check: check, Control: "storage", Provider: "aws", Account: r.Account, Region: "eu-west-1", Kind: "aws.s3.bucket",
			Resource: id, Status: status, Reason: fmt.Sprintf("as of record %d", run),
		})
		if err != nil {
			w.t.Fatal(err)
		}
		lines.Write(append(raw, '\n'))
	}
	w.record(evidence.TypeAssessment, evidence.Assessment{
		Header: header(r.At.Add(time.Second)), Scope: r.Scope, Evaluated: r.At,
		Used:   []evidence.Used{{Stream: r.Stream.String(), Slot: r.Slot, Record: run}},
		Checks: []evidence.CheckCount{{Check: check}},
	}, evidence.PayloadVerdicts, lines.String())
}

func (w *world) missed(first, last string, slots int) {
	w.t.Helper()
	w.record(evidence.TypeMissed, evidence.Missed{
		Header: header(at(last).Add(time.Hour)), Stream: bucketsOf(one), First: at(first), Last: at(last), Slots: slots, Cause: evidence.CauseAgentDown,
	})
}

func (w *world) freeze(d Definition) *Population {
	w.t.Helper()
	p, err := Freeze(w.t.Context(), w.source(), d)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) wantError(d Definition, want string) {
	w.t.Helper()
	if _, err := Freeze(w.t.Context(), w.source(), d); err == nil || !strings.Contains(err.Error(), want) {
		w.t.Errorf("%+v: error %v, want one with %q", d, err, want)
	}
}
