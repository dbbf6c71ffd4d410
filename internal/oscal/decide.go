package oscal

import (
	"fmt"
	"slices"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// The states of a finding, and those of a control that gets none. OSCAL has the
// first two only.
const (
	satisfied    = "satisfied"
	notSatisfied = "not-satisfied"

	notDetermined = "could-not-be-determined"
	notComplete   = "not-all-looks-made"
	notOccurred   = "not-occurred-in-period"
	notApplicable = "not-applicable"
)

// decision is what can be said of a control.
type decision struct {
	state  string
	reason string // for people
}

func (d decision) decided() bool { return d.state == satisfied || d.state == notSatisfied }

// decide says what verdicts say of a control in the window. A failure is a fact
// whatever else could not be seen; the opposite needs all of the looks.
func decide(r *period.Report, c period.ControlCoverage) decision {
	unknowns := 0
	for _, u := range r.Unknowns {
		if u.Control == c.ID && (!r.Window.AsOf || u.Open) {
			unknowns++
		}
	}
	s, t := c.Standing, c.Total
	standing := s.Status()
	switch {
	case s.Fail > 0:
		return decision{notSatisfied, fmt.Sprintf("%d verdicts failed at the end of the window.", s.Fail)}
	case c.Deviations > 0 && !r.Window.AsOf:
		return decision{notSatisfied, fmt.Sprintf("Nothing failed at the end of the window. %d deviations were seen in it.", c.Deviations)}
	case s.Unknown > 0 || unknowns > 0:
		return decision{notDetermined, fmt.Sprintf("Could not be determined: %d verdicts were unknown at the end of the window, and there were %d intervals with an unknown verdict in it.", s.Unknown, unknowns)}
	case !c.Occurred && !r.Window.AsOf:
		return decision{notOccurred, "Not occurred in the period: no look was due."}
	case unjudged(r, c) != "":
		return decision{notComplete, "Could not be determined: check " + unjudged(r, c) + " was not evaluated anywhere."}
	case blind(r, c) > 0 && !r.Window.AsOf:
		return decision{notComplete, fmt.Sprintf("Could not be determined for the whole window: in %d spans of it nothing was due that the control rests on.", blind(r, c))}
	case t.Sealed+t.Late < t.Due && !r.Window.AsOf:
		return decision{notComplete, fmt.Sprintf("Could not be determined for the whole window: %d of %d looks that were due were not made or not in full.", t.Due-t.Sealed-t.Late, t.Due)}
	case standing == evidence.Pass:
		return decision{satisfied, fmt.Sprintf("Everything that was looked at passed. Verdicts at the end of the window: %d passed, to %d resources the check does not apply.", s.Pass, s.NotApplicable)}
	case standing == evidence.NotApplicable:
		return decision{notApplicable, "There was nothing to which the control applies."}
	}
	return decision{notDetermined, "Could not be determined: no verdict was recorded."}
}

// unjudged gives a check of a control of which the report has no judgement.
func unjudged(r *period.Report, c period.ControlCoverage) string {
	for _, check := range c.Checks {
		if !slices.ContainsFunc(r.Judgements, func(j period.Judgement) bool { return j.Check == check.ID }) {
			return markupLine(check.ID)
		}
	}
	return ""
}

// blind counts the spans in which nothing was due on a stream of the control,
// or of a kind that it reads.
func blind(r *period.Report, c period.ControlCoverage) (n int) {
	for _, h := range r.Holes {
		if h.State != "" {
			continue
		}
		if slices.ContainsFunc(c.Streams, func(i int) bool { return i < len(r.Streams) && r.Streams[i].Stream == h.Stream }) ||
			slices.ContainsFunc(c.Checks, func(check period.Check) bool {
				return slices.ContainsFunc(h.Kinds, func(k string) bool { return slices.Contains(check.Reads, k) })
			}) {
			n++
		}
	}
	return n
}

func (d *document) finding(c period.ControlCoverage, state decision) finding {
	reason := "pass"
	if state.state == notSatisfied {
		reason = "fail"
	}
	f := finding{
		UUID: d.id("finding", c.ID, stamp(d.r.Window.From), stamp(d.r.Window.To)), Title: markupLine(c.Title),
		Description: state.reason, Props: controlProps(c), Origins: d.origins,
		Target: target{Type: "objective-id", ID: token(c.ID), Status: status{
			State: state.state, Reason: reason,
			Remarks: state.reason + " Looks: " + tally(c.Total) + ". It follows from the verdicts of the checks, which are not all of what a criterion asks for.",
		}},
	}
	for _, j := range d.r.Judgements {
		if j.Control == c.ID {
			f.Observations = append(f.Observations, observationRef{d.judgementID(j)})
		}
	}
	for _, v := range d.r.Deviations {
		if v.Control == c.ID {
			f.Risks = append(f.Risks, riskRef{d.riskID(v)})
		}
	}
	return f
}

// undetermined stands in the place of a finding.
func (d *document) undetermined(c period.ControlCoverage, state decision) observation {
	return observation{
		UUID:        d.id("undetermined", c.ID, stamp(d.r.Window.From), stamp(d.r.Window.To)),
		Title:       markupLine(c.ID + ": no finding, " + state.state),
		Description: state.reason + " Looks: " + tally(c.Total) + ".",
		Props:       append(props("state", state.state), controlProps(c)...),
		Methods:     methods(), Types: []string{typeUndetermined}, Origins: d.origins, Collected: stamp(d.until),
	}
}

func controlProps(c period.ControlCoverage) []prop {
	s := c.Standing
	p := props("control", c.ID, "severity", c.Severity,
		"fail", fmt.Sprint(s.Fail), "unknown", fmt.Sprint(s.Unknown), "pass", fmt.Sprint(s.Pass), "not-applicable", fmt.Sprint(s.NotApplicable),
		"deviations", fmt.Sprint(c.Deviations), "overdue", fmt.Sprint(c.Overdue))
	return append(p, tallyProps(c.Total)...)
}
