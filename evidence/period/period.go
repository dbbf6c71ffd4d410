// Package period reads a ledger over an observation period and says what it
// shows: which slots were due and how each ended (coverage), when each check
// failed on each resource (deviations), what could not be decided (unknowns),
// and what changed.
//
// It promises that a report follows from the records of the period alone: the
// same records give the same report, on the agent's machine, in a bundle and on
// the auditor's machine; that what was due is derived from the schedules that
// the ledger says were in force then, so that no later configuration can shrink
// the past; and that nothing is counted as seen that was not. It reads the
// records once, in their order, and keeps no database.
//
// It does not verify (package verify does), does not judge, and has no clock.
//
// Limits: memory grows with the resources that are judged, by about 500 bytes
// for each check and resource, and with the runs of the period by about 150
// bytes each; not with how much they saw.
package period

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// Window is the time that a report is about: From <= t < To.
type Window struct {
	From time.Time
	To   time.Time
	Zone *time.Location // in which days begin and end

	// AsOf makes it a report of one moment, the end of the window: what stood
	// then, whenever it was seen.
	AsOf bool

	// Controls, when not empty, are those that the report is about.
	Controls []string
}

// Days lists the days of the window, in Zone.
func (w Window) Days() []Day {
	var days []Day
	for t := w.From; t.Before(w.To); {
		name := t.In(w.Zone).Format(time.DateOnly)
		_, end, err := schedule.Date(name, w.Zone)
		if err != nil || !end.After(t) { // a date that Format gave is one
			break
		}
		days = append(days, Day{Date: name, From: t, To: min2(end, w.To)})
		t = end
	}
	return days
}

