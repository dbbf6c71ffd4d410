package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/preflight"
)

// tried is what a preflight found.
type tried struct {
	permissions []preflight.Permission
	calls       int
	unlisted    bool     // the accounts of the organisation could not be listed
	shut        []string // scopes whose projects could not be listed
	missing     []string // accounts that were asked for and are not there
}

// tell prints what was found, and gives the exit code. What is for people goes
// to errs where out takes data.
func (t *tried) tell(out, errs io.Writer, f format, everything bool) error {
	bad := slices.ContainsFunc(t.permissions, preflight.Permission.Bad)
	var failure error
	if len(t.missing) > 0 {
		failure = fmt.Errorf("--account %q is not among the accounts that are collected", t.missing[0])
		if !bad {
			return failure
		}
	}
	l, people := t.data(), errs
	if f == asTable {
		l, people = t.table(everything), out
	}
	if f != asTable || len(l.rows) > 0 {
		if err := l.write(out, f); err != nil {
			return err
		}
	}
	fmt.Fprintln(people, t.summary())
	if t.unlisted {
		fmt.Fprintln(people, "The accounts of the organisation could not be listed, and the others were not tried.")
	}
	if len(t.shut) > 0 {
		fmt.Fprintf(people, "The projects of %s could not be listed, so that it is not known which are left out; nothing else was tried there.\n", strings.Join(t.shut, ", "))
	}
	if bad {
		return exitError{exitGaps, failure}
	}
	return nil
}

// data gives everything, for programs.
func (t *tried) data() listing {
	l := listing{header: []string{
		"permission", "operations", "provider", "account", "region", "result", "class", "code", "policy", "collectors", "blocks", "message",
	}}
	for _, p := range t.permissions {
		l.rows = append(l.rows, []string{
			p.Permission, strings.Join(p.Operations, " "), p.Provider, p.Account, p.Region, string(p.Result), string(p.Class),
			p.Code, p.Policy, strings.Join(p.Collectors, " "), strconv.Itoa(p.Blocks), p.Message,
		})
	}
	l.value = struct {
		Permissions []preflight.Permission `json:"permissions"`
		Calls       int                    `json:"calls"`
	}{append([]preflight.Permission{}, t.permissions...), t.calls}
	return l
}

// cell is one permission in one scope, whatever the region.
type cell struct {
	scope      evidence.Scope
	permission string
}

// cells gives the worst that became of each permission in each scope; that it
// was tried in one region counts more than that it was not in another.
func (t *tried) cells() map[cell]preflight.Result {
	out := make(map[cell]preflight.Result)
	rank := func(r preflight.Result) int { return slices.Index(preflight.Results(), r) }
	for _, p := range t.permissions {
		at := cell{p.Scope, p.Permission}
		if old, known := out[at]; !known || rank(p.Result) < rank(old) {
			out[at] = p.Result
		}
	}
	return out
}

// summary counts permissions by account.
func (t *tried) summary() string {
	n := make(map[preflight.Result]int)
	accounts := make(map[evidence.Scope]bool)
	all := 0
	for at, result := range t.cells() {
		n[result]++
		accounts[at.scope] = true
		all++
	}
	for _, p := range t.permissions {
		n[preflight.NotTried] += p.Blocks
		all += p.Blocks
	}
	plural := "s"
	if len(accounts) == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d permissions of %d allowed in %d account%s: %d denied, %d failed, %d not tried; %d calls",
		n[preflight.Allowed], all, len(accounts), plural, n[preflight.Denied], n[preflight.Failed], n[preflight.NotTried], t.calls)
}

// line is a row of the table: a permission of which became the same in several
// places.
type line struct {
	preflight.Permission
	accounts, regions []string
}

// alike gives what rows that can be one have in common. What a provider says
// beside a code names the account.
func (l *line) alike(rest ...string) string {
	message := l.Message
	if l.Code != "" {
		message = ""
	}
	return strings.Join(append(rest, string(l.Result), l.name(), string(l.Class), l.Code, l.Policy, strconv.Itoa(l.Blocks), message), "\x00")
}

func (l *line) name() string { return cmp.Or(l.Permission.Permission, strings.Join(l.Collectors, " ")) }

// why says in a sentence why a permission is not allowed.
func (l *line) why() string {
	why := l.Message
	switch l.Result {
	case preflight.Denied: // the message says again what is missing, at length
		if why = l.Code; l.Policy != "" {
			why += ": a " + l.Policy + " refuses it"
		}
	case preflight.Failed:
		why = string(l.Class)
		if l.Code != "" {
			why += " (" + l.Code + ")"
		}
		why += ": " + l.Message
	case preflight.Allowed, preflight.NotTried:
	}
	if l.Blocks > 0 {
		why += fmt.Sprintf("; %d other permissions could not be tried for it", l.Blocks)
	}
	return why
}

// table gives what people need to see; rows that are alike are one.
func (t *tried) table(everything bool) listing {
	cells := t.cells()
	var lines []*line
	for _, p := range t.permissions {
		elsewhere := p.Result == preflight.NotTried && cells[cell{p.Scope, p.Permission}] != preflight.NotTried
		if !everything && (p.Result == preflight.Allowed || elsewhere) {
			continue
		}
		n := &line{Permission: p, accounts: []string{p.Account}}
		if p.Region != "" {
			n.regions = []string{p.Region}
		}
		lines = append(lines, n)
	}
	lines = join(lines, func(l *line) string { return l.alike(l.Scope.String()) }, func(l, m *line) { l.regions = append(l.regions, m.regions...) })
	lines = join(lines, func(l *line) string { return l.alike(l.regions...) }, func(l, m *line) { l.accounts = append(l.accounts, m.accounts...) })
	order := []preflight.Result{preflight.Denied, preflight.Failed, preflight.NotTried, preflight.Allowed}
	slices.SortStableFunc(lines, func(a, b *line) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Result), slices.Index(order, b.Result)), cmp.Compare(a.name(), b.name()))
	})
	out := listing{header: []string{"result", "permission", "account", "region", "why"}}
	for _, l := range lines {
		out.rows = append(out.rows, []string{
			strings.ReplaceAll(string(l.Result), "_", " "), l.name(), several(l.accounts), several(l.regions), l.why(),
		})
	}
	return out
}

// join makes one of the lines that have a key in common, in the place of the first.
func join(lines []*line, key func(*line) string, into func(l, m *line)) (out []*line) {
	first := make(map[string]*line)
	for _, l := range lines {
		k := key(l)
		if f, known := first[k]; known {
			into(f, l)
			continue
		}
		first[k] = l
		out = append(out, l)
	}
	return out
}

// several names a few of many.
func several(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s %s and %d more", names[0], names[1], len(names)-2)
}
