package period

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// run records a task and the assessment after it, as the agent does.
func (w *world) run(collector, account string, slot time.Time, edit ...func(*evidence.Run)) {
	w.t.Helper()
	key := stream(collector, account)
	r := &evidence.Run{
		Task: evidence.Task{Stream: key, Slot: slot}, Trigger: evidence.TriggerSchedule, Started: slot.Add(10 * time.Second), Principal: w.principal,
		Calls: []evidence.CallCount{}, ConfigurationDigest: w.scheduleDigest, CatalogueDigest: w.catalogueDigest,
	}
	for _, e := range edit {
		e(r)
	}
	r.Finished = r.Started.Add(w.look)
	r.Header = w.header(r.Finished)
	w.sequence[key.String()]++
	r.Sequence = w.sequence[key.String()]
	if collector == groups {
		r.Regions, r.RegionsLeftOut = w.regions, w.leftOut
	}
	observations, gaps := w.collect(collector, account, r)
	subjects := []evidence.Subject{evidence.SubjectOf("exchanges-0001.har", w.put(`{"log":{}}`)), evidence.SubjectOf(evidence.PayloadObservations, w.put(observations...))}
	if len(gaps) > 0 {
		subjects = append(subjects, evidence.SubjectOf(evidence.PayloadGaps, w.put(gaps...)))
	}
	as := ranAs{run: r, seen: map[string]thing{}, denied: map[string]bool{}, regions: r.Regions}
	maps.Copy(as.seen, w.things[account][collector])
	for region := range w.denied[account+collector] {
		as.denied[region] = true
	}
	as.record = w.record(evidence.TypeRun, r, subjects...)
	w.newest[key] = as
	w.judge(account, kindOf(collector), r.Finished.Add(time.Second))
}

// collect gives the lines of observations and gaps, and fills in the counts.
func (w *world) collect(collector, account string, r *evidence.Run) (observations, gaps []string) {
	kind := kindOf(collector)
	denied := w.denied[account+collector]
	counts := map[string]int{}
	type keyed struct{ region, id, line string }
	var seen []keyed
	alike := map[evidence.GapCount]int{}
	gap := func(g evidence.Gap) {
		g.Kind, g.Class, g.Code, g.Message = kind, evidence.Denied, "AccessDenied", "request "+r.Slot.String()
		line, _ := json.Marshal(g)
		gaps = append(gaps, string(line))
		alike[evidence.GapCount{Class: g.Class, Operation: g.Operation, Permission: g.Permission, Code: g.Code}]++
	}
	for region := range denied {
		gap(evidence.Gap{Region: region, Operation: "t:List", Permission: "t:List"})
	}
	hidden := denied[""]
	for _, id := range byKey(w.things[account][collector]) {
		t := w.things[account][collector][id]
		if hidden || denied[t.region] || len(r.Regions) > 0 && !slices.Contains(r.Regions, t.region) {
			continue
		}
		body := map[string]json.RawMessage{"Name": json.RawMessage(fmt.Sprintf("%q", id))}
		for name, value := range t.fields {
			body[name] = json.RawMessage(value)
		}
		switch t.state {
		case "hidden":
			gap(evidence.Gap{Region: t.region, Resource: id, Field: "Good", Operation: "t:Get", Permission: "t:Get"})
		case "blind", "gone":
			gap(evidence.Gap{Resource: id, Operation: "t:Get", Permission: "t:Get"})
			body = map[string]json.RawMessage{"Name": body["Name"]}
		default:
			body["Good"] = json.RawMessage(fmt.Sprint(t.state != "bad"))
		}
		if t.state == "gone" {
			continue
		}
		raw, _ := json.Marshal(body)
		line, _ := json.Marshal(evidence.Observation{Kind: kind, ID: id, Region: t.region, Body: raw, Sources: []string{fmt.Sprint(r.Sequence % 2)}})
		seen = append(seen, keyed{t.region, id, string(line)})
		counts[t.region]++
	}
	slices.SortFunc(seen, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.region, b.region), cmp.Compare(a.id, b.id)) })
	for _, s := range seen {
		observations = append(observations, s.line)
	}
	lists := []string{""}
	if len(r.Regions) > 0 {
		lists = r.Regions
	}
	for _, region := range lists {
		if !denied[region] && !hidden && (region != "" || len(seen) == 0) {
			counts[region] += 0
		}
	}
	r.Observations = []evidence.KindCount{}
	for _, region := range byKey(counts) {
		r.Observations = append(r.Observations, evidence.KindCount{Kind: kind, Region: region, Count: counts[region]})
	}
	for g, n := range alike {
		g.Count = n
		r.Gaps = append(r.Gaps, g)
	}
	slices.SortFunc(r.Gaps, func(a, b evidence.GapCount) int { return cmp.Compare(a.Operation, b.Operation) })
	slices.Sort(gaps)
	if r.Outcome = evidence.Complete; len(gaps) > 0 {
		if r.Outcome = evidence.Partial; len(counts) == 0 {
			r.Outcome = evidence.Failed
		}
	}
	return observations, gaps
}

