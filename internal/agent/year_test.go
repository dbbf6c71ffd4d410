package agent

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
)

// simulated is a stretch of 2028 that an agent lives through, by days from 0.
type simulated struct {
	*bench
	clock *leaping
	agent *Agent
}

// slotOn is the slot of a day: 06:17.
func slotOn(day int) time.Time {
	return time.Date(2028, 1, 1+day, 6, 17, 0, 0, time.UTC)
}

func noonOn(day int) time.Time { return time.Date(2028, 1, 1+day, 12, 0, 0, 0, time.UTC) }

// to lives up to noon of a day.
func (s *simulated) to(day int) {
	s.t.Helper()
	s.until(s.agent, noonOn(day).Format(time.RFC3339))
}

// restart ends the agent at noon of a day and starts it at noon of another.
func (s *simulated) restart(end, start int, event string, edit func(*Options)) {
	s.t.Helper()
	s.to(end)
	s.close(s.agent)
	s.clock.now = noonOn(start)
	s.options.Event = event
	edit(&s.options)
	s.agent = s.open()
}

// What the report on a simulated year says is what was planted, to the second.
// A year takes more than a minute, since every record waits for its
// checkpoint; without TALLYSTICK_E2E=required it is the first sixty days, to
// 29 February.
func TestYearOfTheAgent(t *testing.T) {
	t.Parallel()
	year, days := os.Getenv("TALLYSTICK_E2E") == "required", 60
	if year {
		days = 366
	}
	const other = "444455556666"
	s := &simulated{clock: &leaping{now: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)}}
	s.bench = newBench(t, s.clock)
	s.options.Prompt, s.options.RemediationDays = true, map[string]int{"low": 1}
	s.agent = s.open()
	accounts := func(list ...string) func(*Options) {
		return func(o *Options) { o.Providers[0].Accounts = list }
	}

	s.to(2)
	s.estate.set("one", bad)
	s.to(5)
	s.estate.set("one", good)
	s.to(7)
	s.estate.set("one", bad) // between two looks
	s.estate.set("one", good)
	s.restart(10, 13, evidence.EventStarted, func(*Options) {})
	s.to(19)
	s.estate.deny(true, false)
	s.to(21)
	s.estate.deny(false, false)
	s.restart(25, 25, evidence.EventReloaded, accounts(account, other))
	s.to(27)
	s.estate.set("two", bad)
	s.restart(30, 30, evidence.EventReloaded, accounts(account))
	s.to(31)
	s.estate.set("two", hidden)
	s.to(33)
	s.estate.set("two", good)
	s.restart(35, 35, evidence.EventReloaded, accounts(account, other))
	s.restart(37, 37, evidence.EventReloaded, accounts(account))
	if year {
		// Three days of silence, and then a schedule in which they were not due.
		s.restart(200, 203, evidence.EventStarted, func(o *Options) { o.ScheduleFor = func(string) string { return "17 6 1 * *" } })
		s.restart(210, 210, evidence.EventReloaded, func(o *Options) { o.ScheduleFor = func(string) string { return daily } })
	}
	s.until(s.agent, slotOn(days).Add(-time.Hour).Format(time.RFC3339))
	s.close(s.agent)
	s.verified()

	r, changes := s.report(period.Window{From: noonOn(0).Add(-12 * time.Hour), To: noonOn(days).Add(-12 * time.Hour), Zone: time.UTC})
	s.coverage(r, days, year, other)
	s.judged(r, other)
	s.changed(changes, year, other)
}

