package agent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// maxSleep bounds how long the loop sleeps: the machine may have been
// suspended or its clock set.
const maxSleep = time.Minute

// handover is how long one agent takes to follow another, at the most: a slot
// that is due within it is waited for.
const handover = 10 * time.Second

// Run does the tasks of the schedule until ctx ends, then interrupts and waits
// for what is running. It gives nil after ctx ended, and otherwise the error
// for which the agent can not go on. It may be called again after nil.
func (a *Agent) Run(ctx context.Context) error {
	return a.RunUntil(ctx, time.Time{})
}

// RunUntil is Run up to a time, unless that is zero.
func (a *Agent) RunUntil(ctx context.Context, end time.Time) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.mu.Lock()
	a.stop = stop
	a.mu.Unlock()

	a.judgeAnew(ctx)
	for _, central := range []bool{true, false} {
		for _, s := range a.streams {
			if s.first != "" && a.central[s.Scope] == central {
				a.start(ctx, s, offSchedule(a.Clock.Now()), s.first)
				s.first = ""
			}
		}
	}
	if a.Settle {
		a.tasks.Wait()
	}
	for a.failed() == nil && ctx.Err() == nil && !(a.relieved.Load() && a.idle()) {
		now := a.Clock.Now()
		if !end.IsZero() && !now.Before(end) {
			break
		}
		due := now.Add(maxSleep)
		switch {
		case a.Clock.Kind() == evidence.ClockSimulated:
			due = now.Add(365 * 24 * time.Hour)
		case a.relieved.Load():
			due = now.Add(handover / 10) // somebody waits
		}
		if !end.IsZero() && end.Before(due) {
			due = end
		}
		for _, s := range a.streams {
			if at := s.next.Add(s.jitter); at.Before(due) {
				due = at
			}
		}
		if err := a.Clock.Wait(ctx, due.Sub(now)); err != nil {
			break
		}
		for _, s := range a.streams {
			a.attend(ctx, s)
		}
		if a.Settle {
			a.tasks.Wait()
		}
	}
	a.tasks.Wait()
	a.payAll(ctx) // the last chance to say why: the next start only sees that there is no record
	a.tasks.Wait()
	return a.failed()
}

// offSchedule gives a slot for a task that the schedule did not ask for. Slots
// of the schedule fall on whole seconds, so the two never meet.
func offSchedule(now time.Time) time.Time {
	slot := now.UTC().Truncate(time.Millisecond)
	if slot.Nanosecond() == 0 {
		slot = slot.Add(time.Millisecond)
	}
	return slot
}

// attend starts the task of a stream if its slot has come. Where several have,
// because the process was held up, the newest is run and the rest were missed.
func (a *Agent) attend(ctx context.Context, s *stream) {
	now := a.Clock.Now()
	if s.next.Add(s.jitter).After(now) || ctx.Err() != nil {
		return
	}
	slot, held := s.next, evidence.Missed{First: s.next, From: s.next, To: now, Cause: evidence.CauseFault, Detail: "the process was held up"}
	for next := s.schedule.Next(slot); !next.Add(s.jitter).After(now); next = s.schedule.Next(next) {
		held.Last, held.Slots, slot = slot, held.Slots+1, next
	}
	s.next = s.schedule.Next(slot)
	a.Metrics.SetNextSlot(s.Stream, s.next)
	if held.Slots > 0 {
		a.miss(ctx, s, held)
	}
	if !a.start(ctx, s, slot, evidence.TriggerSchedule) {
		a.miss(ctx, s, evidence.Missed{
			First: slot, Last: slot, Slots: 1, Cause: evidence.CauseOverlap, From: slot, To: now,
			Detail: "an earlier task of the stream was still running",
		})
	}
}

// start runs a task beside the loop. It gives false when the stream's last
// task has not ended.
func (a *Agent) start(ctx context.Context, s *stream, slot time.Time, trigger evidence.Trigger) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running = true
	a.tasks.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.running = false
		}()
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
			a.do(ctx, s, slot, trigger)
		case <-ctx.Done():
			a.notSealed(ctx, s, slot, trigger, interrupted(ctx))
		}
	})
	return true
}

// longestFirst gives the streams in the order in which their tasks are best
// begun when all are to be done at once, so that no long one is left to the end:
// those that never ran, by how many calls each of their resources takes, and
// then the others by the calls that they made last time.
func (a *Agent) longestFirst() []*stream {
	type weight struct{ fresh, calls int }
	weights := make(map[*stream]weight, len(a.streams))
	for _, s := range a.streams {
		var w weight
		if run := a.known(s.Stream).Newest; run != nil {
			for _, c := range run.Calls {
				w.calls += c.Calls
			}
		} else if s.collector != nil {
			w.fresh = 1
			for _, c := range s.collector.Spec().Calls {
				if c.Field != "" {
					w.calls++
				}
			}
		}
		weights[s] = w
	}
	return slices.SortedStableFunc(slices.Values(a.streams), func(s, t *stream) int {
		return cmp.Or(cmp.Compare(weights[t].fresh, weights[s].fresh), cmp.Compare(weights[t].calls, weights[s].calls))
	})
}

// Collect runs the tasks that pick chooses once, now, and gives their results
// in order of stream.
func (a *Agent) Collect(ctx context.Context, pick func(evidence.Stream) bool) ([]Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.mu.Lock()
	a.stop = stop
	a.mu.Unlock()
	a.judgeAnew(ctx)
	slot := offSchedule(a.Clock.Now())
	results := make(chan Result, len(a.streams))
	// What answers for the organisation is looked at before the accounts that
	// are judged by it.
	for _, central := range []bool{true, false} {
		for _, s := range a.longestFirst() {
			if a.central[s.Scope] != central || !pick(s.Stream) {
				continue
			}
			select {
			case a.slots <- struct{}{}:
			case <-ctx.Done():
				continue
			}
			a.tasks.Go(func() {
				defer func() { <-a.slots }()
				results <- a.do(ctx, s, slot, evidence.TriggerManual)
			})
		}
		a.tasks.Wait()
	}
	close(results)
	out := make([]Result, 0, len(a.streams))
	for r := range results {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Collector, b.Collector))
	})
	if err := a.failed(); err != nil {
		return out, err
	}
	return out, context.Cause(ctx)
}
