package evidence

import (
	"encoding/json"
	"slices"
	"time"
)

// MaxRecordBytes bounds an entry of the ledger, whose length C2SP tlog-tiles
// writes in 16 bits. Anything longer is a payload that a record names by digest.
const MaxRecordBytes = 1<<16 - 1

// StatementType is the in-toto Statement that every record is.
// Source: in-toto attestation framework, Statement v1.
const StatementType = "https://in-toto.io/Statement/v1"

// PayloadType is the DSSE payload type of an in-toto Statement.
const PayloadType = "application/vnd.in-toto+json"

// The predicate types of the records. The number is the version of the format;
// docs/formats/record.md describes each.
const (
	TypeConfiguration = "https://github.com/tallystick/tallystick/record/configuration/v1"
	TypeRun           = "https://github.com/tallystick/tallystick/record/run/v1"
	TypeMissed        = "https://github.com/tallystick/tallystick/record/missed/v1"
	TypeAssessment    = "https://github.com/tallystick/tallystick/record/assessment/v1"
	TypeStop          = "https://github.com/tallystick/tallystick/record/stop/v1"
	TypeExport        = "https://github.com/tallystick/tallystick/record/export/v1"
	TypeSample        = "https://github.com/tallystick/tallystick/record/sample/v1"
)

// Digest names a payload: the lower-case hexadecimal SHA-256 of its bytes
// before compression.
type Digest string

// Subject is a payload that a record vouches for.
// Source: in-toto ResourceDescriptor v1.
type Subject struct {
	Name   string            `json:"name"`   // "exchanges-0001.har", "observations.jsonl", ...
	Digest map[string]string `json:"digest"` // {"sha256": Digest}
}

// SubjectOf makes the subject for a payload.
func SubjectOf(name string, d Digest) Subject {
	return Subject{Name: name, Digest: map[string]string{"sha256": string(d)}}
}

// Statement is a record as it is signed.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Payload gives the digest of the subject called name, or false.
func (s Statement) Payload(name string) (Digest, bool) {
	for _, sub := range s.Subject {
		if sub.Name == name {
			return Digest(sub.Digest["sha256"]), true
		}
	}
	return "", false
}

// The names of the payloads that records carry as subjects.
const (
	PayloadConfiguration = "configuration.yaml"  // the file as written by the operator; it holds references, no secrets
	PayloadSchedule      = "schedule.json"       // a Schedule
	PayloadCatalogue     = "catalogue.json"      // the catalogue of checks in force
	PayloadExchanges     = "exchanges-%04d.har"  // HAR 1.2, numbered from 1
	PayloadObservations  = "observations.jsonl"  // one Observation a line, sorted by kind, region, id
	PayloadGaps          = "gaps.jsonl"          // one Gap a line, in the same order; absent when there are none
	PayloadVerdicts      = "verdicts.jsonl"      // one Verdict a line, sorted by check, region, resource
	PayloadManifest      = "manifest-sha256.txt" // of a bundle: a line for each of its files, as sha256sum writes it
	PayloadPopulation    = "population.csv"      // that a sample was drawn from
	PayloadSample        = "sample.json"         // what was drawn, and how
)

// Clock says which clock the times of a record were read from.
type Clock string

// The clocks. A record under ClockSimulated is not evidence.
const (
	ClockSystem    Clock = "system"
	ClockSimulated Clock = "simulated"
)

// Header opens every predicate.
type Header struct {
	At    time.Time `json:"at"` // when the record was written, by the agent's clock, UTC
	Clock Clock     `json:"clock"`
	Agent Agent     `json:"agent"`
}

// Agent is the program that wrote a record.
type Agent struct {
	Version string `json:"version"`
	Binary  Digest `json:"binary"` // SHA-256 of the executable, empty when it could not be read
}

// The events of a Configuration record.
const (
	EventStarted  = "started"
	EventReloaded = "reloaded"
	// EventDiscovered: the file is what it was, and the organisation's own
	// listing of its accounts or projects says something else than before.
	EventDiscovered = "discovered"
	EventManual     = "manual" // a person ran tasks by hand; the schedule in force stays what it was
)

// Configuration is the record that a configuration took force: from At on, the
// slots of its schedule are due. Its subjects are PayloadConfiguration,
// PayloadSchedule and PayloadCatalogue. With EventManual the schedule is not
// in force: nothing is due because of it.
type Configuration struct {
	Header
	// Sequence counts the Configuration records of the ledger from 1, so that
	// one that is left out of an extract leaves a hole.
	Sequence     uint64 `json:"sequence"`
	Event        string `json:"event"`
	Ledger       string `json:"ledger"` // the checkpoint origin
	Organization string `json:"organization"`
	PeriodStart  string `json:"period_start"` // YYYY-MM-DD, inclusive
	PeriodEnd    string `json:"period_end"`   // YYYY-MM-DD, inclusive

	// RemediationDays is how many days a deviation may last, by the severity
	// of its control. A severity that is absent has no limit.
	RemediationDays map[string]int `json:"remediation_days,omitempty"`

	// Discoveries are what listings of the organisation's own said of its accounts
	// or projects, where some were read: one for each scope that lists.
	Discoveries []Discovery `json:"discoveries,omitempty"`
}