// report folds the ledger, as whoever holds a copy of it does.
func (s *simulated) report(w period.Window) (*period.Report, []period.Change) {
	s.t.Helper()
	var changes []period.Change
	f := period.New(period.Options{Window: w, Payloads: payload.OpenRead(s.dir), Changed: func(c period.Change) error {
		changes = append(changes, c)
		return nil
	}})
	reader, err := ledger.OpenReader(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for e, err := range reader.Entries(0) {
		if err != nil {
			s.t.Fatal(err)
		}
		statement, err := seal.Peek(e.Data)
		if err != nil {
			s.t.Fatal(err)
		}
		predicate, err := evidence.Decode(statement)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := f.Take(evidence.Entry{Index: e.Index, Statement: statement, Predicate: predicate}); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := f.Report(w.To)
	if err != nil {
		s.t.Fatal(err)
	}
	return r, changes
}

func (s *simulated) want(what string, got []string, want ...string) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.t.Errorf("%s:\ngot\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (s *simulated) coverage(r *period.Report, days int, year bool, other string) {
	s.t.Helper()
	// The outage took the slots of days 11 to 13; on days 20 and 21 the list was
	// denied, on days 32 and 33 a field.
	want := period.Tally{Due: days, Missed: 3, Failed: 2, Partial: 2, CatchUps: 1}
	if year {
		want.Due -= 7 // by the schedule of days 203 to 210 those of 204 to 210 were not due
		want.Missed += 3
		want.CatchUps++
	}
	want.Sealed = want.Due - want.Missed - want.Failed - want.Partial
	totals := map[string]period.Tally{}
	for _, stream := range r.Streams {
		totals[stream.Account] = stream.Total
	}
	if totals[account] != want {
		s.t.Errorf("the coverage is %+v, want %+v", totals[account], want)
	}
	// Due on days 26 to 30, and on 36 and 37; its first look after noon of day 25 covers no slot.
	if want := (period.Tally{Due: 7, Sealed: 7}); totals[other] != want {
		s.t.Errorf("the coverage of the other account is %+v, want %+v", totals[other], want)
	}
	var holes []string
	for _, h := range r.Holes {
		text := fmt.Sprintf("%s %s %s x%d %s..%s", h.Account, h.State, h.Cause, h.Slots, h.First.Format(time.RFC3339), h.Last.Format(time.RFC3339))
		if h.From != nil {
			text += fmt.Sprintf(" from %s to %s", h.From.Format(time.RFC3339), h.To.Format(time.RFC3339))
		}
		holes = append(holes, text)
	}
	row := func(format string, times ...time.Time) string {
		all := make([]any, len(times))
		for i, t := range times {
			all[i] = t.Format(time.RFC3339)
		}
		return fmt.Sprintf(format, all...)
	}
	begin, end := noonOn(0).Add(-12*time.Hour), noonOn(days).Add(-12*time.Hour)
	all := []string{
		row("  not_supplied x0 %s..%s", begin, end),
		row(account+" missed agent_down x3 %s..%s from %s to %s", slotOn(11), slotOn(13), noonOn(10), noonOn(13)),
		row(account+" failed denied x2 %s..%s", slotOn(20), slotOn(21)),
		row(account+" partial denied x2 %s..%s", slotOn(32), slotOn(33)),
	}
	if year {
		all = append(all, row(account+" missed agent_down x3 %s..%s from %s to %s", slotOn(201), slotOn(203), noonOn(200), noonOn(203)))
	}
	s.want("holes", holes, append(all,
		row(other+"  not_in_scope x0 %s..%s", begin, noonOn(25)),
		row(other+"  not_in_scope x0 %s..%s", noonOn(30), noonOn(35)),
		row(other+"  not_in_scope x0 %s..%s", noonOn(37), end))...)
}

func (s *simulated) judged(r *period.Report, other string) {
	s.t.Helper()
	when := func(t *time.Time) string {
		if t == nil {
			return "never"
		}
		return t.Format(time.RFC3339)
	}
	var got []string
	for _, d := range r.Deviations {
		if d.Check == "fake-thing-good" {
			got = append(got, fmt.Sprintf("%s %s %s %s %s %s %s %s %v %v %v %s", d.Account, d.Resource, d.Begin, when(d.LastGood), when(&d.FirstBad), when(&d.LastBad), when(d.FirstGood), d.End, d.AtLeast, d.AtMost, d.Unknown, d.Overdue))
		}
	}
	tell := func(account, resource, begin string, lastGood, firstBad, lastBad, firstGood time.Time, end string, unknown time.Duration, overdue string) string {
		return fmt.Sprintf("%s %s %s %s %s %s %s %s %v %v %v %s", account, resource, begin, when(&lastGood), when(&firstBad), when(&lastBad), when(&firstGood), end,
			lastBad.Sub(firstBad), firstGood.Sub(lastGood), unknown, overdue)
	}
	const day = 24 * time.Hour
	s.want("deviations", got,
		tell(account, "one", period.BeginDrifted, slotOn(2), slotOn(3), slotOn(5), slotOn(6), period.EndPassed, 0, period.OverdueYes),
		// Bad from day 28 to 31, not to be read on 32 and 33.
		tell(account, "two", period.BeginAppeared, slotOn(27), slotOn(28), slotOn(31), slotOn(34), period.EndPassed, 3*day, period.OverdueYes),
		// In the other account it was taken out of scope on day 30, and mended when it came back.
		tell(other, "two", period.BeginAppeared, slotOn(27), slotOn(28), slotOn(30), slotOn(36), period.EndPassed, slotOn(36).Sub(slotOn(30)), period.OverdueYes))
	var unknowns []string
	for _, u := range r.Unknowns {
		if u.Check == "fake-thing-good" {
			unknowns = append(unknowns, fmt.Sprintf("%s %s x%d %s %s %s %s", u.Account, u.Resource, u.Looks, when(&u.From), when(&u.First), when(&u.Last), when(&u.To)))
		}
	}
	row := func(resource string, from, first, last, to int) string {
		a, b, c, d := slotOn(from), slotOn(first), slotOn(last), slotOn(to)
		return fmt.Sprintf("%s %s x2 %s %s %s %s", account, resource, when(&a), when(&b), when(&c), when(&d))
	}
	s.want("unknowns", unknowns, row("*", 19, 20, 21, 22), row("one", 19, 20, 21, 22), row("two", 31, 32, 33, 34))
}

func (s *simulated) changed(changes []period.Change, year bool, other string) {
	s.t.Helper()
	var got []string
	for _, c := range changes {
		after := ""
		if c.After != nil {
			after = c.After.Format(time.RFC3339)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s>%s %s..%s", c.What, c.Account, c.Subject, c.Field, c.From, c.To, after, c.At.Format(time.RFC3339)))
	}
	resource := func(what, account, id, fields string, after, at int) string {
		return fmt.Sprintf("resource_%s %s %s %s %s..%s", what, account, id, fields, slotOn(after).Format(time.RFC3339), slotOn(at).Format(time.RFC3339))
	}
	agent := func(subject string, day int) string {
		to := ""
		if subject != "stopped" {
			to = `"test"`
		}
		return fmt.Sprintf("agent  %s  >%s ..%s", subject, to, noonOn(day).Format(time.RFC3339))
	}
	scope := func(fields string, day int) string {
		return fmt.Sprintf("scope  fake/%s account %s ..%s", other, fields, noonOn(day).Format(time.RFC3339))
	}
	quoted := `"` + other + `"`
	want := []string{
		strings.Replace(agent("started", 0), "T12:", "T00:", 1),
		resource("changed", account, "one", "Good true>false", 2, 3), resource("changed", account, "one", "Good false>true", 5, 6),
		agent("stopped", 10), agent("started", 13),
		agent("stopped", 25), agent("reloaded", 25), scope(">"+quoted, 25),
		resource("appeared", account, "two", " >", 27, 28), resource("appeared", other, "two", " >", 27, 28),
		agent("stopped", 30), agent("reloaded", 30), scope(quoted+">", 30),
		resource("changed", account, "two", "Good false>true", 31, 34),
		agent("stopped", 35), agent("reloaded", 35), scope(">"+quoted, 35),
		resource("changed", other, "two", "Good false>true", 30, 36),
		agent("stopped", 37), agent("reloaded", 37), scope(quoted+">", 37),
	}
	if year {
		edit := func(fields string, day int) string {
			return fmt.Sprintf("schedule  fake.things schedule %s ..%s", fields, noonOn(day).Format(time.RFC3339))
		}
		want = append(want, agent("stopped", 200), agent("started", 203), edit(`"17 6 * * *">"17 6 1 * *"`, 203),
			agent("stopped", 210), agent("reloaded", 210), edit(`"17 6 1 * *">"17 6 * * *"`, 210))
	}
	if n := len(got); n > 0 && strings.HasPrefix(got[n-1], "agent  stopped") { // at the end of the test
		got = got[:n-1]
	}
	sortSame(got)
	sortSame(want)
	s.want("changes", got, want...)
}

// sortSame orders what was told of one moment: the tasks of two accounts end
// in any order.
func sortSame(lines []string) {
	moment := func(line string) string { return line[strings.LastIndex(line, "..")+2:] }
	slices.SortStableFunc(lines, func(a, b string) int {
		if moment(a) != moment(b) {
			return strings.Compare(moment(a), moment(b))
		}
		return strings.Compare(a, b)
	})
}
