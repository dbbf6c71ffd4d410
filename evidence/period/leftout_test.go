package period

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// An account that is left out is shown from when to when and why, over however
// many configurations; another reason is another span.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 7, n, 0, 0, 0, 0, time.UTC) }
	out := func(account, state, reason string) evidence.NotCollected {
		return evidence.NotCollected{
			Scope: evidence.Scope{Provider: "aws", Account: account}, State: state, Excluded: reason != "", Reason: reason,
		}
	}
	forced := func(record uint64, since time.Time, left ...evidence.NotCollected) force {
		return force{plan: &plan{schedule: evidence.Schedule{NotCollected: left}}, since: since, record: record}
	}
	sandbox, closed := out("1", "", "sandbox"), out("2", "SUSPENDED", "")
	forces := []force{
		forced(1, day(1).AddDate(0, -1, 0), sandbox),
		forced(5, day(3), sandbox, closed),
		forced(9, day(5), closed),
		forced(12, day(7), sandbox),
		forced(13, day(8), out("1", "", "sandbox, until September")),
		forced(20, day(20), out("3", "", "after the end")),
	}
	for _, tt := range []struct {
		asOf bool
		want []string
	}{
		{false, []string{
			"1 left out by the operator sandbox 07-01 07-05 record 1",
			"1 left out by the operator sandbox 07-07 07-08 record 12",
			"1 left out by the operator sandbox, until September 07-08 07-10 record 13",
			"2 its state is SUSPENDED  07-03 07-07 record 5",
		}},
		{true, []string{"1 left out by the operator sandbox, until September 07-08 07-10 record 13"}},
	} {
		f := &Fold{w: Window{From: day(1), To: day(31), AsOf: tt.asOf}, forces: forces}
		if tt.asOf {
			f.forces = forces[:5]
		}
		var got []string
		for _, l := range f.leftOut(day(10)) {
			got = append(got, fmt.Sprintf("%s %s %s %s %s record %d", l.Account, l.Why(), l.Reason, l.From.Format("01-02"), l.To.Format("01-02"), l.Record))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("as of: %v\n%q, want\n%q", tt.asOf, got, tt.want)
		}
	}
}
