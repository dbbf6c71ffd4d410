package gcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// collector is one collector of this catalogue: what it declares, and how it
// reads a scope.
type collector struct {
	estate *Estate
	spec   collectors.Spec
	// read reads the scope. An error that it returns is a list that could not be
	// read to its end: it becomes a gap for the kinds that the failed call lists.
	read func(ctx context.Context, t *task) error
}

// Spec implements collectors.Collector.
func (c *collector) Spec() collectors.Spec {
	s := c.spec
	s.Provider = Provider
	return s
}

// Collect implements collectors.Collector.
func (c *collector) Collect(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
	if in.Scope.Provider != Provider || !slices.Contains(c.estate.settings.Accounts, in.Scope.Account) {
		return fmt.Errorf("scope %s is not in the configuration", in.Scope)
	}
	in.Captured = keeping{in.Captured}
	t := &task{estate: c.estate, spec: c.Spec(), parent: parent(in.Scope.Account), in: in, emit: emit}
	emit.Principal(c.principal())
	if err := c.read(ctx, t); err != nil {
		return t.listFailed(ctx, err)
	}
	return nil
}

// principal says as whom the calls of the collector are made: those on Google
// Cloud as one identity, and those on the Workspace domain as another.
func (c *collector) principal() string {
	var all []string
	for _, call := range c.spec.Calls {
		as := c.estate.identity.principal
		if slices.Contains(delegatedScopes(), call.Permission) {
			as = cmp.Or(c.estate.identity.workspace, as)
		}
		if !slices.Contains(all, as) {
			all = append(all, as)
		}
	}
	return strings.Join(all, " and ")
}

// task is one collector at work on one scope.
type task struct {
	estate *Estate
	spec   collectors.Spec
	parent string // the scope as Google names it: "organizations/123456789012"
	in     collectors.Input
	emit   collectors.Emit
}

// listFailed turns the failure of a call that lists, or on which everything
// rests, into gaps for the kinds concerned: those that are named, else those that
// the call is declared for. It gives an error only when the task is over.
func (t *task) listFailed(ctx context.Context, err error, of ...string) error {
	if runner, ok := errors.AsType[errRunner](err); ok {
		return runner // as such: whoever called may come here with it again
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	g := failure(err)
	token, tokenless := errors.AsType[*credentialError](err)
	if part, ok := errors.AsType[*ofError](err); ok && !tokenless {
		g.Message = part.of + ": " + g.Message
	}
	g.Operation = operationOf(err)
	if g.Operation == "" {
		g.Operation = t.spec.Name
	}
	kinds := t.spec.Kinds
	if call, declared := t.spec.Call(g.Operation); declared {
		g.Permission = call.Needs()
		if call.Kind != "" {
			kinds = []string{call.Kind}
		}
	} else if tokenless {
		g.Permission = token.permission
	}
	if len(of) > 0 {
		kinds = of
	}
	for _, kind := range kinds {
		g.Kind = kind
		t.emit.Gap(g)
	}
	return nil
}

// errEnough is what the reader of a page gives when it needs no further page.
var errEnough = errors.New("enough")

// ofError says of what a list was asked that is a part of the scope's.
type ofError struct {
	of  string
	err error
}

func (e *ofError) Error() string { return e.of + ": " + e.err.Error() }
func (e *ofError) Unwrap() error { return e.err }

// pages reads a list to its end: next reads the page after a token, the first
// after an empty one.
func (t *task) pages(ctx context.Context, operation string, next func(ctx context.Context, token string) error, each func(answer) error) error {
	token := ""
	for {
		a, err := t.read(ctx, operation, func(ctx context.Context) error { return next(ctx, token) })
		if err != nil {
			return err
		}
		if err := each(a); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
		following, there := a.document["nextPageToken"]
		if token, _ = following.(string); token == "" {
			if there && following != "" && following != nil {
				return malformed(operation, "nextPageToken is a %T", following)
			}
			return nil
		}
	}
}

// after asks for the page after a token; for the first one after an empty token.
func after(token string) []googleapi.CallOption {
	if token == "" {
		return nil
	}
	return []googleapi.CallOption{googleapi.QueryParameter("pageToken", token)}
}

// members gives the objects of a list field. A page without the field has none.
// Each must say which it is, by a text under each of the keys.
func (a answer) members(operation, field string, keys ...string) ([]map[string]any, error) {
	list, there := a.document[field]
	if !there || list == nil {
		return nil, nil
	}
	items, ok := list.([]any)
	if !ok {
		return nil, malformed(operation, "%s is not a list", field)
	}
	out := make([]map[string]any, 0, len(items))
	for i, item := range items {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, malformed(operation, "%s[%d] is not an object", field, i)
		}
		for _, key := range keys {
			if text(m, key) == "" {
				return nil, malformed(operation, "%s[%d] has no %s", field, i, key)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// resource says what an observation is of.
type resource struct {
	kind, id, region string
	project          string // "projects/100000000001"; empty: it belongs to none
	asOf             *time.Time
	exchanges        []string // that it came by
}

// observe hands over one resource as it was received.
func (t *task) observe(ctx context.Context, r resource, body map[string]any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return errRunner{fmt.Errorf("encode %s %s: %w", r.kind, r.id, err)}
	}
	if err := t.emit.Observe(evidence.Observation{
		Kind: r.kind, ID: r.id, Region: r.region, Project: r.project, AsOf: r.asOf,
		Body: bytes.TrimSpace(b.Bytes()), Sources: slices.Compact(slices.Sorted(slices.Values(r.exchanges))),
	}); err != nil {
		return errRunner{err}
	}
	return nil
}

// text gives a member that is text, and nothing for any other.
func text(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

// project gives the project among the ancestors of an asset, by number, and all
// of them as one text. Both are empty for what belongs to none.
func project(asset map[string]any) (number, ancestry string) {
	list, _ := asset["ancestors"].([]any)
	var all []string
	for _, a := range list {
		s, _ := a.(string)
		all = append(all, s)
	}
	if len(all) == 0 || !strings.HasPrefix(all[0], "projects/") {
		return "", ""
	}
	return all[0], strings.Join(all, " ")
}
