package replay

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
)

// ReassessOptions say what is judged again, and by what.
type ReassessOptions struct {
	Catalogue *checks.Catalogue
	// From and To bound when assessments were made; To is exclusive. When both
	// are zero, the newest verdicts of each check in each scope are judged again.
	From, To time.Time
	// Progress, when set, hears how many records were read.
	Progress func(records uint64)
}

// The ways in which a verdict changes.
const (
	StatusChanged = "status"        // another status
	CheckNew      = "new_check"     // the check was not in force then
	CheckGone     = "gone_check"    // the check is in force no more
	ResourceNew   = "new_resource"  // the check did not look at the resource then
	ResourceGone  = "gone_resource" // the check looks at the resource no more
)

// Reassessment is what another catalogue makes of old evidence.
type Reassessment struct {
	Catalogue   evidence.Digest `json:"catalogue"`
	Assessments int             `json:"assessments"` // that were judged again
	Same        int             `json:"same"`        // verdicts with the same status
	Changed     int             `json:"changed"`     // verdicts, each time that they changed
	NewChecks   []string        `json:"new_checks"`
	GoneChecks  []string        `json:"gone_checks"`
	Changes     []Verdict       `json:"changes"`
	// NotPerformed says why some assessments could not be judged again.
	NotPerformed []Reason `json:"not_performed"`
	Simulated    bool     `json:"simulated,omitempty"`
}

// Verdict is a verdict that changes. One that changes alike in several
// assessments is told once.
type Verdict struct {
	Change   string          `json:"change"`
	Check    string          `json:"check"`
	Control  string          `json:"control"`
	Provider string          `json:"provider"`
	Account  string          `json:"account"`
	Region   string          `json:"region"`
	Kind     string          `json:"kind"`
	Resource string          `json:"resource"`
	Then     evidence.Status `json:"then"` // empty: no verdict
	Now      evidence.Status `json:"now"`  // empty: no verdict

	Reason      string    `json:"reason"`      // of now, the first time; of then where there is none now
	Assessments int       `json:"assessments"` // in how many
	First       time.Time `json:"first"`       // when the first of them was made
	Last        time.Time `json:"last"`
}

// made is an assessment and what was newest when it was made.
type made struct {
	index     uint64
	statement evidence.Statement
	*evidence.Assessment
	used  []seenRun
	other []seenRun // newest that it did not use, of the streams of the scope and of those that answer for the organisation
}

// Reassess judges old evidence by another catalogue. It appends nothing.
func Reassess(ctx context.Context, from Source, o ReassessOptions) (*Reassessment, error) {
	j := &judge{
		ReassessOptions: o, store: newLedger(from.Payloads), report: newReport(0), changes: make(map[Verdict]*Verdict),
		added: make(map[string]bool), gone: make(map[string]bool),
	}
	newest := make(map[evidence.Stream]seenRun)
	latest := make(map[evidence.Scope]map[string]*made) // by check
	span := !o.From.IsZero() || !o.To.IsZero()
	for e, err := range from.Entries {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		header := evidence.HeaderOf(e.Predicate)
		j.report.Simulated = j.report.Simulated || header.Clock == evidence.ClockSimulated
		switch r := e.Predicate.(type) {
		case *evidence.Run:
			j.store.takeRun(e.Index, r, e.Statement)
			newest[r.Stream] = seenOf(r, e.Statement)
		case *evidence.Assessment:
			m, err := j.take(e, r, newest)
			switch {
			case err != nil:
				j.notPerformed(e.Index, err)
			case !span:
				for _, c := range r.Checks {
					if latest[r.Scope] == nil {
						latest[r.Scope] = make(map[string]*made)
					}
					latest[r.Scope][c.Check] = m
				}
			case !r.Evaluated.Before(o.From) && (o.To.IsZero() || r.Evaluated.Before(o.To)):
				if err := j.inSpan(ctx, m); err != nil {
					return nil, err
				}
			}
		}
		if o.Progress != nil {
			o.Progress(e.Index + 1)
		}
	}
	for _, scope := range slices.SortedFunc(maps.Keys(latest), func(a, b evidence.Scope) int { return strings.Compare(a.String(), b.String()) }) {
		if err := j.newest(ctx, latest[scope]); err != nil {
			return nil, err
		}
	}
	return j.result(), nil
}

