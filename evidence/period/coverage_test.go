package period

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// tallied gives a tally in short: only what is not zero.
func tallied(t Tally) string {
	var out []string
	for _, p := range []struct {
		name string
		n    int
	}{{"due", t.Due}, {"sealed", t.Sealed}, {"late", t.Late}, {"partial", t.Partial}, {"failed", t.Failed}, {"missed", t.Missed}, {"open", t.Open}, {"catch-ups", t.CatchUps}} {
		if p.n != 0 {
			out = append(out, fmt.Sprintf("%s %d", p.name, p.n))
		}
	}
	return strings.Join(out, ", ")
}

func clock(t time.Time) string { return t.UTC().Format("01-02 15:04:05") }

func told(h Hole) string {
	text := fmt.Sprintf("%s %s %s x%d %s..%s", h.Collector, h.State, h.Cause, h.Slots, clock(h.First), clock(h.Last))
	if h.From != nil {
		text += " from " + clock(*h.From)
	}
	if h.To != nil {
		text += " to " + clock(*h.To)
	}
	if len(h.Kinds) > 0 {
		text += " " + strings.Join(h.Kinds, "+")
	}
	if h.Gaps > 0 {
		text += fmt.Sprintf(" %s %d gaps", h.Operation, h.Gaps)
	}
	return text
}

func (w *world) stream(r *Report, collector string) StreamCoverage {
	w.t.Helper()
	for _, s := range r.Streams {
		if s.Collector == collector && s.Account == one {
			return s
		}
	}
	w.t.Fatalf("no stream of %s", collector)
	return StreamCoverage{}
}

func (w *world) control(r *Report, id string) ControlCoverage {
	w.t.Helper()
	for _, c := range r.Controls {
		if c.ID == id {
			return c
		}
	}
	w.t.Fatalf("no control %s", id)
	return ControlCoverage{}
}

