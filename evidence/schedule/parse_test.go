package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestParseRefuses(t *testing.T) {
	tests := []struct{ expr, want string }{
		{"", "it is empty"},
		{" \t ", "it is empty"},
		{"TZ=UTC", "set schedule.timezone"}, // panics the library
		{"TZ=UTC 0 6 * * *", "set schedule.timezone"},
		{"CRON_TZ=Europe/Berlin @daily", "set schedule.timezone"},
		{"0 0 30 2 *", "there is no day 30 in month 2"},
		{"0 0 31 4,6,sep *", "there is no day 31 in month 4,6,sep"},
		{"* * * *", "it has 4 fields"},
		{"* * * * * * *", "it has 7 fields"},
		{"61 * * * *", `minute "61"`},
		{"0 24 * * *", `hour "24"`},
		{"60 0 0 * * *", `seconds "60"`},
		{"0 0 0 * *", `day of month "0"`},
		{"0 0 * 13 *", `month "13"`},
		{"0 0 * * 7", `day of week "7"`},
		{"5-1 * * * *", `minute "5-1"`},
		{", * * * * *", `seconds ","`}, // keeps the library searching for seconds
		{"1,,2 * * * *", `"" is neither`},
		{"*-5 * * * *", `"*-5" is neither`},
		{"+5 * * * *", `"+5" is neither`},
		{"*/0 * * * *", `minute "*/0"`},
		{"*/90 * * * *", "the step 90 is longer than the field (0 to 59)"},
		{"0/99999999999999999999 * * * *", "is longer than the field"},
		{"99999999999999999999 * * * *", `minute "99999999999999999999"`},
		{"0 0 L * *", `"L" is neither`},
		{"0 0 * * mon#1", `"mon#1" is neither`},
		{"@reboot", "unknown descriptor; there are @hourly"},
		{"@Hourly", "unknown descriptor"},
		{"@", "unknown descriptor"},
		{"@every", `"" is not a duration`},
		{"@every 1", `"1" is not a duration`},
		{"@every 500ms", "outside of 1s to 8784h"},
		{"@every -1h", "outside of 1s to 8784h"},
		{"@every 8785h", "outside of 1s to 8784h"},
		{"@every 1500ms", "not a whole number of seconds"},
	}
	for _, tt := range tests {
		s, err := Parse(tt.expr, nil)
		if err == nil {
			t.Errorf("%q: parsed, want an error with %q; next is %s", tt.expr, tt.want, s.Next(time.Time{}))
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %q, want it to contain %q", tt.expr, err, tt.want)
		}
	}
	// On a machine whose zone is called Local no verifier could follow.
	if _, err := Parse("@daily", time.FixedZone("Local", 3600)); err == nil || !strings.Contains(err.Error(), "means something else on each machine") {
		t.Errorf("the zone Local: error %v", err)
	}
}

func TestString(t *testing.T) {
	if got := parse(t, " 17  6 * * * ", nil).String(); got != "17  6 * * *" {
		t.Errorf("String() = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"17 6 * * *", "*/5 * * * * *", "0 0 29 2 *", "0 0 30 2 *", "@hourly", "@every 1s", "@every 8784h", "@", "TZ=UTC",
		"TZ=", "CRON_TZ=UTC @daily", "1-5/2,7 * ? jan-mar sun", "0 0 * * ,", "0-0/0 * * * *", "0 0 31 2-4 *", "\x00", "٣ * * * *",
	} {
		f.Add(seed, int64(1782864000))
	}
	zones := []*time.Location{nil, zone(f, "America/New_York"), zone(f, "Australia/Lord_Howe"), zone(f, "Pacific/Apia")}
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		unix %= 4e9 // 1843 to 2096
		for _, z := range zones {
			s, err := Parse(expr, z)
			if err != nil {
				return
			}
			after := time.Unix(unix, 5)
			first := s.Next(after)
			second := s.Next(first)
			if !first.After(after) || !second.After(first) {
				t.Fatalf("%q in %v: after %s come %s and %s", expr, z, after, first, second)
			}
			if last := s.Last(first); !last.Equal(first) {
				t.Fatalf("%q in %v: Last(%s) = %s", expr, z, first, last)
			}
			if again, err := Parse(s.String(), z); err != nil || !again.Next(after).Equal(first) {
				t.Fatalf("%q in %v: does not survive String: %v", expr, z, err)
			}
		}
	})
}