// judge judges again. It belongs to one goroutine.
type judge struct {
	ReassessOptions
	store         *ledgerView
	report        *Report // for what could not be performed
	changes       map[Verdict]*Verdict
	added, gone   map[string]bool
	done          int
	same, changed int
}

// take keeps what is needed to judge an assessment again.
func (j *judge) take(e evidence.Entry, a *evidence.Assessment, newest map[evidence.Stream]seenRun) (*made, error) {
	used, err := j.store.used(a)
	if err != nil {
		return nil, err
	}
	m := &made{index: e.Index, statement: e.Statement, Assessment: a, used: used}
	inForce, err := j.store.inForce(e.Statement)
	if err != nil {
		return nil, err
	}
	for stream, run := range newest {
		for _, run.organization = range []bool{false, true} {
			here := stream.Scope == a.Scope
			if run.organization {
				here = stream.Provider == a.Provider && slices.Contains(inForce.Central, stream.Scope)
			}
			if here && !slices.ContainsFunc(used, func(u seenRun) bool { return u.stream == stream && u.organization == run.organization }) {
				m.other = append(m.other, run)
			}
		}
	}
	// In a fixed order: what several accounts saw is taken from the first.
	slices.SortFunc(m.other, func(a, b seenRun) int { return strings.Compare(a.stream.String(), b.stream.String()) })
	return m, nil
}

