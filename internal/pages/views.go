package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/internal/capture"
)

// verdictRow is a line of a population.
type verdictRow struct {
	evidence.Verdict
	link string // relative to the top, or empty
}

// population is who a check judged at the end of the period.
func (s *Site) population(ix *index, control *period.ControlCoverage, check *period.Check) section {
	p := part{pages: 1}
	if judged := ix.judged[check.ID]; judged != nil {
		p = *judged
	}
	name := populationName(check.ID)
	return section{name: name, pages: p.pages, render: func(ctx context.Context, only int, out func(int, templ.Component) error) error {
		return split(ctx, s.readVerdicts(ctx, check.ID), splitter{rows: rowsOnPage}, only, nil, func(page, first int, verdicts []evidence.Verdict) error { //nolint:contextcheck // a component takes its context when it is rendered.
			rows := make([]verdictRow, len(verdicts))
			for i, v := range verdicts {
				rows[i] = verdictRow{Verdict: v}
				if v.Resource != evidence.Population {
					rows[i].link = s.findResource(ix, evidence.Scope{Provider: v.Provider, Account: v.Account}, v.Kind, v.Region, v.Resource)
				}
			}
			return out(page, s.populationPage(control, check, pager{page, p.pages, p.rows, first, name}, p.missing, rows))
		})
	}}
}

// observations is what the newest run of a stream saw.
func (s *Site) observations(ix *index, i int) section {
	p, name := ix.observed[i], s.observationsName(i)
	pages := max(1, p.pages)
	return section{name: name, pages: pages, render: func(ctx context.Context, only int, out func(int, templ.Component) error) error {
		rows := present(s.readObservations(ctx, s.r.Streams[i].Newest))
		return split(ctx, rows, observedSplitter(), only, observation.weight, func(page, first int, rows []observation) error { //nolint:contextcheck // a component takes its context when it is rendered.
			return out(page, s.observationsPage(ix, i, pager{page, pages, p.rows, first, name}, rows))
		})
	}}
}

// exchanges is how it saw that.
func (s *Site) exchanges(ix *index, i int) section {
	p, name := ix.exchanged[i], s.exchangesName(i)
	pages := max(1, p.pages)
	return section{name: name, pages: pages, render: func(ctx context.Context, only int, out func(int, templ.Component) error) error {
		rows := present(s.readExchanges(ctx, s.r.Streams[i].Newest))
		return split(ctx, rows, exchangesSplitter(), only, exchange.weight, func(page, first int, rows []exchange) error { //nolint:contextcheck // a component takes its context when it is rendered.
			return out(page, s.exchangesPage(ix, i, pager{page, pages, p.rows, first, name}, rows))
		})
	}}
}

// body is bytes as they can be shown.
type body struct {
	text  string
	note  string // about what is not as it was received
	empty bool
}

func bodyOf(b []byte, err error) body {
	switch {
	case err != nil:
		return body{note: "The body can not be shown: " + err.Error()}
	case len(b) == 0:
		return body{empty: true}
	}
	var out body
	whole := len(b)
	if whole > bytesOfBody {
		b = b[:bytesOfBody]
		for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		b = b[:max(0, len(b)-1)]
		out.note = fmt.Sprintf("The first %s of %s bytes. The whole body is in the payload named above.", count(len(b)), count(whole))
	}
	if utf8.Valid(b) {
		out.text = shown(string(b))
		return out
	}
	out.text = fmt.Sprintf("%x", b)
	out.note = strings.TrimSpace("These bytes are not text; they are shown in hexadecimal. " + out.note)
	return out
}

func requestBody(e *capture.Entry) body { return bodyOf(e.Request.Body()) }

func responseBody(e *capture.Entry) body { return bodyOf(e.Response.Body()) }

// requestHead gives the request line and the headers as HTTP/1.1 writes them.
func requestHead(e *capture.Entry) string {
	return head(strings.TrimSpace(e.Request.Method+" "+e.Request.URL+" "+e.Request.HTTPVersion), e.Request.Headers)
}

func responseHead(e *capture.Entry) string {
	text := strings.TrimPrefix(e.Response.StatusText, fmt.Sprint(e.Response.Status)+" ")
	return head(strings.TrimSpace(fmt.Sprintf("%s %d %s", e.Response.HTTPVersion, e.Response.Status, text)), e.Response.Headers)
}

