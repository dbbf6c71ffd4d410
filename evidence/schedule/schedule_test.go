package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of these tests, whatever the machine has
)

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func parse(tb testing.TB, expr string, z *time.Location) Schedule {
	tb.Helper()
	s, err := Parse(expr, z)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func at(tb testing.TB, text string) time.Time {
	tb.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		tb.Fatal(err)
	}
	return when.UTC()
}

func TestNext(t *testing.T) {
	tests := []struct{ expr, zone, after, want string }{
		{"17 6 * * *", "UTC", "2026-07-01T06:16:59.999Z", "2026-07-01T06:17:00Z"},
		{"17 6 * * *", "UTC", "2026-07-01T06:17:00Z", "2026-07-02T06:17:00Z"},
		{"17 6 * * *", "UTC", "2026-07-01T06:17:00.000000001Z", "2026-07-02T06:17:00Z"},
		{"  17 6 * * *  ", "UTC", "2026-07-01T00:00:00Z", "2026-07-01T06:17:00Z"},
		{"30 17 6 * * *", "UTC", "2026-07-01T06:17:00Z", "2026-07-01T06:17:30Z"},
		{"0 9 * * mon-fri", "UTC", "2026-07-03T09:00:00Z", "2026-07-06T09:00:00Z"},
		{"0 0 1 jan ?", "UTC", "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"*/60 * * * *", "UTC", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z"},
		{"0 6 13 * 5", "UTC", "2026-07-10T06:00:00Z", "2026-07-13T06:00:00Z"}, // either day: Friday 10, then the 13th
		{"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"}, // 2100 is no leap year
		{"@hourly", "UTC", "2026-07-01T23:59:59Z", "2026-07-02T00:00:00Z"},
		{"@weekly", "UTC", "2026-07-01T00:00:00Z", "2026-07-05T00:00:00Z"},
		{"@monthly", "UTC", "2026-07-01T00:00:00Z", "2026-08-01T00:00:00Z"},
		{"@yearly", "UTC", "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"@daily", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T22:00:00Z"},
		{"0 6 * * *", "Asia/Kolkata", "2026-07-01T00:30:00Z", "2026-07-02T00:30:00Z"},
		{"@every 1s", "UTC", "2026-07-01T00:00:00.5Z", "2026-07-01T00:00:01Z"},
		{"@every 1h", "Asia/Kolkata", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z"},
		{"@every 24h", "UTC", "2026-07-01T11:00:00Z", "2026-07-02T00:00:00Z"},
		{"@every 7s", "UTC", "1970-01-01T00:00:08Z", "1970-01-01T00:00:14Z"},
		{"@every 7s", "UTC", "1969-12-31T23:59:58Z", "1970-01-01T00:00:00Z"},
		{"@every 7s", "UTC", "1969-12-31T23:59:53Z", "1970-01-01T00:00:00Z"},
		{"@every 7s", "UTC", "1969-12-31T23:59:52Z", "1969-12-31T23:59:53Z"},
	}
	for _, tt := range tests {
		s := parse(t, tt.expr, zone(t, tt.zone))
		got := s.Next(at(t, tt.after))
		if want := at(t, tt.want); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q in %s: Next(%s) = %s, want %s in UTC", tt.expr, tt.zone, tt.after, got, want)
		}
		// Where a time is asked for must not matter.
		if other := s.Next(at(t, tt.after).In(zone(t, "Pacific/Auckland"))); !other.Equal(got) {
			t.Errorf("%q in %s: Next(%s) is %s when asked in Auckland time", tt.expr, tt.zone, tt.after, other)
		}
	}
}

// The clocks of New York skip 2026-03-08 02:00 to 03:00 (07:00Z) and repeat
// 2026-11-01 01:00 to 02:00 (05:00Z to 07:00Z); those of Lord Howe move by half
// an hour; those of São Paulo skipped midnight of 2018-11-04 (03:00Z); Samoa
// skipped the whole of 2011-12-30 (2011-12-30T10:00Z is 31 December there).
func TestJumpsOfTheClock(t *testing.T) {
	tests := []struct {
		name, expr, zone, after, until string
		want                           []string
	}{
		{
			"skipped: due right after", "30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z",
			[]string{"2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"},
		},
		{
			"several skipped: one slot", "0,15,30 2,3 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z",
			[]string{"2026-03-08T07:00:00Z", "2026-03-08T07:15:00Z", "2026-03-08T07:30:00Z"},
		},
		{
			"repeated: first pass only", "30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", "2026-11-03T00:00:00Z",
			[]string{"2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		},
		{
			"end of the repeated hour is not repeated", "0 2 * * *", "America/New_York", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T07:00:00Z"},
		},
		{
			"every hour, repeated: both passes", "30 * * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T08:00:00Z",
			[]string{"2026-11-01T04:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"},
		},
		{
			"every hour, skipped: none", "30 0-23 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T09:00:00Z",
			[]string{"2026-03-08T05:30:00Z", "2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z"},
		},
		{
			"midnight skipped", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T00:00:00Z", "2018-11-06T00:00:00Z",
			[]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		},
		{
			"a day skipped", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z",
			[]string{"2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z", "2011-12-31T19:00:00Z"},
		},
		{
			"half an hour repeated", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z",
			[]string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.expr, zone(t, tt.zone))
			var got []string
			for slot := range s.Between(at(t, tt.after), at(t, tt.until)) {
				got = append(got, slot.Format(time.RFC3339))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q in %s:\n got %v\nwant %v", tt.expr, tt.zone, got, tt.want)
			}
		})
	}
}

