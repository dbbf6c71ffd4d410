package period

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for daylight saving

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/schedule"
	"github.com/tallystick/tallystick/internal/durable"
)

// at reads a time: "2026-07-01 06:17:00", seconds and clock may be left out.
func at(text string) time.Time {
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	panic(text)
}

// The collectors of the test world, what they supply, and their regions.
const (
	users   = "t.users"
	buckets = "t.buckets"
	trails  = "t.trails"
	groups  = "t.groups" // regional
	reports = "t.reports"
	one     = "111111111111"
	two     = "222222222222"
)

func kindOf(collector string) string { return strings.TrimSuffix(collector, "s") }

// checkJSON is a check of the test catalogue.
func checkJSON(id, kind, join string, limit int) string {
	joins := ""
	if join != "" {
		joins = fmt.Sprintf(`,"joins":[{"kind":%q,"name":"j"}]`, join)
	}
	return fmt.Sprintf(`{"id":%q,"title":"title of %s","provider":"t","kinds":[%q]%s,"parameters":{"limit":{"default":%d,"type":"int"}},"pass":"resource.Good && 1 < 2"}`,
		id, id, kind, joins, limit)
}

func controlJSON(id, severity string, checks ...string) string {
	return fmt.Sprintf(`{"id":%q,"title":"title of %s","severity":%q,"frequency":"daily","criteria":[{"id":"CC6.1","why":"w"}],"checks":[%s]}`,
		id, id, severity, strings.Join(checks, ","))
}

func catalogueJSON(controls ...string) string {
	return fmt.Sprintf(`{"controls":[%s],"version":1}`, strings.Join(controls, ","))
}

// standard is the catalogue of the test world.
func standard() string {
	return catalogueJSON(
		controlJSON("audit", "medium", checkJSON("c-report", "t.report", "", 1)),
		controlJSON("mfa", "critical", checkJSON("c-user", "t.user", "", 90)),
		controlJSON("net", "low", checkJSON("c-group", "t.group", "", 1)),
		controlJSON("store", "high", checkJSON("c-bucket", "t.bucket", "", 1), checkJSON("c-bucket-trail", "t.bucket", "t.trail", 1)),
	)
}

// thing is a resource of the estate.
type thing struct {
	region string
	state  string            // good, bad, exempt, hidden (its Good can not be read), blind (nor any detail), gone (a gap names it, it is not observed)
	fields map[string]string // more of the body, as JSON
}

// estate is what an account has, by collector and id.
type estate map[string]map[string]thing

// world writes records as the agent writes them.
type world struct {
	t       testing.TB
	store   *payload.Store
	written map[string]evidence.Digest
	entries []evidence.Entry

	exprs       map[string]string // by collector
	accounts    []string
	central     []string
	left        []evidence.NotCollected
	chosen      []string // regions
	discoveries []evidence.Discovery
	catalogue   string
	zone        string
	limits      map[string]int
	regions     []string // that t.groups looks at
	leftOut     []string
	version     string
	principal   string
	file        string

	things                          map[string]estate          // by account
	denied                          map[string]map[string]bool // collectors of which the list is denied in a region ("": all), by account and collector
	look                            time.Duration              // from the begin of a task to its end
	sequence                        map[string]uint64
	newest                          map[evidence.Stream]ranAs
	configs                         uint64
	scheduleDigest, catalogueDigest evidence.Digest
}

type ranAs struct {
	record  uint64
	run     *evidence.Run
	seen    map[string]thing
	denied  map[string]bool
	regions []string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{
		t: t, store: newStore(t), written: map[string]evidence.Digest{}, accounts: []string{one}, catalogue: standard(), zone: "UTC", regions: []string{"r1"}, version: "1", principal: "arn:auditor",
		exprs: map[string]string{users: "0 6 * * *", buckets: "0 6 * * *"}, limits: map[string]int{"critical": 2, "high": 7}, file: "organization: Example\n",
		things: map[string]estate{one: {}, two: {}}, denied: map[string]map[string]bool{}, look: 30 * time.Second,
		sequence: map[string]uint64{}, newest: map[evidence.Stream]ranAs{},
	}
}

// hasty is a disk that does not wait for anything to be on it.
type hasty struct{ durable.Disk }

func (hasty) SyncDir(string) error { return nil }

func (d hasty) CreateTemp(dir string) (durable.Handle, error) {
	h, err := d.Disk.CreateTemp(dir)
	return hastyFile{h}, err
}

type hastyFile struct{ durable.Handle }

func (hastyFile) Sync() error { return nil }

