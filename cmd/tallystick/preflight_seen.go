package main

import (
	"iter"
	"sync"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
)

// sightings are what says which accounts and projects there are, as seen a moment ago: an
// agent.Known without a ledger.
type sightings struct {
	mu sync.Mutex
	of map[evidence.Stream]*sighting // guarded by mu while calls are made
}

// also gives what hears of a stream that counts.
func (s *sightings) also(stream evidence.Stream) collectors.Emit {
	switch stream.Collector {
	case listingCollector, membershipCollector, projectsCollector:
	default:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[stream] = &sighting{listed: make(map[string]bool)}
	return s.of[stream]
}

// Newest implements agent.Known. The run has no record.
func (s *sightings) Newest(stream evidence.Stream) *agent.RunState {
	if s.of[stream] == nil {
		return nil
	}
	return &agent.RunState{Run: evidence.Run{Task: evidence.Task{Stream: stream}}}
}

// Listed implements agent.Known: nothing was known before.
func (s *sightings) Listed(evidence.Stream) (*agent.RunState, error) { return nil, nil }

// Before implements agent.Known: no schedule was in force.
func (s *sightings) Before() (*evidence.Schedule, error) { return nil, nil }

// Observed implements agent.Known.
func (s *sightings) Observed(r *agent.RunState, kind string) (iter.Seq2[evidence.Observation, error], bool, error) {
	seen := s.of[r.Stream]
	return func(yield func(evidence.Observation, error) bool) {
		for _, o := range seen.observations {
			if o.Kind == kind && !yield(o, nil) {
				return
			}
		}
	}, seen.listed[kind], nil
}

// sighting is a collectors.Emit of one global stream.
type sighting struct {
	mu           sync.Mutex
	observations []evidence.Observation // guarded by mu while calls are made
	listed       map[string]bool        // likewise; by kind
}

// Principal implements collectors.Emit.
func (*sighting) Principal(string) {}

// Regions implements collectors.Emit.
func (*sighting) Regions(_, _ []string) {}

// Listed implements collectors.Emit.
func (s *sighting) Listed(kind, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed[kind] = true
}

// Observe implements collectors.Emit.
func (s *sighting) Observe(o evidence.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observations = append(s.observations, o)
	return nil
}

// Gap implements collectors.Emit.
func (*sighting) Gap(evidence.Gap) {}

// Vanished implements collectors.Emit.
func (*sighting) Vanished(_, _, _ string) {}
