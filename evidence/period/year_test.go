package period

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

const three = "333333333333"

// slot0230 gives when 02:30 falls on a date of 2028. In Berlin the clock goes
// from 02:00 to 03:00 on 26 March, and from 03:00 back to 02:00 on 29 October:
// 02:30 is there twice, and the first one counts.
func slot0230(zone string, month time.Month, day int) time.Time {
	midnight := time.Date(2028, month, day, 0, 0, 0, 0, time.UTC)
	summer := time.Date(2028, 3, 26, 0, 0, 0, 0, time.UTC)
	winter := time.Date(2028, 10, 29, 0, 0, 0, 0, time.UTC)
	switch {
	case zone == "UTC":
		return midnight.Add(150 * time.Minute)
	case midnight.Equal(summer):
		return midnight.Add(60 * time.Minute)
	case midnight.After(summer) && !midnight.After(winter):
		return midnight.Add(30 * time.Minute)
	}
	return midnight.Add(90 * time.Minute)
}

// TestYear plants a leap year and works out by hand what must be told of it. In
// UTC, where it is easier, it does so only with TALLYSTICK_E2E=required.
func TestYear(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Berlin"}
	if os.Getenv("TALLYSTICK_E2E") == "required" {
		zones = append(zones, "UTC")
	}
	for _, zone := range zones {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.zone, w.accounts = zone, []string{one, two, three}
			w.things[three] = estate{}
			w.exprs = map[string]string{users: "30 2 * * *", trails: "0 * * * *"}
			w.catalogue = catalogueJSON(controlJSON("audit", "low", checkJSON("c-report", "t.report", "", 1)),
				controlJSON("log", "high", checkJSON("c-trail", "t.trail", "", 1)), controlJSON("mfa", "critical", checkJSON("c-user", "t.user", "", 90)))
			begin := time.Date(2028, 1, 1, 0, 0, 0, 0, w.location()).UTC()
			end := time.Date(2029, 1, 1, 0, 0, 0, 0, w.location()).UTC()
			plantYear(w, zone, begin, end)
			r, changes := w.fold(Window{From: begin, To: end, Zone: w.location()}, nil)
			yearCoverage(w, r, zone)
			yearJudged(w, r, zone, end)
			s := func(month time.Month, day int) time.Time { return slot0230(zone, month, day) }
			wantLines(t, "changes of resources", resources(changes), chg,
				fmt.Sprintf("%s resource_changed eve Good: true -> false after %s", clock(s(7, 1).Add(40*time.Second)), clock(s(6, 30).Add(10*time.Second))),
				fmt.Sprintf("%s resource_changed ann Good: true -> false after %s", clock(s(9, 5).Add(40*time.Second)), clock(s(9, 4).Add(10*time.Second))),
				fmt.Sprintf("%s resource_changed ann Good: false -> true after %s", clock(s(9, 9).Add(40*time.Second)), clock(s(9, 8).Add(10*time.Second))))
			var edits []Change
			for _, c := range changes {
				if c.What == ChangeSchedule || c.What == ChangeScope {
					edits = append(edits, c)
				}
			}
			wantLines(t, "edits", edits, chg,
				`06-04 12:00:00 schedule t.users schedule: "30 2 * * *" -> "30 2 1 * *"`, `06-20 12:00:00 schedule t.users schedule: "30 2 1 * *" -> "30 2 * * *"`,
				`07-10 12:00:00 scope t/333333333333 account: "333333333333" -> `, `08-15 12:00:00 scope t/333333333333 account:  -> "333333333333"`)
			window := Window{From: begin, To: end, Zone: w.location()}
			extract, same := w.fold(window, choose(t, w, window))
			wantSame(t, "the extract", everything(t, r, changes, w.store), everything(t, extract, same, w.store))
		})
	}
}

