package verify

import (
	"slices"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// # What the records of a bundle must show
//
// A bundle holds those records of a ledger that belong to a window; package
// period says which (Chooser). Of a report of a period that leaves this to be
// seen in them:
//
//   - Configuration records have no hole from the one in force when the window
//     began on: no schedule, scope or threshold was in force that is not shown;
//   - a stream has no hole either. Records may be left out before its first
//     one and behind a run that was carried in: they are of slots before the
//     window. A task may also run across the begin or the end of the window,
//     while records say of the slots meanwhile that they were missed: so one
//     record may be left out behind a row of those that begins the stream, and
//     any number before a record that was written when the window was over;
//   - the assessments of a scope have no hole, but for those that were made
//     when the window was over, of which some are about later tasks;
//   - no record is there that does not belong to the window.
//
// In a report of one moment, holes are everywhere.

// extract is the part of the rules that is about a bundle's window. A nil one
// is that of a whole ledger.
type extract struct {
	period.Window
	chooser *period.Chooser
	indexes []uint64 // of the records

	used    map[uint64]bool // runs that some assessment used
	configs []configured
	narrow  map[[hashSize]byte]*narrow // payloads that only a concerned collector or check demands

	concerned map[string]bool // collectors that the controls are about; nil: all
}

func newExtract(w period.Window) *extract {
	return &extract{Window: w, chooser: period.NewChooser(w), used: make(map[uint64]bool), narrow: make(map[[hashSize]byte]*narrow)}
}

// beginning is what an extract shows of a stream so far.
type beginning struct {
	newest  cover // the last run
	carried bool  // the last record was carried in
	other   bool  // there is a record that does more than say that a task of before the window was still running
}

// take takes in a record in its order, before the rules do.
func (x *extract) take(index uint64, r *record) {
	if x == nil {
		return
	}
	x.indexes = append(x.indexes, index)
	x.chooser.Take(evidence.Entry{Index: index, Statement: r.statement, Predicate: r.predicate})
	switch p := r.predicate.(type) {
	case *evidence.Configuration:
		of := configured{manual: p.Event == evidence.EventManual}
		of.schedule, _ = r.statement.Payload(evidence.PayloadSchedule)
		of.catalogue, _ = r.statement.Payload(evidence.PayloadCatalogue)
		x.configs = append(x.configs, of)
	case *evidence.Assessment:
		for _, u := range p.Used {
			x.used[u.Record] = true
		}
	}
}

// carries says whether a run is of before the window.
func (x *extract) carries(p *evidence.Run) bool {
	return x != nil && (x.AsOf || p.Slot.Before(x.From))
}

// mayLeaveOut says whether records of a stream may have been left out before
// one with that number.
func (x *extract) mayLeaveOut(s *stream, sequence uint64, p any) bool {
	switch {
	case x == nil:
		return false
	case x.AsOf, s.sequence == 0, s.carried:
		return true
	case !s.other && sequence == s.sequence+2:
		return true
	}
	h := evidence.HeaderOf(p)
	return h != nil && !h.At.Before(x.To)
}

// mayLeaveOutAssessments says whether assessments of a scope may have been left
// out before one, the last of which was number before.
func (x *extract) mayLeaveOutAssessments(before uint64, p *evidence.Assessment) bool {
	return x != nil && p.Sequence > before && (x.AsOf || before == 0 || !p.At.Before(x.To))
}

// note keeps what mayLeaveOut asks.
func (x *extract) note(s *stream, p any) {
	if x == nil {
		return
	}
	s.carried = false
	switch p := p.(type) {
	case *evidence.Run:
		s.carried = x.carries(p)
		s.other = s.other || !s.carried
	case *evidence.Missed:
		s.other = s.other || p.Cause != evidence.CauseOverlap
	}
}

// opening checks the first configuration of an extract.
func (r *rules) opening(index uint64, p *evidence.Configuration) {
	x := r.extract
	inForce := p.Event != evidence.EventManual && (x.AsOf || p.At.Before(x.From))
	if p.Sequence != 1 && !inForce {
		r.check.problem(KindSequence, recordPlace(index), "it is the first configuration of the bundle and is number %d: the one that was in force when the window began is missing", p.Sequence)
	}
}

// checkWindow reports what does not belong to the window.
func (c *check) checkWindow() {
	x := c.rules.extract
	chosen := x.chooser.Indexes()
	outside := 0
	for _, index := range x.indexes {
		if _, ok := slices.BinarySearch(chosen, index); !ok {
			c.problem(KindOutsideWindow, recordPlace(index), "it does not belong to the window of the bundle: nothing else may be handed out with it")
			outside++
		}
	}
	if c.rules.configurations == 0 && outside == 0 {
		c.problem(KindConfiguration, recordsPlace, "there is no configuration: what was due cannot be told")
	}
}

// unjudged counts the runs that no assessment used.
func (x *extract) unjudged(r *rules) (n int) {
	for index := range r.runs {
		if !x.used[index] {
			n++
		}
	}
	return n
}
