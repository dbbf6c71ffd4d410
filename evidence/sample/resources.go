package sample

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// Freeze reads a source and writes a population down. One that is not whole is
// given all the same, with what is missing in Incomplete; one that is empty is
// an error, an *IncompleteError where something could not be read.
func Freeze(ctx context.Context, src Source, d Definition) (*Population, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	h, err := read(ctx, src)
	if err != nil {
		return nil, err
	}
	from, to, zone, err := h.bounds(&d, src)
	if err != nil {
		return nil, err
	}
	newest := h.forces[len(h.forces)-1]
	p := &Population{
		Definition: d, From: from, To: to, Ledger: newest.Ledger, Organization: newest.Organization, Simulated: h.simulated, past: h,
	}
	freeze := p.slots
	if d.Population == Resources {
		if p.From, p.To, err = schedule.Date(d.Date, zone); err != nil {
			return nil, err
		}
		if p.From.Before(to) && to.Before(p.To) {
			p.To = to
			p.note("%s is taken up to %s, where the evidence ends", d.Date, to.Format(time.RFC3339))
		}
		switch {
		case src.AsOf && !p.To.Equal(to):
			return nil, fmt.Errorf("the bundle says what stood at %s, not on %s", to.Format(time.RFC3339), d.Date)
		case p.From.Before(from) || p.To.After(to):
			return nil, fmt.Errorf("%s is not a day of the period, which is from %s to %s", d.Date,
				from.In(zone).Format(time.DateOnly), to.Add(-1).In(zone).Format(time.DateOnly))
		case h.until.Before(p.From):
			return nil, fmt.Errorf("nothing was recorded on %s or later: the newest record is of %s", d.Date, h.until.Format(time.RFC3339))
		}
		freeze = func() error { return p.resources(from) }
	}
	if err := freeze(); err != nil {
		return nil, err
	}
	slices.Sort(p.Incomplete)
	p.Incomplete = slices.Compact(p.Incomplete)
	switch {
	case len(p.Lines) > 0:
		return p, nil
	case len(p.Incomplete) > 0:
		return nil, &IncompleteError{Reasons: p.Incomplete, Empty: true}
	}
	return nil, errors.New("the population is empty: everything that it is about was read to its end, and there was nothing" + joined(p.Notes))
}

func joined(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}

func (p *Population) incomplete(format string, args ...any) {
	p.Incomplete = append(p.Incomplete, fmt.Sprintf(format, args...))
}

func (p *Population) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// resources freezes those of one day. Runs of slots before from do not count.
func (p *Population) resources(from time.Time) error {
	of := p.past.inForce(p.To)
	if of == nil {
		return fmt.Errorf("no configuration was in force on %s yet", p.Definition.Date)
	}
	list := p.ofKind
	if p.Definition.Check != "" {
		list = p.ofCheck
	}
	items, err := list(of, from)
	if err != nil {
		return err
	}
	p.freeze(resourceHeader, items)
	return nil
}

// suppliers gives the collectors of a schedule that supply a kind.
func (f *force) suppliers(kind string) []string {
	var out []string
	for _, c := range f.schedule.Collectors {
		if slices.Contains(c.Kinds, kind) {
			out = append(out, c.Collector)
		}
	}
	return out
}

// ofKind lists every resource of a kind.
func (p *Population) ofKind(of *force, from time.Time) ([]item, error) {
	kind := p.Definition.Kind
	suppliers := of.suppliers(kind)
	if len(suppliers) == 0 {
		return nil, fmt.Errorf("no collector that was scheduled on %s supplies %s", p.Definition.Date, kind)
	}
	var items []item
	for key := range of.schedule.Streams {
		if !slices.Contains(suppliers, key.Collector) {
			continue
		}
		r := p.past.newest(key, from, p.To)
		if r == nil {
			p.incomplete("%s was not run from %s to the end of %s", key, from.Format(time.RFC3339), p.Definition.Date)
			continue
		}
		p.tell(r)
		seen, err := p.observed(r, kind)
		if err != nil {
			return nil, err
		}
		for at := range seen {
			items = append(items, resource(r, kind, at, true))
		}
		unseen, err := p.unread(r, kind)
		if err != nil {
			return nil, err
		}
		for at := range unseen {
			if !seen[at] {
				items = append(items, resource(r, kind, at, false))
			}
		}
	}
	return items, nil
}

// place is where a resource of a kind is.
type place struct{ region, id string }

