package evidence

import (
	"encoding/json"
	"fmt"
	"time"
)

// What a bundle is about.
const (
	ExportPeriod    = "period"    // a whole observation period
	ExportAsOf      = "as_of"     // what stood at one moment: a Type 1 report
	ExportReadiness = "readiness" // the same before the period opens
)

// Export is the record that evidence was handed out. Its subject is the
// PayloadManifest of the bundle, and the record is the bundle's statement.
type Export struct {
	Header
	Kind     string    `json:"kind"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"` // exclusive
	TimeZone string    `json:"time_zone"`
	Controls []string  `json:"controls,omitempty"` // sorted; empty: all

	Records  uint64 `json:"records"`   // that the bundle holds
	TreeSize uint64 `json:"tree_size"` // of the tree that the bundle proves them in
	TreeRoot string `json:"tree_root"` // base64, as in a checkpoint
	Files    uint64 `json:"files"`     // lines of the manifest
	Bytes    uint64 `json:"bytes"`     // of those files
}

// Sample is the record that a sample was drawn. Its subjects are
// PayloadPopulation and PayloadSample.
type Sample struct {
	Header
	Requested  string    `json:"requested"`  // by whom and for what, in words
	Population string    `json:"population"` // "resources" or "slots"
	Control    string    `json:"control,omitempty"`
	Check      string    `json:"check,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"` // exclusive
	Seed       string    `json:"seed"`
	Method     string    `json:"method"`
	Size       int       `json:"size"`   // chosen
	Of         int       `json:"of"`     // of so many
	Frozen     Digest    `json:"frozen"` // of the population's PayloadPopulation
}

// Entry is a record with its place in the ledger, as a reader hands it on.
type Entry struct {
	Index     uint64
	Statement Statement
	Predicate any // as Decode gives it
}

// HeaderOf gives the header of a predicate as Decode gives it, or nil.
func HeaderOf(predicate any) *Header {
	switch p := predicate.(type) {
	case *Configuration:
		return &p.Header
	case *Run:
		return &p.Header
	case *Missed:
		return &p.Header
	case *Assessment:
		return &p.Header
	case *Stop:
		return &p.Header
	case *Export:
		return &p.Header
	case *Sample:
		return &p.Header
	}
	return nil
}

// Decode reads the predicate of a statement into the type that its predicate
// type names. The result is a pointer to Configuration, Run, Missed,
// Assessment, Stop, Export or Sample.
//
// A predicate type that this version does not know is an error: an auditor
// must not be shown a ledger with records left out.
func Decode(s Statement) (any, error) {
	var p any
	switch s.PredicateType {
	case TypeConfiguration:
		p = new(Configuration)
	case TypeRun:
		p = new(Run)
	case TypeMissed:
		p = new(Missed)
	case TypeAssessment:
		p = new(Assessment)
	case TypeStop:
		p = new(Stop)
	case TypeExport:
		p = new(Export)
	case TypeSample:
		p = new(Sample)
	default:
		return nil, fmt.Errorf("record of type %q: not known to this version", s.PredicateType)
	}
	if err := json.Unmarshal(s.Predicate, p); err != nil {
		return nil, fmt.Errorf("decode record of type %q: %w", s.PredicateType, err)
	}
	return p, nil
}
