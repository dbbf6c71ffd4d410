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
	EndLeft     = "left_scope"     // the account, its region, the check or every collector that it reads was taken out of the configuration while it failed
)

// How a deviation began.
const (
	BeginDrifted  = "drifted"    // the resource had been good, or the check had not applied to it
	BeginAppeared = "appeared"   // the resource was not in its list before, and failed when it was seen first
	BeginFirst    = "first_look" // it failed already when it was looked at for the first time in the window
)

// Deviation is an interval in which a check failed on a resource. What is known
// are the times of the looks at it; the true begin lies after LastGood and not
// after FirstBad, the true end not before LastBad and before FirstGood. From
// look to look it is taken to have failed as long as each look saw it failing;
// a look that could not decide is Unseen, and counts as neither.
//
// When one look alone saw it failing, LastBad is FirstBad, the end of that
// look, and its true begin and end may both lie within the look.
type Deviation struct {
	ID       string `json:"id"` // stable: from what failed and since when
	Control  string `json:"control"`
	Check    string `json:"check"`
	Severity string `json:"severity"`
	evidence.Scope
	Region   string `json:"region"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"`

	Begin     string     `json:"begin"`
	LastGood  *time.Time `json:"last_good,omitempty"` // last look at which it was good, or not there, see Begin; nil: there was none in the window
	FirstBad  time.Time  `json:"first_bad"`
	LastBad   time.Time  `json:"last_bad"`
	FirstGood *time.Time `json:"first_good,omitempty"` // first look after it had ended, see End; nil while open
	End       string     `json:"end"`

	AtLeast time.Duration `json:"at_least_ns"` // from FirstBad to LastBad, without what is unseen; cut to the window
	AtMost  time.Duration `json:"at_most_ns"`  // from LastGood to FirstGood; cut to the window
	Unknown time.Duration `json:"unknown_ns"`  // of AtMost, how long nothing could be said
	Unseen  []Span        `json:"unseen,omitempty"`

	Occurrence int    `json:"occurrence"` // 1 for the first in the window
	LimitDays  int    `json:"limit_days"` // for its severity, by the configuration in force when it was first seen; 0: none is set
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
