package gcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/api/googleapi"

	"github.com/tallystick/tallystick/collectors"
)

const (
	projectAsset = "cloudresourcemanager.googleapis.com/Project"
	serviceOff   = "SERVICE_DISABLED" // the code of an API that is not enabled
)

// subject is an asset about which a service's own API is asked: a project, or a
// database of one.
type subject struct {
	resource
	asset map[string]any
}

// data gives a text of the asset's own representation, by the names of the objects
// that it is in and its own.
func (s subject) data(path ...string) string {
	in := s.asset
	for _, name := range append([]string{"resource", "data"}, path[:len(path)-1]...) {
		in, _ = in[name].(map[string]any)
	}
	return text(in, path[len(path)-1])
}

// deleted says whether the subject is a project that is being deleted. Which form
// of a project the inventory has is told by the version that it names.
// Source: Resource Manager API reference, v1 and v3, projects.
func (s subject) deleted() bool {
	state := cmp.Or(s.data("lifecycleState"), s.data("state"))
	return text(s.asset, "assetType") == projectAsset && (state == "DELETE_REQUESTED" || state == "DELETE_IN_PROGRESS")
}

// errNotAsked is what a detail gives instead of an answer about a subject that can
// not have what is asked for: no call was made, and the field is absent.
var errNotAsked = errors.New("not asked")

// detail is what a service's own API says of a subject, for one field of its
// observation. The operation is declared, with the kind and the field.
type detail struct {
	operation string
	ask       func(ctx context.Context, s subject) (found, error)
}

// found is the value of a field, and the exchanges that it came by.
type found struct {
	value     any
	exchanges []string
}

// each lists the assets of one type in the scope and asks about each, several at a
// time. Where the list broke off, what came before is asked about all the same.
func (t *task) each(ctx context.Context, assetType string, ask func(ctx context.Context, s subject) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, t.in.InFlight))
	listed := t.assets(ctx, "RESOURCE", []string{assetType}, func(asset map[string]any, page answer) error {
		s := subject{resource: assetOf("", asset, page), asset: asset}
		group.Go(func() error { return ask(ctx, s) })
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return listed
}

// silent says whether nothing is asked about a subject: a project that is being
// deleted, which answers nobody, or one that the operator left out.
func (t *task) silent(s subject) bool {
	return s.deleted() || slices.Contains(t.estate.settings.NotCollected, s.project)
}

// details asks a service's own API about each asset of one type. What is observed
// is the asset as received, with the answers beside it. An answer that was refused
// is a gap of that field of that subject alone. Where nothing is asked, the field
// is absent.
func (t *task) details(ctx context.Context, kind, assetType string, all ...detail) error {
	if err := t.each(ctx, assetType, func(ctx context.Context, s subject) error {
		s.kind = kind
		return t.detail(ctx, s, all)
	}); err != nil {
		return err
	}
	t.emit.Listed(kind, "")
	return nil
}

// detail asks everything about one subject and hands it over.
func (t *task) detail(ctx context.Context, s subject, all []detail) error {
	if t.silent(s) {
		all = nil
	}
	for _, d := range all {
		call, declared := t.spec.Call(d.operation)
		if !declared {
			return errRunner{fmt.Errorf("%s makes the call %s without declaring it", t.spec.Name, d.operation)}
		}
		answer, err := d.ask(ctx, s)
		exchange, code := refusal(err, s.project)
		switch {
		case err == nil:
			s.asset[call.Field] = answer.value
			s.exchanges = append(s.exchanges, answer.exchanges...)
		case errors.Is(err, errNotAsked):
		case slices.Contains(call.Absent, code):
			s.asset[call.Field] = nil
			s.exchanges = append(s.exchanges, exchange)
		case slices.Contains(call.Vanished, code):
			t.emit.Vanished(s.kind, s.region, s.id)
			return nil
		default:
			if err := t.detailFailed(ctx, s, call, err); err != nil {
				return err
			}
		}
	}
	return t.observe(ctx, s.resource, s.asset)
}

// refusal gives the exchange and the code of an error answer; no code for any
// other error. That an API is off says something of the project only where it is
// off there: most APIs must be on in the project whose quota is used, and that is
// another.
func refusal(err error, project string) (exchange, code string) {
	api, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return "", ""
	}
	if c, ok := errors.AsType[*callError](err); ok {
		exchange = c.exchange
	}
	said := parseFailure(api.Code, []byte(api.Body))
	if said.said() == serviceOff && (project == "" || said.consumer != project) {
		return exchange, ""
	}
	return exchange, said.said()
}

// detailFailed turns the failure of a call about a subject into a gap for the
// field that it would have filled. It gives an error only when the task is over.
func (t *task) detailFailed(ctx context.Context, s subject, call collectors.Call, err error) error {
	if runner, ok := errors.AsType[errRunner](err); ok {
		return runner
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	g := failure(err)
	g.Kind, g.Resource, g.Region, g.Field = s.kind, s.id, s.region, call.Field
	g.Operation, g.Permission = call.Operation, call.Needs()
	if token, ok := errors.AsType[*credentialError](err); ok && token.operation != "" {
		g.Operation, g.Permission = token.operation, token.permission
	}
	t.emit.Gap(g)
	return nil
}

// list reads a list about a subject to its end. Each of its members must say by
// the field key which it is.
func (t *task) list(ctx context.Context, operation, field, key string, next func(ctx context.Context, token string) error) (found, error) {
	var all found
	items := []any{}
	err := t.pages(ctx, operation, next, func(page answer) error {
		members, err := page.members(operation, field, key)
		if err != nil {
			return err
		}
		for _, m := range members {
			items = append(items, m)
		}
		all.exchanges = append(all.exchanges, page.exchange)
		return nil
	})
	all.value = items
	return all, err
}