// newest judges again what stands in one scope: each check by the newest
// assessment of it, and the new ones by what is newest of all.
func (j *judge) newest(ctx context.Context, byCheck map[string]*made) error {
	groups := make(map[*made][]string)
	var last *made
	for id, m := range byCheck {
		groups[m] = append(groups[m], id)
		if last == nil || m.index > last.index {
			last = m
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(groups), func(a, b *made) int { return cmp.Compare(a.index, b.index) }) {
		var added []string
		if m == last {
			for _, check := range j.Catalogue.Checks() {
				if check.Provider == m.Provider && byCheck[check.ID] == nil {
					added = append(added, check.ID)
				}
			}
		}
		if err := j.again(ctx, m, groups[m], added); err != nil {
			return err
		}
	}
	return nil
}

// inSpan judges one assessment again, and by the new checks that look at what
// it looked at.
func (j *judge) inSpan(ctx context.Context, m *made) error {
	ids := make([]string, 0, len(m.Checks))
	for _, c := range m.Checks {
		ids = append(ids, c.Check)
	}
	then, err := j.catalogueOf(m)
	if err != nil {
		j.notPerformed(m.index, err)
		return nil
	}
	var added []string
	for _, check := range j.Catalogue.Checks() {
		if _, _, known := then.Check(check.ID); !known && check.Provider == m.Provider {
			added = append(added, check.ID)
		}
	}
	return j.again(ctx, m, ids, added)
}

// catalogueOf gives the catalogue that an assessment was made by.
func (j *judge) catalogueOf(m *made) (*checks.Catalogue, error) {
	digest, _ := m.statement.Payload(evidence.PayloadCatalogue)
	return j.store.catalogue(digest)
}

// facts gives what another catalogue sees of an assessment: what it used and,
// of the kinds that no check of it read, what was newest. A kind that it read
// and did not have is left out: the run of it was sealed while it was made.
func (j *judge) facts(m *made, then *checks.Catalogue) (checks.Input, error) {
	read := map[bool]map[string]bool{false: {}, true: {}} // by whether it is in the organisation
	for _, c := range m.Checks {
		for _, r := range then.Reads(c.Check) {
			read[r.Organization][r.Kind] = true
		}
	}
	in := checks.Input{Scope: m.Scope, Now: m.Evaluated}
	for _, run := range m.other {
		err := j.store.facts([]seenRun{run}, &in)
		if _, leftOut := errors.AsType[errAbsent](err); err != nil && !leftOut {
			return in, err
		}
	}
	maps.DeleteFunc(in.Kinds, func(kind string, _ checks.Facts) bool { return read[false][kind] })
	maps.DeleteFunc(in.Organization, func(kind string, _ []checks.Facts) bool { return read[true][kind] })
	var err error
	if in.InForce, err = j.store.inForce(m.statement); err != nil {
		return in, err
	}
	return in, j.store.facts(m.used, &in)
}

// again judges by some of the checks of an assessment, and by those added ones
// of which every kind that they read was collected then. The error is for all; what is wrong with this one is told in the report.
func (j *judge) again(ctx context.Context, m *made, ids, added []string) error {
	then, err := j.catalogueOf(m)
	if err != nil {
		j.notPerformed(m.index, err)
		return nil
	}
	in, err := j.facts(m, then)
	if err != nil {
		j.notPerformed(m.index, err)
		return nil
	}
	added = slices.DeleteFunc(added, func(id string) bool {
		return slices.ContainsFunc(j.Catalogue.Reads(id), func(r checks.Read) bool {
			if r.Organization {
				return len(in.Organization[r.Kind]) == 0
			}
			_, seen := in.Kinds[r.Kind]
			return !seen
		})
	})
	digest, _ := m.statement.Payload(evidence.PayloadVerdicts)
	sealed, err := j.store.store.Open(digest)
	if err != nil {
		j.notPerformed(m.index, absent("verdicts payload", err))
		return nil
	}
	known := make(map[string]bool) // checks of then, by whether they are in force now
	which := slices.Clone(added)
	for _, id := range ids {
		_, _, known[id] = j.Catalogue.Check(id)
		if known[id] {
			which = append(which, id)
		}
		j.gone[id] = j.gone[id] || !known[id]
	}
	for _, id := range added {
		j.added[id] = true
	}
	var now, changed int
	w := newComparison(evidence.PayloadVerdicts, sealed, func(then, now *line) {
		if now == nil && !slices.Contains(ids, then.Check) {
			return // it belongs to a newer assessment
		}
		if then != nil && now != nil && then.Status == now.Status {
			return
		}
		if now != nil {
			changed++
		}
		j.differ(m, known, then, now)
	})
	err = agent.Judge(ctx, j.Catalogue, in, which, w, func(evidence.Verdict) { now++ })
	if err == nil {
		_, _, err = w.Commit()
	} else {
		err = errors.Join(err, w.Abort())
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		j.notPerformed(m.index, absent("observations", err))
	default:
		j.done++
		j.same += now - changed
	}
	return nil
}

// differ takes one changed verdict.
func (j *judge) differ(m *made, known map[string]bool, then, now *line) {
	v := Verdict{Change: StatusChanged, Provider: m.Provider, Account: m.Account}
	at := now
	switch {
	case now == nil:
		at, v.Change = then, ResourceGone
		if !known[then.Check] {
			v.Change = CheckGone
		}
	case then == nil:
		v.Change = ResourceNew
		if _, was := known[now.Check]; !was {
			v.Change = CheckNew
		}
	}
	v.Check, v.Control, v.Region, v.Kind, v.Resource = at.Check, at.Control, at.Region, at.Kind, at.Resource
	if then != nil {
		v.Then = then.Status
	}
	if now != nil {
		v.Now = now.Status
	}
	j.changed++
	have, ok := j.changes[v]
	if !ok {
		first := v
		first.Reason, first.First = at.Reason, m.Evaluated
		have = &first
		j.changes[v] = have
	}
	have.Assessments++
	have.Last = m.Evaluated
}

func (j *judge) notPerformed(index uint64, err error) {
	j.report.reason(result{index: index, what: OfAssessment, notPerformed: err.Error()})
}

func (j *judge) result() *Reassessment {
	r := &Reassessment{
		Catalogue: j.Catalogue.Digest(), Assessments: j.done, Same: j.same, Changed: j.changed,
		NewChecks: []string{}, GoneChecks: []string{}, Changes: []Verdict{},
		NotPerformed: j.report.NotPerformed, Simulated: j.report.Simulated,
	}
	for id := range j.added {
		r.NewChecks = append(r.NewChecks, id)
	}
	for id, gone := range j.gone {
		if gone {
			r.GoneChecks = append(r.GoneChecks, id)
		}
	}
	slices.Sort(r.NewChecks)
	slices.Sort(r.GoneChecks)
	for _, v := range j.changes {
		r.Changes = append(r.Changes, *v)
	}
	slices.SortFunc(r.Changes, func(a, b Verdict) int {
		return cmp.Or(strings.Compare(a.Check, b.Check), strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region),
			strings.Compare(a.Kind, b.Kind), strings.Compare(a.Resource, b.Resource), a.First.Compare(b.First),
			strings.Compare(string(a.Then)+string(a.Now), string(b.Then)+string(b.Now)))
	})
	return r
}
