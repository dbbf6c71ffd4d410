package schedule

import (
	"fmt"
	"time"
)

// Date gives the bounds of a calendar date, YYYY-MM-DD, in a zone: it holds the
// times t with start <= t < end, in UTC. A date has 23 or 25 hours where the
// clock jumps; one that the zone skipped has none. A nil zone is UTC.
func Date(text string, zone *time.Location) (start, end time.Time, err error) {
	if zone == nil {
		zone = time.UTC
	}
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("date %q: not a calendar date such as 2026-07-01", text)
	}
	// The start of a date is the slot of midnight: this is what the package
	// says about midnights that the clock skips or repeats.
	midnight, err := Parse("@daily", zone)
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	begin := func(date time.Time) time.Time {
		near := time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, zone)
		slot := midnight.Next(near.Add(-26 * time.Hour))
		for slot.In(zone).Format(time.DateOnly) < date.Format(time.DateOnly) {
			slot = midnight.Next(slot)
		}
		return slot
	}
	return begin(date), begin(date.AddDate(0, 0, 1)), nil
}
