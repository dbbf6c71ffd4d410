package period

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// force is a schedule and since when it holds.
type force struct {
	*plan
	since     time.Time
	record    uint64
	catalogue *catalogue
	limits    map[string]int // days, by severity
}

// plan is a schedule, ready for use.
type plan struct {
	schedule evidence.Schedule
	zone     *time.Location
	kinds    map[string][]string        // by collector: what it supplies
	streams  map[evidence.Stream]string // their cron expressions
}

// hasScope says whether anything was scheduled in a scope.
func (p *plan) hasScope(scope evidence.Scope) bool { return slices.Contains(p.schedule.Scopes, scope) }

// supplies says whether some collector of the provider supplies one of the kinds.
func (p *plan) supplies(provider string, kinds []string) bool {
	return slices.ContainsFunc(p.schedule.Collectors, func(c evidence.CollectorSchedule) bool {
		return c.Provider == provider && overlap(c.Kinds, kinds)
	})
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// configured is a Configuration with its payloads.
type configured struct {
	force
	*evidence.Configuration
	file evidence.Digest // the operator's
}

// configuration takes in a Configuration. One that does not belong is of
// before the window: the one that was in force when it began, or older.
func (f *Fold) configuration(e evidence.Entry, p *evidence.Configuration, belongs bool) error {
	next, err := f.readConfiguration(e, p)
	if err != nil {
		return err
	}
	f.report.Ledger, f.report.Organization = p.Ledger, p.Organization
	if f.w.AsOf || !belongs {
		if p.Event != evidence.EventManual {
			f.forces = f.forces[:0]
			clear(f.kinds) // as an extract has it
		}
	} else if err := f.differ.configured(e.Index, f.before, next); err != nil {
		return err
	}
	f.before = next
	for _, c := range next.schedule.Collectors {
		f.kinds[c.Collector] = c.Kinds
	}
	if p.Event == evidence.EventManual {
		return nil
	}
	if n := len(f.forces); n > 0 {
		next.since = max2(next.since, f.forces[n-1].since) // the clock was set back: no time has two schedules
	}
	f.forces = append(f.forces, next.force)
	f.tracker.configured(next.force)
	return nil
}

func (f *Fold) readConfiguration(e evidence.Entry, p *evidence.Configuration) (*configured, error) {
	c := &configured{Configuration: p, force: force{since: p.At, record: e.Index, limits: p.RemediationDays}}
	c.file, _ = e.Statement.Payload(evidence.PayloadConfiguration)
	digest, _ := e.Statement.Payload(evidence.PayloadSchedule)
	var err error
	if c.plan, err = f.readPlan(digest); err != nil {
		return nil, err
	}
	digest, _ = e.Statement.Payload(evidence.PayloadCatalogue)
	if c.catalogue, err = f.readCatalogue(digest); err != nil {
		return nil, err
	}
	return c, nil
}

func (f *Fold) readPlan(digest evidence.Digest) (*plan, error) {
	if p, ok := f.plans[digest]; ok {
		return p, nil
	}
	raw, err := f.o.Payloads.ReadAll(digest, maxSchedule)
	if err != nil {
		return nil, fmt.Errorf("read schedule: %w", err)
	}
	p := &plan{kinds: map[string][]string{}, streams: map[evidence.Stream]string{}}
	if err := json.Unmarshal(raw, &p.schedule); err != nil {
		return nil, fmt.Errorf("read schedule %s: %w", digest, err)
	}
	if p.zone, err = time.LoadLocation(p.schedule.TimeZone); err != nil {
		return nil, fmt.Errorf("read schedule %s: time zone %q: %w", digest, p.schedule.TimeZone, err)
	}
	for _, collector := range p.schedule.Collectors {
		p.kinds[collector.Collector] = collector.Kinds
	}
	maps.Insert(p.streams, p.schedule.Streams)
	f.plans[digest] = p
	return p, nil
}

func (f *Fold) readCatalogue(digest evidence.Digest) (*catalogue, error) {
	if c, ok := f.catalogues[digest]; ok {
		return c, nil
	}
	raw, err := f.o.Payloads.ReadAll(digest, maxCatalogue)
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	c, err := decodeCatalogue(digest, raw, f.w.Controls)
	if err != nil {
		return nil, err
	}
	f.catalogues[digest] = c
	return c, nil
}

// concerned says whether a stream supplies what some control of the window
// reads. Everything does when the window is about all controls.
func (f *Fold) concerned(kinds []string) bool {
	if len(f.w.Controls) == 0 {
		return true
	}
	reads := func(c *catalogue) bool {
		return slices.ContainsFunc(c.controls, func(control Control) bool { return c.reads(control.ID, kinds) })
	}
	return f.before != nil && reads(f.before.catalogue) || slices.ContainsFunc(f.forces, func(of force) bool { return reads(of.catalogue) })
}
