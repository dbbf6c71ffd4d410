package oscal

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// objectives defines each control as an assessment objective of the first
// criterion that it serves; OSCAL has room for one. The others are properties.
func (d *document) objectives() {
	if len(d.r.Controls) == 0 {
		return
	}
	d.out.begin("local-definitions")
	d.out.list("objectives-and-methods")
	for _, c := range d.r.Controls {
		p := props("severity", c.Severity, "frequency", c.Frequency)
		for _, id := range c.Criteria {
			p = append(p, props("criterion", id)...)
		}
		top := part{ID: token(c.ID), Name: "assessment-objective", Prose: markupLine(c.Title)}
		for _, check := range c.Checks {
			top.Parts = append(top.Parts, part{ID: token(check.ID), Name: "assessment-method", Prose: markupLine(check.Title)})
		}
		d.out.value("", objective{Control: criteria(c.Control)[0], Props: p, Parts: []part{top}})
	}
	d.out.endList()
	d.out.end()
}

// criteria are the ids of the criteria of a control as tokens. A control that
// serves none stands for itself.
func criteria(c period.Control) (ids []string) {
	for _, id := range c.Criteria {
		ids = append(ids, token(id))
	}
	if len(ids) == 0 {
		ids = []string{token(c.ID)}
	}
	return ids
}

func (d *document) result(id string) {
	o, r := d.out, d.r
	t := r.Total()
	o.value("uuid", id)
	o.value("title", markupLine(d.banner(r.Organization+", "+r.Window.String())))
	o.value("description", fmt.Sprintf("What the records of ledger %s show from %s on and before %s. Due looks: %s.",
		markupLine(r.Ledger), stamp(r.Window.From), stamp(r.Window.To), tally(t)))
	o.value("start", stamp(r.Window.From))
	end := r.Window.To
	if d.until.Before(end) {
		end = d.until // nothing is said of later
	}
	if !end.Before(r.Window.From) {
		o.value("end", stamp(end))
	}
	if p := append(props("as-of", yes(r.Window.AsOf), "records", strconv.FormatUint(r.Records, 10)), tallyProps(t)...); len(p) > 0 {
		o.value("props", p)
	}
	d.definitions()
	o.value("reviewed-controls", d.reviewed())
	o.list("observations")
	d.observations()
	o.endList()
	o.list("risks")
	for _, v := range r.Deviations {
		o.value("", d.risk(v))
	}
	o.endList()
	o.list("findings")
	for _, c := range r.Controls {
		if state := decide(r, c); state.decided() {
			o.value("", d.finding(c, state))
		}
	}
	o.endList()
}

func (d *document) reviewed() reviewed {
	var ids []string
	var goals []objectiveID
	for _, c := range d.r.Controls {
		ids = append(ids, criteria(c.Control)...)
		goals = append(goals, objectiveID{token(c.ID)})
	}
	s := selection{Remarks: "Trust Services Criteria (AICPA TSP section 100, 2017) that the controls serve."}
	if len(ids) == 0 {
		ids, s.Remarks = []string{"none"}, "No control was in force: nothing was reviewed."
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		s.Controls = append(s.Controls, controlID{id})
	}
	out := reviewed{Controls: []selection{s}}
	if len(goals) > 0 {
		out.Objectives = []selection{{Objectives: goals}}
	}
	return out
}

// definitions are the accounts, the resources that something is said of, and
// the programs that did the work.
func (d *document) definitions() {
	o := d.out
	o.begin("local-definitions")
	o.list("components")
	for _, s := range d.scopes() {
		o.value("", component{
			UUID: d.scopeID(s), Type: "system", Title: markupLine(s.String()),
			Description: "An account that was looked at.",
			Props:       props("provider", s.Provider, "account", s.Account),
			Status:      status{State: "other", Remarks: "What state the account is in was not assessed."},
		})
	}
	o.endList()
	o.list("inventory-items")
	d.items()
	o.endList()
	d.assets()
	o.end()
}

// scopes lists every scope that the report mentions, sorted.
func (d *document) scopes() (all []evidence.Scope) {
	for _, s := range d.r.Streams {
		all = append(all, s.Scope)
	}
	for _, j := range d.r.Judgements {
		all = append(all, j.Scope)
	}
	for _, h := range d.r.Holes {
		all = append(all, h.Scope)
	}
	for _, v := range d.r.Deviations {
		all = append(all, v.Scope)
	}
	for _, u := range d.r.Unknowns {
		all = append(all, u.Scope)
	}
	slices.SortFunc(all, compareScopes)
	return slices.Compact(all)
}

func (d *document) scopeID(s evidence.Scope) string { return d.id("scope", s.Provider, s.Account) }

// assets are the programs.
func (d *document) assets() {
	var parts []component
	var uses []componentUUID
	seen := map[string]bool{}
	for _, a := range d.r.Binaries {
		id := d.id("agent", a.Version, string(a.Binary))
		if seen[id] {
			continue
		}
		seen[id] = true
		parts = append(parts, component{
			UUID: id, Type: "software", Title: markupLine("tallystick " + a.Version),
			Description: "The program that made the records.",
			Props:       props("version", a.Version, "binary-sha256", string(a.Binary)),
			Status:      status{State: "operational"},
		})
		uses = append(uses, componentUUID{id})
	}
	assets := map[string]any{"assessment-platforms": []platform{{UUID: d.id("platform"), Title: "tallystick", Uses: uses}}}
	if len(parts) > 0 {
		assets["components"] = parts
	}
	d.out.value("assessment-assets", assets)
}

// tally says how slots ended.
func tally(t period.Tally) string {
	return fmt.Sprintf("%d due, %d made in time, %d late, %d partial, %d failed, %d missed, %d without a record",
		t.Due, t.Sealed, t.Late, t.Partial, t.Failed, t.Missed, t.Open)
}

func tallyProps(t period.Tally) (out []prop) {
	for _, v := range []struct {
		name string
		n    int
	}{
		{"slots-due", t.Due},
		{"slots-sealed", t.Sealed},
		{"slots-late", t.Late},
		{"slots-partial", t.Partial},
		{"slots-failed", t.Failed},
		{"slots-missed", t.Missed},
		{"slots-open", t.Open},
	} {
		out = append(out, props(v.name, strconv.Itoa(v.n))...)
	}
	return out
}