// judge records an assessment of the checks that read a kind, over the newest
// runs.
func (w *world) judge(account, kind string, when time.Time) {
	var doc document
	if err := json.Unmarshal([]byte(w.catalogue), &doc); err != nil {
		w.t.Fatal(err)
	}
	a := evidence.Assessment{Header: w.header(when), Scope: evidence.Scope{Provider: "t", Account: account}, Evaluated: when, Used: []evidence.Used{}}
	needed := map[string]bool{}
	type found struct {
		check, control, kind, join string
	}
	var which []found
	for _, control := range doc.Controls {
		for _, check := range control.Checks {
			f := found{check.ID, control.ID, check.Kinds[0], ""}
			if len(check.Joins) > 0 {
				f.join = check.Joins[0].Kind
			}
			if f.kind == kind || f.join == kind {
				which = append(which, f)
				needed[f.kind], needed[f.join] = true, true
			}
		}
	}
	if len(which) == 0 {
		return
	}
	slices.SortFunc(which, func(a, b found) int { return cmp.Compare(a.check, b.check) })
	facts := map[string]ranAs{}
	for _, collector := range byKey(w.exprs) {
		as, ok := w.newest[stream(collector, account)]
		if !ok || !needed[kindOf(collector)] {
			continue
		}
		facts[kindOf(collector)] = as
		a.Used = append(a.Used, evidence.Used{Stream: stream(collector, account).String(), Sequence: as.run.Sequence, Slot: as.run.Slot, Record: as.record})
	}
	var lines []string
	for _, f := range which {
		count := evidence.CheckCount{Check: f.check}
		for _, v := range verdicts(account, f.check, f.control, f.kind, f.join, facts) {
			line, _ := json.Marshal(v)
			lines = append(lines, string(line))
			count.Add(v.Status)
		}
		a.Checks = append(a.Checks, count)
	}
	w.record(evidence.TypeAssessment, a, evidence.SubjectOf(evidence.PayloadVerdicts, w.put(lines...)), evidence.SubjectOf(evidence.PayloadCatalogue, w.catalogueDigest))
}

// verdicts judges like package checks: good passes when the join, if any, has
// something good.
func verdicts(account, check, control, kind, join string, facts map[string]ranAs) []evidence.Verdict {
	make := func(region, id string, status evidence.Status, reason string, gaps ...evidence.Gap) evidence.Verdict {
		return evidence.Verdict{Check: check, Control: control, Provider: "t", Account: account, Region: region, Kind: kind, Resource: id, Status: status, Reason: reason, Gaps: gaps}
	}
	as, ok := facts[kind]
	if !ok {
		return []evidence.Verdict{make("", evidence.Population, evidence.Unknown, kind+" was not collected")}
	}
	joined := evidence.Pass
	if join != "" {
		with, ok := facts[join]
		if joined = evidence.Fail; !ok || len(with.denied) > 0 {
			joined = evidence.Unknown
		}
		for _, t := range with.seen {
			if t.state == "good" && joined == evidence.Fail {
				joined = evidence.Pass
			}
		}
	}
	var out []evidence.Verdict
	for region := range as.denied {
		out = append(out, make(region, evidence.Population, evidence.Unknown, "could not read the list", evidence.Gap{Kind: kind, Region: region, Operation: "t:List", Permission: "t:List", Class: evidence.Denied}))
	}
	for _, id := range byKey(as.seen) {
		t := as.seen[id]
		hidden := as.denied[""] || as.denied[t.region] || len(as.regions) > 0 && !slices.Contains(as.regions, t.region)
		switch {
		case hidden:
		case t.state == "exempt":
			out = append(out, make(t.region, id, evidence.NotApplicable, "exempt"))
		case strings.Contains("hidden blind gone", t.state) || joined == evidence.Unknown && t.state == "good":
			out = append(out, make(t.region, id, evidence.Unknown, "could not read Good", evidence.Gap{Kind: kind, Resource: id, Field: "Good", Operation: "t:Get", Permission: "t:Get", Class: evidence.Denied}))
		case t.state == "bad" || joined == evidence.Fail:
			out = append(out, make(t.region, id, evidence.Fail, "it is bad"))
		default:
			out = append(out, make(t.region, id, evidence.Pass, "it is good"))
		}
	}
	if len(out) == 0 {
		out = append(out, make("", evidence.Population, evidence.NotApplicable, "there is none"))
	}
	slices.SortFunc(out, func(a, b evidence.Verdict) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Resource, b.Resource))
	})
	return out
}