// plantYear lives through the year hour by hour.
func plantYear(w *world, zone string, begin, end time.Time) {
	for _, account := range []string{one, two, three} {
		w.set(account, users, "ann", "", "good")
	}
	w.set(three, users, "eve", "", "good")
	w.set(one, trails, "t", "", "good")
	w.configure(begin.Add(-12*time.Hour), evidence.EventStarted)
	daily := map[time.Time]time.Time{} // the date of each slot
	for d := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == 2028; d = d.AddDate(0, 0, 1) {
		daily[slot0230(zone, d.Month(), d.Day())] = d
	}
	down, up := at("2028-02-28 12:00"), at("2028-03-02 09:00")
	missed := map[string][2]time.Time{}
	for now := begin; now.Before(end); now = now.Add(30 * time.Minute) {
		date, due := daily[now]
		if due {
			switch date.Format("01-02") {
			case "04-10":
				w.deny(one, users, "", true)
			case "04-13":
				w.deny(one, users, "", false)
			case "07-01":
				w.set(three, users, "eve", "", "bad")
			case "09-05":
				w.set(one, users, "ann", "", "bad")
			case "09-09":
				w.set(one, users, "ann", "", "good")
			}
		}
		dead := now.After(down) && !now.After(up)
		for _, account := range []string{one, two, three} {
			switch {
			case !due, date.After(at("2028-06-04")) && date.Before(at("2028-06-21")): // the schedule was edited
			case account == three && date.After(at("2028-07-10")) && date.Before(at("2028-08-16")): // out of scope
			case dead:
				row := missed[users+account]
				if row[0].IsZero() {
					row[0] = now
				}
				missed[users+account] = [2]time.Time{row[0], now}
			case account == two && date.Month() == 6 && date.Day() < 4: // nobody tells
			default:
				w.run(users, account, now)
			}
		}
		switch now {
		case at("2028-05-05"):
			w.set(one, trails, "t", "", "hidden")
		case at("2028-05-05 06:00"):
			w.set(one, trails, "t", "", "good")
		}
		if now.Minute() == 0 && !dead {
			w.run(trails, one, now)
			if !now.After(at("2028-01-02")) { // the other accounts have it for a day
				w.run(trails, two, now)
			}
		}
		switch now {
		case down:
			w.stop(now.Add(time.Minute))
		case up:
			for _, key := range byKey(missed) {
				w.missed(users, key[len(users):], missed[key][0], missed[key][1], evidence.CauseAgentDown, down.Add(time.Minute), now)
			}
			w.missed(trails, one, at("2028-02-28 13:00"), now, evidence.CauseAgentDown, down.Add(time.Minute), now)
			w.configure(now, evidence.EventStarted)
			for _, account := range []string{one, two, three} {
				w.run(users, account, now.Add(time.Millisecond), by(evidence.TriggerCatchUp))
			}
		case at("2028-06-04 12:00"):
			w.exprs[users] = "30 2 1 * *" // there are three slots of June in account two that nobody tells of
			w.configure(now, evidence.EventReloaded)
		case at("2028-06-20 12:00"):
			w.exprs[users] = "30 2 * * *"
			w.configure(now, evidence.EventReloaded)
		case at("2028-07-10 12:00"):
			w.accounts = []string{one, two}
			w.configure(now, evidence.EventReloaded)
		case at("2028-08-15 12:00"):
			w.accounts = []string{one, two, three}
			w.configure(now, evidence.EventReloaded)
		}
		if zone != "" && now.Equal(slot0230(zone, 9, 20)) { // drift that opens and closes between two looks
			w.set(one, users, "ann", "", "bad")
			w.set(one, users, "ann", "", "good")
		}
	}
}

