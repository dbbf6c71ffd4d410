package agent

import (
	"fmt"
	"sync"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

// stream is one stream at work.
type stream struct {
	evidence.Stream
	provider  *Provider
	collector collectors.Collector // nil when it is no longer configured
	schedule  schedule.Schedule
	jitter    time.Duration

	next  time.Time        // next slot that is due; owned by Run
	first evidence.Trigger // what to run at once when Run starts; empty: nothing; owned by Run

	records  sync.Mutex // held while records of this stream are sealed
	sequence uint64     // of its newest record; guarded by records

	mu      sync.Mutex
	running bool              // guarded by mu
	owed    []evidence.Missed // guarded by mu; slots that wait for their record, in order, see owe
}

// makeStreams makes the streams of the schedule that is about to take force.
func (a *Agent) makeStreams(s evidence.Schedule, now time.Time) error {
	parsed := make(map[string]spaced)
	for key, expr := range s.Streams {
		sched, ok := parsed[expr]
		if !ok {
			of, err := schedule.Parse(expr, a.Zone)
			if err != nil {
				return fmt.Errorf("schedule of %s: %w", key.Collector, err)
			}
			sched = space(of)
			parsed[expr] = sched
		}
		st := &stream{Stream: key, schedule: sched.Schedule}
		if !a.Prompt {
			st.jitter = schedule.Jitter(key.String(), sched.shortest, schedule.MaxJitter)
		}
		st.provider, st.collector = a.find(key)
		from := now
		if known, ok := a.state.Streams[key]; ok {
			st.sequence = known.Sequence
			if known.Covered.After(now) {
				from = known.Covered // the clock went back: those slots were done
			}
		}
		st.next = sched.Next(from)
		a.streams = append(a.streams, st)
		a.Metrics.SetSchedule(key, sched.longest, st.next)
	}
	return nil
}

// spaced is a schedule and how far its slots are apart.
type spaced struct {
	schedule.Schedule
	shortest, longest time.Duration
}

// space walks over a stretch of slots that is the same at every start: the
// jitter of a stream follows from the shortest distance and must not depend on
// when the agent happened to be started.
func space(s schedule.Schedule) spaced {
	const most = 10_000 // slots: a week of minutes
	out := spaced{Schedule: s}
	begin := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
	last := s.Next(begin)
	for n := range most {
		next := s.Next(last)
		if next.IsZero() || n > 1 && next.After(begin.AddDate(1, 1, 0)) {
			break
		}
		d := next.Sub(last)
		if n == 0 || d < out.shortest {
			out.shortest = d
		}
		out.longest = max(out.longest, d)
		last = next
	}
	return out
}

// chooseFirst decides which streams run at once: those that were never looked
// at, and those whose newest word is that slots were missed.
func (a *Agent) chooseFirst() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.streams {
		switch known, ok := a.state.Streams[s.Stream]; {
		case !ok:
			s.first = evidence.TriggerInitial
		case known.behind:
			s.first = evidence.TriggerCatchUp
		}
	}
}

// find gives the provider and the collector of a stream.
func (a *Agent) find(key evidence.Stream) (*Provider, collectors.Collector) {
	for i := range a.Providers {
		p := &a.Providers[i]
		if p.Name != key.Provider {
			continue
		}
		for _, c := range p.Collectors {
			if c.Spec().Name == key.Collector {
				return p, c
			}
		}
	}
	return nil, nil
}
