package oscal

import (
	"cmp"
	"fmt"
	"iter"
	"net/url"
	"strconv"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// The types of observations, beside OSCAL's own control-objective and finding.
const (
	typeUndetermined = "undetermined" // no finding could be made of a control
	typeUnknown      = "unknown"      // a verdict could not be reached
	typeGap          = "gap"          // a look was not made, or not in full
)

// methods: the providers' answers were read, and rules were tested on them.
func methods() []string { return []string{"EXAMINE", "TEST"} }

func compareScopes(a, b evidence.Scope) int {
	return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account))
}

// open are the verdicts of a judgement of which something has to be said: those
// that failed and those that could not be reached.
func (d *document) open(j period.Judgement) iter.Seq[evidence.Verdict] {
	return func(yield func(evidence.Verdict) bool) {
		if j.Count.Fail == 0 && j.Count.Unknown == 0 {
			return // the count is signed, and the payload can be long
		}
		for v, err := range d.Verdicts(j) {
			if err != nil {
				d.out.fail(fmt.Errorf("read verdicts of %s in %s: %w", j.Check, j.Scope, err))
				return
			}
			if v.Check != j.Check || v.Status != evidence.Fail && v.Status != evidence.Unknown {
				continue
			}
			if !yield(v) || d.out.err != nil {
				return
			}
		}
	}
}

// items writes each resource of such a verdict once.
func (d *document) items() {
	seen := map[uuid]bool{}
	for _, j := range d.r.Judgements {
		for v := range d.open(j) {
			id := d.itemID(j.Scope, v)
			if v.Resource == evidence.Population || seen[id] {
				continue
			}
			seen[id] = true
			d.out.value("", item{
				UUID: id.String(), Description: markupLine(v.Kind + " " + v.Resource),
				Props:      props("kind", v.Kind, "resource", v.Resource, "region", v.Region, "provider", j.Provider, "account", j.Account),
				Components: []componentUUID{{d.scopeID(j.Scope)}},
			})
		}
	}
}

func (d *document) itemID(s evidence.Scope, v evidence.Verdict) uuid {
	return newUUID(d.r.Ledger, "resource", s.Provider, s.Account, v.Region, v.Kind, v.Resource)
}

func (d *document) judgementID(j period.Judgement) string {
	return d.id("judgement", j.Check, j.Provider, j.Account, strconv.FormatUint(j.Record, 10))
}

func (d *document) observations() {
	for _, j := range d.r.Judgements {
		d.out.value("", d.judgement(j))
		for v := range d.open(j) {
			d.out.value("", d.verdict(j, v))
		}
	}
	for _, c := range d.r.Controls {
		if state := decide(d.r, c); !state.decided() {
			d.out.value("", d.undetermined(c, state))
		}
	}
	for _, u := range d.r.Unknowns {
		d.out.value("", d.unknown(u))
	}
	for _, h := range d.r.Holes {
		d.out.value("", d.hole(h))
	}
}

// judgement is the newest assessment of one check in one account.
func (d *document) judgement(j period.Judgement) observation {
	n := j.Count
	o := observation{
		UUID: d.judgementID(j), Title: markupLine(j.Check + " in " + j.Scope.String()),
		Description: fmt.Sprintf("%d resources failed, of %d it could not be said, %d passed, to %d the check does not apply.", n.Fail, n.Unknown, n.Pass, n.NotApplicable),
		Props: props("check", j.Check, "control", j.Control, "provider", j.Provider, "account", j.Account,
			"fail", strconv.Itoa(n.Fail), "unknown", strconv.Itoa(n.Unknown), "pass", strconv.Itoa(n.Pass), "not-applicable", strconv.Itoa(n.NotApplicable)),
		Methods: methods(), Types: []string{"control-objective"}, Origins: d.origins,
		Subjects: []subject{{d.scopeID(j.Scope), "component"}}, Evidence: evidenceOf(j), Collected: stamp(j.Evaluated),
	}
	if d.Catalogue != nil {
		if check, _, ok := d.Catalogue.Check(j.Check); ok {
			o.Description += " What holds when it passes: " + markupLine(check.Title) + "."
			o.Props = append(o.Props, props("rule", check.Pass)...)
			if u, err := url.Parse(check.Documentation); err == nil && u.Scheme == "https" {
				o.Links = []link{{Href: u.String(), Rel: "reference"}}
			}
		}
	}
	return o
}