func min2(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Day is a day of the window. The first and the last may be cut.
type Day struct {
	Date     string // YYYY-MM-DD
	From, To time.Time
}

// State is how a due slot ended.
type State string

// The states. Each due slot has exactly one.
const (
	Sealed State = "sealed" // run in time, everything read
	Late   State = "late"   // everything read, but later than LateAfter or than the next slot
	Part   State = "partial"
	Failed State = "failed" // run, and nothing was read
	Missed State = "missed" // not run
	Open   State = "open"   // no record accounts for it: not yet, or never will
)

// States lists every state, from good to bad.
func States() []State { return []State{Sealed, Late, Part, Failed, Missed, Open} }

// LateAfter is how long after its slot a task may begin before it is late. The
// agent spreads starts over at most five minutes.
const LateAfter = 15 * time.Minute

// Tally counts slots by how they ended.
type Tally struct {
	Due      int `json:"due"`
	Sealed   int `json:"sealed"`
	Late     int `json:"late"`
	Partial  int `json:"partial"`
	Failed   int `json:"failed"`
	Missed   int `json:"missed"`
	Open     int `json:"open"`
	CatchUps int `json:"catch_ups"` // tasks that were run once after slots were missed; they cover no slot
}

// Add counts n slots.
func (t *Tally) Add(s State, n int) {
	t.Due += n
	switch s {
	case Sealed:
		t.Sealed += n
	case Late:
		t.Late += n
	case Part:
		t.Partial += n
	case Failed:
		t.Failed += n
	case Missed:
		t.Missed += n
	case Open:
		t.Open += n
	}
}

// Of gives how many slots ended in a state.
func (t Tally) Of(s State) int {
	switch s {
	case Sealed:
		return t.Sealed
	case Late:
		return t.Late
	case Part:
		return t.Partial
	case Failed:
		return t.Failed
	case Missed:
		return t.Missed
	case Open:
		return t.Open
	}
	return 0
}

// Plus adds another tally.
func (t *Tally) Plus(o Tally) {
	t.Due += o.Due
	t.Sealed += o.Sealed
	t.Late += o.Late
	t.Partial += o.Partial
	t.Failed += o.Failed
	t.Missed += o.Missed
	t.Open += o.Open
	t.CatchUps += o.CatchUps
}

// Worst gives the worst state among the due slots, and false when none was due.
func (t Tally) Worst() (State, bool) {
	for _, s := range []struct {
		state State
		n     int
	}{{Open, t.Open}, {Missed, t.Missed}, {Failed, t.Failed}, {Part, t.Partial}, {Late, t.Late}, {Sealed, t.Sealed}} {
		if s.n > 0 {
			return s.state, true
		}
	}
	return "", false
}

// The causes of a Hole, beside those of evidence.Cause and evidence.Class.
const (
	CauseLate        = "late"          // the task began too late
	CauseNoRecord    = "no_record"     // no record accounts for the slots
	CauseNotInScope  = "not_in_scope"  // the account was not in the schedule in force
	CauseCollector   = "collector_off" // the account was, the collector was not
	CauseNoLedger    = "no_ledger"     // no configuration was in force yet
	CauseNotSupplied = "not_supplied"  // no scheduled collector supplies a kind that a check reads
)

// Hole is a row of slots of one stream that did not end as Sealed for one
// cause, or a span of time in which nothing was due that one would expect.
type Hole struct {
	evidence.Stream
	State State     `json:"state,omitempty"` // empty: nothing was due
	Cause string    `json:"cause"`
	Slots int       `json:"slots"` // due slots, 0 where nothing was due
	First time.Time `json:"first"` // first slot, or begin of the span
	Last  time.Time `json:"last"`  // last slot, or end of the span

	// From and To are the bounds that the records give for the cause: the last
	// sign of life before and the first after.
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`

	// What was refused, for runs with gaps.
	Kinds      []string `json:"kinds,omitempty"` // that the gaps are about, sorted
	Operation  string   `json:"operation,omitempty"`
	Permission string   `json:"permission,omitempty"`
	Code       string   `json:"code,omitempty"`
	Gaps       int      `json:"gaps,omitempty"` // over all of the slots
	Detail     string   `json:"detail,omitempty"`

	Records [2]uint64 `json:"records"` // first and last record that tells; both 0 for none
}

// StreamCoverage is how the slots of one stream ended.
type StreamCoverage struct {
	evidence.Stream
	Schedule string         `json:"schedule"` // cron, the newest in force within the window
	Total    Tally          `json:"total"`
	Days     []Tally        `json:"days"` // as Report.Days
	Newest   *Run           `json:"newest,omitempty"`
	Runs     int            `json:"runs"`
	Outcomes map[string]int `json:"outcomes"` // runs by outcome, whatever triggered them
}

// Run is a run and where its payloads are.
type Run struct {
	Record         uint64               `json:"record"`
	Slot           time.Time            `json:"slot"`
	Trigger        evidence.Trigger     `json:"trigger"`
	Started        time.Time            `json:"started"`
	Finished       time.Time            `json:"finished"`
	Outcome        evidence.Outcome     `json:"outcome"`
	Principal      string               `json:"principal"`
	Regions        []string             `json:"regions,omitempty"`          // looked at
	RegionsLeftOut []string             `json:"regions_left_out,omitempty"` // enabled in the account, and not looked at
	Observations   evidence.Digest      `json:"observations"`
	Gaps           evidence.Digest      `json:"gaps,omitempty"`
	Exchanges      []evidence.Digest    `json:"exchanges"`
	Counts         []evidence.KindCount `json:"counts"`
}

// Cell is one control on one day.
type Cell struct {
	Tally
	// Judged says that an assessment was made that day; then the counts are
	// those of the last one of each check and scope on that day.
	Judged        bool `json:"judged"`
	Pass          int  `json:"pass"`
	Fail          int  `json:"fail"`
	Unknown       int  `json:"unknown"`
	NotApplicable int  `json:"not_applicable"`
	FailSeen      bool `json:"fail_seen"` // some assessment of the day had a fail
}

// ControlCoverage is one control over the window.
type ControlCoverage struct {
	Control
	// Occurred is false when none of its slots was due in the window: it is
	// "not occurred in period", which is never a pass.
	Occurred   bool     `json:"occurred"`
	Total      Tally    `json:"total"`
	Days       []Cell   `json:"days"`    // as Report.Days
	Streams    []int    `json:"streams"` // indexes into Report.Streams
	Standing   Standing `json:"standing"`
	Deviations int      `json:"deviations"`
	Overdue    int      `json:"overdue"` // of them, surely longer than the limit
}

// Control is a control as the newest catalogue of the window has it.
type Control struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	Severity  string   `json:"severity"`
	Frequency string   `json:"frequency"`
	Criteria  []string `json:"criteria"` // ids
	Checks    []Check  `json:"checks"`
}

// Check is a check as the catalogue has it.
type Check struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Provider string   `json:"provider"`
	Kinds    []string `json:"kinds"` // that it judges
	Reads    []string `json:"reads"` // those and the ones that it joins
}

// Standing counts the verdicts that stood at the end of the window.
type Standing struct {
	Pass          int `json:"pass"`
	Fail          int `json:"fail"`
	Unknown       int `json:"unknown"`
	NotApplicable int `json:"not_applicable"`
}

// Status is the roll-up of a control: fail beats unknown beats pass. It is
// empty when nothing was judged.
func (s Standing) Status() evidence.Status {
	switch {
	case s.Fail > 0:
		return evidence.Fail
	case s.Unknown > 0:
		return evidence.Unknown
	case s.Pass > 0:
		return evidence.Pass
	case s.NotApplicable > 0:
		return evidence.NotApplicable
	}
	return ""
}

// Judgement is the newest assessment of one check in one scope.
type Judgement struct {
	evidence.Scope
	Check     string              `json:"check"`
	Control   string              `json:"control"`
	Record    uint64              `json:"record"`
	Evaluated time.Time           `json:"evaluated"`
	Verdicts  evidence.Digest     `json:"verdicts"` // the payload; it holds verdicts of other checks too
	Count     evidence.CheckCount `json:"count"`
}

// Report is what the ledger shows of a window.
type Report struct {
	Window Window
	Days   []Day

	Ledger       string // the checkpoint origin
	Organization string
	Simulated    bool      // some record was made under a simulated clock: this is not evidence
	Until        time.Time // the newest record that was looked at; the report says nothing of later
	Records      uint64    // of the window

	Controls   []ControlCoverage // sorted by id
	Streams    []StreamCoverage  // sorted by provider, account, collector
	Holes      []Hole            // sorted by provider, account, collector, first
	Deviations []Deviation       // sorted by control, check, scope, region, resource, first bad
	Unknowns   []Unknown         // sorted likewise
	Samples    []DrawnSample     // in order of their records
	Judgements []Judgement       // sorted by control, check, scope
	LeftOut    []LeftOut         // sorted by provider, account, from
	Changes    map[string]int    // how many of each What; the changes themselves go to Options.Changed

	Catalogue evidence.Digest  // the newest of the window
	Binaries  []evidence.Agent // that wrote records of the window, in order of appearance
}

// LeftOut is a span of the window in which an account or a project that the organisation
// lists was not looked at, for one reason. To is exclusive.
type LeftOut struct {
	evidence.NotCollected
	From, To time.Time
	Record   uint64 // of the Configuration that put it in force
}

// DrawnSample is the record of a sample.
type DrawnSample struct {
	Record uint64
	evidence.Sample
}

// Total gives the tally over all streams.
func (r *Report) Total() (t Tally) {
	for _, s := range r.Streams {
		t.Plus(s.Total)
	}
	return t
}

// Complete says whether every slot that was due ended with everything read.
func (r *Report) Complete() bool {
	t := r.Total()
	return t.Due > 0 && t.Sealed+t.Late == t.Due && !slices.ContainsFunc(r.Holes, func(h Hole) bool { return h.State == "" })
}

func compareStreams(a, b evidence.Stream) int {
	return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Collector, b.Collector))
}

// String names the window for people.
func (w Window) String() string {
	last := w.To.Add(-1).In(w.Zone).Format(time.DateOnly)
	if w.AsOf {
		return "as of " + last
	}
	return fmt.Sprintf("%s to %s", w.From.In(w.Zone).Format(time.DateOnly), last)
}
