package period

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// Options are the choices of a Fold.
type Options struct {
	Window   Window
	Payloads *payload.Store

	// Changed hears of every change, in order of the records that show them.
	// When it is nil, resources are not compared, which spares most of the
	// reading.
	Changed func(Change) error
}

// Bounds on payloads that are read whole.
const (
	maxSchedule  = 16 << 20
	maxCatalogue = 64 << 20
	maxGaps      = 256 << 20
)

// Fold takes in the records of a ledger, in order, and gives the report. It
// passes over records that do not belong to the window, so that a whole ledger
// and an extract of it give the same. It is used by one goroutine.
//
// For a report of one moment (Window.AsOf) it must be given the chosen records
// only: see Chooser.
type Fold struct {
	o       Options
	w       Window
	days    []Day
	chooser *Chooser

	report     Report
	forces     []force
	before     *configured // the last Configuration, whatever its event
	plans      map[evidence.Digest]*plan
	catalogues map[evidence.Digest]*catalogue
	streams    map[evidence.Stream]*streamFold
	kinds      map[string][]string // that a collector supplies, as last scheduled
	looks      map[uint64]look     // by record of a run
	gapKinds   map[evidence.Digest][]gapGroup
	judgements map[judgeKey]*Judgement
	dayCounts  map[judgeKey]dayCount
	cells      map[string][]Cell // by control
	tracker    *tracker
	differ     *differ
	binaries   map[evidence.Agent]bool
}

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

// look is when a run looked.
type look struct {
	from, to  time.Time
	collector string
}

// streamFold is what the records say of one stream.
type streamFold struct {
	covers   []cover
	newest   *Run
	runs     int
	outcomes map[string]int
	catchUps []time.Time
}

// cover accounts for slots.
type cover struct {
	first, last time.Time
	record      uint64
	state       State
	started     time.Time        // of a run
	gaps        []gapGroup       // of a run
	missed      *evidence.Missed // else
}

// gapGroup are the gaps of a run that are alike.
type gapGroup struct {
	class                       evidence.Class
	operation, permission, code string
	kinds                       []string // sorted; nil: not known
	count                       int
}

// New makes a fold.
func New(o Options) *Fold {
	f := &Fold{
		o: o, w: o.Window, days: o.Window.Days(), chooser: NewChooser(o.Window),
		plans: map[evidence.Digest]*plan{}, catalogues: map[evidence.Digest]*catalogue{}, streams: map[evidence.Stream]*streamFold{},
		kinds: map[string][]string{}, looks: map[uint64]look{},
		gapKinds: map[evidence.Digest][]gapGroup{}, judgements: map[judgeKey]*Judgement{}, dayCounts: map[judgeKey]dayCount{},
		cells: map[string][]Cell{}, binaries: map[evidence.Agent]bool{},
	}
	f.report = Report{Window: o.Window, Days: f.days, Changes: map[string]int{}}
	f.tracker = newTracker(o.Window)
	f.differ = &differ{fold: f}
	return f
}

// Take takes in the next record.
func (f *Fold) Take(e evidence.Entry) error {
	belongs := f.chooser.Take(e)
	if f.w.AsOf {
		belongs = true
	}
	if err := f.take(e, belongs); err != nil {
		return fmt.Errorf("record %d: %w", e.Index, err)
	}
	if belongs {
		f.note(evidence.HeaderOf(e.Predicate), e.Predicate)
	}
	return nil
}

// note keeps what the headers say.
func (f *Fold) note(h *evidence.Header, predicate any) {
	f.report.Records++
	switch predicate.(type) {
	case *evidence.Export, *evidence.Sample:
		return // written by hand: no sign of an agent
	}
	f.report.Simulated = f.report.Simulated || h.Clock == evidence.ClockSimulated
	if h.At.After(f.report.Until) {
		f.report.Until = h.At
	}
	if !f.binaries[h.Agent] {
		f.binaries[h.Agent] = true
		f.report.Binaries = append(f.report.Binaries, h.Agent)
	}
}

func (f *Fold) take(e evidence.Entry, belongs bool) error {
	switch p := e.Predicate.(type) {
	case *evidence.Configuration:
		if !p.At.Before(f.w.To) {
			return nil
		}
		return f.configuration(e, p)
	case *evidence.Run:
		return f.run(e, p, belongs)
	case *evidence.Missed:
		if belongs {
			s := f.stream(p.Stream)
			s.covers = append(s.covers, cover{first: p.First, last: p.Last, record: e.Index, state: Missed, missed: p})
		}
	case *evidence.Assessment:
		if belongs {
			return f.assessment(e, p)
		}
	case *evidence.Stop:
		if belongs {
			return f.differ.stopped(e, p)
		}
	case *evidence.Sample:
		if belongs {
			f.report.Samples = append(f.report.Samples, DrawnSample{Record: e.Index, Sample: *p})
		}
	case *evidence.Export: // of no concern to what is reported
	}
	return nil
}

