package period

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

func clockOf(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return clock(*t)
}

// dev tells a deviation in one line.
func dev(d Deviation) string {
	text := fmt.Sprintf("%s %s#%d %s (%s | %s | %s | %s) %s %s..%s %s", d.Check, d.Resource, d.Occurrence, d.Begin,
		clockOf(d.LastGood), clock(d.FirstBad), clock(d.LastBad), clockOf(d.FirstGood), d.End, d.AtLeast, d.AtMost, d.Overdue)
	for _, u := range d.Unseen {
		text += fmt.Sprintf(" unseen %s..%s x%d", clock(u.From), clock(u.To), u.Looks)
	}
	if d.Unknown > 0 {
		text += " = " + d.Unknown.String()
	}
	return text
}

func unk(u Unknown) string {
	return fmt.Sprintf("%s %s %s x%d (%s | %s | %s | %s) open %t", u.Check, u.Region, u.Resource, u.Looks, clock(u.From), clock(u.First), clock(u.Last), clock(u.To), u.Open)
}

func wantLines[T any](t testing.TB, what string, got []T, tell func(T) string, want ...string) {
	t.Helper()
	var lines []string
	for _, g := range got {
		lines = append(lines, tell(g))
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%s:\ngot\n\t%s\nwant\n\t%s", what, strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// daily does the runs of a collector at 06:00 from one day of July 2026 to
// another. Each look is from 06:00:10 to 06:00:40.
func (w *world) daily(collector string, from, to int) {
	w.t.Helper()
	for d := from; d <= to; d++ {
		w.run(collector, one, at(fmt.Sprintf("2026-07-%02d 06:00", d)))
	}
}

func TestDeviations(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	july := window("2026-07-01", "2026-07-11")
	for _, test := range []struct {
		name     string
		world    func(w *world)
		window   Window
		want     []string
		unknowns []string
	}{
		{
			name: "drift, mended, and again",
			world: func(w *world) {
				w.daily(users, 1, 2)
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 3, 4)
				w.set(one, users, "ann", "", "good")
				w.daily(users, 5, 6)
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 7, 7)
				w.set(one, users, "ann", "", "exempt")
				w.daily(users, 8, 10)
			},
			want: []string{
				"c-user ann#1 drifted (07-02 06:00:10 | 07-03 06:00:40 | 07-04 06:00:10 | 07-05 06:00:40) passed 23h59m30s..72h0m30s perhaps",
				"c-user ann#2 drifted (07-06 06:00:10 | 07-07 06:00:40 | 07-07 06:00:40 | 07-08 06:00:40) not_applicable 0s..48h0m30s perhaps",
			},
		},
		{
			name: "drift that opens and closes between two looks",
			world: func(w *world) {
				w.daily(users, 1, 2)
				w.set(one, users, "ann", "", "bad")
				w.set(one, users, "ann", "", "good")
				w.daily(users, 3, 10)
			},
		},
		{
			name: "failing at the first look, open at the end",
			world: func(w *world) {
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 1, 10)
			},
			want: []string{"c-user ann#1 first_look (never | 07-01 06:00:40 | 07-10 06:00:10 | never) open 215h59m30s..240h0m0s yes"},
		},
		{
			name: "appears failing, vanishes, appears again",
			world: func(w *world) {
				w.daily(users, 1, 3)
				w.set(one, users, "bob", "", "bad")
				w.daily(users, 4, 5)
				w.set(one, users, "bob", "", "")
				w.daily(users, 6, 7)
				w.set(one, users, "bob", "", "bad")
				w.daily(users, 8, 10)
			},
			want: []string{
				"c-user bob#1 appeared (07-03 06:00:10 | 07-04 06:00:40 | 07-05 06:00:10 | 07-06 06:00:40) vanished 23h59m30s..72h0m30s perhaps",
				"c-user bob#2 appeared (07-07 06:00:10 | 07-08 06:00:40 | 07-10 06:00:10 | never) open 47h59m30s..89h59m50s perhaps",
			},
		},
		{
			name: "the list hides it, then it is failing still",
			world: func(w *world) {
				w.set(one, users, "bob", "", "bad")
				w.daily(users, 1, 3)
				w.deny(one, users, "", true)
				w.daily(users, 4, 6)
				w.deny(one, users, "", false)
				w.daily(users, 7, 8)
				w.set(one, users, "bob", "", "good")
				w.daily(users, 9, 10)
			},
			want: []string{"c-user bob#1 first_look (never | 07-01 06:00:40 | 07-08 06:00:10 | 07-09 06:00:40) passed 71h59m0s..198h0m40s yes unseen 07-03 06:00:10..07-07 06:00:40 x3 = 96h0m30s"},
			unknowns: []string{
				"c-user  * x3 (07-03 06:00:10 | 07-04 06:00:40 | 07-06 06:00:40 | 07-07 06:00:40) open false",
				"c-user  ann x3 (07-03 06:00:10 | 07-04 06:00:40 | 07-06 06:00:40 | 07-07 06:00:40) open false",
				"c-user  bob x3 (07-03 06:00:10 | 07-04 06:00:40 | 07-06 06:00:40 | 07-07 06:00:40) open false",
			},
		},
		{
			name: "the list hides it, then it is gone; another came meanwhile",
			world: func(w *world) {
				w.set(one, users, "bob", "", "bad")
				w.daily(users, 1, 3)
				w.deny(one, users, "", true)
				w.daily(users, 4, 4)
				w.set(one, users, "bob", "", "")
				w.set(one, users, "cid", "", "bad")
				w.daily(users, 5, 5)
				w.deny(one, users, "", false)
				w.daily(users, 6, 10)
			},
			want: []string{
				"c-user bob#1 first_look (never | 07-01 06:00:40 | 07-03 06:00:10 | 07-06 06:00:40) vanished 47h59m30s..126h0m40s perhaps unseen 07-03 06:00:10..07-06 06:00:40 x2 = 72h0m30s",
				"c-user cid#1 appeared (07-03 06:00:10 | 07-06 06:00:40 | 07-10 06:00:10 | never) open 95h59m30s..185h59m50s yes",
			},
			unknowns: []string{
				"c-user  * x2 (07-03 06:00:10 | 07-04 06:00:40 | 07-05 06:00:40 | 07-06 06:00:40) open false",
				"c-user  ann x2 (07-03 06:00:10 | 07-04 06:00:40 | 07-05 06:00:40 | 07-06 06:00:40) open false",
				"c-user  bob x2 (07-03 06:00:10 | 07-04 06:00:40 | 07-05 06:00:40 | 07-06 06:00:40) open false",
			},
		},
		{
			name: "a field denied while failing, to the end",
			world: func(w *world) {
				w.daily(users, 1, 1)
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 2, 3)
				w.set(one, users, "ann", "", "hidden")
				w.daily(users, 4, 10)
			},
			want:     []string{"c-user ann#1 drifted (07-01 06:00:10 | 07-02 06:00:40 | 07-03 06:00:10 | never) open 23h59m30s..233h59m50s perhaps unseen 07-03 06:00:10..07-11 00:00:00 x7 = 185h59m50s"},
			unknowns: []string{"c-user  ann x7 (07-03 06:00:10 | 07-04 06:00:40 | 07-10 06:00:40 | 07-11 00:00:00) open true"},
		},
		{
			name: "account removed while failing and added again, failing",
			world: func(w *world) {
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 1, 2)
				w.accounts = []string{two}
				w.configure(at("2026-07-02 12:00"), evidence.EventReloaded)
				w.accounts = []string{one}
				w.configure(at("2026-07-05 12:00"), evidence.EventReloaded)
				w.daily(users, 6, 10) // the very same verdicts as before
			},
			want: []string{"c-user ann#1 first_look (never | 07-01 06:00:40 | 07-10 06:00:10 | never) open 119h59m0s..240h0m0s yes unseen 07-02 06:00:10..07-06 06:00:40 x0 = 96h0m30s"},
		},
		{
			name: "account removed while failing, for good",
			world: func(w *world) {
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 1, 2)
				w.accounts = []string{two}
				w.configure(at("2026-07-02 12:00"), evidence.EventReloaded)
			},
			want: []string{"c-user ann#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | never) left_scope 23h59m30s..240h0m0s perhaps unseen 07-02 06:00:10..07-11 00:00:00 x0 = 209h59m50s"},
		},
		{
			name: "account removed while failing and added again, mended",
			world: func(w *world) {
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 1, 2)
				w.accounts = []string{two}
				w.configure(at("2026-07-02 12:00"), evidence.EventReloaded)
				w.set(one, users, "ann", "", "good")
				w.accounts = []string{one}
				w.configure(at("2026-07-05 12:00"), evidence.EventReloaded)
				w.daily(users, 6, 10)
			},
			want: []string{"c-user ann#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | 07-06 06:00:40) passed 23h59m30s..126h0m40s perhaps unseen 07-02 06:00:10..07-06 06:00:40 x0 = 96h0m30s"},
		},
		{
			name: "the check is withdrawn, then its collector",
			world: func(w *world) {
				w.set(one, users, "ann", "", "bad")
				w.set(one, buckets, "b", "r1", "bad")
				w.daily(users, 1, 2)
				w.daily(buckets, 1, 2)
				w.catalogue = catalogueJSON(controlJSON("store", "high", checkJSON("c-bucket", "t.bucket", "", 1)))
				w.configure(at("2026-07-02 12:00"), evidence.EventReloaded)
				w.exprs = map[string]string{users: "0 6 * * *"}
				w.configure(at("2026-07-03 00:00"), evidence.EventReloaded)
			},
			want: []string{
				"c-user ann#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | never) left_scope 23h59m30s..240h0m0s perhaps unseen 07-02 06:00:10..07-11 00:00:00 x0 = 209h59m50s",
				"c-bucket b#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | never) left_scope 23h59m30s..240h0m0s perhaps unseen 07-02 06:00:10..07-11 00:00:00 x0 = 209h59m50s",
				"c-bucket-trail b#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | never) left_scope 23h59m30s..240h0m0s perhaps unseen 07-02 06:00:10..07-11 00:00:00 x0 = 209h59m50s",
			},
		},
		{
			name: "a region is taken out while failing, and put back",
			world: func(w *world) {
				w.exprs = map[string]string{groups: "0 6 * * *"}
				w.regions = []string{"r1", "r2"}
				w.configure(at("2026-07-01 00:01"), evidence.EventReloaded)
				w.set(one, groups, "a", "r1", "good")
				w.set(one, groups, "b", "r2", "bad")
				w.set(one, groups, "c", "r2", "bad")
				w.daily(groups, 1, 2)
				w.regions = []string{"r1"}
				w.daily(groups, 3, 5)
				w.set(one, groups, "c", "r2", "good")
				w.set(one, groups, "d", "r2", "bad")
				w.regions = []string{"r1", "r2"}
				w.daily(groups, 6, 7)
				w.regions = []string{"r1"}
				w.daily(groups, 8, 10)
			},
			want: []string{
				"c-group b#1 first_look (never | 07-01 06:00:40 | 07-07 06:00:10 | never) left_scope 47h59m0s..240h0m0s no unseen 07-02 06:00:10..07-06 06:00:40 x0 unseen 07-07 06:00:10..07-11 00:00:00 x0 = 186h0m20s",
				"c-group c#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | 07-06 06:00:40) passed 23h59m30s..126h0m40s no unseen 07-02 06:00:10..07-06 06:00:40 x0 = 96h0m30s",
				"c-group d#1 appeared (07-02 06:00:10 | 07-06 06:00:40 | 07-07 06:00:10 | never) left_scope 23h59m30s..209h59m50s no unseen 07-07 06:00:10..07-11 00:00:00 x0 = 89h59m50s",
			},
		},
		{
			name: "a region is put back, and what failed there is gone: the verdicts are those of before",
			world: func(w *world) {
				w.exprs = map[string]string{groups: "0 6 * * *"}
				w.regions = []string{"r1", "r2"}
				w.configure(at("2026-07-01 00:01"), evidence.EventReloaded)
				w.set(one, groups, "a", "r1", "good")
				w.set(one, groups, "b", "r2", "bad")
				w.daily(groups, 1, 2)
				w.regions = []string{"r1"}
				w.daily(groups, 3, 5)
				w.set(one, groups, "b", "r2", "")
				w.regions = []string{"r1", "r2"}
				w.daily(groups, 6, 7)
			},
			want: []string{"c-group b#1 first_look (never | 07-01 06:00:40 | 07-02 06:00:10 | 07-06 06:00:40) vanished 23h59m30s..126h0m40s no unseen 07-02 06:00:10..07-06 06:00:40 x0 = 96h0m30s"},
		},
		{
			name: "joined facts: the older of the two bounds it",
			world: func(w *world) {
				w.exprs = map[string]string{buckets: "0 6 * * *", trails: "0 */8 * * *"}
				w.configure(at("2026-07-01 00:01"), evidence.EventReloaded)
				w.set(one, buckets, "b", "r1", "good")
				w.set(one, trails, "t", "", "good")
				w.run(trails, one, at("2026-07-01 08:00"))
				w.run(buckets, one, at("2026-07-02 06:00"))
				w.run(trails, one, at("2026-07-02 08:00"))
				w.set(one, trails, "t", "", "bad")
				w.run(trails, one, at("2026-07-02 16:00"))
				w.run(trails, one, at("2026-07-03 00:00"))
				w.run(buckets, one, at("2026-07-03 06:00"))
				w.set(one, trails, "t", "", "good")
				w.run(trails, one, at("2026-07-03 08:00"))
			},
			want: []string{"c-bucket-trail b#1 drifted (07-02 06:00:10 | 07-02 16:00:40 | 07-03 00:00:10 | 07-03 08:00:40) passed 7h59m30s..26h0m30s no"},
			// Before the buckets were looked at nothing could be said of them.
			unknowns: []string{"c-bucket-trail  * x1 (07-01 00:00:00 | 07-01 08:00:40 | 07-01 08:00:40 | 07-02 06:00:40) open false"},
		},
		{
			name: "cut to the window, with what was known before it not counted",
			world: func(w *world) {
				w.daily(users, 1, 2)
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 3, 5)
				w.set(one, users, "ann", "", "good")
				w.daily(users, 6, 7)
			},
			window: window("2026-07-04", "2026-07-06"),
			want:   []string{"c-user ann#1 first_look (never | 07-04 06:00:40 | 07-05 06:00:10 | never) open 23h59m30s..48h0m0s no"},
		},
		{
			name: "the limit is that of when it was first seen",
			world: func(w *world) {
				w.set(one, users, "ann", "", "bad")
				w.daily(users, 1, 3)
				w.limits = map[string]int{"critical": 300}
				w.configure(at("2026-07-03 12:00"), evidence.EventReloaded)
				w.set(one, users, "bob", "", "bad")
				w.daily(users, 4, 10)
			},
			want: []string{
				"c-user ann#1 first_look (never | 07-01 06:00:40 | 07-10 06:00:10 | never) open 215h59m30s..240h0m0s yes",
				"c-user bob#1 appeared (07-03 06:00:10 | 07-04 06:00:40 | 07-10 06:00:10 | never) open 143h59m30s..185h59m50s no",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, plain := range []bool{false, true} {
				w := newWorld(t)
				w.set(one, users, "ann", "", "good")
				w.configure(at("2026-07-01"), evidence.EventStarted)
				test.world(w)
				if test.window.Zone == nil {
					test.window = july
				}
				r, _ := w.fold(test.window, nil, func(f *Fold) { f.tracker.plain = plain })
				wantLines(t, fmt.Sprintf("deviations, every verdict read: %t", plain), r.Deviations, dev, test.want...)
				wantLines(t, fmt.Sprintf("unknowns, every verdict read: %t", plain), r.Unknowns, unk, test.unknowns...)
			}
		})
	}
	if LateAfter >= day {
		t.Error("late after a day")
	}
}