func newStore(t testing.TB) *payload.Store {
	t.Helper()
	store, err := payload.OpenFS(t.TempDir(), hasty{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (w *world) put(lines ...string) evidence.Digest {
	w.t.Helper()
	text := ""
	for _, l := range lines {
		text += l + "\n"
	}
	if d, ok := w.written[text]; ok {
		return d
	}
	d, err := w.store.Put([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	w.written[text] = d
	return d
}

func (w *world) header(at time.Time) evidence.Header {
	return evidence.Header{At: at, Clock: evidence.ClockSystem, Agent: evidence.Agent{Version: w.version, Binary: evidence.Digest(strings.Repeat("a", 63) + w.version)}}
}

func (w *world) record(kind string, predicate any, subjects ...evidence.Subject) uint64 {
	w.t.Helper()
	raw, err := json.Marshal(predicate)
	if err != nil {
		w.t.Fatal(err)
	}
	s := evidence.Statement{Type: evidence.StatementType, Subject: subjects, PredicateType: kind, Predicate: raw}
	p, err := evidence.Decode(s)
	if err != nil {
		w.t.Fatal(err)
	}
	index := uint64(len(w.entries))
	w.entries = append(w.entries, evidence.Entry{Index: index, Statement: s, Predicate: p})
	return index
}

// schedule gives the schedule of the configuration as it is now.
func (w *world) schedule() evidence.Schedule {
	s := evidence.Schedule{TimeZone: w.zone, Collectors: []evidence.CollectorSchedule{}, Scopes: []evidence.Scope{}}
	for _, c := range slices.Sorted(maps.Keys(w.exprs)) {
		s.Collectors = append(s.Collectors, evidence.CollectorSchedule{Provider: "t", Collector: c, Schedule: w.exprs[c], Kinds: []string{kindOf(c)}})
	}
	for _, a := range w.accounts {
		s.Scopes = append(s.Scopes, evidence.Scope{Provider: "t", Account: a})
	}
	for _, a := range w.central {
		s.Central = append(s.Central, evidence.Scope{Provider: "t", Account: a})
	}
	s.NotCollected = w.left
	if w.chosen != nil {
		s.Regions = map[string][]string{"t": w.chosen}
	}
	return s
}

// configure records that the configuration took force.
func (w *world) configure(when time.Time, event string) {
	w.t.Helper()
	raw, err := json.Marshal(w.schedule())
	if err != nil {
		w.t.Fatal(err)
	}
	w.configs++
	w.scheduleDigest, w.catalogueDigest = w.put(string(raw)), w.put(w.catalogue)
	w.record(evidence.TypeConfiguration, evidence.Configuration{
		Header: w.header(when), Sequence: w.configs, Event: event, Ledger: "period.test", Organization: "Example", PeriodStart: "2026-01-01", PeriodEnd: "2026-12-31",
		RemediationDays: maps.Clone(w.limits), Discoveries: w.discoveries,
	}, evidence.SubjectOf(evidence.PayloadConfiguration, w.put(w.file)), evidence.SubjectOf(evidence.PayloadSchedule, w.scheduleDigest),
		evidence.SubjectOf(evidence.PayloadCatalogue, w.catalogueDigest))
}

func stream(collector, account string) evidence.Stream {
	return evidence.Stream{Collector: collector, Scope: evidence.Scope{Provider: "t", Account: account}}
}

// set puts a resource into the estate; without a state it is gone.
func (w *world) set(account, collector, id, region, state string, fields ...string) {
	all := w.things[account]
	if all[collector] == nil {
		all[collector] = map[string]thing{}
	}
	if state == "" {
		delete(all[collector], id)
		return
	}
	more := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		more[fields[i]] = fields[i+1]
	}
	all[collector][id] = thing{region, state, more}
}

// deny makes the list of a collector unreadable, in a region or everywhere.
func (w *world) deny(account, collector, region string, denied bool) {
	key := account + collector
	if w.denied[key] == nil {
		w.denied[key] = map[string]bool{}
	}
	if delete(w.denied[key], region); denied {
		w.denied[key][region] = true
	}
}

// missed records slots without a run.
func (w *world) missed(collector, account string, first, last time.Time, cause evidence.Cause, from, to time.Time) {
	w.t.Helper()
	sched, err := schedule.Parse(w.exprs[collector], w.location())
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for range sched.Between(first.Add(-1), last) {
		n++
	}
	key := stream(collector, account)
	w.sequence[key.String()]++
	w.record(evidence.TypeMissed, evidence.Missed{
		Header: w.header(to), Stream: key, Sequence: w.sequence[key.String()], First: first, Last: last, Slots: n, Cause: cause, From: from, To: to,
	}, evidence.SubjectOf(evidence.PayloadSchedule, w.scheduleDigest))
}

func (w *world) location() *time.Location {
	zone, err := time.LoadLocation(w.zone)
	if err != nil {
		w.t.Fatal(err)
	}
	return zone
}

func (w *world) stop(when time.Time) {
	w.record(evidence.TypeStop, evidence.Stop{Header: w.header(when), Reason: "signal: terminated"}, evidence.SubjectOf(evidence.PayloadSchedule, w.scheduleDigest))
}

// fold reports on the entries that indexes name, or on all of them.
func (w *world) fold(window Window, indexes []uint64, edit ...func(*Fold)) (*Report, []Change) {
	w.t.Helper()
	changes := []Change{}
	f := New(Options{Window: window, Payloads: w.store, Changed: func(c Change) error {
		changes = append(changes, c)
		return nil
	}})
	for _, e := range edit {
		e(f)
	}
	for _, e := range w.entries {
		if indexes != nil && !slices.Contains(indexes, e.Index) {
			continue
		}
		if err := f.Take(e); err != nil {
			w.t.Fatal(err)
		}
	}
	r, err := f.Report(window.To)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, changes
}

// window is of whole days, to exclusive.
func window(from, to string) Window { return Window{From: at(from), To: at(to), Zone: time.UTC} }

func byKey[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func asJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
