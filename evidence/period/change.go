package period

import "time"

// What changed.
const (
	ResourceAppeared = "resource_appeared"
	ResourceVanished = "resource_vanished"
	ResourceChanged  = "resource_changed"
	ChangeCatalogue  = "catalogue" // a control or check was added, removed or reworded
	ChangeParameter  = "parameter"
	ChangeSchedule   = "schedule"
	ChangeScope      = "scope"     // an account, a collector or a region
	ChangeExclusion  = "exclusion" // a region that is enabled and not looked at
	ChangeConfig     = "configuration"
	ChangeKey        = "key"
	ChangeBinary     = "binary"
	ChangeAgent      = "agent" // it started, was reloaded, ran by hand, stopped
)

// Change is one thing that was seen to have changed. When it changed is known
// only between two looks: after After and not after At.
type Change struct {
	What  string     `json:"what"`
	At    time.Time  `json:"at"`
	After *time.Time `json:"after,omitempty"` // nil: exactly at At

	Provider  string `json:"provider,omitempty"`
	Account   string `json:"account,omitempty"`
	Collector string `json:"collector,omitempty"`
	Region    string `json:"region,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Subject   string `json:"subject"` // resource id, check id, collector, key, ...

	Field string `json:"field,omitempty"` // dotted path within the subject
	From  string `json:"from,omitempty"`  // JSON; empty: it was not there
	To    string `json:"to,omitempty"`    // JSON; empty: it is not there any more

	Owner    string `json:"owner,omitempty"`
	Approver string `json:"approver,omitempty"`
	Reason   string `json:"reason,omitempty"`

	Record uint64 `json:"record"` // that shows it
}
