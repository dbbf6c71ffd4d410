package pages

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// count gives 1234567 as "1,234,567".
func count[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10) // no ledger has 2^63 of anything
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many gives "1 slot", "2 slots".
func many(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return count(n) + " " + noun
}

// ordinal gives "1st", "2nd", "11th".
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// when gives a time in the window's zone, which it names.
func (s *Site) when(t time.Time) string {
	return t.In(s.r.Window.Zone).Format("2006-01-02 15:04:05 MST")
}

// orNever is when for a time that may be unknown.
func (s *Site) orNever(t *time.Time) string {
	if t == nil {
		return "not seen in the window"
	}
	return s.when(*t)
}

func (s *Site) date(t time.Time) string { return t.In(s.r.Window.Zone).Format(time.DateOnly) }

// machine is the same moment for programs.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// length gives a duration in its two largest units. Down cuts the rest off, as
// "at least" needs it; otherwise it counts as one more, as "at most" needs it.
func length(d time.Duration, down bool) string {
	unit := time.Second
	switch {
	case d >= 24*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	whole := d.Truncate(unit)
	if !down && whole < d {
		whole += unit
	}
	var b strings.Builder
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := whole / u.of; n > 0 {
			fmt.Fprintf(&b, " %d %s", n, u.name)
			whole -= n * u.of
		}
	}
	if b.Len() == 0 {
		return "0 s"
	}
	return b.String()[1:]
}

// bounds says how long a deviation lasted, as far as is known.
func bounds(d *period.Deviation) string {
	least, most := length(d.AtLeast, true), length(d.AtMost, false)
	switch {
	case d.AtLeast <= 0:
		return "seen failing at one look; for at most " + most
	case d.AtLeast == d.AtMost:
		return "failing for " + least
	}
	return fmt.Sprintf("failing for at least %s and at most %s", least, most)
}

// limit says what the limit is and whether it was exceeded.
func limit(d *period.Deviation) string {
	if d.LimitDays == 0 {
		return "no limit is set for severity " + d.Severity
	}
	s := "limit " + many(d.LimitDays, "day")
	switch d.Overdue {
	case period.OverdueYes:
		return s + ": exceeded"
	case period.OverduePerhaps:
		return s + ": may have been exceeded"
	}
	return s + ": kept"
}

// ended says how a deviation ended.
func ended(end string) string {
	switch end {
	case period.EndOpen:
		return "had not ended by the end of the period"
	case period.EndPassed:
		return "the check passed again"
	case period.EndVanished:
		return "the resource was gone from a list that was read to its end"
	case period.EndExempt:
		return "the check no longer applied"
	case period.EndLeft:
		return "the account or the check was taken out of the configuration while it failed"
	}
	return end
}

func overdue(o string) string {
	switch o {
	case period.OverdueYes:
		return "overdue"
	case period.OverduePerhaps:
		return "perhaps overdue"
	}
	return "in time"
}

// stateWord is what the pages call a state. Empty: nothing was due.
func stateWord(s period.State) string {
	switch s {
	case period.Sealed:
		return "complete"
	case period.Open:
		return "no record"
	case "":
		return "nothing due"
	default:
		return string(s)
	}
}

// stateLetter stands for a state in a cell, so that colour is never alone.
func stateLetter(s period.State) string {
	switch s {
	case period.Sealed:
		return "•"
	case period.Late:
		return "L"
	case period.Part:
		return "P"
	case period.Failed:
		return "F"
	case period.Missed:
		return "M"
	case period.Open:
		return "N"
	}
	return "–"
}

func stateClass(s period.State) string {
	if s == "" {
		return "s-none"
	}
	return "s-" + string(s)
}

func stateMeaning(s period.State) string {
	switch s {
	case period.Sealed:
		return "run in time, and everything was read"
	case period.Late:
		return "everything was read, but the task began late"
	case period.Part:
		return "something could not be read"
	case period.Failed:
		return "the task ran, and nothing could be read"
	case period.Missed:
		return "not run; the ledger records why"
	case period.Open:
		return "no record accounts for it"
	}
	return "no slot was due"
}

// because says a cause in words; a word that is not known is shown as it is.
func because(cause string) string {
	switch cause {
	case string(evidence.CauseAgentDown):
		return "the agent was not running"
	case string(evidence.CauseOverlap):
		return "the task of an earlier slot was still running"
	case string(evidence.CauseInterrupted):
		return "the agent ended before the task was sealed"
	case string(evidence.CauseFault):
		return "the agent could not run or seal the task"
	case string(evidence.Denied):
		return "permission denied"
	case string(evidence.Throttled):
		return "refused for rate after every retry"
	case string(evidence.Disabled):
		return "the service, interface or region is not enabled"
	case string(evidence.Unavailable):
		return "the provider, or the connection to it, failed"
	case string(evidence.Timeout):
		return "no answer in time"
	case string(evidence.Malformed):
		return "an answer that could not be understood"
	case string(evidence.Internal):
		return "a fault of the agent"
	case period.CauseLate:
		return "begun too late"
	case period.CauseNoRecord:
		return "no record accounts for the slots"
	case period.CauseNotInScope:
		return "the account was not in the configuration"
	case period.CauseCollector:
		return "the collector was turned off"
	case period.CauseNoLedger:
		return "no configuration was in force yet"
	case period.CauseNotSupplied:
		return "no scheduled collector supplies what a check reads"
	}
	return cause
}

func changeWord(what string) string {
	switch what {
	case period.ChangeCatalogue:
		return "check or control"
	case period.ChangeExclusion:
		return "region left out"
	}
	return strings.ReplaceAll(what, "_", " ")
}

func statusWord(s evidence.Status) string { return strings.ReplaceAll(string(s), "_", " ") }

func basisWord(b evidence.Basis) string { return strings.ReplaceAll(string(b), "_", " ") }

// shown makes text that others wrote safe for the eye as escaping makes it safe
// for the browser: characters that hide, or that turn the order of others
// around, are spelt out. Line breaks and tabs stay.
func shown(s string) string {
	hidden := func(r rune) bool {
		return r != '\n' && r != '\t' && r != '\r' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
	}
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
