package period

import (
	"errors"
	"fmt"

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
)

// Fold takes in the records of a ledger, in order, and gives the report. It
// passes over records that do not belong to the window, so that a whole ledger
// and an extract of it give the same. It is used by one goroutine.
//
// For a report of one moment (Window.AsOf) it must be given the chosen records
// only: see Chooser. What it reports then is what stood: deviations and
// unknowns that ended, changes, and what has left the configuration are not.
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
	looks      looks
	judgements map[judgeKey]*Judgement
	dayCounts  map[judgeKey]dayCount
	cells      map[string][]Cell // by control
	tracker    *tracker
	differ     *differ
	binaries   map[evidence.Agent]bool
}

// New makes a fold. The window must have a Zone.
func New(o Options) *Fold {
	f := &Fold{
		o: o, w: o.Window, days: o.Window.Days(), chooser: NewChooser(o.Window),
		plans: map[evidence.Digest]*plan{}, catalogues: map[evidence.Digest]*catalogue{}, streams: map[evidence.Stream]*streamFold{},
		kinds: map[string][]string{}, judgements: map[judgeKey]*Judgement{}, dayCounts: map[judgeKey]dayCount{},
		cells: map[string][]Cell{}, binaries: map[evidence.Agent]bool{},
	}
	f.report = Report{Window: o.Window, Days: f.days, Changes: map[string]int{}}
	f.tracker = newTracker(o.Window)
	f.differ = newDiffer(f)
	return f
}

var errEmpty = errors.New("the window is empty: it must end after it begins")

// Take takes in the next record.
func (f *Fold) Take(e evidence.Entry) error {
	if len(f.days) == 0 {
		return errEmpty
	}
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
		return f.configuration(e, p, belongs)
	case *evidence.Run:
		return f.run(e, p, belongs)
	case *evidence.Missed:
		if belongs {
			s := f.stream(p.Stream)
			s.covers = append(s.covers, coverOfMissed(e.Index, p))
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
