// Package schedule turns a cron expression into slots: the times at which a
// task is due.
//
// It promises that the slots follow from the expression and the time zone
// alone, so that an agent, after a restart, and a verifier, years later, derive
// the same ones; and that no string makes it panic. It does not run anything,
// it reads no clock, and it does not promise that two versions of the time zone
// database agree on the future of a zone other than UTC.
//
// # Slots in a zone with daylight saving
//
// A slot is a time on the wall clock of the zone that matches the expression.
// Where the clock jumps, this holds:
//
//   - An expression whose hour field holds every hour ("*/15 * * * *",
//     "@hourly") follows elapsed time. In an hour that the clock repeats it has
//     slots in both passes; an hour that the clock skips did not take place and
//     has none.
//   - Any other expression follows the wall clock. A time that the clock
//     repeats is a slot in the first pass only. A time that the clock skips is
//     due at the first instant after the jump; when several are skipped, or one
//     is due at that instant anyway, they are one slot.
//
// So "30 2 * * *" is due once for each date in any zone, and no slot is lost
// except by falling together with another one. In UTC, the default, clocks do
// not jump.
package schedule

import (
	"iter"
	"sort"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when a task is due. Its zero value has no slots; Parse makes
// others. A Schedule does not change and may be used from several goroutines.
type Schedule struct {
	expr  string
	zone  *time.Location
	every time.Duration      // set for @every; then spec is nil
	spec  *cron.SpecSchedule // on a wall clock that is held in UTC
}

// String gives the expression as it was parsed, without surrounding space.
func (s Schedule) String() string { return s.expr }

// Next gives the first slot strictly after a time, in UTC. It is the zero time
// only for the zero Schedule.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.every > 0:
		return nextEvery(s.every, after)
	case s.spec != nil:
		return s.nextWall(after)
	}
	return time.Time{}
}

// Between gives the slots t with after < t <= until, in order, in UTC.
func (s Schedule) Between(after, until time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for t := s.Next(after); !t.IsZero() && !t.After(until); t = s.Next(t) {
			if !yield(t) {
				return
			}
		}
	}
}

// furthest bounds the search for the last slot. The rarest expression,
// 29 February, is due within eight years wherever a century year has none.
const furthest = 9 * 366 * 24 * time.Hour

// Last gives the latest slot at or before a time, in UTC. It is the zero time
// only for the zero Schedule.
func (s Schedule) Last(at time.Time) time.Time {
	at = at.Truncate(time.Second) // slots are on whole seconds
	before := func(seconds int) time.Time {
		return s.Next(at.Add(-time.Duration(seconds) * time.Second))
	}
	limit := int(furthest / time.Second)
	n := sort.Search(limit, func(seconds int) bool {
		t := before(seconds)
		return !t.IsZero() && !t.After(at)
	})
	if n == limit {
		return time.Time{}
	}
	return before(n)
}

// Period gives the distance from the latest slot at or before a time to the
// slot that follows it: how old the newest evidence may be at that time if
// nothing is late.
func (s Schedule) Period(at time.Time) time.Duration {
	last := s.Last(at)
	if last.IsZero() {
		return 0
	}
	return s.Next(last).Sub(last)
}

// nextEvery gives the first multiple of a period since the Unix epoch after a
// time.
func nextEvery(every time.Duration, after time.Time) time.Time {
	period := int64(every / time.Second)
	n := after.Unix() / period
	if after.Unix()%period < 0 {
		n-- // division rounds towards zero, slots before 1970 need the floor
	}
	return time.Unix((n+1)*period, 0).UTC()
}
