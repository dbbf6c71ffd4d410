package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// What was performed again.
const (
	OfRun        = "run"
	OfAssessment = "assessment"
)

// Report is what came of performing everything again.
type Report struct {
	Runs        Count `json:"runs"`
	Assessments Count `json:"assessments"`
	// NotPerformed says why some records could not be performed again, sorted.
	NotPerformed []Reason `json:"not_performed"`
	// Differences are in order of the records.
	Differences []Difference `json:"differences"`
	Omitted     int          `json:"omitted,omitempty"` // differences that are not listed
	RecordedBy  []string     `json:"recorded_by"`       // the versions of the program that wrote the records, sorted
	Simulated   bool         `json:"simulated,omitempty"`

	keep     int
	versions map[string]bool
}

// Count counts records.
type Count struct {
	Total        int `json:"total"`
	Same         int `json:"same"`
	Different    int `json:"different"`
	NotPerformed int `json:"not_performed"`
}

// Reason is why records of one sort could not be performed again.
type Reason struct {
	What  string `json:"what"` // OfRun or OfAssessment
	Why   string `json:"why"`
	Count int    `json:"count"`
	First uint64 `json:"first"` // the first such record
}

// Difference is one place in which what was sealed and what came out differ.
type Difference struct {
	Record   uint64    `json:"record"`
	What     string    `json:"what"`  // OfRun or OfAssessment
	Where    string    `json:"where"` // the stream of a run, the scope of an assessment
	At       time.Time `json:"at"`    // the slot of a run, or when the assessment was made
	Payload  string    `json:"payload"`
	Check    string    `json:"check,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Region   string    `json:"region,omitempty"`
	Resource string    `json:"resource,omitempty"`
	Field    string    `json:"field,omitempty"` // "body.Encryption.Rules[0]"; empty: the whole line
	// Sealed and Replayed are JSON. Empty: there is nothing on that side.
	Sealed   string `json:"sealed"`
	Replayed string `json:"replayed"`
	// Problem, when set, stands in place of both: why one side could not be read.
	Problem string `json:"problem,omitempty"`
	// RecordedBy is the version of the program that wrote the record.
	RecordedBy string `json:"recorded_by"`
}

// PayloadRecord stands in Difference.Payload for what the record itself says.
const PayloadRecord = "record"

// result is what came of one record.
type result struct {
	index        uint64
	what         string // empty: nothing was to be performed
	header       *evidence.Header
	differences  []Difference
	omitted      int
	notPerformed string // why
}

func newReport(keep int) *Report {
	return &Report{
		NotPerformed: []Reason{}, Differences: []Difference{}, RecordedBy: []string{},
		keep: keep, versions: make(map[string]bool),
	}
}

// add takes in a result. Results come in order of their records.
func (r *Report) add(one result) {
	if one.header != nil {
		r.Simulated = r.Simulated || one.header.Clock == evidence.ClockSimulated
	}
	if one.what == "" {
		return
	}
	if v := one.header.Agent.Version; !r.versions[v] {
		r.versions[v] = true
		r.RecordedBy = append(r.RecordedBy, v)
		slices.Sort(r.RecordedBy)
	}
	count := &r.Runs
	if one.what == OfAssessment {
		count = &r.Assessments
	}
	count.Total++
	switch {
	case len(one.differences) > 0:
		count.Different++
		room := min(len(one.differences), r.keep-len(r.Differences))
		r.Differences = append(r.Differences, one.differences[:room]...)
		r.Omitted += one.omitted + len(one.differences) - room
	case one.notPerformed != "":
		count.NotPerformed++
		r.reason(one)
	default:
		count.Same++
	}
}

func (r *Report) reason(one result) {
	key := Reason{What: one.what, Why: one.notPerformed}
	at := slices.IndexFunc(r.NotPerformed, func(have Reason) bool { return have.What == key.What && have.Why == key.Why })
	if at >= 0 {
		r.NotPerformed[at].Count++
		return
	}
	key.Count, key.First = 1, one.index
	r.NotPerformed = append(r.NotPerformed, key)
	slices.SortFunc(r.NotPerformed, func(a, b Reason) int {
		return cmp.Or(-cmp.Compare(a.What, b.What), cmp.Compare(a.Why, b.Why))
	})
}