// A daily expression is due as often as the calendar has days, wherever and
// whenever in the day it is.
func TestOncePerDay(t *testing.T) {
	for _, tt := range []struct {
		zone string
		year int
		days int
	}{
		{"UTC", 2026, 365},
		{"America/New_York", 2028, 366},
		{"Australia/Lord_Howe", 2026, 365},
		{"America/Sao_Paulo", 2018, 365},
		{"Africa/Casablanca", 2026, 365},
	} {
		z := zone(t, tt.zone)
		for _, expr := range []string{"0 0 * * *", "30 0 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "0 3 * * *", "59 59 23 * * *"} {
			s := parse(t, expr, z)
			n := 0
			start := time.Date(tt.year, time.January, 1, 0, 0, 0, 0, z)
			for range s.Between(start.Add(-1), time.Date(tt.year+1, time.January, 1, 0, 0, 0, -1, z)) {
				n++
			}
			if n != tt.days {
				t.Errorf("%q in %s: %d slots in %d, want %d", expr, tt.zone, n, tt.year, tt.days)
			}
		}
	}
}

func TestLastAndPeriod(t *testing.T) {
	tests := []struct {
		expr, zone, at, last string
		period               time.Duration
	}{
		{"17 6 * * *", "UTC", "2026-07-01T06:17:00Z", "2026-07-01T06:17:00Z", 24 * time.Hour},
		{"17 6 * * *", "UTC", "2026-07-01T06:16:59.9Z", "2026-06-30T06:17:00Z", 24 * time.Hour},
		{"0 9 * * 1-5", "UTC", "2026-07-04T12:00:00Z", "2026-07-03T09:00:00Z", 72 * time.Hour}, // over the weekend
		{"0 9 * * 1-5", "UTC", "2026-07-06T09:00:00Z", "2026-07-06T09:00:00Z", 24 * time.Hour},
		{"@every 90s", "UTC", "1970-01-01T00:02:59Z", "1970-01-01T00:01:30Z", 90 * time.Second},
		{"@every 1s", "UTC", "2026-07-01T00:00:00.7Z", "2026-07-01T00:00:00Z", time.Second},
		{"0 0 29 2 *", "UTC", "2103-01-01T00:00:00Z", "2096-02-29T00:00:00Z", 2921 * 24 * time.Hour},
		{"30 2 * * *", "America/New_York", "2026-03-08T06:59:59Z", "2026-03-07T07:30:00Z", 23*time.Hour + 30*time.Minute},
	}
	for _, tt := range tests {
		s := parse(t, tt.expr, zone(t, tt.zone))
		when := at(t, tt.at)
		if got := s.Last(when); !got.Equal(at(t, tt.last)) {
			t.Errorf("%q: Last(%s) = %s, want %s", tt.expr, tt.at, got, tt.last)
		}
		if got := s.Period(when); got != tt.period {
			t.Errorf("%q: Period(%s) = %s, want %s", tt.expr, tt.at, got, tt.period)
		}
	}
}

func TestBetween(t *testing.T) {
	s := parse(t, "0 6 * * *", nil)
	var got []string
	for slot := range s.Between(at(t, "2026-07-01T06:00:00Z"), at(t, "2026-07-03T06:00:00Z")) {
		got = append(got, slot.Format(time.RFC3339))
	}
	// The first bound is outside, the last one inside.
	if want := []string{"2026-07-02T06:00:00Z", "2026-07-03T06:00:00Z"}; !slices.Equal(got, want) {
		t.Errorf("Between gives %v, want %v", got, want)
	}
	for slot := range s.Between(at(t, "2026-07-01T06:00:00Z"), at(t, "2026-07-02T05:59:59.999Z")) {
		t.Errorf("Between gives %s, want nothing", slot)
	}
}

func TestZeroScheduleHasNoSlots(t *testing.T) {
	var s Schedule
	now := at(t, "2026-07-01T00:00:00Z")
	if !s.Next(now).IsZero() || !s.Last(now).IsZero() || s.Period(now) != 0 {
		t.Error("the zero Schedule has slots")
	}
	for slot := range s.Between(time.Time{}, now) {
		t.Errorf("the zero Schedule is due at %s", slot)
	}
}

func TestJitter(t *testing.T) {
	const stream = "aws.s3_buckets@aws/111122223333"
	if a, b := Jitter(stream, time.Hour, MaxJitter), Jitter(stream, time.Hour, MaxJitter); a != b {
		t.Errorf("jitter is %s, then %s", a, b)
	}
	for _, tt := range []struct{ period, limit, below time.Duration }{
		{24 * time.Hour, MaxJitter, MaxJitter},
		{10 * time.Minute, MaxJitter, time.Minute},
		{time.Minute, MaxJitter, 6 * time.Second},
	} {
		var longest, sum time.Duration
		const n = 1000
		for i := range n {
			d := Jitter(stream+strings.Repeat("x", i), tt.period, tt.limit)
			if d < 0 || d >= tt.below {
				t.Fatalf("jitter of a period of %s is %s, want less than %s", tt.period, d, tt.below)
			}
			longest, sum = max(longest, d), sum+d
		}
		// Spread evenly: the mean of 1,000 is within a tenth of the middle.
		if mean := sum / n; longest < tt.below*9/10 || mean < tt.below*45/100 || mean > tt.below*55/100 {
			t.Errorf("jitter of a period of %s: mean %s, longest %s, of %s", tt.period, mean, longest, tt.below)
		}
	}
	for _, tt := range []struct{ period, limit time.Duration }{{59 * time.Second, MaxJitter}, {time.Hour, 0}, {time.Hour, -1}, {0, MaxJitter}, {-time.Hour, MaxJitter}} {
		if d := Jitter(stream, tt.period, tt.limit); d != 0 {
			t.Errorf("Jitter(%s, %s) = %s, want 0", tt.period, tt.limit, d)
		}
	}
}
