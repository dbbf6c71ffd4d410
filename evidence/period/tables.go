package period

import (
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// Sources are what the tables are made from, beside the report.
type Sources struct {
	Payloads *payload.Store
	Changes  func() iter.Seq2[Change, error] // in order; it is called each time that the rows are read
}

// Tables gives every table of the report, in the order in which a reader wants
// them. The same report gives the same rows.
func Tables(r *Report, src Sources) []Table {
	tables := []Table{
		r.index(), r.matrix(), r.scope(), r.leftOut(), r.coverage(), r.coverageByStream(), r.gaps(),
		r.deviations(), r.unknowns(), changes(src), r.samples(), r.populationSizes(),
	}
	for _, c := range r.Controls {
		for _, check := range c.Checks {
			tables = append(tables, r.population(c.Control, check, src.Payloads))
		}
	}
	return tables
}

// PopulationTable names the table of what a check judged.
func PopulationTable(check string) string { return "population-" + check }

func rows(all [][]string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for _, row := range all {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

func texts(names ...string) []Column {
	out := make([]Column, len(names))
	for i, name := range names {
		out[i] = Column{Name: name, Title: title(name)}
	}
	return out
}

func kinds(kind ColumnKind, names ...string) []Column {
	out := texts(names...)
	for i := range out {
		out[i].Kind = kind
	}
	return out
}

func title(name string) string {
	t := strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(t[:1]) + t[1:]
}

func tallyColumns() []Column {
	return kinds(Number, "due", "complete_in_time", "complete_late", "partial", "failed", "missed", "open", "catch_ups")
}

func (t Tally) cells() []string {
	return []string{number(t.Due), number(t.Sealed), number(t.Late), number(t.Partial), number(t.Failed), number(t.Missed), number(t.Open), number(t.CatchUps)}
}

// index is the request list: what an auditor asks for, and where it is.
func (r *Report) index() Table {
	var out [][]string
	add := func(control, item, table string) {
		out = append(out, []string{strconv.Itoa(len(out) + 1), control, item, "tables/" + table + ".csv"})
	}
	add("", "What was in scope, and what was not", "scope")
	add("", "Accounts and projects of the organisation that were not looked at, why, and who approved that", "left-out")
	add("", "Controls with their criteria, checks, coverage and results", "controls")
	add("", "Every occurrence of every control, by day", "coverage")
	add("", "Evidence that is missing, and why", "gaps")
	add("", "Changes of resources, rules, thresholds, schedules, scope and program", "changes")
	for _, c := range r.Controls {
		add(c.ID, "Deviations of the control", "deviations")
		for _, check := range c.Checks {
			add(c.ID, "Population and result of: "+check.Title, PopulationTable(check.ID))
		}
	}
	add("", "Size of every population when it was listed last", "population-sizes")
	add("", "Samples that were drawn, with seed and method", "samples")
	return Table{
		Name: "index", Title: "Request list", About: "A row is something that an auditor asks for, with the table that answers it.",
		Columns: slices.Concat(kinds(Number, "number"), texts("control", "item", "file")), Rows: rows(out),
	}
}

// matrix is the control matrix.
func (r *Report) matrix() Table {
	var out [][]string
	for _, c := range r.Controls {
		checks := make([]string, len(c.Checks))
		for i, check := range c.Checks {
			checks[i] = check.ID
		}
		occurred := "yes"
		if !c.Occurred {
			occurred = "not occurred in period"
		}
		out = append(out, slices.Concat(
			[]string{c.ID, c.Title, strings.Join(c.Criteria, " "), c.Severity, c.Frequency, strings.Join(checks, " "), occurred},
			c.Total.cells(),
			[]string{
				number(c.Standing.Pass), number(c.Standing.Fail), number(c.Standing.Unknown), number(c.Standing.NotApplicable),
				number(c.Deviations), number(c.Overdue),
			}))
	}
	return Table{
		Name: "controls", Title: "Control matrix",
		About: "A row is a control: how often it was due and how that ended, the results that stood at the end, and its deviations.",
		Columns: slices.Concat(texts("control", "title", "criteria", "severity", "frequency", "checks", "occurred"), tallyColumns(),
			kinds(Number, "pass", "fail", "unknown", "not_applicable", "deviations", "overdue")),
		Rows: rows(out),
	}
}

func (r *Report) scope() Table {
	var out [][]string
	for _, s := range r.Streams {
		row := []string{s.Provider, s.Account, s.Collector, s.Schedule, number(s.Runs), "", "", "", "", "", ""}
		if n := s.Newest; n != nil {
			row[5], row[6] = strings.Join(n.Regions, " "), strings.Join(n.RegionsLeftOut, " ")
			row[7], row[8], row[9], row[10] = n.Principal, stamp(n.Finished), string(n.Outcome), number(n.Record)
		}
		out = append(out, row)
	}
	return Table{
		Name: "scope", Title: "Scope", About: "A row is a collector in an account: its schedule, and the newest task.",
		Columns: slices.Concat(texts("provider", "account", "collector", "schedule"), kinds(Number, "tasks"), texts("regions", "regions_left_out", "newest_principal"),
			kinds(Time, "newest_finished"), texts("newest_outcome"), kinds(Number, "newest_record")),
		Rows: rows(out),
	}
}

func (r *Report) coverage() Table {
	return Table{
		Name: "coverage", Title: "Coverage by control and day",
		About:   "A row is a control on a day: how many tasks were due and how they ended, and the results of the day's last assessment.",
		Columns: slices.Concat(texts("control", "date"), tallyColumns(), texts("judged"), kinds(Number, "pass", "fail", "unknown", "not_applicable")),
		Rows: func(yield func([]string, error) bool) {
			for _, c := range r.Controls {
				for i, day := range r.Days {
					cell := c.Days[i]
					row := slices.Concat([]string{c.ID, day.Date}, cell.Tally.cells(), []string{
						yes(cell.Judged), number(cell.Pass), number(cell.Fail), number(cell.Unknown), number(cell.NotApplicable),
					})
					if !yield(row, nil) {
						return
					}
				}
			}
		},
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (r *Report) coverageByStream() Table {
	return Table{
		Name: "coverage-by-collector", Title: "Coverage by collector, account and day",
		About:   "A row is a collector in an account on a day: how many tasks were due and how they ended.",
		Columns: slices.Concat(texts("provider", "account", "collector", "date"), tallyColumns()),
		Rows: func(yield func([]string, error) bool) {
			for _, s := range r.Streams {
				for i, day := range r.Days {
					if !yield(slices.Concat([]string{s.Provider, s.Account, s.Collector, day.Date}, s.Days[i].cells()), nil) {
						return
					}
				}
			}
		},
	}
}

func (r *Report) gaps() Table {
	var out [][]string
	for _, h := range r.Holes {
		state := string(h.State)
		if state == "" {
			state = "not due"
		}
		first, last := "", ""
		if h.Records != [2]uint64{} {
			first, last = number(h.Records[0]), number(h.Records[1])
		}
		out = append(out, []string{
			h.Provider, h.Account, h.Collector, state, h.Cause, number(h.Slots), stamp(h.First), stamp(h.Last), stampOf(h.From), stampOf(h.To),
			strings.Join(h.Kinds, " "), h.Operation, h.Permission, h.Code, number(h.Gaps), h.Detail, first, last,
		})
	}
	return Table{
		Name: "gaps", Title: "Missing evidence",
		About: "A row is a run of tasks that did not end with everything read, or a time in which nothing was due, with its cause.",
		Columns: slices.Concat(texts("provider", "account", "collector", "state", "cause"), kinds(Number, "slots"),
			kinds(Time, "first", "last", "cause_from", "cause_to"), texts("kinds", "operation", "permission", "code"), kinds(Number, "gaps"),
			texts("detail"), kinds(Number, "first_record", "last_record")),
		Rows: rows(out),
	}
}

func seconds(d time.Duration) string { return number(int64(d / time.Second)) }

func (r *Report) deviations() Table {
	var out [][]string
	for _, d := range r.Deviations {
		closed, limit := "", ""
		if d.ClosedBy > 0 {
			closed = number(d.ClosedBy)
		}
		if d.LimitDays > 0 {
			limit = number(d.LimitDays)
		}
		out = append(out, []string{
			d.ID, d.Control, d.Check, d.Severity, d.Provider, d.Account, d.Region, d.Kind, d.Resource, d.Begin,
			stampOf(d.LastGood), stamp(d.FirstBad), stamp(d.LastBad), stampOf(d.FirstGood), d.End,
			seconds(d.AtLeast), seconds(d.AtMost), seconds(d.Unknown), number(d.Occurrence), limit, d.Overdue, d.Reason, number(d.OpenedBy), closed,
		})
	}
	return Table{
		Name: "deviations", Title: "Deviations",
		About: "A row is a time in which a check failed on a resource: it began after last_good and not after first_bad, and ended not before last_bad and before first_good.",
		Columns: slices.Concat(texts("id", "control", "check", "severity", "provider", "account", "region", "kind", "resource", "begin"),
			kinds(Time, "last_good", "first_bad", "last_bad", "first_good"), texts("end"),
			kinds(Number, "at_least_seconds", "at_most_seconds", "unknown_seconds", "occurrence", "limit_days"), texts("overdue", "reason"),
			kinds(Number, "opened_by_record", "closed_by_record")),
		Rows: rows(out),
	}
}

func (r *Report) unknowns() Table {
	var out [][]string
	for _, u := range r.Unknowns {
		out = append(out, []string{
			u.Control, u.Check, u.Provider, u.Account, u.Region, u.Kind, u.Resource, stamp(u.From), stamp(u.First), stamp(u.Last), stamp(u.To),
			number(u.Looks), yes(u.Open), u.Class, u.Permission, u.Reason,
		})
	}
	return Table{
		Name: "unknowns", Title: "What could not be decided",
		About: "A row is a time in which a check could not be decided on a resource; * stands for what a list that could not be read would have shown.",
		Columns: slices.Concat(texts("control", "check", "provider", "account", "region", "kind", "resource"),
			kinds(Time, "decided_until", "first", "last", "decided_again"), kinds(Number, "looks"), texts("open", "class", "permission", "reason")),
		Rows: rows(out),
	}
}

func changes(src Sources) Table {
	return Table{
		Name: "changes", Title: "Change log",
		About: "A row is something that was seen to have changed, not after seen_at and after unchanged_until.",
		Columns: slices.Concat(texts("what"), kinds(Time, "unchanged_until", "seen_at"), texts("provider", "account", "collector", "region", "kind",
			"subject", "field", "from", "to", "owner", "approver", "reason"), kinds(Number, "record")),
		Rows: func(yield func([]string, error) bool) {
			if src.Changes == nil {
				return
			}
			for c, err := range src.Changes() {
				row := []string{
					c.What, stampOf(c.After), stamp(c.At), c.Provider, c.Account, c.Collector, c.Region, c.Kind, c.Subject,
					c.Field, c.From, c.To, c.Owner, c.Approver, c.Reason, number(c.Record),
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		},
	}
}

func (r *Report) samples() Table {
	var out [][]string
	for _, s := range r.Samples {
		out = append(out, []string{
			number(s.Record), stamp(s.At), s.Requested, s.Population, s.Control, s.Check, s.Kind, stamp(s.From), stamp(s.To),
			s.Seed, s.Method, number(s.Size), number(s.Of), string(s.Frozen),
		})
	}
	return Table{
		Name: "samples", Title: "Samples", About: "A row is a sample that was drawn from a frozen population with a seed that somebody gave.",
		Columns: slices.Concat(kinds(Number, "record"), kinds(Time, "drawn_at"), texts("requested", "population", "control", "check", "kind"),
			kinds(Time, "from", "to"), texts("seed", "method"), kinds(Number, "size", "of"), texts("population_sha256")),
		Rows: rows(out),
	}
}

// populationSizes lists what the newest run of each stream counted. The sizes
// of every day follow from the run records.
func (r *Report) populationSizes() Table {
	var out [][]string
	for _, s := range r.Streams {
		if s.Newest == nil {
			continue
		}
		for _, n := range s.Newest.Counts {
			out = append(out, []string{s.Provider, s.Account, n.Region, n.Kind, number(n.Count), s.Collector, stamp(s.Newest.Finished), number(s.Newest.Record)})
		}
	}
	return Table{
		Name: "population-sizes", Title: "Population sizes", About: "A row is how many resources of a kind the newest task of the period listed.",
		Columns: slices.Concat(texts("provider", "account", "region", "kind"), kinds(Number, "count"), texts("collector"), kinds(Time, "at"), kinds(Number, "record")),
		Rows:    rows(out),
	}
}

// population lists what a check judged, as it stood at the end of the window.
func (r *Report) population(control Control, check Check, store *payload.Store) Table {
	return Table{
		Name: PopulationTable(check.ID), Title: check.ID,
		About: "A row is a resource that was judged: " + check.Title + ". As it stood at the end of the period.",
		Columns: slices.Concat(texts("control", "check", "provider", "account", "region", "kind", "resource", "status", "basis", "reason", "waits_for"),
			kinds(Time, "source_as_of", "evaluated"), kinds(Number, "record")),
		Rows: func(yield func([]string, error) bool) {
			for _, j := range r.Judgements {
				if j.Check != check.ID {
					continue
				}
				for v, err := range verdictsOf(store, j.Verdicts, check.ID) {
					if errors.Is(err, fs.ErrNotExist) {
						break // an extract may lack it
					}
					if err != nil {
						yield(nil, err)
						return
					}
					if v.Check != check.ID {
						continue
					}
					row := []string{
						control.ID, v.Check, v.Provider, v.Account, v.Region, v.Kind, v.Resource, string(v.Status), string(v.Basis), v.Reason,
						waits(v.Gaps), stampOf(v.AsOf), stamp(j.Evaluated), number(j.Record),
					}
					if !yield(row, nil) {
						return
					}
				}
			}
		},
	}
}

// waits gives the calls that an unknown verdict waits for.
func waits(gaps []evidence.Gap) string {
	var out []string
	for _, g := range gaps {
		if text := g.String(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}
