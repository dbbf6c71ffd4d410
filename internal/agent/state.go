package agent

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// State is what the ledger says of the present. It is rebuilt from the records
// at every start and is never stored: the ledger is the database.
type State struct {
	Records   uint64
	Last      time.Time // when the newest record was written
	Alive     time.Time // the last sign of life of a daemon: its newest record
	Simulated bool      // some record was made under a simulated clock

	Organization   string
	PeriodStart    string     // YYYY-MM-DD, of the newest configuration
	PeriodEnd      string     // likewise
	Configurations uint64     // how many Configuration records there are
	InForce        *InForce   // the schedule in force; nil before the first
	manual         bool       // the records since the newest configuration are of tasks run by hand
	configured     configured // the newest configuration, whatever its event
	Stopped        *time.Time // when the agent ended in good order; nil while it runs, or when it was killed

	Streams  map[evidence.Stream]*StreamState
	Assessed map[evidence.Scope]map[string]Assessed // newest assessment by check id
	judged   map[evidence.Scope]uint64              // number of the newest assessment
}

// InForce is the schedule that the newest configuration record put in force.
type InForce struct {
	Since    time.Time
	Digest   evidence.Digest // of the schedule's payload
	Schedule evidence.Schedule
}

// configured is what a Configuration record names.
type configured struct {
	schedule    evidence.Digest
	discoveries map[evidence.Scope]evidence.Discovery // the newest so far: not every configuration has one
}

// StreamState is what the ledger says of one stream.
type StreamState struct {
	Sequence uint64    // of its newest record
	Covered  time.Time // newest slot of the schedule with a run or a missed record
	Newest   *RunState // newest run, whatever its trigger and outcome
	Missed   int       // slots missed so far

	// Every slot up to ran has a record, since a stream has one task at a
	// time and accounts for what it missed before it runs. Of those after it,
	// the ones in later have: while a task runs, later slots are recorded as
	// overlapping with it.
	ran   time.Time
	later []span

	behind    bool          // slots were missed, and there is no run since
	completed *evidence.Run // newest run that read anything
}

// span is a row of slots.
type span struct{ first, last time.Time }

// RunState is a run and where its payloads are.
type RunState struct {
	evidence.Run
	Record       uint64 // index in the ledger
	Subjects     []evidence.Subject
	Observations evidence.Digest
	GapsPayload  evidence.Digest // empty when there are none
}

// Assessed is the newest assessment of one check in one scope.
type Assessed struct {
	Record    uint64
	Evaluated time.Time
	Verdicts  evidence.Digest
	Count     evidence.CheckCount

	whole evidence.Digest // the Verdicts of the newest assessment that left nothing unknown
}

func newState() *State {
	return &State{
		Streams: make(map[evidence.Stream]*StreamState), Assessed: make(map[evidence.Scope]map[string]Assessed), judged: make(map[evidence.Scope]uint64),
		configured: configured{discoveries: make(map[evidence.Scope]evidence.Discovery)},
	}
}

// ReadState rebuilds the state of a data directory without taking its lock.
// Unless vkey is nil, the records must be those that a checkpoint signed with
// that key covers: one signature stands for all of them, which costs a start
// far less than checking each.
func ReadState(ctx context.Context, dir string, vkey *seal.Verifier) (*State, error) {
	r, err := ledger.OpenReader(dir)
	if err != nil {
		return nil, err
	}
	s, root, err := readState(ctx, r.Entries(0), payload.OpenRead(dir))
	if err != nil || vkey == nil {
		return s, err
	}
	signed, err := vkey.Checkpoint(r.Checkpoint())
	if err != nil {
		return nil, err
	}
	if s.Records != signed.Size || s.Records > 0 && !bytes.Equal(root, signed.Root[:]) {
		return nil, fmt.Errorf("the records are not those that the checkpoint covers: `tallystick verify %s` says which", dir)
	}
	return s, nil
}

// readState rebuilds the state from records, and gives the root of the tree
// over them.
func readState(ctx context.Context, entries iter.Seq2[ledger.Entry, error], store *payload.Store) (*State, []byte, error) {
	within, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	// Decoding is most of the work, and goes on beside itself.
	batches := make(chan chan []decoded, runtime.GOMAXPROCS(0))
	work.Go(func() {
		defer close(batches)
		for batch := range inBatches(entries) {
			done := make(chan []decoded, 1)
			select {
			case batches <- done:
				work.Go(func() { done <- decode(batch) })
			case <-within.Done():
				return
			}
		}
	})
	s := newState()
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := factory.NewEmptyRange(0)
	for done := range batches {
		for _, d := range <-done {
			if d.err != nil {
				return nil, nil, d.err
			}
			if err := tree.Append(d.leaf, nil); err != nil {
				return nil, nil, fmt.Errorf("record %d: %w", d.index, err)
			}
			if err := s.take(d.index, d.record, d.subjects, store); err != nil {
				return nil, nil, fmt.Errorf("record %d: %w", d.index, err)
			}
		}
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("compute the root of the ledger: %w", err)
	}
	return s, root, nil
}

// decoded is a record on its way into the state.
type decoded struct {
	index    uint64
	record   any
	subjects []evidence.Subject
	leaf     []byte // its hash in the tree (RFC 6962 section 2.1)
	err      error  // the ledger can not be read further
}

// batch is a row of entries, and the error that ended it.
type batch struct {
	entries []ledger.Entry
	err     error
}

