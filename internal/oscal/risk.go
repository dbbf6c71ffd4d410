package oscal

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/evidence/period"
)

func (d *document) riskID(v period.Deviation) string {
	return d.id("deviation", v.ID, v.Check, v.Provider, v.Account, v.Region, v.Kind, v.Resource, stamp(v.FirstBad))
}

// risk is a deviation.
func (d *document) risk(v period.Deviation) risk {
	state, how := ending(v.End)
	r := risk{
		UUID: d.riskID(v), Title: markupLine(fmt.Sprintf("%s failed on %s", v.Check, resourceName(v.Kind, v.Resource, v.Region))),
		Description: markupLine(v.Reason),
		Statement: fmt.Sprintf("It failed for at least %s and at most %s of the window; of that, nothing could be said for %s. %s",
			v.AtLeast, v.AtMost, v.Unknown, how),
		Props: props("deviation", v.ID, "control", v.Control, "check", v.Check, "provider", v.Provider, "account", v.Account,
			"region", v.Region, "kind", v.Kind, "resource", v.Resource, "end", v.End, "overdue", v.Overdue,
			"occurrence", strconv.Itoa(v.Occurrence), "opened-by-record", strconv.FormatUint(v.OpenedBy, 10), "closed-by-record", record(v.ClosedBy)),
		Status: state, Origins: d.origins,
	}
	var facets []facet
	for _, p := range props("severity", v.Severity, "last-good", stampOf(v.LastGood), "first-bad", stamp(v.FirstBad), "last-bad", stamp(v.LastBad),
		"first-good", stampOf(v.FirstGood), "at-least-seconds", seconds(v.AtLeast), "at-most-seconds", seconds(v.AtMost), "unknown-seconds", seconds(v.Unknown)) {
		facets = append(facets, facet{Name: p.Name, System: Namespace, Value: p.Value})
	}
	r.Facets = []characterized{{Origin: d.origins[0], Facets: facets}}
	if v.LimitDays > 0 {
		// From when it was surely failing: the earliest time that can be held
		// against anybody.
		r.Deadline = stamp(v.FirstBad.Add(time.Duration(v.LimitDays) * 24 * time.Hour))
		r.Props = append(r.Props, props("limit-days", strconv.Itoa(v.LimitDays))...)
	}
	if id, ok := d.judged[checkIn{v.Check, v.Scope}]; ok {
		r.Related = []observationRef{{id}}
	}
	return r
}

// ending gives OSCAL's status of a deviation and says how it ended.
func ending(end string) (status, how string) {
	switch end {
	case period.EndPassed:
		return "closed", "Then the check passed."
	case period.EndVanished:
		return "closed", "Then the resource was gone from a list that was read to its end."
	case period.EndExempt:
		return "closed", "Then the check no longer applied to the resource; it did not pass."
	case period.EndLeft:
		return "open", "Then the account or the check was taken out of the configuration while it failed; nothing is known of it since."
	}
	return "open", "It had not ended at the end of the window."
}

// seconds is exact: the bounds have no part of a second that matters, and one
// that they have is shown.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// record is the index of a record, or nothing for none.
func record(i uint64) string {
	if i == 0 {
		return ""
	}
	return strconv.FormatUint(i, 10)
}
