// Package collectors says what a collector is: the facts that it declares and
// the way in which it hands over what it read.
//
// A collector reads one service's configuration in one scope. It keeps what
// was received and never judges: an `if` on content belongs in a check. It
// does not own time, retries, rate limits or counting; the runner does.
package collectors

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Reach says how often a collector must look to see a whole scope.
type Reach string

// The reaches.
const (
	Global   Reach = "global"   // once per scope
	Regional Reach = "regional" // once in each enabled region of the scope
	// Organization is once, in the account that answers for the organisation:
	// its management account or a delegated administrator. To a collector it
	// is Global.
	Organization Reach = "organization"
)

// Call is one API operation that a collector makes. Policies, the reference
// documentation, gaps and the denial matrix derive from it, so a collector
// must make exactly the calls that it declares.
type Call struct {
	Operation  string // service prefix and operation: "s3:GetBucketEncryption"
	Permission string // where it differs from Operation: "s3:GetEncryptionConfiguration"
	Kind       string // the kind that the answer lists, or whose Field it fills
	Field      string // top-level field of the body; empty when the call lists the kind

	// Absent holds the error codes by which the provider answers that the
	// thing does not exist. They are answers: the field becomes null.
	Absent []string
	// Vanished holds the error codes by which the provider answers that the
	// resource, listed a moment ago, is gone. It is dropped and counted.
	Vanished []string
}

// Needs gives the permission for the call.
func (c Call) Needs() string {
	if c.Permission != "" {
		return c.Permission
	}
	return c.Operation
}

// Split gives the service and the method of an operation: "s3:GetBucketAcl" as
// AWS writes it, "cloudasset.assets.list" as Google does. A name that is neither
// is all service.
func Split(operation string) (service, method string) {
	if service, method, ok := strings.Cut(operation, ":"); ok {
		return service, method
	}
	if strings.Count(operation, ".") < 2 {
		return operation, "" // the name of a collector
	}
	service, method, _ = strings.Cut(operation, ".")
	return service, method
}

// Spec is what a collector declares about itself.
type Spec struct {
	Name     string   // provider.service_resource: "aws.s3_buckets"
	Provider string   // "aws"
	Summary  string   // one sentence for the reference documentation
	Kinds    []string // the kinds of observations it emits: "aws.s3.bucket"
	Reach    Reach
	Calls    []Call

	// Sensitive names fields of answers whose values must never reach a
	// payload: wherever they occur, "MasterUserPassword", or within others, as a
	// path, "metadata.items.value". Arrays are no part of a path, and a dot
	// within a name has a backslash before it. It holds in JSON alone: in XML
	// and in forms, whose lists have names and numbers of their own between,
	// its last name holds wherever it occurs.
	Sensitive []string
}

// Call finds a declared call by its operation.
func (s Spec) Call(operation string) (Call, bool) {
	i := slices.IndexFunc(s.Calls, func(c Call) bool { return strings.EqualFold(c.Operation, operation) })
	if i < 0 {
		return Call{}, false
	}
	return s.Calls[i], true
}

// Collector reads one service's configuration.
type Collector interface {
	Spec() Spec

	// Collect reads the scope and hands everything to emit. It returns when
	// nothing of it runs any more.
	//
	// A read that failed is a gap, not an error. The error is for a task that
	// could not be done at all, such as credentials that could not be had, or
	// for a context that ended.
	Collect(ctx context.Context, in Input, emit Emit) error
}

// Input is what the runner lends a collector for one task.
type Input struct {
	Scope evidence.Scope

	// Captured is the transport for everything that is evidence. Each answer
	// that comes through it is kept; its header ExchangeHeader names it.
	// Exchanges that carry credentials, such as assuming a role, must go by
	// another way.
	Captured http.RoundTripper

	// InFlight bounds how many resources may be read at a time; at least 1.
	InFlight int
	// Wait blocks for a while on the runner's clock, or until ctx ends.
	Wait func(ctx context.Context, d time.Duration) error
}

// ExchangeHeader is the response header under which a captured transport
// names the exchange that it kept.
const ExchangeHeader = "X-Tallystick-Exchange"

// Emit takes what a collector read. Its methods may be called from several
// goroutines at once, and not after Collect has returned.
type Emit interface {
	// Principal says as whom the scope was read, as the provider names it.
	Principal(name string)

	// Regions says which regions will be looked at, and which enabled ones
	// the operator left out. A regional collector must call it once, before
	// the first Listed.
	Regions(looked, leftOut []string)

	// Listed says that the list of kind in region was read to its end. The
	// runner turns a list that was neither read to its end nor declared a gap
	// into a gap: a shorter list can not pass for a complete one. The region
	// is empty for a global kind.
	Listed(kind, region string)

	// Observe hands over one resource. The error is the runner's (a full
	// disk, an ended context) and ends the task.
	Observe(o evidence.Observation) error

	// Gap hands over something that could not be read.
	Gap(g evidence.Gap)

	// Vanished counts a resource that was gone when its detail was read.
	Vanished(kind, region, id string)
}