func (w *world) wantHoles(r *Report, collector string, want ...string) {
	w.t.Helper()
	var got []string
	for _, h := range r.Holes {
		if h.Collector == collector {
			got = append(got, told(h))
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("holes of %s:\ngot\n\t%s\nwant\n\t%s", collector, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (w *world) wantTally(what string, got Tally, want string) {
	w.t.Helper()
	if tallied(got) != want {
		w.t.Errorf("%s: %s, want %s", what, tallied(got), want)
	}
}

func begun(after time.Duration) func(*evidence.Run) {
	return func(r *evidence.Run) { r.Started = r.Slot.Add(after) }
}

func by(trigger evidence.Trigger) func(*evidence.Run) {
	return func(r *evidence.Run) { r.Trigger = trigger; r.Started = r.Slot }
}

func TestSlotStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exprs = map[string]string{users: "0 6 * * *", buckets: "0 6 * * *", trails: "*/10 6 * * *"}
	w.set(one, users, "ann", "", "good")
	w.set(one, buckets, "b", "r1", "good")
	w.configure(at("2026-07-01"), evidence.EventStarted)
	w.run(users, one, at("2026-07-01 06:00"))
	w.run(users, one, at("2026-07-02 06:00"), begun(15*time.Minute))             // in time, just
	w.run(users, one, at("2026-07-03 06:00"), begun(15*time.Minute+time.Second)) // late
	w.run(users, one, at("2026-07-04 06:00"), begun(26*time.Hour))               // after the next slot too
	w.missed(users, one, at("2026-07-05 06:00"), at("2026-07-05 06:00"), evidence.CauseOverlap, at("2026-07-05 06:00"), at("2026-07-05 06:00"))
	w.missed(users, one, at("2026-07-06 06:00"), at("2026-07-06 06:00"), evidence.CauseInterrupted, at("2026-07-06 06:00"), at("2026-07-06 06:05"))
	w.missed(users, one, at("2026-07-07 06:00"), at("2026-07-07 06:00"), evidence.CauseFault, at("2026-07-07 06:00"), at("2026-07-07 06:02"))
	w.missed(users, one, at("2026-07-08 06:00"), at("2026-07-09 06:00"), evidence.CauseAgentDown, at("2026-07-07 06:02"), at("2026-07-09 12:00"))
	w.run(users, one, at("2026-07-09 12:00:00").Add(time.Millisecond), by(evidence.TriggerCatchUp))
	w.set(one, users, "ann", "", "hidden")
	w.run(users, one, at("2026-07-10 06:00"))
	w.run(users, one, at("2026-07-11 06:00"), begun(time.Hour))
	w.deny(one, users, "", true)
	w.run(users, one, at("2026-07-12 06:00"))
	w.deny(one, users, "", false)
	w.run(users, one, at("2026-07-13 12:00"), by(evidence.TriggerManual)) // covers nothing

	// Every ten minutes: late is also what began with the next slot.
	w.run(trails, one, at("2026-07-01 06:00"), begun(10*time.Minute-time.Second))
	w.run(trails, one, at("2026-07-01 06:10"), begun(10*time.Minute))

	r, _ := w.fold(window("2026-07-01", "2026-07-15"), nil)
	s := w.stream(r, users)
	w.wantTally("users", s.Total, "due 14, sealed 2, late 2, partial 2, failed 1, missed 5, open 2, catch-ups 1")
	for day, want := range []string{
		"due 1, sealed 1", "due 1, sealed 1", "due 1, late 1", "due 1, late 1", "due 1, missed 1", "due 1, missed 1", "due 1, missed 1", "due 1, missed 1",
		"due 1, missed 1, catch-ups 1", "due 1, partial 1", "due 1, partial 1", "due 1, failed 1", "due 1, open 1", "due 1, open 1",
	} {
		w.wantTally(r.Days[day].Date, s.Days[day], want)
		w.wantTally("mfa on "+r.Days[day].Date, w.control(r, "mfa").Days[day].Tally, want)
	}
	w.wantHoles(r, users,
		"t.users late late x2 07-03 06:00:00..07-04 06:00:00 to 07-05 08:00:00",
		"t.users missed overlap x1 07-05 06:00:00..07-05 06:00:00 from 07-05 06:00:00 to 07-05 06:00:00",
		"t.users missed interrupted x1 07-06 06:00:00..07-06 06:00:00 from 07-06 06:00:00 to 07-06 06:05:00",
		"t.users missed fault x1 07-07 06:00:00..07-07 06:00:00 from 07-07 06:00:00 to 07-07 06:02:00",
		"t.users missed agent_down x2 07-08 06:00:00..07-09 06:00:00 from 07-07 06:02:00 to 07-09 12:00:00",
		"t.users partial denied x2 07-10 06:00:00..07-11 06:00:00 t.user t:Get 2 gaps",
		"t.users failed denied x1 07-12 06:00:00..07-12 06:00:00 t.user t:List 1 gaps",
		"t.users open no_record x2 07-13 06:00:00..07-14 06:00:00")
	if got := w.stream(r, trails).Days[0]; got.Sealed != 1 || got.Late != 1 || got.Open != 4 {
		t.Errorf("trails on the first day: %s", tallied(got))
	}
	if s.Runs != 9 || s.Outcomes["complete"] != 5 || s.Outcomes["partial"] != 3 || s.Outcomes["failed"] != 1 || s.Newest == nil || s.Newest.Trigger != evidence.TriggerManual {
		t.Errorf("runs %d, outcomes %v, newest %+v", s.Runs, s.Outcomes, s.Newest)
	}
	if r.Complete() {
		t.Error("the report says that it is complete")
	}
	// A report up to a moment within: later slots are not due yet.
	f := New(Options{Window: window("2026-07-01", "2026-07-15"), Payloads: w.store})
	for _, e := range w.entries {
		if err := f.Take(e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		part, err := f.Report(at("2026-07-12 06:00:01"))
		if err != nil {
			t.Fatal(err)
		}
		w.wantTally("users up to 12 July", w.stream(part, users).Total, "due 12, sealed 2, late 2, partial 2, failed 1, missed 5, catch-ups 1")
		w.wantTally("mfa up to 12 July", w.control(part, "mfa").Total, "due 12, sealed 2, late 2, partial 2, failed 1, missed 5, catch-ups 1")
	}
	none, err := f.Report(at("2026-06-01"))
	if err != nil || len(none.Streams) != 0 || len(none.Holes) != 0 {
		t.Errorf("before the window: %v, %v", none, err)
	}
}

// A partial task is partial for the controls whose kinds the gaps are about.
func TestPartialForWhom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exprs = map[string]string{users: "0 6 * * *"}
	w.catalogue = catalogueJSON(controlJSON("mfa", "high", checkJSON("c-user", "t.user", "", 1)), controlJSON("other", "low", checkJSON("c-key", "t.key", "", 1)))
	schedule := w.schedule()
	schedule.Collectors[0].Kinds = []string{"t.key", "t.user"}
	w.set(one, users, "ann", "", "hidden")
	w.configure(at("2026-07-01"), evidence.EventStarted)
	// The collector supplies a second kind, of which everything was read.
	w.entries = nil
	w.record(evidence.TypeConfiguration, evidence.Configuration{Header: w.header(at("2026-07-01")), Sequence: 1, Event: evidence.EventStarted},
		evidence.SubjectOf(evidence.PayloadSchedule, w.put(asJSON(t, schedule))), evidence.SubjectOf(evidence.PayloadCatalogue, w.catalogueDigest))
	w.run(users, one, at("2026-07-01 06:00"))
	w.run(users, one, at("2026-07-02 06:00"), begun(time.Hour))
	r, _ := w.fold(window("2026-07-01", "2026-07-03"), nil)
	w.wantTally("users", w.stream(r, users).Total, "due 2, partial 2")
	w.wantTally("mfa", w.control(r, "mfa").Total, "due 2, partial 2")
	w.wantTally("other", w.control(r, "other").Total, "due 2, sealed 1, late 1")
}

func TestSpans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(one, users, "ann", "", "good")
	w.set(two, users, "ann", "", "good")
	w.catalogue = catalogueJSON(controlJSON("mfa", "high", checkJSON("c-user", "t.user", "", 1), checkJSON("c-other", "t.other", "", 1)))
	days := func(account string, from, to int) {
		for d := from; d <= to; d++ {
			w.run(users, account, at(fmt.Sprintf("2026-07-%02d 06:00", d)))
		}
	}
	w.exprs = map[string]string{users: "0 6 * * *"}
	w.configure(at("2026-07-02 05:00"), evidence.EventStarted)
	days(one, 2, 3)
	w.accounts = []string{one, two}
	w.configure(at("2026-07-04 06:00"), evidence.EventReloaded) // at the very slot: still of the old schedule
	days(one, 4, 5)
	days(two, 5, 5)
	w.exprs = map[string]string{buckets: "0 6 * * *"}
	w.configure(at("2026-07-06 00:00"), evidence.EventReloaded)
	w.configure(at("2026-07-06 12:00"), evidence.EventReloaded) // several a day
	w.configure(at("2026-07-06 12:00"), evidence.EventReloaded) // in one moment
	w.exprs = map[string]string{users: "0 6 * * *"}
	w.accounts = []string{two}
	w.configure(at("2026-07-08 00:00"), evidence.EventReloaded)
	days(two, 8, 9)
	r, _ := w.fold(window("2026-07-01", "2026-07-10"), nil)
	var got []string
	for _, h := range r.Holes {
		if h.Collector != buckets {
			got = append(got, h.Account[:min(1, len(h.Account))]+" "+told(h))
		}
	}
	want := []string{
		"   not_supplied x0 07-01 00:00:00..07-10 00:00:00 t.other",
		"1 t.users  no_ledger x0 07-01 00:00:00..07-02 05:00:00",
		"1 t.users  collector_off x0 07-06 00:00:00..07-08 00:00:00",
		"1 t.users  not_in_scope x0 07-08 00:00:00..07-10 00:00:00",
		"2 t.users  no_ledger x0 07-01 00:00:00..07-02 05:00:00",
		"2 t.users  not_in_scope x0 07-02 05:00:00..07-04 06:00:00",
		"2 t.users  collector_off x0 07-06 00:00:00..07-08 00:00:00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	w.wantTally("users", w.stream(r, users).Total, "due 4, sealed 4")
	// The ledger begins with the window: no span before it.
	r, _ = w.fold(Window{From: at("2026-07-02 05:00"), To: at("2026-07-06 00:00"), Zone: time.UTC}, nil)
	w.wantHoles(r, users, "t.users  not_in_scope x0 07-02 05:00:00..07-04 06:00:00")
	// And no ledger at all.
	r, _ = w.fold(window("2025-07-01", "2025-07-10"), nil)
	if len(r.Streams) != 0 || len(r.Controls) != 0 || r.Complete() {
		t.Errorf("before the ledger: %+v", r)
	}
}

// An edit of the schedule after an outage does not make the slots undue that
// were due by the old one, whether or not anything accounts for them.
func TestEditCannotHide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exprs = map[string]string{users: "0 */6 * * *", reports: "0 0 1 1 *"}
	w.set(one, users, "ann", "", "good")
	w.configure(at("2026-06-01 00:00"), evidence.EventStarted) // before the window
	w.run(users, one, at("2026-07-01 06:00"))
	w.exprs = map[string]string{users: "0 0 1 * *", reports: "0 0 1 1 *"} // monthly: would make three days of silence undue
	w.configure(at("2026-07-04 12:00"), evidence.EventStarted)
	r, _ := w.fold(window("2026-07-01", "2026-08-01"), nil)
	// 1 July has 00, 06, 12, 18; 2 and 3 July four each; 4 July 00, 06 and 12.
	w.wantTally("users", w.stream(r, users).Total, "due 15, sealed 1, open 14")
	w.wantHoles(r, users, "t.users open no_record x1 07-01 00:00:00..07-01 00:00:00", "t.users open no_record x13 07-01 12:00:00..07-04 12:00:00")
	if got := w.stream(r, users).Schedule; got != "0 0 1 * *" {
		t.Errorf("the schedule is %s", got)
	}
	audit := w.control(r, "audit")
	if audit.Occurred || audit.Total.Due != 0 {
		t.Errorf("a control that is due once a year: %+v", audit)
	}
	if mfa := w.control(r, "mfa"); !mfa.Occurred {
		t.Error("mfa did not occur")
	}
}
