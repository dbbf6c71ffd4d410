package agent

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

func readSchedule(digest evidence.Digest, store *payload.Store) (out evidence.Schedule, err error) {
	raw, err := store.ReadAll(digest, maxSchedulePayload)
	if err != nil {
		return out, fmt.Errorf("read schedule: %w", err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("read schedule %s: %w", digest, err)
	}
	return out, nil
}

// scopes gives those that are looked at: by the schedule in force, and by that
// of the newest tasks run by hand.
func (s *State) scopes(store *payload.Store) (map[evidence.Scope]bool, error) {
	out := make(map[evidence.Scope]bool)
	if s.InForce != nil {
		for _, scope := range s.InForce.Schedule.Scopes {
			out[scope] = true
		}
	}
	if s.manual {
		newest, err := readSchedule(s.configured.schedule, store)
		if err != nil {
			return nil, err
		}
		for _, scope := range newest.Scopes {
			out[scope] = true
		}
	}
	return out, nil
}

// Verdicts gives the newest verdicts of every check in every scope that is
// looked at: those of an account that was left out since, or that is gone, say
// nothing of the present. After an error it ends.
func (s *State) Verdicts(store *payload.Store) iter.Seq2[evidence.Verdict, error] {
	return func(yield func(evidence.Verdict, error) bool) {
		scopes, err := s.scopes(store)
		if err != nil {
			yield(evidence.Verdict{}, err)
			return
		}
		for scope, byCheck := range s.Assessed {
			if !scopes[scope] {
				continue
			}
			for _, digest := range digests(byCheck, func(r Assessed) evidence.Digest { return r.Verdicts }) {
				for v, err := range payload.Lines[evidence.Verdict](store, digest) {
					if err != nil {
						yield(v, err)
						return
					}
					if byCheck[v.Check].Verdicts == digest && !yield(v, nil) {
						return
					}
				}
			}
		}
	}
}
