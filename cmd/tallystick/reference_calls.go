package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
)

// reads says for each kind that a check depends on who reads it, by which calls.
func (r reference) reads(check checks.Check) []string {
	var items []string
	for _, read := range r.rules.Reads(check.ID) {
		item := code(read.Kind)
		if i := slices.IndexFunc(check.Joins, func(j checks.Join) bool { return j.Name == read.Join }); i >= 0 {
			item += joined(check.Joins[i])
		}
		var by []string
		for _, spec := range r.specs {
			if !slices.Contains(spec.Kinds, read.Kind) {
				continue
			}
			made := calls(spec, read)
			if len(made) == 0 {
				made = []string{"nothing for it"}
			}
			by = append(by, fmt.Sprintf("%s calls %s", link(spec.Name), strings.Join(made, ", ")))
		}
		if len(by) == 0 {
			by = []string{"no collector reads it"}
		}
		items = append(items, item+": "+strings.Join(by, "; "))
	}
	return items
}

// joined says how a resource comes into a rule under a name.
func joined(join checks.Join) string {
	s := " as " + code(join.Name)
	if join.Many {
		s += ", a list"
	}
	if join.Any {
		s += ", any one"
	}
	if join.Field != "" {
		s += fmt.Sprintf(", where %s equals %s", code(join.Field), code(join.Equals))
	}
	if join.In == "region" {
		s += ", of the same region"
	}
	return s
}

// calls gives those calls of a collector on which a read rests: the list, and
// what fills the fields.
func calls(spec collectors.Spec, read checks.Read) []string {
	var all []string
	for _, call := range spec.Calls {
		if call.Kind == "" && listsAtOnce(spec) {
			all = append(all, withPermission(call))
		}
		if call.Kind == read.Kind && (call.Field == "" || slices.Contains(read.Fields, call.Field) || slices.Contains(read.Fields, "*")) {
			all = append(all, withPermission(call))
		}
	}
	return all
}

// listsAtOnce says whether a collector reads all of its kinds by one list, so
// that its calls name none of them. Those of AWS have other calls without a kind,
// which say where and as whom they read.
func listsAtOnce(spec collectors.Spec) bool {
	return spec.Provider == google && !slices.ContainsFunc(spec.Calls, func(c collectors.Call) bool { return c.Kind != "" })
}

func withPermission(call collectors.Call) string {
	if call.Permission == "" {
		return code(call.Operation)
	}
	return fmt.Sprintf("%s (permission %s)", code(call.Operation), code(call.Permission))
}

// readers gives the checks of the wanted controls that read what a collector
// emits.
func (r reference) readers(spec collectors.Spec) []string {
	var ids []string
	for _, control := range r.controls {
		for _, check := range control.Checks {
			if slices.ContainsFunc(r.rules.Reads(check.ID), func(read checks.Read) bool { return slices.Contains(spec.Kinds, read.Kind) }) {
				ids = append(ids, check.ID)
			}
		}
	}
	return ids
}

func (r reference) collectors(p *page) {
	p.heading(2, "Collectors")
	if r.provider == google {
		p.line(`A global collector reads once in a scope: a whole organisation, a folder or a
project. One of the organization reads once, in the first scope.
`)
	} else {
		p.line(`A global collector reads once in an account, a regional one in each region.
Without the calls that say where and as whom it reads, nothing of it is known.
`)
	}
	var rows [][]string
	for _, spec := range r.specs {
		rows = append(rows, []string{link(spec.Name), string(spec.Reach), codes(spec.Kinds)})
	}
	p.table([]string{"collector", "reach", "kinds"}, rows)
	for _, spec := range r.specs {
		p.heading(3, spec.Name)
		p.line("%s Reach: %s.\n", sentence(spec.Summary), spec.Reach)
		rows = nil
		for _, call := range spec.Calls {
			permission := "the same"
			if call.Permission != "" {
				permission = code(call.Permission)
			}
			rows = append(rows, []string{code(call.Operation), permission, gives(call, spec)})
		}
		p.table([]string{"call", "permission", "gives"}, rows)
		if len(spec.Sensitive) > 0 {
			p.line("Never kept: the values of %s.\n", codes(spec.Sensitive))
		}
		var by []string
		for _, id := range r.readers(spec) {
			by = append(by, link(id))
		}
		if len(by) == 0 {
			p.line("No check reads it yet.\n")
			continue
		}
		p.line("Read by %s.\n", strings.Join(by, ", "))
	}
}

// gives says what an answer is for.
func gives(call collectors.Call, spec collectors.Spec) string {
	of := ""
	if len(spec.Kinds) > 1 {
		of = " of " + code(call.Kind)
	}
	switch {
	case call.Field != "":
		return code(call.Field) + of
	case call.Kind != "":
		return "the list" + of
	case listsAtOnce(spec):
		return "the list, of all kinds at once"
	default:
		return "where and as whom it reads"
	}
}

func (r reference) permissions(p *page) {
	p.heading(2, "Permissions")
	if r.provider == google {
		p.line("`tallystick permissions --provider gcp` makes a custom role of these. What begins with\nhttps:// is in no role: it is an OAuth scope that is delegated in the Admin console.\n")
	} else {
		p.line("`tallystick permissions` makes a policy, or a whole role, of these.\n")
	}
	actions, by := needs(r.specs)
	var rows [][]string
	for _, action := range actions {
		rows = append(rows, []string{code(action), r.who(by[action])})
	}
	p.table([]string{"permission", "needed by"}, rows)
}

// who names collectors, or says that they are all, or all regional ones.
func (r reference) who(names []string) string {
	var regional, links []string
	for _, spec := range r.specs {
		if spec.Reach == collectors.Regional {
			regional = append(regional, spec.Name)
		}
	}
	switch {
	case len(names) > 1 && len(names) == len(r.specs):
		return "all"
	case len(names) > 1 && slices.Equal(names, regional):
		return "all regional ones"
	}
	for _, name := range names {
		links = append(links, link(name))
	}
	return strings.Join(links, ", ")
}

func (r reference) notYet(p *page) {
	if len(r.later) == 0 {
		return
	}
	p.heading(2, "Not yet")
	p.line("Checks of the agreed catalogue that do not exist yet, under their controls.\n")
	byControl := slices.Clone(r.later)
	slices.SortStableFunc(byControl, func(a, b later) int { return strings.Compare(a.control, b.control) })
	for i, l := range byControl {
		if i == 0 || byControl[i-1].control != l.control {
			name := code(l.control)
			if slices.ContainsFunc(r.controls, func(c checks.Control) bool { return c.ID == l.control }) {
				name = link(l.control)
			}
			p.line("**%s**\n", name)
		}
		p.line("- %s, tier %s: %s. Calls %s.", code(l.check), l.tier, prose(l.why), codes(l.calls))
		if i+1 == len(byControl) || byControl[i+1].control != l.control {
			p.line("")
		}
	}
}
