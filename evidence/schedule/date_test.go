package schedule

import (
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	tests := []struct{ date, zone, start, end string }{
		{"2026-07-01", "UTC", "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"},
		{"2026-12-31", "Asia/Kolkata", "2026-12-30T18:30:00Z", "2026-12-31T18:30:00Z"},
		{"2026-03-08", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"},  // 23 hours
		{"2026-11-01", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},  // 25 hours
		{"2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}, // no midnight
		{"2026-11-01", "America/Havana", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},    // two midnights
		{"2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"},      // no such day there
		{"2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
	}
	for _, tt := range tests {
		start, end, err := Date(tt.date, zone(t, tt.zone))
		if err != nil {
			t.Errorf("%s in %s: %v", tt.date, tt.zone, err)
			continue
		}
		if got, want := start.Format(time.RFC3339), tt.start; got != want {
			t.Errorf("%s in %s starts %s, want %s", tt.date, tt.zone, got, want)
		}
		if got, want := end.Format(time.RFC3339), tt.end; got != want {
			t.Errorf("%s in %s ends %s, want %s", tt.date, tt.zone, got, want)
		}
	}
	for _, bad := range []string{"", "2026-02-30", "2026-7-1", "01.07.2026", "2026-07-01T00:00:00Z"} {
		if _, _, err := Date(bad, nil); err == nil {
			t.Errorf("%q is taken for a date", bad)
		}
	}
}
