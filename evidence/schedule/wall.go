package schedule

import "time"

// stretch is a span of time in which a zone's offset from UTC is constant, so
// that its wall clock only runs forwards. The library's own Next mistreats the
// jumps between stretches (it drops times that the clock skips and repeats
// those that it repeats), therefore it is only asked within one.
type stretch struct {
	start, end time.Time // start <= t < end; zero: no such bound
	offset     time.Duration
	jumped     time.Time // what the wall clock would have shown at start had it not jumped
}

// stretchAt gives the stretch that holds t.
func stretchAt(t time.Time, zone *time.Location) stretch {
	var z stretch
	z.start, z.end = t.In(zone).ZoneBounds()
	z.offset = offsetAt(t, zone)
	if !z.start.IsZero() {
		z.jumped = onWall(z.start, offsetAt(z.start.Add(-1), zone))
	}
	return z
}

func offsetAt(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// onWall gives what a clock at that offset shows at t, held as if it were UTC.
func onWall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

// nextWall gives the first slot after a time of an expression that follows the
// wall clock. The package comment says what happens where the clock jumps.
func (s Schedule) nextWall(after time.Time) time.Time {
	elapsed := everyHour(s.spec.Hour)
	z := stretchAt(after, s.zone)
	from := onWall(after, z.offset)
	for {
		if !elapsed && from.Before(z.jumped) {
			from = z.jumped.Add(-1) // the second pass of times that the clock repeats
		}
		next := s.nextMatch(from)
		if next.IsZero() {
			return time.Time{}
		}
		slot := next.Add(-z.offset)
		if z.end.IsZero() || slot.Before(z.end) {
			return slot
		}
		if z.end.Sub(after) > furthest {
			return time.Time{}
		}

		z = stretchAt(z.end, s.zone)
		began := onWall(z.start, z.offset)
		if skipped := s.nextMatch(z.jumped.Add(-1)); !elapsed && skipped.Before(began) && !skipped.IsZero() {
			return z.start.UTC()
		}
		from = began.Add(-1)
	}
}

// nextMatch gives the first time after from that matches the expression, on a
// wall clock that never jumps. The library gives up at the end of the fifth
// year; 29 February can be further away, so it is asked twice.
func (s Schedule) nextMatch(from time.Time) time.Time {
	next := s.spec.Next(from)
	if next.IsZero() {
		next = s.spec.Next(time.Date(from.Year()+6, time.January, 1, 0, 0, 0, -1, time.UTC))
	}
	return next
}

// everyHour says whether an hour field, in the library's bits, holds all of
// the hours 0 to 23.
func everyHour(hours uint64) bool {
	const all = 1<<24 - 1
	return hours&all == all
}
