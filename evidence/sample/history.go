package sample

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// Bounds on payloads that are read whole.
const (
	maxSchedule  = 16 << 20
	maxCatalogue = 64 << 20
)

// history is what the records of a source say.
type history struct {
	payloads  *payload.Store
	forces    []*force // every Configuration, in order
	runs      map[evidence.Stream][]*run
	byRecord  map[uint64]*run
	missed    map[evidence.Stream][]evidence.Entry
	judged    []*judged
	until     time.Time // the newest record of an agent
	simulated bool
}

// force is a Configuration.
type force struct {
	*evidence.Configuration
	record    uint64
	catalogue evidence.Digest
	schedule  evidence.Schedule
	zone      *time.Location
}

// run is a Run, without what nobody asks for.
type run struct {
	evidence.Task
	record            uint64
	trigger           evidence.Trigger
	started, finished time.Time
	outcome           evidence.Outcome
	leftOut           []string
	statement         evidence.Statement
}

func (r *run) payload(name string) evidence.Digest {
	d, _ := r.statement.Payload(name)
	return d
}

// judged is an Assessment.
type judged struct {
	evidence.Scope
	record    uint64
	evaluated time.Time
	used      []evidence.Used
	checks    []string // sorted
	verdicts  evidence.Digest
}

// before says whether it used no run of a slot at end or later, and at least
// one of a slot at from or later.
func (j *judged) within(from, end time.Time) bool {
	inside := false
	for _, u := range j.used {
		if !u.Slot.Before(end) {
			return false
		}
		inside = inside || !u.Slot.Before(from)
	}
	return inside
}

func read(ctx context.Context, src Source) (*history, error) {
	h := &history{
		payloads: src.Payloads, runs: map[evidence.Stream][]*run{}, byRecord: map[uint64]*run{},
		missed: map[evidence.Stream][]evidence.Entry{},
	}
	for e, err := range src.Entries {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := h.take(e); err != nil {
			return nil, fmt.Errorf("record %d: %w", e.Index, err)
		}
	}
	if len(h.forces) == 0 {
		return nil, errors.New("there is no configuration in the records: nothing was collected")
	}
	return h, nil
}

func (h *history) take(e evidence.Entry) error {
	switch p := e.Predicate.(type) {
	case *evidence.Configuration:
		if err := h.configuration(e, p); err != nil {
			return err
		}
	case *evidence.Run:
		r := &run{
			Task: p.Task, record: e.Index, trigger: p.Trigger, started: p.Started, finished: p.Finished,
			outcome: p.Outcome, leftOut: p.RegionsLeftOut, statement: e.Statement,
		}
		h.runs[p.Stream] = append(h.runs[p.Stream], r)
		h.byRecord[e.Index] = r
	case *evidence.Missed:
		h.missed[p.Stream] = append(h.missed[p.Stream], e)
	case *evidence.Assessment:
		j := &judged{Scope: p.Scope, record: e.Index, evaluated: p.Evaluated, used: p.Used}
		j.verdicts, _ = e.Statement.Payload(evidence.PayloadVerdicts)
		for _, c := range p.Checks {
			j.checks = append(j.checks, c.Check)
		}
		slices.Sort(j.checks)
		h.judged = append(h.judged, j)
	case *evidence.Export, *evidence.Sample:
		return nil // of a person's command: they show nothing of an agent
	}
	header := evidence.HeaderOf(e.Predicate)
	h.simulated = h.simulated || header.Clock == evidence.ClockSimulated
	if header.At.After(h.until) {
		h.until = header.At
	}
	return nil
}

func (h *history) configuration(e evidence.Entry, p *evidence.Configuration) error {
	f := &force{Configuration: p, record: e.Index}
	f.catalogue, _ = e.Statement.Payload(evidence.PayloadCatalogue)
	digest, _ := e.Statement.Payload(evidence.PayloadSchedule)
	raw, err := h.payloads.ReadAll(digest, maxSchedule)
	if err != nil {
		return fmt.Errorf("read schedule: %w", err)
	}
	if err := json.Unmarshal(raw, &f.schedule); err != nil {
		return fmt.Errorf("read schedule %s: %w", digest, err)
	}
	if f.zone, err = time.LoadLocation(f.schedule.TimeZone); err != nil {
		return fmt.Errorf("read schedule %s: %w", digest, err)
	}
	h.forces = append(h.forces, f)
	return nil
}