func inBatches(entries iter.Seq2[ledger.Entry, error]) iter.Seq[batch] {
	return func(yield func(batch) bool) {
		const size = 256
		var b batch
		for e, err := range entries {
			if err != nil {
				b.err = err
				break
			}
			if b.entries = append(b.entries, e); len(b.entries) == size {
				if !yield(b) {
					return
				}
				b = batch{}
			}
		}
		yield(b)
	}
}

func decode(b batch) []decoded {
	out := make([]decoded, 0, len(b.entries)+1)
	for _, e := range b.entries {
		d := decoded{index: e.Index, leaf: rfc6962.DefaultHasher.HashLeaf(e.Data)}
		var entry evidence.Entry
		entry, d.err = seal.PeekEntry(e.Index, e.Data)
		d.record, d.subjects = entry.Predicate, entry.Statement.Subject
		out = append(out, d)
	}
	if b.err != nil {
		out = append(out, decoded{err: b.err})
	}
	return out
}

// take takes in one record: its predicate, a pointer to one of the types that
// evidence.Decode gives, which must not change any more. The records of a
// stream must come in order, and so must the assessments of a scope.
func (s *State) take(index uint64, record any, subjects []evidence.Subject, store *payload.Store) error {
	statement := evidence.Statement{Subject: subjects}
	switch r := record.(type) {
	case *evidence.Configuration:
		s.Organization, s.Configurations = r.Organization, r.Sequence
		s.PeriodStart, s.PeriodEnd = r.PeriodStart, r.PeriodEnd
		s.manual = r.Event == evidence.EventManual
		s.configured.schedule, _ = statement.Payload(evidence.PayloadSchedule)
		for _, d := range r.Discoveries {
			s.configured.discoveries[d.Scope] = d
		}
		if !s.manual {
			s.Stopped = nil
			if err := s.putInForce(r, statement, store); err != nil {
				return err
			}
		}
	case *evidence.Run:
		s.takeRun(index, r, statement)
	case *evidence.Missed:
		stream := s.stream(r.Stream)
		stream.Sequence = r.Sequence
		stream.Missed += r.Slots
		stream.behind = true
		stream.later = append(stream.later, span{r.First, r.Last})
		if r.Last.After(stream.Covered) {
			stream.Covered = r.Last
		}
	case *evidence.Assessment:
		s.takeAssessment(index, r, statement)
	case *evidence.Stop:
		if !s.manual {
			s.Stopped = &r.At
		}
	}
	header := evidence.HeaderOf(record)
	s.Simulated = s.Simulated || header.Clock == evidence.ClockSimulated
	if index >= s.Records {
		s.Records, s.Last = index+1, header.At
		if !s.manual && !writtenByHand(record) {
			s.Alive = header.At
		}
	}
	return nil
}

// writtenByHand says whether a record is one that a person writes, whether or not a
// daemon is there: it is no sign of life.
func writtenByHand(record any) bool {
	switch record.(type) {
	case *evidence.Export, *evidence.Sample:
		return true
	}
	return false
}

func (s *State) takeRun(index uint64, r *evidence.Run, statement evidence.Statement) {
	stream := s.stream(r.Stream)
	stream.Sequence = r.Sequence
	stream.behind = false
	if r.Trigger == evidence.TriggerSchedule {
		stream.ran = r.Slot
		stream.later = slices.DeleteFunc(stream.later, func(m span) bool { return !m.last.After(r.Slot) })
		if r.Slot.After(stream.Covered) {
			stream.Covered = r.Slot
		}
	}
	stream.Newest = runStateOf(index, r, statement)
	if r.Outcome != evidence.Failed {
		stream.completed = &stream.Newest.Run
	}
}

func runStateOf(index uint64, r *evidence.Run, statement evidence.Statement) *RunState {
	out := &RunState{Run: *r, Record: index, Subjects: statement.Subject}
	out.Observations, _ = statement.Payload(evidence.PayloadObservations)
	out.GapsPayload, _ = statement.Payload(evidence.PayloadGaps)
	return out
}

func (s *State) takeAssessment(index uint64, r *evidence.Assessment, statement evidence.Statement) {
	s.judged[r.Scope] = r.Sequence
	byCheck := s.Assessed[r.Scope]
	if byCheck == nil {
		byCheck = make(map[string]Assessed)
		s.Assessed[r.Scope] = byCheck
	}
	verdicts, _ := statement.Payload(evidence.PayloadVerdicts)
	for _, c := range r.Checks {
		whole := verdicts
		if c.Unknown > 0 {
			whole = byCheck[c.Check].whole
		}
		byCheck[c.Check] = Assessed{Record: index, Evaluated: r.Evaluated, Verdicts: verdicts, Count: c, whole: whole}
	}
}

func (s *State) stream(key evidence.Stream) *StreamState {
	st, ok := s.Streams[key]
	if !ok {
		st = new(StreamState)
		s.Streams[key] = st
	}
	return st
}

// maxSchedulePayload bounds a schedule: 10,000 scopes and as many collectors.
const maxSchedulePayload = 16 << 20

func (s *State) putInForce(r *evidence.Configuration, statement evidence.Statement, store *payload.Store) error {
	digest, ok := statement.Payload(evidence.PayloadSchedule)
	if !ok {
		return fmt.Errorf("configuration names no %s", evidence.PayloadSchedule)
	}
	of, err := readSchedule(digest, store)
	if err != nil {
		return err
	}
	s.InForce = &InForce{Since: r.At, Digest: digest, Schedule: of}
	for _, stream := range s.Streams {
		stream.later = slices.DeleteFunc(stream.later, func(m span) bool { return !m.last.After(r.At) })
	}
	return nil
}
