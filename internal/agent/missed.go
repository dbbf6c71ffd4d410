package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// owe notes slots that are due a record of their own. They join what is owed
// already for the same cause and is next to them, so that a disk that stays
// full for a month costs one entry, not one for each slot.
func (s *stream) owe(m evidence.Missed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := slices.BinarySearchFunc(s.owed, m.First, func(o evidence.Missed, t time.Time) int { return o.First.Compare(t) })
	s.owed = slices.Insert(s.owed, at, m)
	for i := min(at, len(s.owed)-2); i >= max(at-1, 0); i-- {
		if joined, ok := s.join(s.owed[i], s.owed[i+1]); ok {
			s.owed[i] = joined
			s.owed = slices.Delete(s.owed, i+1, i+2)
		}
	}
}

// join makes one of two neighbours. The detail of the later one stays.
func (s *stream) join(a, b evidence.Missed) (evidence.Missed, bool) {
	if a.Cause != b.Cause || !s.schedule.Next(a.Last).Equal(b.First) {
		return a, false
	}
	a.Last, a.To, a.Detail, a.Slots = b.Last, b.To, b.Detail, a.Slots+b.Slots
	return a, true
}

// oldestOwed takes the first record that is owed.
func (s *stream) oldestOwed() (evidence.Missed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.owed) == 0 {
		return evidence.Missed{}, false
	}
	m := s.owed[0]
	s.owed = slices.Delete(s.owed, 0, 1)
	return m, true
}

// pay seals what a stream owes, in order of the slots. Called with s.records
// held. What it could not seal is owed still.
func (a *Agent) pay(ctx context.Context, s *stream) error {
	for {
		m, ok := s.oldestOwed()
		if !ok {
			return nil
		}
		if err := a.sealMissed(ctx, s, &m); err != nil {
			s.owe(m)
			a.owing.Store(true)
			return err
		}
	}
}

// payBeside pays beside the caller, who must not wait for the disk.
func (a *Agent) payBeside(ctx context.Context, s *stream) {
	a.tasks.Go(func() {
		s.records.Lock()
		defer s.records.Unlock()
		if err := a.pay(ctx, s); err != nil && a.failed() == nil {
			a.Log.Error("missed slots not recorded yet", zap.Stringer("stream", s.Stream), zap.Error(err))
		}
	})
}

// payAll pays for every stream if any owes. It is called when a record could
// be written.
func (a *Agent) payAll(ctx context.Context) {
	if !a.owing.Swap(false) {
		return
	}
	for _, s := range a.streams {
		s.mu.Lock()
		owes := len(s.owed) > 0
		s.mu.Unlock()
		if owes {
			a.payBeside(ctx, s)
		}
	}
}

// miss records missed slots beside the loop.
func (a *Agent) miss(ctx context.Context, s *stream, m evidence.Missed) {
	// Owed from this moment on: the next run of the stream comes after it.
	s.owe(m)
	a.payBeside(ctx, s)
}

// recordMissed seals, for each stream of the schedule that was in force until
// now, the slots that no record covers.
func (a *Agent) recordMissed(ctx context.Context, now time.Time) error {
	before := a.state.InForce
	if before == nil {
		return nil
	}
	zone, err := time.LoadLocation(before.Schedule.TimeZone)
	if err != nil {
		return fmt.Errorf("time zone of the schedule in force until now: %w", err)
	}
	streams := make(map[evidence.Stream]*stream, len(a.streams))
	for _, s := range a.streams {
		streams[s.Stream] = s
	}
	alive := a.state.Alive
	parsed := make(map[string]schedule.Schedule)
	errs := make(chan error, 1) // the first
	for key, expr := range before.Schedule.Streams {
		sched, ok := parsed[expr]
		if !ok {
			if sched, err = schedule.Parse(expr, zone); err != nil {
				a.tasks.Wait()
				return fmt.Errorf("schedule of %s in force until now: %w", key.Collector, err)
			}
			parsed[expr] = sched
		}
		known := a.known(key)
		missed := uncovered(sched, known, before.Since, alive, now)
		if len(missed) == 0 {
			continue
		}
		s, configured := streams[key]
		if !configured {
			s = &stream{Stream: key, sequence: known.Sequence}
		}
		a.tasks.Go(func() {
			s.records.Lock()
			defer s.records.Unlock()
			for _, m := range missed {
				if err := a.sealMissed(ctx, s, &m); err != nil {
					select {
					case errs <- err:
					default:
					}
					return
				}
			}
		})
	}
	a.tasks.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// known gives a copy of what the ledger says of a stream.
func (a *Agent) known(key evidence.Stream) StreamState {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.state.Streams[key]; ok {
		return *known
	}
	return StreamState{}
}

// uncovered gives the slots of a schedule, after since and up to now, that no
// record covers. Those after the last sign of life were missed because no
// agent ran; for those before it the agent was there, and ended before it
// could record how they went.
func uncovered(sched schedule.Schedule, known StreamState, since, alive, now time.Time) []evidence.Missed {
	if known.ran.After(since) {
		since = known.ran
	}
	later := slices.Clone(known.later)
	slices.SortFunc(later, func(a, b span) int { return a.first.Compare(b.first) })
	var out []evidence.Missed
	open := false // the last of out may go on with the next slot
	for slot := range sched.Between(since, now) {
		for len(later) > 0 && later[0].last.Before(slot) {
			later = later[1:]
		}
		if len(later) > 0 && !later[0].first.After(slot) {
			open = false
			continue
		}
		m := evidence.Missed{First: slot, Last: slot, Cause: evidence.CauseAgentDown, From: alive, To: now}
		if !slot.After(alive) {
			m.Cause, m.From = evidence.CauseInterrupted, slot
			m.Detail = "the agent ended before the task of the slot was recorded"
		}
		if n := len(out); !open || out[n-1].Cause != m.Cause {
			out = append(out, m)
		}
		open = true
		last := &out[len(out)-1]
		last.Last = slot
		last.Slots++
	}
	return out
}