// Discovery says from which listing it was taken what a schedule looks at, and in
// what the listing differs from before: one of accounts from the schedule before,
// and one of projects, which a schedule does not name one by one, from the listing
// of the discovery before, if there was one.
type Discovery struct {
	Scope              // that lists
	Record    uint64   `json:"record"`              // of the Run that read the listing
	Accounts  int      `json:"accounts"`            // accounts or projects that it has
	Appeared  []string `json:"appeared,omitempty"`  // accounts or projects that were not known before, sorted
	Vanished  []string `json:"vanished,omitempty"`  // that were, and that the listing does not have, sorted
	Suspended []string `json:"suspended,omitempty"` // accounts that were collected and are no longer active, sorted
}

// Schedule is what the verifier derives the due slots from. Streams are the
// product of Collectors and Scopes of the same provider. It says what is looked
// at, and what of an organisation is not.
type Schedule struct {
	TimeZone   string              `json:"time_zone"` // IANA name
	Collectors []CollectorSchedule `json:"collectors"`
	Scopes     []Scope             `json:"scopes"`

	// Central are the scopes that answer for their organisation: its
	// management account and its delegated administrators, as far as they are
	// among Scopes, sorted. Joins in the organisation look there.
	Central []Scope `json:"central,omitempty"`
	// NotCollected are the scopes that the organisation lists and that are not
	// looked at, sorted by provider and account. Where a scope holds many projects,
	// the ones that are left out of it stand here, named as Observation.Project is.
	NotCollected []NotCollected `json:"not_collected,omitempty"`
	// Regions are those that the operator chose, by provider. A provider that
	// is absent is looked at in every region that is enabled there.
	Regions map[string][]string `json:"regions,omitempty"`
}

// NotCollected is a scope, or a part of one, that is known and not looked at.
type NotCollected struct {
	Scope
	Name     string `json:"name,omitempty"`     // as the provider has it
	State    string `json:"state,omitempty"`    // as the provider has it, where that is why: "SUSPENDED"
	Excluded bool   `json:"excluded,omitempty"` // by the operator, who says why
	Reason   string `json:"reason,omitempty"`
	Approver string `json:"approver,omitempty"`
}

// CollectorSchedule is when one collector is due.
type CollectorSchedule struct {
	Provider  string `json:"provider"`
	Collector string `json:"collector"`
	Schedule  string `json:"schedule"` // cron, as configured

	// Kinds are what the collector supplies, sorted: which checks a missed slot
	// concerns follows from them.
	Kinds []string `json:"kinds"`

	// Accounts are the only ones in which the collector is due; empty: all.
	Accounts []string `json:"accounts,omitempty"`
}

// In says whether the collector is due in a scope.
func (c CollectorSchedule) In(s Scope) bool {
	return c.Provider == s.Provider && (len(c.Accounts) == 0 || slices.Contains(c.Accounts, s.Account))
}

// Streams gives every stream of the schedule with its cron expression, in
// order of collectors, then scopes.
func (s Schedule) Streams(yield func(Stream, string) bool) {
	for _, c := range s.Collectors {
		for _, scope := range s.Scopes {
			if !c.In(scope) {
				continue
			}
			if !yield(Stream{Collector: c.Collector, Scope: scope}, c.Schedule) {
				return
			}
		}
	}
}

// LeftOut gives what of a provider is known and not looked at, by account; nothing
// where there is no schedule.
func (s *Schedule) LeftOut(provider string) map[string]NotCollected {
	out := map[string]NotCollected{}
	if s == nil {
		return out
	}
	for _, n := range s.NotCollected {
		if n.Provider == provider {
			out[n.Account] = n
		}
	}
	return out
}

// Outcome is how a task ended.
type Outcome string

// The outcomes. Partial and failed tasks are evidence too: of what could not be seen.
const (
	Complete Outcome = "complete" // everything was read
	Partial  Outcome = "partial"  // something was, and there are gaps
	Failed   Outcome = "failed"   // nothing was read
)

