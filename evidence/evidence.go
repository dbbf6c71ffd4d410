// Package evidence holds the vocabulary of tallystick: the values that
// collectors emit, the ledger keeps, checks judge and auditors read.
//
// It promises that a word means one thing everywhere: code, log, metric, file
// and documentation. It does not do I/O, it does not judge, and it imports
// nothing of this module.
package evidence

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Scope is one account of one provider: what a credential opens.
type Scope struct {
	Provider string `json:"provider"` // "aws" or "gcp"
	Account  string `json:"account"`  // AWS account id, Google Cloud project, folder or organisation
}

// String gives "aws/111122223333".
func (s Scope) String() string { return s.Provider + "/" + s.Account }

// Stream is the sequence of tasks of one collector in one scope. Each stream
// is numbered on its own, so that a record that was taken out leaves a hole.
type Stream struct {
	Collector string `json:"collector"` // for example "aws.s3_buckets"
	Scope
}

// String gives "aws.s3_buckets@aws/111122223333".
func (s Stream) String() string { return s.Collector + "@" + s.Scope.String() }

// Task is one stream at one slot. Its three parts are its identity: running it
// twice is one task, and it is sealed once.
type Task struct {
	Stream
	Slot time.Time `json:"slot"` // UTC
}

// ID gives "aws.s3_buckets@aws/111122223333@2026-07-01T06:17:00Z".
func (t Task) ID() string {
	return t.Stream.String() + "@" + t.Slot.UTC().Format(time.RFC3339Nano)
}

// Trigger says how a task came about.
type Trigger string

// The triggers. Only TriggerSchedule covers a slot of the schedule.
const (
	TriggerSchedule Trigger = "schedule" // its slot came
	TriggerInitial  Trigger = "initial"  // the first look at a stream that has no record yet
	TriggerCatchUp  Trigger = "catch_up" // once after slots were missed
	TriggerManual   Trigger = "manual"   // a person asked
)

// Observation is one resource as the provider described it.
type Observation struct {
	Kind   string `json:"kind"`             // for example "aws.s3.bucket"
	ID     string `json:"id"`               // unique within kind, account and region; the ARN where there is one
	Region string `json:"region,omitempty"` // empty for a global resource

	// Project is the part of the account that the resource belongs to, where an
	// account holds many: "projects/100000000001" of an organisation. It is named
	// as Schedule.NotCollected names it.
	Project string `json:"project,omitempty"`

	// AsOf is the source's own time of the facts, where it states one, such
	// as the GeneratedTime of an IAM credential report. Nil means: as of the
	// exchanges.
	AsOf *time.Time `json:"as_of,omitempty"`

	// Body is a JSON object of what was received, field by field under the
	// names that the provider's API reference uses. A field that the provider
	// did not send is absent. A field is null when the provider answered that
	// the thing does not exist (a bucket without a lifecycle configuration).
	// A field whose read failed is absent and a Gap names it.
	Body json.RawMessage `json:"body"`

	// Sources are the ids of the exchanges that the body came from, sorted.
	Sources []string `json:"sources"`
}

// Class says why something could not be read.
type Class string

// The classes of a gap.
const (
	Denied      Class = "denied"      // a permission is missing, or a policy forbids
	Throttled   Class = "throttled"   // still refused for rate after every retry
	Disabled    Class = "disabled"    // the service, API or region is not enabled
	Unavailable Class = "unavailable" // the provider failed, or the connection did
	Timeout     Class = "timeout"     // no answer in time
	Malformed   Class = "malformed"   // an answer that the client could not understand
	Internal    Class = "internal"    // a fault of this program
)

// Gap is something that could not be read. What it covers follows from what
// is set:
//
//   - Resource and Field: that field of that resource;
//   - Resource alone: the whole of that resource's detail;
//   - neither: the list of Kind in Region. Some of its resources may have been
//     seen, but not all of them are known to have been.
type Gap struct {
	Kind       string `json:"kind"`
	Region     string `json:"region,omitempty"` // empty: a global kind, or every region
	Resource   string `json:"resource,omitempty"`
	Field      string `json:"field,omitempty"`      // top-level field of the body that the answer would have filled
	Operation  string `json:"operation"`            // "s3:GetBucketEncryption"
	Permission string `json:"permission,omitempty"` // "s3:GetEncryptionConfiguration"
	Class      Class  `json:"class"`
	Code       string `json:"code,omitempty"`    // the provider's error code, as sent
	Message    string `json:"message,omitempty"` // the provider's error text, as sent

	// Policy is the kind of policy that refused, where the provider says that
	// it was another than the lack of a permission: "service control policy".
	// Then granting Permission to the caller alone does not help.
	Policy string `json:"policy,omitempty"`
}

// String gives one line for people: the call, why, and the missing permission.
func (g Gap) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", g.Operation, g.Class)
	if g.Code != "" {
		fmt.Fprintf(&b, " (%s)", g.Code)
	}
	if g.Class == Denied && g.Permission != "" {
		fmt.Fprintf(&b, ", needs %s", g.Permission)
	}
	if g.Policy != "" {
		fmt.Fprintf(&b, ", which a %s refuses", g.Policy)
	}
	return b.String()
}

// Status is the outcome of a check on a resource.
type Status string

// The statuses. Unknown is not a soft fail or a soft pass: nothing is said.
const (
	Pass          Status = "pass"
	Fail          Status = "fail"
	Unknown       Status = "unknown"
	NotApplicable Status = "not_applicable"
)

// Statuses lists every status in the order in which tables show them.
func Statuses() []Status { return []Status{Fail, Unknown, Pass, NotApplicable} }

// Basis says what a passing or failing verdict rests on.
type Basis string

// The bases. A default that the provider always applies is not the customer's control.
const (
	CustomerConfig  Basis = "customer_config"
	ProviderDefault Basis = "provider_default"
	Compensating    Basis = "compensating"
	Attested        Basis = "attested"
)

// Population is the resource id of a verdict about a whole kind rather than
// about one resource: the list could not be read in a region, or the account
// has none anywhere.
const Population = "*"

// Verdict is what a check says of one resource.
type Verdict struct {
	Check    string `json:"check"`
	Control  string `json:"control"`
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Region   string `json:"region"` // empty for a global resource
	Kind     string `json:"kind"`
	Resource string `json:"resource"` // id, or Population
	Status   Status `json:"status"`
	Basis    Basis  `json:"basis"`  // empty unless pass or fail
	Reason   string `json:"reason"` // one sentence for a person

	// Gaps are what an unknown verdict waits for.
	Gaps []Gap `json:"gaps,omitempty"`
	// AsOf is the source's own time of the facts, where it states one.
	AsOf *time.Time `json:"as_of,omitempty"`
	// Project is what the resource belongs to, as its Observation says.
	Project string `json:"project,omitempty"`
}
