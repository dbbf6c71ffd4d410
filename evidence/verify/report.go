package verify

import (
	"time"
)

// What can be verified.
const (
	WhatDirectory = "data_directory"
	WhatBundle    = "bundle"
)

// Where the key came from.
const (
	KeyGiven     = "given"
	KeyDirectory = "directory" // nobody outside vouches for it
	KeyBundle    = "bundle"    // likewise
)

// Report is what was found.
type Report struct {
	OK       bool      `json:"ok"`
	What     string    `json:"what"`    // WhatDirectory or WhatBundle
	Records  uint64    `json:"records"` // that the checkpoint covers; of a bundle: that it holds
	Root     string    `json:"root"`    // computed from the records; base64, as in the checkpoint; empty when it could not be
	Problems []Problem `json:"problems"`
	Omitted  int       `json:"problems_omitted,omitempty"` // beyond the first thousand

	// ByKind counts the problems, those that were omitted too.
	ByKind map[string]int `json:"problems_by_kind"`

	// Proven and NotProven say in plain words what was shown, and what this
	// verification cannot show. Proven is empty unless OK.
	Proven    []string `json:"proven"`
	NotProven []string `json:"not_proven"`

	Origin    string `json:"origin"`
	Key       string `json:"key"`
	KeyFrom   string `json:"key_from"`  // KeyGiven, KeyDirectory or KeyBundle
	Simulated bool   `json:"simulated"` // some record was made under a simulated clock: this is not evidence

	Types    map[string]uint64 `json:"types"` // records by the short name of their type
	Payloads struct {
		Checked uint64 `json:"checked"`
		Bytes   uint64 `json:"bytes"`   // before compression
		Orphans uint64 `json:"orphans"` // named by no record: a crash leaves some
	} `json:"payloads"`
	// Unfinished counts temporary files: of an agent at work, or of a crash.
	Unfinished int `json:"unfinished"`

	// Slots counts what was due and how it ended. Of a bundle it is about its
	// window and controls.
	Slots Slots `json:"slots"`

	// Tail are the slots that are due and that no record covers yet. They are
	// not problems: the agent may be running them, or is not running.
	Tail []Tail `json:"open_tail"`

	// Bundle is nil for a data directory.
	Bundle *BundleReport `json:"bundle,omitempty"`
}

// BundleReport is what a bundle says that it is. It is shown when OK.
type BundleReport struct {
	Kind         string    `json:"export"` // evidence.ExportPeriod, ...
	From         time.Time `json:"from"`
	To           time.Time `json:"to"` // exclusive
	TimeZone     string    `json:"time_zone"`
	Controls     []string  `json:"controls,omitempty"` // absent: all
	Organization string    `json:"organization"`
	Exported     time.Time `json:"exported"` // by the exporter's clock

	Files      uint64 `json:"files"` // lines of the manifest
	Bytes      uint64 `json:"bytes"` // of those files
	TreeSize   uint64 `json:"tree_size"`
	Statement  uint64 `json:"statement"`  // index of the Export record
	Checkpoint uint64 `json:"checkpoint"` // size of the tree that the bundle's checkpoint signs
	Tables     int    `json:"tables"`     // recomputed and equal
	Anchored   int    `json:"anchored"`   // earlier checkpoints that were met
}

// Slots counts due slots by how they ended.
type Slots struct {
	Due      int `json:"due"`
	Complete int `json:"complete"` // run, everything read
	Partial  int `json:"partial"`
	Failed   int `json:"failed"`
	Missed   int `json:"missed"`
	Open     int `json:"open"` // no record accounts for it
	// Unscheduled says that for some of the time nothing was due because there
	// was no ledger yet, or because the export was made before the window ended.
	Unscheduled bool `json:"unscheduled"`
}

// AllComplete says whether something was due and all of it has a complete run.
func (s Slots) AllComplete() bool { return s.Due > 0 && s.Complete == s.Due && !s.Unscheduled }

// Problem is something that must not be.
type Problem struct {
	Kind   string `json:"kind"`
	Place  string `json:"place"` // "record 17", "payload abcd…", or a path inside the directory
	Detail string `json:"detail"`
}

// String gives one line for people.
func (p Problem) String() string { return p.Kind + ": " + p.Place + ": " + p.Detail }

// Tail is the open end of one stream.
type Tail struct {
	Stream string    `json:"stream"`
	Slots  int       `json:"slots"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
}

// The kinds of problems.
const (
	KindKey              = "key"               // no usable verifier key, or another one than given
	KindCheckpoint       = "checkpoint"        // missing, malformed, or not signed with the key
	KindCheckpointBehind = "checkpoint_behind" // there are records that the checkpoint does not cover
	KindExtension        = "extension"         // not an extension of the auditor's earlier checkpoint
	KindRoot             = "root"              // the records do not give the root of the checkpoint
	KindTree             = "tree"              // a tile or entry bundle is missing or differs from the records
	KindState            = "state"             // a file of the writer's state differs from the records
	KindUnexpectedFile   = "unexpected_file"   // nothing of ours has this name, or the manifest does not list it
	KindRecord           = "record"            // not a record that this version can read
	KindSignature        = "signature"         // not signed with the key
	KindSequence         = "sequence"          // a stream does not count 1, 2, 3, …
	KindDuplicate        = "duplicate"         // a task or slot is sealed twice
	KindTime             = "time"              // a record is older than the one before it
	KindConfiguration    = "configuration"     // a record does not fit the configuration in force
	KindCounts           = "counts"            // a record counts something else than its payload holds
	KindPayloadMissing   = "payload_missing"   // a record names it and it is not there
	KindPayloadCorrupt   = "payload_corrupt"   // its bytes do not have the digest in its name
	KindSchedule         = "schedule"          // a schedule payload that cannot be used
	KindSlotMissing      = "slot_missing"      // a due slot has neither a run nor a missed record
	KindSlotNotDue       = "slot_not_due"      // a record covers a slot that no schedule made due

	// Of bundles only.
	KindBundle            = "bundle"             // not a bundle that this version can read
	KindManifest          = "manifest"           // malformed, or not what the statement is about
	KindFileMissing       = "file_missing"       // the manifest lists it
	KindFileChanged       = "file_changed"       // its digest is not the one in the manifest
	KindStatement         = "statement"          // the signed statement is not about this bundle
	KindProof             = "proof"              // what is left out does not give the root, or not the checkpoint's
	KindOutsideWindow     = "outside_window"     // a record that does not belong to the bundle's window
	KindUnexpectedPayload = "unexpected_payload" // no record of the bundle names it
	KindTable             = "table"              // not what the records give
)
