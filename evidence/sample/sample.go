// Package sample draws samples of evidence for an auditor: it freezes a
// population, chooses from it by the auditor's seed, and pulls what was chosen
// together with the exchanges that it came from.
//
// It promises that the choice follows from the bytes of the population, the
// seed, the method and the size alone, by an algorithm that any language can
// repeat (docs/formats/sample.md); that a population is whole, or says where it
// is not; and that what is pulled is what the records hold, byte for byte, but
// for the HAR files, which hold the chosen entries of larger ones.
//
// It never picks a seed, does not verify (package verify does), does not judge,
// has no clock, and records nothing: the caller does.
//
// Limits: the population and the heads of all records are held in memory,
// about 300 bytes for each item, run and assessment.
package sample

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// Source is what a sample is drawn from.
type Source struct {
	Entries  iter.Seq2[evidence.Entry, error] // the records, in order; read once
	Payloads *payload.Store

	// From and To bound what the source is about, To exclusive. They are zero
	// for a whole ledger.
	From, To time.Time
	// AsOf says that it holds what stood at To, and of before only that.
	AsOf bool
}

// The kinds of populations.
const (
	Resources = "resources" // as they were seen at one date
	Slots     = "slots"     // at which tasks were due, and how each ended
)

// Definition says which population is meant.
type Definition struct {
	Population string `json:"population"`

	// Of resources, one of these: all of a kind, or those that a check judged.
	Kind  string `json:"kind,omitempty"`
	Check string `json:"check,omitempty"`
	// Of slots, one of these: those of a collector, or of every collector that
	// supplies what a control reads.
	Collector string `json:"collector,omitempty"`
	Control   string `json:"control,omitempty"`

	// Date is the day of a population of resources, YYYY-MM-DD: each scope is
	// taken as its newest run until the end of that day shows it.
	Date string `json:"date,omitempty"`
	// First and Last are the days, both included, that bound the slots, or
	// that a run must lie within. Empty: those of the source, or the period of
	// the configuration in force.
	First string `json:"first,omitempty"`
	Last  string `json:"last,omitempty"`

	// TimeZone is in which days begin and end; empty: that of the schedule in
	// force.
	TimeZone string `json:"time_zone"`
}

func (d Definition) check() error {
	given := 0
	for _, of := range []string{d.Kind, d.Check, d.Collector, d.Control} {
		if of != "" {
			given++
		}
	}
	switch {
	case d.Population == Resources && (given != 1 || d.Kind == "" && d.Check == ""):
		return fmt.Errorf("a population of resources is of a kind or of a check: name one of them")
	case d.Population == Resources && d.Date == "":
		return fmt.Errorf("a population of resources is of a date: name one")
	case d.Population == Slots && (given != 1 || d.Collector == "" && d.Control == ""):
		return fmt.Errorf("a population of slots is of a collector or of a control: name one of them")
	case d.Population == Slots && d.Date != "":
		return fmt.Errorf("a population of slots has a first and a last day, not a date")
	case d.Population != Resources && d.Population != Slots:
		return fmt.Errorf("there is no population %q: use %s or %s", d.Population, Resources, Slots)
	}
	return nil
}

// Population is a frozen population.
type Population struct {
	Definition   Definition
	From, To     time.Time // what the definition comes to, To exclusive
	Ledger       string    // the checkpoint origin
	Organization string
	Simulated    bool // some record was made under a simulated clock: this is not evidence

	Data   []byte          // population.csv
	Digest evidence.Digest // of Data
	Lines  []string        // the items, sorted bytewise, without the header

	// Incomplete says what is missing from the population, one sentence each;
	// nil: nothing is.
	Incomplete []string
	// Notes say what else its reader should know.
	Notes []string

	items []item // beside Lines
	past  *history
}

// IncompleteError is returned when a population is not whole: a list was not
// read to its end, an account was not read at all, or the time is not over.
type IncompleteError struct {
	Reasons []string
	Empty   bool // nothing at all was read
}

// Error says what is missing.
func (e *IncompleteError) Error() string {
	const most = 10
	shown := e.Reasons[:min(len(e.Reasons), most)]
	text := "the population is not complete: " + strings.Join(shown, "; ")
	if e.Empty {
		text = "the population is empty, and not because there was nothing: " + strings.Join(shown, "; ")
	}
	if n := len(e.Reasons) - len(shown); n > 0 {
		text += fmt.Sprintf("; and %d more", n)
	}
	return text
}

// item is one item of a population.
type item struct {
	evidence.Scope
	collector        string
	region, kind, id string // of a resource
	observed         bool
	run              *run // that shows it; nil for a slot without one

	slot   time.Time // of a slot
	state  string
	record string // index, or empty
	cause  string
	missed *evidence.Entry
}

// folder names the item in a folder's name.
func (i item) folder() string {
	if i.kind == "" {
		return i.collector + "-" + i.slot.UTC().Format("20060102T150405Z")
	}
	return i.id[strings.LastIndexAny(i.id, ":/")+1:]
}
