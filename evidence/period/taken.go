package period

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// instant is a time in nanoseconds since the Unix epoch: what is kept for each
// run of a long period is kept small.
type instant int64

func instantOf(t time.Time) instant { return instant(t.UnixNano()) }

func (i instant) time() time.Time { return time.Unix(0, int64(i)).UTC() }

// looks are when and where each run looked, in order of their records.
type looks struct {
	all    []look
	places []place
	known  map[string]uint32 // indexes into places
}

// look is when a run looked.
type look struct {
	record   uint64
	from, to instant
	place    uint32
}

// place is where runs looked: those of one collector share it.
type place struct {
	collector string
	regions   []string // empty: everywhere
}

func (l *looks) add(record uint64, p *evidence.Run) {
	name := p.Collector + "\x00" + strings.Join(p.Regions, "\x00")
	at, ok := l.known[name]
	if !ok {
		if l.known == nil {
			l.known = map[string]uint32{}
		}
		at = uint32(len(l.places)) //nolint:gosec // G115: there are not billions of places
		l.known[name] = at
		l.places = append(l.places, place{p.Collector, p.Regions})
	}
	l.all = append(l.all, look{record, instantOf(p.Started), instantOf(p.Finished), at})
}

func (l *looks) of(record uint64) (look, place, bool) {
	i, ok := slices.BinarySearchFunc(l.all, record, func(of look, record uint64) int { return cmp.Compare(of.record, record) })
	if !ok {
		return look{}, place{}, false
	}
	return l.all[i], l.places[l.all[i].place], true
}

// streamFold is what the records say of one stream.
type streamFold struct {
	covers   []cover
	newest   *Run
	runs     int
	outcomes map[string]int
	catchUps []time.Time
	gaps     []gapGroup      // of the last run that had any
	gapsIn   evidence.Digest // where those are from
}

// cover accounts for slots.
type cover struct {
	first, last instant
	record      uint64
	started     instant // of a run
	state       State
	gaps        []gapGroup       // of a run
	missed      *evidence.Missed // else
}

func coverOfMissed(record uint64, p *evidence.Missed) cover {
	return cover{first: instantOf(p.First), last: instantOf(p.Last), record: record, state: Missed, missed: p}
}

// gapGroup are the gaps of a run that are alike.
type gapGroup struct {
	class                       evidence.Class
	operation, permission, code string
	policy                      string   // that refused, where it was none of the caller's own
	kinds                       []string // sorted; nil: not known
	count                       int
}

func (g gapGroup) equal(o gapGroup) bool {
	return g.class == o.class && g.operation == o.operation && g.permission == o.permission && g.code == o.code && g.policy == o.policy &&
		g.count == o.count && slices.Equal(g.kinds, o.kinds)
}

// refused says what refused, where it was more than a permission that is missing.
func (g gapGroup) refused() string {
	if g.policy == "" {
		return ""
	}
	return "refused by a " + g.policy
}

// run takes in a run, of the window or before it.
func (f *Fold) run(e evidence.Entry, p *evidence.Run, belongs bool) error {
	f.looks.add(e.Index, p)
	if !belongs {
		return nil
	}
	s := f.stream(p.Stream)
	s.runs++
	s.outcomes[string(p.Outcome)]++
	run := &Run{
		Record: e.Index, Slot: p.Slot, Trigger: p.Trigger, Started: p.Started, Finished: p.Finished,
		Outcome: p.Outcome, Principal: p.Principal, Regions: p.Regions, RegionsLeftOut: p.RegionsLeftOut, Counts: p.Observations, Exchanges: []evidence.Digest{},
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
	if p.Trigger == evidence.TriggerCatchUp {
		s.catchUps = append(s.catchUps, p.Slot)
	}
	// Other runs cover no slot; in a report of one moment the newest counts.
	if p.Trigger == evidence.TriggerSchedule || f.w.AsOf {
		c, err := f.coverOf(e.Index, p, s, run.Gaps)
		if err != nil {
			return err
		}
		s.covers = append(s.covers, c)
	}
	if f.w.AsOf || !f.concerned(f.kinds[p.Collector]) {
		return nil
	}
	return f.differ.ran(e.Index, p, run)
}

// coverOf says how a run accounts for its slot.
func (f *Fold) coverOf(index uint64, p *evidence.Run, s *streamFold, gaps evidence.Digest) (cover, error) {
	c := cover{first: instantOf(p.Slot), last: instantOf(p.Slot), record: index, state: Sealed, started: instantOf(p.Started)}
	switch p.Outcome {
	case evidence.Partial:
		c.state = Part
	case evidence.Failed:
		c.state = Failed
	case evidence.Complete:
		return c, nil
	}
	var err error
	c.gaps, err = f.gapGroups(p, s, gaps)
	return c, err
}

// gapGroups gives the gaps of a run, alike ones together, with the kinds that
// they are about. Runs in a row with the same gaps share them.
func (f *Fold) gapGroups(p *evidence.Run, s *streamFold, digest evidence.Digest) ([]gapGroup, error) {
	if digest != "" && digest == s.gapsIn {
		return s.gaps, nil
	}
	var groups []gapGroup
	for _, g := range p.Gaps {
		groups = append(groups, gapGroup{class: g.Class, operation: g.Operation, permission: g.Permission, code: g.Code, policy: g.Policy, count: g.Count})
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
			if g.class == gap.Class && g.operation == gap.Operation && g.permission == gap.Permission && g.code == gap.Code && g.policy == gap.Policy {
				if at, found := slices.BinarySearch(g.kinds, gap.Kind); !found {
					g.kinds = slices.Insert(g.kinds, at, gap.Kind)
				}
				break
			}
		}
	}
	if slices.EqualFunc(groups, s.gaps, gapGroup.equal) {
		groups = s.gaps
	}
	s.gaps, s.gapsIn = groups, digest
	return groups, nil
}
