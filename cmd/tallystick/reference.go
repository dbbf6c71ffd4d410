package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/collectors"
)

// reference is what a catalogue and the collectors say of themselves, for one
// page: from each control down to the permissions, and back. A page is of one
// provider.
type reference struct {
	provider string
	rules    *checks.Catalogue
	controls []checks.Control // those of rules that are wanted, with the provider's checks
	specs    []collectors.Spec
	later    []later
}

// newReference takes of everything what belongs to a provider and to the
// controls, which are all of the catalogue's, or those that are named.
func newReference(rules *checks.Catalogue, provider string, only []string) (reference, error) {
	coming, err := parseLater(laterChecks)
	if err != nil {
		return reference{}, err
	}
	r := reference{provider, rules, ofProvider(rules.Controls(), provider), declaredBy(provider), coming}
	r.later = slices.DeleteFunc(r.later, func(l later) bool { return l.provider() != provider })
	if len(only) > 0 {
		wanted := func(id string) bool { return slices.Contains(only, id) }
		r.controls = slices.DeleteFunc(r.controls, func(c checks.Control) bool { return !wanted(c.ID) })
		r.specs = slices.DeleteFunc(r.specs, func(s collectors.Spec) bool { return len(r.readers(s)) == 0 })
		r.later = slices.DeleteFunc(r.later, func(l later) bool { return !wanted(l.control) })
	}
	return r, nil
}

// ofProvider gives the controls that have checks of a provider, with these alone.
func ofProvider(all []checks.Control, provider string) []checks.Control {
	var controls []checks.Control
	for _, control := range all {
		control.Checks = slices.DeleteFunc(slices.Clone(control.Checks), func(c checks.Check) bool { return c.Provider != provider })
		if len(control.Checks) > 0 {
			controls = append(controls, control)
		}
	}
	return controls
}

func (r reference) markdown() string {
	p := new(page)
	command := "`tallystick catalog --output markdown`"
	if r.provider != amazon {
		command = "`tallystick catalog --output markdown --provider " + r.provider + "`"
	}
	p.heading(1, providerTitle(r.provider)+": controls, checks, collectors and permissions")
	p.line("%s made this from the catalogue and from what", command)
	p.line("the collectors declare. Do not edit it; CONTRIBUTING.md says how it is made anew.\n")
	r.contents(p)
	r.howToRead(p)
	p.heading(2, "Controls")
	for _, control := range r.controls {
		r.control(p, control)
	}
	r.collectors(p)
	r.permissions(p)
	r.notYet(p)
	return strings.TrimRight(p.String(), "\n") + "\n"
}

func (r reference) contents(p *page) {
	p.heading(2, "Contents")
	p.line("- %s", link("How to read it"))
	p.line("- %s", link("Controls"))
	for _, control := range r.controls {
		p.line("  - %s: %s", link(control.ID), prose(control.Title))
		for _, check := range control.Checks {
			p.line("    - %s", link(check.ID))
		}
	}
	p.line("- %s", link("Collectors"))
	for _, spec := range r.specs {
		p.line("  - %s", link(spec.Name))
	}
	p.line("- %s", link("Permissions"))
	if len(r.later) > 0 {
		p.line("- %s", link("Not yet"))
	}
	p.line("")
}

func (r reference) howToRead(p *page) {
	p.heading(2, "How to read it")
	number := 0
	for _, control := range r.controls {
		number += len(control.Checks)
	}
	actions, _ := needs(r.specs)
	p.line("%d controls hold %d checks over what %d collectors read with %d permissions.\n",
		len(r.controls), number, len(r.specs), len(actions))
	p.line(`A control is what an auditor tests, with the Trust Services Criteria that it
serves. A check is one rule over each resource of a kind; its severity is its
control's. Its verdict is pass, fail, not applicable, or unknown: unknown when
something that it reads could not be read, or was not in the answer.

Rules are in CEL, the Common Expression Language. In them ` + "`resource`" + ` is the
resource as the provider answered it, ` + "`params`" + ` are the parameters, which the
operator may set in the configuration, ` + "`now`" + ` is the time at which the kind was
collected, and other names are resources that are joined, as the check says.
` + "`days`, `hours`, `oneOf`, `undecided`, `document` and `many`" + ` are functions of our
own. In a reason, what stands in braces is replaced by its value.
`)
}

func (r reference) control(p *page, control checks.Control) {
	p.heading(3, control.ID)
	p.line("**%s**\n", sentence(control.Title))
	p.line("%s Severity %s, tested %s.\n", sentence(control.Why), control.Severity, control.Frequency)
	var rows [][]string
	for _, c := range control.Criteria {
		rows = append(rows, []string{c.ID, prose(c.Why)})
	}
	p.table([]string{"criterion", "why the control serves it"}, rows)
	for _, check := range control.Checks {
		r.check(p, control, check)
	}
}

func (r reference) check(p *page, control checks.Control, check checks.Check) {
	p.heading(4, check.ID)
	about := "severity " + control.Severity
	if check.Tier > 0 {
		about = fmt.Sprintf("tier %d, %s", check.Tier, about)
	}
	p.line("%s Looks at each %s; %s.\n", sentence(check.Title), codes(check.Kinds), about)
	p.line("**Passes when**\n\n```cel\n%s\n```\n", folded(check.Pass, 100))
	p.list("", []string{"pass: " + prose(check.Messages.Pass), "fail: " + prose(check.Messages.Fail)})

	var items []string
	for _, c := range check.NotApplicable {
		items = append(items, fmt.Sprintf("%s → %s", code(c.When), prose(c.Reason)))
	}
	p.list("Does not apply when", items)

	items = nil
	for _, b := range check.Basis {
		items = append(items, fmt.Sprintf("%s when %s", code(string(b.Basis)), code(b.When)))
	}
	if len(items) > 0 {
		items = append(items, code("customer_config")+" otherwise")
	}
	p.list("The verdict rests on", items)

	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(check.Parameters)) {
		rows = append(rows, parameterRow(name, check.Parameters[name]))
	}
	if len(rows) > 0 {
		p.line("**Parameters**\n")
		p.table([]string{"name", "default", "owner", "meaning"}, rows)
	}

	p.list("Reads", r.reads(check))

	items = nil
	for _, note := range check.Notes {
		items = append(items, sentence(note))
	}
	p.list("Good to know", items)
	p.line("**Remedy**\n\n%s See [the provider's page](%s).\n", sentence(check.Remediation), check.Documentation)
}

func parameterRow(name string, parameter checks.Parameter) []string {
	value, owner, meaning := show(parameter.Default), parameter.Owner, sentence(parameter.Description)
	if parameter.Unit != "" {
		value += " " + prose(parameter.Unit)
	}
	if len(parameter.Allowed) > 0 {
		meaning += " One of " + show(parameter.Allowed) + "."
	}
	if o := parameter.Override; o != nil {
		value += "; here " + show(o.Value)
		owner = o.Owner
		meaning += " " + sentence("Changed, approved by "+o.Approver+": "+o.Reason)
	}
	return []string{code(name), value, prose(owner), meaning}
}

// show writes the value of a parameter.
func show(value any) string {
	list, ok := value.([]any)
	switch {
	case !ok:
		return code(fmt.Sprint(value))
	case len(list) == 0:
		return "none"
	}
	var all []string
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return codes(all)
}