func yearCoverage(w *world, r *Report, zone string) {
	w.t.Helper()
	of := func(collector, account string) StreamCoverage {
		for _, s := range r.Streams {
			if s.Collector == collector && s.Account == account {
				return s
			}
		}
		w.t.Fatalf("no stream %s of %s", collector, account)
		return StreamCoverage{}
	}
	if len(r.Days) != 366 {
		w.t.Errorf("%d days", len(r.Days))
	}
	// 366 dates, without 5 to 20 June; the outage took those of 29 February to 2 March.
	w.wantTally("users in one", of(users, one).Total, "due 350, sealed 344, failed 3, missed 3, catch-ups 1")
	w.wantTally("users in two", of(users, two).Total, "due 350, sealed 344, missed 3, open 3, catch-ups 1")
	w.wantTally("users in three", of(users, three).Total, "due 314, sealed 311, missed 3, catch-ups 1") // and without 11 July to 15 August
	// 366 x 24; the outage took 11 + 24 + 24 + 10 hours.
	w.wantTally("trails in one", of(trails, one).Total, "due 8784, sealed 8709, partial 6, missed 69")
	for i, day := range r.Days {
		hours := 24
		if zone != "UTC" && day.Date == "2028-03-26" {
			hours = 23
		}
		if zone != "UTC" && day.Date == "2028-10-29" {
			hours = 25
		}
		if got := of(trails, one).Days[i].Due; got != hours {
			w.t.Errorf("%d trails due on %s", got, day.Date)
		}
		want := 1
		if day.Date > "2028-06-04" && day.Date < "2028-06-21" {
			want = 0
		}
		if got := of(users, one).Days[i].Due; got != want {
			w.t.Errorf("%d users due on %s", got, day.Date)
		}
	}
	s := func(month time.Month, day int) string { return clock(slot0230(zone, month, day)) }
	wantLines(w.t, "holes of users", filter(r.Holes, func(h Hole) bool { return h.Collector == users }), told,
		fmt.Sprintf("t.users missed agent_down x3 %s..%s from 02-28 12:01:00 to 03-02 09:00:00", s(2, 29), s(3, 2)),
		fmt.Sprintf("t.users failed denied x3 %s..%s t.user t:List 3 gaps", s(4, 10), s(4, 12)),
		fmt.Sprintf("t.users missed agent_down x3 %s..%s from 02-28 12:01:00 to 03-02 09:00:00", s(2, 29), s(3, 2)),
		fmt.Sprintf("t.users open no_record x3 %s..%s", s(6, 1), s(6, 3)),
		fmt.Sprintf("t.users missed agent_down x3 %s..%s from 02-28 12:01:00 to 03-02 09:00:00", s(2, 29), s(3, 2)),
		"t.users  not_in_scope x0 07-10 12:00:00..08-15 12:00:00")
	wantLines(w.t, "holes of trails", filter(r.Holes, func(h Hole) bool { return h.Collector == trails && h.Account == one }), told,
		"t.trails missed agent_down x69 02-28 13:00:00..03-02 09:00:00 from 02-28 12:01:00 to 03-02 09:00:00",
		"t.trails partial denied x6 05-05 00:00:00..05-05 05:00:00 t.trail t:Get 6 gaps")
	if c := w.control(r, "audit"); c.Occurred {
		w.t.Error("audit occurred")
	}
}

func filter[T any](all []T, keep func(T) bool) []T {
	var out []T
	for _, one := range all {
		if keep(one) {
			out = append(out, one)
		}
	}
	return out
}

func yearJudged(w *world, r *Report, zone string, end time.Time) {
	w.t.Helper()
	from := func(month time.Month, day int) time.Time { return slot0230(zone, month, day).Add(10 * time.Second) }
	to := func(month time.Month, day int) time.Time { return slot0230(zone, month, day).Add(40 * time.Second) }
	const day = 24 * time.Hour
	least := from(7, 10).Sub(to(7, 1)) + from(12, 31).Sub(to(8, 16))
	wantLines(w.t, "deviations", r.Deviations, dev,
		fmt.Sprintf("c-user ann#1 drifted (%s | %s | %s | %s) passed %s..%s yes", clock(from(9, 4)), clock(to(9, 5)), clock(from(9, 8)), clock(to(9, 9)), 3*day-30*time.Second, 5*day+30*time.Second),
		fmt.Sprintf("c-user eve#1 drifted (%s | %s | %s | never) open %s..%s yes unseen %s..%s x0 = %s", clock(from(6, 30)), clock(to(7, 1)), clock(from(12, 31)),
			least, end.Sub(from(6, 30)), clock(from(7, 10)), clock(to(8, 16)), to(8, 16).Sub(from(7, 10))))
	april := fmt.Sprintf("x3 (%s | %s | %s | %s) open false", clock(from(4, 9)), clock(to(4, 10)), clock(to(4, 12)), clock(to(4, 13)))
	wantLines(w.t, "unknowns", r.Unknowns, unk,
		"c-trail  t x6 (05-04 23:00:10 | 05-05 00:00:40 | 05-05 05:00:40 | 05-05 06:00:40) open false",
		"c-user  * "+april, "c-user  ann "+april)
}
