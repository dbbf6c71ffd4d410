package period

import (
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// dayCount is the newest count of a check in a scope and the day it was counted
// on.
type dayCount struct {
	day   int
	count evidence.CheckCount
}

// assessment takes in an assessment of the window.
func (f *Fold) assessment(e evidence.Entry, p *evidence.Assessment) error {
	digest, _ := e.Statement.Payload(evidence.PayloadCatalogue)
	rules, err := f.readCatalogue(digest)
	if err != nil {
		return err
	}
	verdicts, _ := e.Statement.Payload(evidence.PayloadVerdicts)
	batch := judged{record: e.Index, scope: p.Scope, checks: map[string]*judgedCheck{}}
	for _, count := range p.Checks {
		check, known := rules.checks[count.Check]
		if !known { // the window is about other controls
			continue
		}
		control := rules.byCheck[check.ID]
		f.countDay(p, control.ID, count)
		f.judgements[judgeKey{p.Scope, check.ID}] = &Judgement{
			Scope: p.Scope, Check: check.ID, Control: control.ID, Record: e.Index,
			Evaluated: p.Evaluated, Verdicts: verdicts, Count: count,
		}
		from, to, err := f.lookOf(p, check)
		if err != nil {
			return err
		}
		batch.checks[check.ID] = &judgedCheck{control: control, from: from, to: to}
	}
	if len(batch.checks) == 0 {
		return nil
	}
	return f.tracker.take(f.o.Payloads, verdicts, batch)
}

// lookOf gives the time of the facts that a verdict of a check rests on: from
// the begin of the earliest run that it read to the end of the latest.
func (f *Fold) lookOf(p *evidence.Assessment, check Check) (from, to time.Time, err error) {
	for _, u := range p.Used {
		l, ok := f.looks[u.Record]
		if !ok {
			return from, to, fmt.Errorf("it used record %d, which is no run before it", u.Record)
		}
		if !slices.ContainsFunc(f.kinds[l.collector], func(kind string) bool { return slices.Contains(check.Reads, kind) }) {
			continue
		}
		if from.IsZero() || l.from.Before(from) {
			from = l.from
		}
		if l.to.After(to) {
			to = l.to
		}
	}
	if from.IsZero() {
		return p.Evaluated, p.Evaluated, nil // it read no run at all: nothing was there to read
	}
	return from, to, nil
}

// countDay counts the verdicts of a check on the day of the assessment; a later
// one of the same day takes its place.
func (f *Fold) countDay(p *evidence.Assessment, control string, count evidence.CheckCount) {
	key := judgeKey{p.Scope, count.Check}
	day := dayOf(f.days, p.Evaluated)
	cell := f.cell(control, day)
	if before, ok := f.dayCounts[key]; ok && before.day == day {
		cell.count(before.count, -1)
	}
	f.dayCounts[key] = dayCount{day, count}
	cell.count(count, 1)
	cell.Judged = true
	cell.FailSeen = cell.FailSeen || count.Fail > 0
}

func (c *Cell) count(n evidence.CheckCount, sign int) {
	c.Pass += sign * n.Pass
	c.Fail += sign * n.Fail
	c.Unknown += sign * n.Unknown
	c.NotApplicable += sign * n.NotApplicable
}

func (f *Fold) cell(control string, day int) *Cell {
	days, ok := f.cells[control]
	if !ok {
		days = make([]Cell, len(f.days))
		f.cells[control] = days
	}
	return &days[day]
}

// judged is one assessment on its way into the tracker.
type judged struct {
	record uint64
	scope  evidence.Scope
	checks map[string]*judgedCheck
}

// judgedCheck is one check of it.
type judgedCheck struct {
	control  *Control
	from, to time.Time
	group    *group
	blind    map[string]evidence.Verdict // by region: a list that could not be read
}

// verdictLines reads the verdicts of a payload.
func verdictLines(store *payload.Store, digest evidence.Digest, each func(evidence.Verdict) error) error {
	for v, err := range payload.Lines[evidence.Verdict](store, digest) {
		if err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
		if err := each(v); err != nil {
			return err
		}
	}
	return nil
}