func resource(r *run, kind string, at place, observed bool) item {
	return item{
		Scope: r.Scope, collector: r.Collector, region: at.region, kind: kind, id: at.id, observed: observed,
		run: r, slot: r.Slot, record: strconv.FormatUint(r.record, 10),
	}
}

// tell notes what a reader should know of a run.
func (p *Population) tell(r *run) {
	if r.Slot.Before(p.From) {
		p.note("the newest run of %s is of %s, before %s (record %d)", r.Stream, r.Slot.Format(time.RFC3339), p.Definition.Date, r.record)
	}
	if len(r.leftOut) > 0 {
		p.note("%s: regions that are enabled and were not looked at: %s (record %d)", r.Stream, strings.Join(r.leftOut, ", "), r.record)
	}
}

// observed gives the resources of a kind that a run saw.
func (p *Population) observed(r *run, kind string) (map[place]bool, error) {
	seen := map[place]bool{}
	for o, err := range payload.Lines[evidence.Observation](p.past.payloads, r.payload(evidence.PayloadObservations)) {
		if err != nil {
			return nil, fmt.Errorf("read observations of record %d: %w", r.record, err)
		}
		if o.Kind == kind {
			seen[place{o.Region, o.ID}] = true
		}
	}
	return seen, nil
}

// unread gives the resources of a kind that a run named in its gaps. Lists that
// it did not read to their end make the population incomplete.
func (p *Population) unread(r *run, kind string) (map[place]bool, error) {
	unseen := map[place]bool{}
	digest := r.payload(evidence.PayloadGaps)
	if digest == "" {
		return unseen, nil
	}
	for g, err := range payload.Lines[evidence.Gap](p.past.payloads, digest) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("read gaps of record %d: %w", r.record, err)
		case g.Kind != kind:
		case g.Resource != "":
			unseen[place{g.Region, g.Resource}] = true
		case g.Field == "":
			where := ""
			if g.Region != "" {
				where = " in " + g.Region
			}
			p.incomplete("the list of %s%s of %s was not read to its end: %s (record %d)", kind, where, r.Scope, g, r.record)
		}
	}
	return unseen, nil
}

// ofCheck lists the resources that a check judged.
func (p *Population) ofCheck(of *force, from time.Time) ([]item, error) {
	check := p.Definition.Check
	provider, err := p.providerOf(of, check)
	if err != nil {
		return nil, err
	}
	var items []item
	for _, scope := range of.schedule.Scopes {
		if scope.Provider != provider {
			continue
		}
		j := p.past.assessments(scope, from, p.To)[check]
		if j == nil {
			p.incomplete("%s was not judged in %s from %s to the end of %s", check, scope, from.Format(time.RFC3339), p.Definition.Date)
			continue
		}
		found, err := p.judgedBy(of, j, check)
		if err != nil {
			return nil, err
		}
		items = append(items, found...)
	}
	return items, nil
}

// judgedBy lists the resources of one assessment of a check.
func (p *Population) judgedBy(of *force, j *judged, check string) ([]item, error) {
	var items []item
	seen := map[string]map[place]bool{} // by kind
	for v, err := range payload.Lines[evidence.Verdict](p.past.payloads, j.verdicts) {
		if err != nil {
			return nil, fmt.Errorf("read verdicts of record %d: %w", j.record, err)
		}
		if v.Check != check {
			continue
		}
		if v.Resource == evidence.Population {
			if v.Status == evidence.Unknown {
				p.incomplete("which %s there are in %s %s is not known: %s (record %d)", v.Kind, j.Scope, v.Region, v.Reason, j.record)
			} else {
				p.note("%s: %s (record %d)", j.Scope, v.Reason, j.record)
			}
			continue
		}
		r := p.supplied(of, j, v.Kind)
		if r == nil {
			return nil, fmt.Errorf("assessment %d judged %s, and used no run of a collector that supplies %s", j.record, v.Resource, v.Kind)
		}
		if seen[v.Kind] == nil {
			p.tell(r)
			if seen[v.Kind], err = p.observed(r, v.Kind); err != nil {
				return nil, err
			}
		}
		at := place{v.Region, v.Resource}
		items = append(items, resource(r, v.Kind, at, seen[v.Kind][at]))
	}
	return items, nil
}

// supplied gives the run that an assessment used for a kind.
func (p *Population) supplied(of *force, j *judged, kind string) *run {
	suppliers := of.suppliers(kind)
	for _, u := range j.used {
		if r := p.past.byRecord[u.Record]; r != nil && slices.Contains(suppliers, r.Collector) {
			return r
		}
	}
	return nil
}
