package verify

import (
	"path"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// clockStep is how far a record may be older than the one before it: clocks
// are corrected now and then, and a Configuration carries the moment up to
// which its predecessor was accounted for, which is a little earlier than the
// records that do so.
const clockStep = time.Minute

// rules are the checks over the records in their order.
type rules struct {
	check   *check
	extract *extract // nil: the records are a whole ledger

	last           map[evidence.Clock]lastRecord
	streams        map[evidence.Stream]*stream
	forces         []force                   // the schedules, in the order in which they took force
	assessments    map[evidence.Scope]uint64 // number of the last one
	configurations uint64                    // number of the last Configuration
	manual         bool                      // the last Configuration was of a person's own run
	schedule       evidence.Digest           // of the last Configuration, whatever its event
	catalogue      evidence.Digest           // likewise
	latest         time.Time                 // of all records
	alive          time.Time                 // the latest time of a record of an agent that follows the schedule
	runs           map[uint64]usedRun        // by record

	centrals map[evidence.Digest]map[evidence.Scope]bool // by schedule; see central
}

type lastRecord struct {
	at    time.Time
	index uint64
}

// usedRun is what an assessment may say of a run.
type usedRun struct {
	stream   *stream
	sequence uint64
	slot     time.Time
}

// stream is what the records say of one stream.
type stream struct {
	evidence.Stream
	beginning
	sequence uint64           // of its last record
	tasks    map[int64]uint64 // the record of each task by its slot in nanoseconds
	covers   []cover          // the slots that records account for, as they came
}

// cover is a record that accounts for slots.
type cover struct {
	first, last time.Time
	record      uint64
	run         bool             // else missed
	slots       int              // that a missed record says it covers
	outcome     evidence.Outcome // of a run
}

// force is a schedule and since when it holds.
type force struct {
	since  time.Time
	record uint64
	digest evidence.Digest
}

func newRules() *rules {
	return &rules{
		last: make(map[evidence.Clock]lastRecord), streams: make(map[evidence.Stream]*stream),
		runs: make(map[uint64]usedRun), assessments: make(map[evidence.Scope]uint64),
		centrals: make(map[evidence.Digest]map[evidence.Scope]bool),
	}
}

// take checks one record. Its signature is good.
func (r *rules) take(index uint64, rec *record) {
	c, s := r.check, rec.statement
	c.Types[path.Base(path.Dir(s.PredicateType))]++
	c.rules.extract.take(index, rec)
	for _, subject := range s.Subject {
		c.name(index, subject, rec.predicate)
	}
	var header *evidence.Header
	switch p := rec.predicate.(type) {
	case *evidence.Configuration:
		header = &p.Header
		r.configuration(index, p, s)
	case *evidence.Run:
		header = &p.Header
		r.run(index, p, s)
	case *evidence.Missed:
		header = &p.Header
		r.missed(index, p)
	case *evidence.Assessment:
		header = &p.Header
		r.assessment(index, p, s)
	case *evidence.Stop:
		header = &p.Header
	case *evidence.Export, *evidence.Sample:
		r.byHand(index, evidence.HeaderOf(p))
		return
	default: // evidence.Decode gives no other
		c.problem(KindRecord, recordPlace(index), "its type %s is not known to this version", s.PredicateType)
		return
	}
	r.time(index, header)
}

// byHand checks a record that a person writes, whether or not a daemon is
// there. It is no sign of life of one.
func (r *rules) byHand(index uint64, h *evidence.Header) {
	latest, alive := r.latest, r.alive
	simulated := r.check.Simulated
	r.time(index, h)
	r.latest, r.alive = latest, alive
	r.check.Simulated = simulated
}

func (r *rules) time(index uint64, h *evidence.Header) {
	c := r.check
	switch h.Clock {
	case evidence.ClockSimulated:
		c.Simulated = true
	case evidence.ClockSystem:
	default:
		c.problem(KindRecord, recordPlace(index), "its clock %q is none of this version's", h.Clock)
	}
	before, ok := r.last[h.Clock]
	if ok && h.At.Before(before.at.Add(-clockStep)) {
		c.problem(KindTime, recordPlace(index), "it was written at %s, record %d before it at %s: the clock ran backwards or the record was put in later",
			h.At.Format(time.RFC3339), before.index, before.at.Format(time.RFC3339))
	}
	r.last[h.Clock] = lastRecord{h.At, index}
	if h.At.After(r.latest) {
		r.latest = h.At
	}
	if !r.manual && h.At.After(r.alive) {
		r.alive = h.At
	}
}

func (r *rules) configuration(index uint64, p *evidence.Configuration, s evidence.Statement) {
	c := r.check
	if p.Ledger != c.Origin {
		c.problem(KindConfiguration, recordPlace(index), "it is for the ledger %q, this one is %q", p.Ledger, c.Origin)
	}
	for _, name := range []string{evidence.PayloadConfiguration, evidence.PayloadSchedule, evidence.PayloadCatalogue} {
		if _, ok := s.Payload(name); !ok {
			c.problem(KindConfiguration, recordPlace(index), "it names no %s", name)
		}
	}
	if r.configurations == 0 && r.extract != nil {
		r.opening(index, p)
	} else if p.Sequence != r.configurations+1 {
		c.problem(KindSequence, recordPlace(index), "it is configuration number %d, the one before it was number %d: records between them are missing, doubled or moved",
			p.Sequence, r.configurations)
	}
	for _, d := range p.Discoveries {
		if !r.isRun(d.Record, d.Scope) {
			c.problem(KindConfiguration, recordPlace(index), "what it looks at rests on the listing in record %d, which is no run in %s before it", d.Record, d.Scope)
		}
	}
	r.configurations = p.Sequence
	r.schedule, _ = s.Payload(evidence.PayloadSchedule)
	r.catalogue, _ = s.Payload(evidence.PayloadCatalogue)
	r.manual = p.Event == evidence.EventManual
	if !r.manual {
		r.forces = append(r.forces, force{since: p.At, record: index, digest: r.schedule})
	}
}

func (r *rules) stream(key evidence.Stream) *stream {
	s, ok := r.streams[key]
	if !ok {
		s = &stream{Stream: key, tasks: make(map[int64]uint64)}
		r.streams[key] = s
	}
	return s
}

// next checks the number of a record in its stream.
func (r *rules) next(index uint64, s *stream, sequence uint64, p any) {
	if sequence != s.sequence+1 && !(sequence > s.sequence && r.extract.mayLeaveOut(s, sequence, p)) {
		r.check.problem(KindSequence, recordPlace(index), "it is number %d of %s, the record before it was number %d: records between them are missing, doubled or moved",
			sequence, s.Stream, s.sequence)
	}
	s.sequence = sequence
	r.extract.note(s, p)
}

func (r *rules) run(index uint64, p *evidence.Run, st evidence.Statement) {
	c, s := r.check, r.stream(p.Stream)
	r.next(index, s, p.Sequence, p)
	slot := p.Slot.UnixNano()
	if other, ok := s.tasks[slot]; ok {
		c.problem(KindDuplicate, recordPlace(index), "the task %s is in record %d already", p.ID(), other)
	}
	s.tasks[slot] = index
	r.runs[index] = usedRun{s, p.Sequence, p.Slot}
	s.newest = cover{first: p.Slot, last: p.Slot, record: index, run: true, outcome: p.Outcome}
	if p.Trigger == evidence.TriggerSchedule && !r.extract.carries(p) {
		s.covers = append(s.covers, s.newest)
	}
	if r.configurations == 0 && r.extract.carries(p) {
		// It was carried in from before; its configuration is not in the extract.
	} else if p.ConfigurationDigest != r.schedule || p.CatalogueDigest != r.catalogue {
		c.problem(KindConfiguration, recordPlace(index), "its schedule or catalogue is not the one of the last configuration record")
	}
	var observations, gaps int64
	for _, n := range p.Observations {
		observations += int64(n.Count)
	}
	for _, n := range p.Gaps {
		gaps += int64(n.Count)
	}
	r.lines(index, st, evidence.PayloadObservations, observations)
	r.lines(index, st, evidence.PayloadGaps, gaps)
}

// lines notes how many lines a payload of the record must have. One that is
// not named stands for none.
func (r *rules) lines(index uint64, st evidence.Statement, name string, n int64) {
	for _, subject := range st.Subject {
		if subject.Name != name {
			continue
		}
		if key, ok := digestOf(subject); ok {
			r.check.expect(index, key, name, n)
		}
		return
	}
	if n != 0 {
		r.check.problem(KindCounts, recordPlace(index), "it counts %d lines of %s and names no such payload", n, name)
	}
}

func (r *rules) missed(index uint64, p *evidence.Missed) {
	s := r.stream(p.Stream)
	r.next(index, s, p.Sequence, p)
	if p.Last.Before(p.First) || p.Slots < 1 {
		r.check.problem(KindRecord, recordPlace(index), "it covers %d slots from %s to %s", p.Slots, p.First.Format(time.RFC3339), p.Last.Format(time.RFC3339))
		return
	}
	s.covers = append(s.covers, cover{first: p.First, last: p.Last, record: index, slots: p.Slots})
}

func (r *rules) assessment(index uint64, p *evidence.Assessment, st evidence.Statement) {
	if before := r.assessments[p.Scope]; p.Sequence != before+1 && !r.extract.mayLeaveOutAssessments(before, p) {
		r.check.problem(KindSequence, recordPlace(index), "it is assessment number %d of %s, the one before it was number %d: records between them are missing, doubled or moved",
			p.Sequence, p.Scope, before)
	}
	r.assessments[p.Scope] = p.Sequence
	var verdicts int64
	for _, n := range p.Checks {
		verdicts += int64(n.Pass) + int64(n.Fail) + int64(n.Unknown) + int64(n.NotApplicable)
	}
	r.lines(index, st, evidence.PayloadVerdicts, verdicts)
	inForce := r.inForce(index, st)
	for _, u := range p.Used {
		run, ok := r.runs[u.Record]
		if !ok || run.stream.String() != u.Stream || run.sequence != u.Sequence || !run.slot.Equal(u.Slot) {
			r.check.problem(KindRecord, recordPlace(index), "it was made from number %d of %s in record %d, which is something else", u.Sequence, u.Stream, u.Record)
			continue
		}
		switch scope := run.stream.Scope; {
		case !u.Organization && scope != p.Scope:
			r.check.problem(KindRecord, recordPlace(index), "it judges %s by what was seen in %s, record %d", p.Scope, scope, u.Record)
		case u.Organization && !r.isCentral(inForce, scope):
			r.check.problem(KindRecord, recordPlace(index), "it judges %s by what was seen in %s, record %d, as by an account that answers for the organisation, and by the schedule in force that answers for none",
				p.Scope, scope, u.Record)
		}
	}
}

// inForce checks that an assessment names the schedule and the catalogue that
// were in force, and gives the schedule.
func (r *rules) inForce(index uint64, st evidence.Statement) evidence.Digest {
	schedule, _ := st.Payload(evidence.PayloadSchedule)
	catalogue, _ := st.Payload(evidence.PayloadCatalogue)
	if r.configurations == 0 && r.extract != nil && r.extract.AsOf {
		return schedule // its configuration is not in the extract
	}
	if schedule != r.schedule || catalogue != r.catalogue {
		r.check.problem(KindConfiguration, recordPlace(index), "its schedule or catalogue is not the one of the last configuration record")
	}
	return schedule
}

// isCentral says whether a scope answers for its organisation by a schedule. One
// that can not be read is told elsewhere, and convicts nobody.
func (r *rules) isCentral(schedule evidence.Digest, scope evidence.Scope) bool {
	central, ok := r.centrals[schedule]
	if !ok {
		if s, _, err := r.check.readSchedule(schedule); err == nil {
			central = make(map[evidence.Scope]bool, len(s.Central))
			for _, scope := range s.Central {
				central[scope] = true
			}
		}
		r.centrals[schedule] = central
	}
	return central == nil || central[scope]
}

// isRun says whether a record is a run in a scope. Of one that an extract leaves
// out that is not known.
func (r *rules) isRun(index uint64, scope evidence.Scope) bool {
	if run, ok := r.runs[index]; ok {
		return run.stream.Scope == scope
	}
	return r.extract != nil && !slices.Contains(r.extract.indexes, index)
}
