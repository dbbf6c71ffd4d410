package gcp

import (
	"context"

	"github.com/tallystick/tallystick/evidence"
)

// workspace gives the Workspace domain. Where none is set, each list of it is a
// gap that names the call and the scope.
func (t *task) workspace() *Workspace {
	if w := t.estate.settings.Workspace; w != nil {
		return w
	}
	for _, call := range t.spec.Calls {
		if call.Kind == "" {
			continue
		}
		t.emit.Gap(evidence.Gap{
			Kind: call.Kind, Operation: call.Operation, Permission: call.Needs(), Class: evidence.Denied, Code: "NOT_CONFIGURED",
			Message: "gcp.workspace is not set in the configuration: the domain is read by domain-wide delegation as a dedicated user",
		})
	}
	return nil
}

// domainList is a list of the Workspace domain.
type domainList struct {
	kind, operation string
	field           string // of the answer, that holds the list
	key             string // of a member, that says which it is
	next            func(ctx context.Context, token string) error
}

// read reads the list to its end and observes its members as they are. That it
// could not be read is a gap of its own; an error ends the task.
func (l domainList) read(ctx context.Context, t *task) error {
	err := t.pages(ctx, l.operation, l.next, func(page answer) error {
		members, err := page.members(l.operation, l.field, l.key)
		if err != nil {
			return err
		}
		for _, m := range members {
			if err := t.observe(ctx, resource{kind: l.kind, id: text(m, l.key), exchanges: []string{page.exchange}}, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		t.emit.Listed(l.kind, "")
		return nil
	}
	return t.listFailed(ctx, err)
}