func (f *Fold) stream(key evidence.Stream) *streamFold {
	s, ok := f.streams[key]
	if !ok {
		s = &streamFold{outcomes: map[string]int{}}
		f.streams[key] = s
	}
	return s
}

// configuration takes in a Configuration, of the window or before it.
func (f *Fold) configuration(e evidence.Entry, p *evidence.Configuration) error {
	next, err := f.readConfiguration(e, p)
	if err != nil {
		return err
	}
	f.report.Ledger, f.report.Organization = p.Ledger, p.Organization
	if p.At.Before(f.w.From) || f.w.AsOf {
		if p.Event != evidence.EventManual {
			f.forces = f.forces[:0]
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
	f.forces = append(f.forces, next.force)
	f.tracker.configured(p.At, next.force)
	return nil
}

// configured is a Configuration with its payloads.
type configured struct {
	force
	*evidence.Configuration
	file evidence.Digest // the operator's
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

// run takes in a run, of the window or before it.
func (f *Fold) run(e evidence.Entry, p *evidence.Run, belongs bool) error {
	f.looks[e.Index] = look{from: p.Started, to: p.Finished, collector: p.Collector}
	if !belongs {
		return nil
	}
	s := f.stream(p.Stream)
	s.runs++
	s.outcomes[string(p.Outcome)]++
	run := &Run{
		Record: e.Index, Slot: p.Slot, Trigger: p.Trigger, Started: p.Started, Finished: p.Finished,
		Outcome: p.Outcome, Principal: p.Principal, Counts: p.Observations, Exchanges: []evidence.Digest{},
	}
	for _, subject := range e.Statement.Subject {
		switch d := evidence.Digest(subject.Digest["sha256"]); subject.Name {
		case evidence.PayloadObservations:
			run.Observations = d
		case evidence.PayloadGaps:
			run.Gaps = d
		default:
			run.Exchanges = append(run.Exchanges, d)
		}
	}
	s.newest = run
	switch p.Trigger {
	case evidence.TriggerCatchUp:
		s.catchUps = append(s.catchUps, p.Slot)
	case evidence.TriggerSchedule:
		c, err := f.coverOf(e.Index, p, run.Gaps)
		if err != nil {
			return err
		}
		s.covers = append(s.covers, c)
	case evidence.TriggerInitial, evidence.TriggerManual: // cover no slot
		if f.w.AsOf {
			c, err := f.coverOf(e.Index, p, run.Gaps)
			if err != nil {
				return err
			}
			s.covers = append(s.covers, c)
		}
	}
	if !f.concerned(f.kinds[p.Collector]) {
		return nil
	}
	return f.differ.ran(e.Index, p, run)
}

// coverOf says how a run accounts for its slot.
func (f *Fold) coverOf(index uint64, p *evidence.Run, gaps evidence.Digest) (cover, error) {
	c := cover{first: p.Slot, last: p.Slot, record: index, state: Sealed, started: p.Started}
	switch p.Outcome {
	case evidence.Partial:
		c.state = Part
	case evidence.Failed:
		c.state = Failed
	case evidence.Complete:
		return c, nil
	}
	var err error
	c.gaps, err = f.gapGroups(p, gaps)
	return c, err
}

// gapGroups gives the gaps of a run, alike ones together, with the kinds that
// they are about.
func (f *Fold) gapGroups(p *evidence.Run, digest evidence.Digest) ([]gapGroup, error) {
	if groups, ok := f.gapKinds[digest]; ok && digest != "" {
		return groups, nil
	}
	var groups []gapGroup
	for _, g := range p.Gaps {
		groups = append(groups, gapGroup{class: g.Class, operation: g.Operation, permission: g.Permission, code: g.Code, count: g.Count})
	}
	if digest == "" || !f.concerned(f.kinds[p.Collector]) {
		return groups, nil
	}
	for gap, err := range payload.Lines[evidence.Gap](f.o.Payloads, digest) {
		if errors.Is(err, fs.ErrNotExist) {
			return groups, nil // an extract may lack it; then every kind counts as concerned
		}
		if err != nil {
			return nil, fmt.Errorf("read gaps: %w", err)
		}
		for i := range groups {
			g := &groups[i]
			if g.class == gap.Class && g.operation == gap.Operation && g.permission == gap.Permission && g.code == gap.Code {
				if at, found := slices.BinarySearch(g.kinds, gap.Kind); !found {
					g.kinds = slices.Insert(g.kinds, at, gap.Kind)
				}
				break
			}
		}
	}
	f.gapKinds[digest] = groups
	return groups, nil
}