// Run is the record of a task. Its subjects are the exchanges, observations
// and gaps.
type Run struct {
	Header
	Task
	Sequence  uint64    `json:"sequence"` // of the stream, from 1, over Run and Missed records together
	Trigger   Trigger   `json:"trigger"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished"`
	Principal string    `json:"principal"` // the caller as the provider names it; empty when that could not be read
	Outcome   Outcome   `json:"outcome"`

	Regions        []string     `json:"regions,omitempty"`          // the regions looked at, sorted
	RegionsLeftOut []string     `json:"regions_left_out,omitempty"` // enabled in the scope, not in the configuration
	Observations   []KindCount  `json:"observations"`               // per kind and region, sorted; a kind that was listed and is empty has count 0
	Vanished       int          `json:"vanished,omitempty"`         // listed, then gone before their detail was read
	Gaps           []GapCount   `json:"gaps,omitempty"`             // sorted; the gaps themselves are PayloadGaps
	Calls          []CallCount  `json:"calls"`                      // sorted by operation
	ClockOffset    *ClockOffset `json:"clock_offset,omitempty"`
	Fault          string       `json:"fault,omitempty"` // what went wrong inside this program, for a failed task

	ConfigurationDigest Digest `json:"configuration"` // of the PayloadSchedule in force
	CatalogueDigest     Digest `json:"catalogue"`
}

// KindCount counts observations.
type KindCount struct {
	Kind   string `json:"kind"`
	Region string `json:"region,omitempty"`
	Count  int    `json:"count"`
}

// GapCount counts gaps that are alike.
type GapCount struct {
	Class      Class  `json:"class"`
	Operation  string `json:"operation"`
	Permission string `json:"permission,omitempty"`
	Code       string `json:"code,omitempty"`
	Policy     string `json:"policy,omitempty"` // see Gap.Policy
	Count      int    `json:"count"`
}

// String gives one line for people, as that of a Gap.
func (g GapCount) String() string {
	return Gap{Operation: g.Operation, Permission: g.Permission, Class: g.Class, Code: g.Code, Policy: g.Policy}.String()
}

// CallCount counts calls and the attempts that they took.
type CallCount struct {
	Operation string `json:"operation"`
	Calls     int    `json:"calls"`
	Attempts  int    `json:"attempts"`
}

// ClockOffset compares the agent's clock with the providers' Date headers,
// which have a resolution of one second. Positive: the agent is ahead.
type ClockOffset struct {
	MedianMS int64 `json:"median_ms"`
	MaxAbsMS int64 `json:"max_abs_ms"`
	Samples  int   `json:"samples"`
}

// Cause says why slots were not run.
type Cause string

// The causes.
const (
	CauseAgentDown   Cause = "agent_down"  // no agent held the ledger
	CauseOverlap     Cause = "overlap"     // the task of an earlier slot was still running
	CauseInterrupted Cause = "interrupted" // the agent was told to stop, or was killed, before the task was sealed
	CauseFault       Cause = "fault"       // the agent could not run or seal it, or was held up; Detail says how
)

// Missed is the record of slots of one stream for which there is no run.
type Missed struct {
	Header
	Stream
	Sequence uint64    `json:"sequence"`
	First    time.Time `json:"first"` // first slot that was missed
	Last     time.Time `json:"last"`  // last slot that was missed; First when there is one
	Slots    int       `json:"slots"` // how many are due in [First, Last]
	Cause    Cause     `json:"cause"`
	From     time.Time `json:"from"` // the cause held from here at the earliest: the last sign of life
	To       time.Time `json:"to"`   // until here
	Detail   string    `json:"detail,omitempty"`
}

// Assessment is the record of a judgement over recorded observations. Its
// subjects are PayloadVerdicts, the PayloadCatalogue it was made with, and the
// PayloadSchedule in force, which rules see as `scope`.
type Assessment struct {
	Header
	Scope
	Sequence  uint64       `json:"sequence"`  // counts the assessments of the scope from 1
	Evaluated time.Time    `json:"evaluated"` // when; in rules, `now` is when the run that saw the resource finished
	Used      []Used       `json:"used"`      // sorted by stream, then by whether it is for the organisation
	Checks    []CheckCount `json:"checks"`    // sorted by check: each check that was evaluated
}

// Used names a run that an assessment was made from.
type Used struct {
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"`
	Slot     time.Time `json:"slot"`
	Record   uint64    `json:"record"` // index in the ledger

	// Organization says that the run was used for joins in the organisation.
	// A run of the scope itself that is used both ways stands here twice.
	Organization bool `json:"organization,omitempty"`
}

// CheckCount counts the verdicts of one check.
type CheckCount struct {
	Check         string `json:"check"`
	Pass          int    `json:"pass"`
	Fail          int    `json:"fail"`
	Unknown       int    `json:"unknown"`
	NotApplicable int    `json:"not_applicable"`
}

// Add counts one verdict.
func (c *CheckCount) Add(s Status) {
	switch s {
	case Pass:
		c.Pass++
	case Fail:
		c.Fail++
	case Unknown:
		c.Unknown++
	case NotApplicable:
		c.NotApplicable++
	}
}

// Stop is the record that the agent ended in good order. Nothing ran between
// it and the next Configuration record. It has no subjects of its own and
// repeats the PayloadSchedule in force.
type Stop struct {
	Header
	Reason string `json:"reason"` // "signal: terminated", "done"
}
