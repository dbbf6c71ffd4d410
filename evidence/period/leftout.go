package period

import (
	"cmp"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// leftOut gives the accounts and projects that the schedules of the window name and
// do not look at, from when to when. A reason that changed is another span.
func (f *Fold) leftOut(end time.Time) []LeftOut {
	var out []LeftOut
	open := map[evidence.NotCollected]int{} // index into out
	for i, of := range f.forces {
		until := end
		if i+1 < len(f.forces) {
			until = min2(end, f.forces[i+1].since)
		}
		from := max2(of.since, f.w.From)
		if f.w.AsOf {
			// Of one moment, only what is in force then counts.
			if i+1 < len(f.forces) {
				continue
			}
			from, until = of.since, end
		}
		if !from.Before(until) {
			continue
		}
		now := map[evidence.NotCollected]int{}
		for _, n := range of.schedule.NotCollected {
			at, goesOn := open[n]
			if !goesOn {
				at = len(out)
				out = append(out, LeftOut{NotCollected: n, From: from, Record: of.record})
			}
			out[at].To = until
			now[n] = at
		}
		open = now
	}
	slices.SortFunc(out, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account), a.From.Compare(b.From), cmp.Compare(a.Why(), b.Why()))
	})
	return out
}

// Why says in words for what an account or a project is not looked at.
func (l LeftOut) Why() string {
	switch {
	case l.Excluded:
		return "left out by the operator"
	case l.State != "":
		return "its state is " + l.State
	default:
		return "not said"
	}
}

// leftOut is the table of what was left out.
func (r *Report) leftOut() Table {
	var out [][]string
	for _, l := range r.LeftOut {
		out = append(out, []string{
			l.Provider, l.Account, l.Name, l.Why(), l.State, l.Reason, l.Approver, stamp(l.From), stamp(l.To), number(l.Record),
		})
	}
	return Table{
		Name: "left-out", Title: "Accounts and projects left out",
		About: "A row is a span in which an account or a project that the organisation lists was not looked at, and who answers for that.",
		Columns: slices.Concat(texts("provider", "account", "name", "why", "state", "reason", "approver"),
			kinds(Time, "from", "to"), kinds(Number, "record")),
		Rows: rows(out),
	}
}