// inForce gives the Configuration that held just before t: the newest that put
// a schedule in force or, where only people ran tasks by hand, the newest.
func (h *history) inForce(t time.Time) *force {
	var manual, last *force
	for _, f := range h.forces {
		switch {
		case !f.At.Before(t):
		case f.Event == evidence.EventManual:
			manual = f
		default:
			last = f
		}
	}
	if last == nil {
		return manual
	}
	return last
}

// newest gives the run of a stream with the newest slot from <= slot < end.
func (h *history) newest(key evidence.Stream, from, end time.Time) *run {
	var out *run
	for _, r := range h.runs[key] {
		if !r.Slot.Before(from) && r.Slot.Before(end) && (out == nil || !r.Slot.Before(out.Slot)) {
			out = r
		}
	}
	return out
}

// assessments gives, for each check of a scope, the newest assessment that
// tells of the time before end.
func (h *history) assessments(scope evidence.Scope, from, end time.Time) map[string]*judged {
	out := map[string]*judged{}
	for _, j := range h.judged {
		if j.Scope == scope && j.within(from, end) {
			for _, check := range j.checks {
				out[check] = j
			}
		}
	}
	return out
}

// bounds gives the days that a definition means, and fills in its zone.
func (h *history) bounds(d *Definition, src Source) (from, to time.Time, zone *time.Location, err error) {
	newest := h.forces[len(h.forces)-1]
	if d.Date != "" {
		// The zone of the schedule in force about that date gives the date.
		_, noon, err := schedule.Date(d.Date, time.UTC)
		if err != nil {
			return from, to, nil, err
		}
		if at := h.inForce(noon.Add(12 * time.Hour)); at != nil {
			newest = at
		}
	}
	zone = newest.zone
	if d.TimeZone != "" {
		if zone, err = time.LoadLocation(d.TimeZone); err != nil || d.TimeZone == "Local" {
			return from, to, nil, fmt.Errorf("%q is not a time zone", d.TimeZone)
		}
	}
	d.TimeZone = zone.String()
	if from, to, err = d.days(src, newest.Configuration, zone); err != nil {
		return from, to, nil, err
	}
	if !from.Before(to) {
		return from, to, nil, errors.New("the last day is before the first")
	}
	return from, to, zone, nil
}

// days gives the bounds that the first and the last day mean: those of the
// source or else of the period where they are not given.
func (d *Definition) days(src Source, c *evidence.Configuration, zone *time.Location) (from, to time.Time, err error) {
	if src.AsOf {
		if d.First != "" || d.Last != "" || d.Population == Slots {
			return from, to, errors.New("the bundle is of one moment: it has no slots, and no days to choose from")
		}
		return time.Unix(0, 0).UTC(), src.To, nil // whatever stood, since whenever
	}
	from, to = src.From, src.To
	if d.First != "" || from.IsZero() {
		if from, _, err = schedule.Date(cmp.Or(d.First, c.PeriodStart), zone); err != nil {
			return from, to, err
		}
	}
	if d.Last != "" || to.IsZero() {
		var begin time.Time
		if begin, to, err = schedule.Date(cmp.Or(d.Last, c.PeriodEnd), zone); err != nil {
			return from, to, err
		}
		if begin.Before(src.To) && src.To.Before(to) {
			to = src.To // a bundle that was made within its last day
		}
	}
	if !src.From.IsZero() && (from.Before(src.From) || to.After(src.To)) {
		return from, to, fmt.Errorf("the bundle is about %s to %s only", src.From.Format(time.RFC3339), src.To.Format(time.RFC3339))
	}
	return from, to, nil
}