func evidenceOf(j period.Judgement) []relevant {
	return []relevant{{
		Href:        payloadPath(j.Verdicts),
		Description: fmt.Sprintf("The verdicts, named by record %d of the ledger.", j.Record),
		Props:       props("record", strconv.FormatUint(j.Record, 10), "sha256", string(j.Verdicts)),
	}}
}

// verdict is one resource that failed, or of which it could not be said.
func (d *document) verdict(j period.Judgement, v evidence.Verdict) observation {
	kind, says := "finding", "failed"
	if v.Status == evidence.Unknown {
		kind, says = typeUnknown, "could not be decided"
	}
	o := observation{
		UUID:        d.id("verdict", j.Check, j.Provider, j.Account, v.Region, v.Kind, v.Resource, strconv.FormatUint(j.Record, 10)),
		Title:       markupLine(fmt.Sprintf("%s %s on %s", j.Check, says, resourceName(v.Kind, v.Resource, v.Region))),
		Description: markupLine(v.Reason),
		Props: props("check", j.Check, "control", j.Control, "status", string(v.Status), "basis", string(v.Basis),
			"kind", v.Kind, "resource", v.Resource, "region", v.Region, "as-of", stampOf(v.AsOf)),
		Methods: methods(), Types: []string{kind}, Origins: d.origins,
		Subjects: []subject{{d.itemID(j.Scope, v).String(), "inventory-item"}}, Evidence: evidenceOf(j), Collected: stamp(j.Evaluated),
	}
	if v.Resource == evidence.Population {
		o.Subjects = []subject{{d.scopeID(j.Scope), "component"}}
	}
	for _, g := range v.Gaps {
		o.Props = append(o.Props, props("gap", g.String())...)
	}
	return o
}

func resourceName(kind, id, region string) string {
	if id == evidence.Population {
		id = "the list of " + kind
	}
	if region != "" {
		id += " in " + region
	}
	return id
}

// unknown is an interval in which a verdict could not be reached.
func (d *document) unknown(u period.Unknown) observation {
	return observation{
		UUID: d.id("unknown", u.Check, u.Provider, u.Account, u.Region, u.Kind, u.Resource, stamp(u.First)),
		Title: markupLine(fmt.Sprintf("%s could not be decided from %s to %s on %s", u.Check, stamp(u.First), stamp(u.Last),
			resourceName(u.Kind, u.Resource, u.Region))),
		Description: markupLine(u.Reason),
		Props: props("check", u.Check, "control", u.Control, "provider", u.Provider, "account", u.Account, "kind", u.Kind, "resource", u.Resource,
			"region", u.Region, "first", stamp(u.First), "last", stamp(u.Last), "not-before", stamp(u.From), "not-after", stamp(u.To),
			"looks", strconv.Itoa(u.Looks), "permission", u.Permission, "class", u.Class, "open", yes(u.Open)),
		Methods: methods(), Types: []string{typeUnknown}, Origins: d.origins,
		Subjects: []subject{{d.scopeID(u.Scope), "component"}}, Collected: stamp(u.Last),
	}
}

// hole is a row of looks that were not made, or not in full.
func (d *document) hole(h period.Hole) observation {
	state := cmp.Or(string(h.State), "nothing due")
	o := observation{
		UUID: d.id("hole", h.String(), string(h.State), h.Cause, stamp(h.First), stamp(h.Last), h.Operation, h.Permission, h.Code,
			fmt.Sprint(h.Kinds), fmt.Sprint(h.Records)),
		Title: markupLine(fmt.Sprintf("%s: %s, %s", h.Stream, state, h.Cause)),
		Description: markupLine(fmt.Sprintf("Slots: %d, from %s to %s. Cause: %s. %s",
			h.Slots, stamp(h.First), stamp(h.Last), h.Cause, h.Detail)),
		Props: props("collector", h.Collector, "provider", h.Provider, "account", h.Account, "state", state, "cause", h.Cause,
			"slots", strconv.Itoa(h.Slots), "first", stamp(h.First), "last", stamp(h.Last), "not-before", stampOf(h.From), "not-after", stampOf(h.To),
			"operation", h.Operation, "permission", h.Permission, "code", h.Code),
		Methods: []string{"EXAMINE"}, Types: []string{typeGap}, Origins: d.origins,
		Subjects: []subject{{d.scopeID(h.Scope), "component"}}, Collected: stamp(h.Last),
	}
	for _, k := range h.Kinds {
		o.Props = append(o.Props, props("kind", k)...)
	}
	if h.Records != [2]uint64{} {
		o.Props = append(o.Props, props("record-first", strconv.FormatUint(h.Records[0], 10), "record-last", strconv.FormatUint(h.Records[1], 10))...)
	}
	return o
}
