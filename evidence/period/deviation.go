package period

import (
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// How a deviation ended.
const (
	EndOpen     = "open"           // it had not at the end of the window
	EndPassed   = "passed"         // the check passed again
	EndVanished = "vanished"       // the resource was gone from a list that was read to its end
	EndExempt   = "not_applicable" // the check no longer applied
	EndLeft     = "left_scope"     // the account or the check was taken out of the configuration while it failed
)

// Deviation is an interval in which a check failed on a resource. What is known
// are the times of the looks at it; the true begin lies after LastGood and not
// after FirstBad, the true end not before LastBad and before FirstGood.
type Deviation struct {
	ID       string `json:"id"` // stable: from what failed and since when
	Control  string `json:"control"`
	Check    string `json:"check"`
	Severity string `json:"severity"`
	evidence.Scope
	Region   string `json:"region"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"`

	LastGood  *time.Time `json:"last_good,omitempty"` // nil: never seen good in the window
	FirstBad  time.Time  `json:"first_bad"`
	LastBad   time.Time  `json:"last_bad"`
	FirstGood *time.Time `json:"first_good,omitempty"` // first look after it had ended, see End; nil while open
	End       string     `json:"end"`

	AtLeast time.Duration `json:"at_least_ns"` // it failed for at least so long
	AtMost  time.Duration `json:"at_most_ns"`  // and at most; cut to the window
	Unknown time.Duration `json:"unknown_ns"`  // of that, how long nothing could be said
	Unseen  []Span        `json:"unseen,omitempty"`

	Occurrence int    `json:"occurrence"` // 1 for the first in the window
	LimitDays  int    `json:"limit_days"` // for its severity; 0: none is set
	Overdue    string `json:"overdue"`    // no, perhaps (AtMost exceeds the limit), yes (AtLeast does)

	Reason   string `json:"reason"`    // when it was first seen
	OpenedBy uint64 `json:"opened_by"` // record of the assessment
	ClosedBy uint64 `json:"closed_by,omitempty"`
}

// Whether a deviation took longer than its limit.
const (
	OverdueNo      = "no"
	OverduePerhaps = "perhaps"
	OverdueYes     = "yes"
)

// Span is a row of looks that could not decide.
type Span struct {
	From  time.Time `json:"from"` // the last look before it that could, or the begin of the window
	To    time.Time `json:"to"`   // the first look after it that could, or the end of the window
	Looks int       `json:"looks"`
}

// Unknown is a row of looks in which a check could not be decided on a
// resource, or (with evidence.Population) on what a list would have shown.
type Unknown struct {
	Control string `json:"control"`
	Check   string `json:"check"`
	evidence.Scope
	Region   string `json:"region"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
	Span
	First      time.Time `json:"first"` // first and last look that could not decide
	Last       time.Time `json:"last"`
	Reason     string    `json:"reason"` // of the last
	Permission string    `json:"permission,omitempty"`
	Class      string    `json:"class,omitempty"`
	Open       bool      `json:"open"` // at the end of the window
}