func head(line string, headers []capture.Pair) string {
	var b strings.Builder
	b.WriteString(line)
	for _, h := range headers {
		fmt.Fprintf(&b, "\n%s: %s", h.Name, h.Value)
	}
	return shown(b.String())
}

// title names an exchange for people.
func title(e *capture.Entry) string {
	switch {
	case e.Service != "" && e.Operation != "":
		return e.Service + ":" + e.Operation
	case e.Operation != "":
		return e.Operation
	}
	return e.Request.Method + " " + e.Request.URL
}

// parameters lists those of a check by name.
func parameters(c checks.Check) []string { return slices.Sorted(maps.Keys(c.Parameters)) }

// value gives a parameter's value as JSON.
func value(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// criterion is a criterion with the controls that serve it.
type criterion struct {
	id       string
	controls []*period.ControlCoverage
}

func (s *Site) byCriterion() []criterion {
	of := map[string][]*period.ControlCoverage{}
	for i := range s.r.Controls {
		for _, id := range s.r.Controls[i].Criteria {
			of[id] = append(of[id], &s.r.Controls[i])
		}
	}
	var all []criterion
	for _, id := range slices.Sorted(maps.Keys(of)) {
		all = append(all, criterion{id, of[id]})
	}
	return all
}

// whyCriterion gives the catalogue's reason, or "".
func (s *Site) whyCriterion(control, id string) string {
	for _, c := range s.controls[control].Criteria {
		if c.ID == id {
			return c.Why
		}
	}
	return ""
}

// standing sums the judgements of a check.
func (s *Site) standing(check string) (t period.Standing) {
	for _, j := range s.judgements(check) {
		t.Pass += j.Count.Pass
		t.Fail += j.Count.Fail
		t.Unknown += j.Count.Unknown
		t.NotApplicable += j.Count.NotApplicable
	}
	return t
}

// holesOf lists those that concern a control: of its streams, and about kinds
// that its checks read.
func (s *Site) holesOf(c *period.ControlCoverage) []*period.Hole {
	mine := map[evidence.Stream]bool{}
	for _, i := range c.Streams {
		mine[s.r.Streams[i].Stream] = true
	}
	reads := map[string]bool{}
	for _, k := range c.Checks {
		for _, kind := range slices.Concat(k.Kinds, k.Reads) {
			reads[kind] = true
		}
	}
	var all []*period.Hole
	for i := range s.r.Holes {
		h := &s.r.Holes[i]
		about := slices.ContainsFunc(h.Kinds, func(kind string) bool { return reads[kind] })
		if mine[h.Stream] && (len(h.Kinds) == 0 || about) || h.Cause == period.CauseNotSupplied && about {
			all = append(all, h)
		}
	}
	return all
}

// scopes lists the accounts of the report, sorted, with the regions that the
// newest runs looked at.
func (s *Site) scopes() (all []evidence.Scope, regions map[evidence.Scope][]string) {
	regions = s.regions(func(r *period.Run) []string { return r.Regions })
	for i := range s.r.Streams {
		if scope := s.r.Streams[i].Scope; len(all) == 0 || all[len(all)-1] != scope {
			all = append(all, scope)
		}
	}
	return all, regions
}

// leftOut gives the regions that are enabled in an account, and that the newest
// runs did not look at.
func (s *Site) leftOut() map[evidence.Scope][]string {
	return s.regions(func(r *period.Run) []string { return r.RegionsLeftOut })
}

func (s *Site) regions(of func(*period.Run) []string) map[evidence.Scope][]string {
	regions := map[evidence.Scope][]string{}
	for i := range s.r.Streams {
		if st := &s.r.Streams[i]; st.Newest != nil {
			regions[st.Scope] = append(regions[st.Scope], of(st.Newest)...)
		}
	}
	for k, all := range regions {
		slices.Sort(all)
		regions[k] = slices.Compact(all)
	}
	return regions
}

// distinct gives the sorted different values.
func (s *Site) collectors() []string {
	var all []string
	for i := range s.r.Streams {
		all = append(all, s.r.Streams[i].Collector)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sum adds up what stood at the end over all controls, and their deviations.
func (s *Site) sum() (t period.Standing) {
	for i := range s.r.Controls {
		c := &s.r.Controls[i]
		t.Pass += c.Standing.Pass
		t.Fail += c.Standing.Fail
		t.Unknown += c.Standing.Unknown
		t.NotApplicable += c.Standing.NotApplicable
	}
	return t
}
