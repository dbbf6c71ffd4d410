package gcp

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	iam "google.golang.org/api/iam/v1"

	"github.com/tallystick/tallystick/collectors"
)

const (
	serviceAccountKind    = "gcp.iam.service_account"
	serviceAccountKeyKind = "gcp.iam.service_account_key"

	listServiceAccounts    = "iam.projects.serviceAccounts.list"
	listServiceAccountKeys = "iam.projects.serviceAccounts.keys.list"
)

// serviceAccountPage is the most that one page may have.
// Source: IAM API reference, projects.serviceAccounts.list, pageSize.
const serviceAccountPage = 100

// iamServiceAccounts lists the service accounts of each project by IAM itself, and
// the keys of each account, those that Google holds among them. The inventory has
// both, but what it has of IAM may be a week old: a key would be held against its
// owner for days after it was deleted, and a new one be seen as late.
//
// What is observed is an account as received, with the list of its keys beside it,
// and each key as received. They are named as the inventory names them, by the
// unique id of the account: a new account with the address of a deleted one is
// another.
//
// Limits: which projects there are is what the inventory has. Service agents belong
// to projects of Google's own, and no project lists them.
// Source: Cloud Asset Inventory, asset types, IAM; IAM API reference, v1,
// projects.serviceAccounts.list, projects.serviceAccounts.keys.list.
func iamServiceAccounts(e *Estate) *collector {
	return &collector{estate: e, read: readServiceAccounts, spec: collectors.Spec{
		Name:    "gcp.iam_service_accounts",
		Summary: "Service accounts of each project, and their keys, as IAM lists them.",
		Kinds:   []string{serviceAccountKind, serviceAccountKeyKind},
		Reach:   collectors.Global,
		Calls: append(assetCall("cloudasset.assets.listResource"),
			collectors.Call{Operation: listServiceAccounts, Permission: "iam.serviceAccounts.list", Kind: serviceAccountKind},
			collectors.Call{
				Operation: listServiceAccountKeys, Permission: "iam.serviceAccountKeys.list",
				Kind: serviceAccountKind, Field: "keys", Vanished: []string{"NOT_FOUND"},
			},
			// The same call: its answer is what an account has, and a part of the list of all keys.
			collectors.Call{Operation: listServiceAccountKeys, Permission: "iam.serviceAccountKeys.list", Kind: serviceAccountKeyKind},
		),
		Sensitive: assetSecrets(),
	}}
}

func readServiceAccounts(ctx context.Context, t *task) error {
	service, err := iam.NewService(ctx, t.estate.client("iam", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	a := &serviceAccounts{task: t, service: service}
	if err := t.each(ctx, projectAsset, a.project); err != nil {
		return err
	}
	if a.part.Load() {
		return nil // nor are the keys known, whose accounts are not
	}
	t.emit.Listed(serviceAccountKind, "")
	if !a.partKeys.Load() {
		t.emit.Listed(serviceAccountKeyKind, "")
	}
	return nil
}

// serviceAccounts is the listing of accounts and keys under way.
type serviceAccounts struct {
	*task
	service        *iam.Service
	part, partKeys atomic.Bool // some list could not be read to its end
}

// project reads the accounts of a project, and the keys of each. A list that could
// not be read is a gap that names the project, for the keys as well, and the others
// are read on.
func (a *serviceAccounts) project(ctx context.Context, project subject) error {
	if a.silent(project) {
		return nil
	}
	err := a.pages(ctx, listServiceAccounts, func(ctx context.Context, token string) error {
		_, err := a.service.Projects.ServiceAccounts.List("projects/" + project.data("projectId")).PageSize(serviceAccountPage).Context(ctx).Do(after(token)...)
		return err
	}, func(page answer) error {
		accounts, err := page.members(listServiceAccounts, "accounts", "name", "projectId", "uniqueId")
		if err != nil {
			return err
		}
		for _, account := range accounts {
			of, unique := text(account, "projectId"), text(account, "uniqueId")
			if err := a.account(ctx, subject{asset: account, resource: resource{
				kind: serviceAccountKind, id: "//iam.googleapis.com/projects/" + of + "/serviceAccounts/" + unique,
				project: project.project, exchanges: []string{page.exchange},
			}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	a.part.Store(true)
	return a.listFailed(ctx, &ofError{project.project, err}, a.spec.Kinds...)
}

// account reads the keys of an account and hands over both. Keys that could not be
// listed are a gap of that account, and of the list of all keys.
func (a *serviceAccounts) account(ctx context.Context, account subject) error {
	name := text(account.asset, "name")
	keys, exchanges, err := a.keys(ctx, name)
	call, _ := a.spec.Call(listServiceAccountKeys)
	_, code := refusal(err, account.project)
	switch {
	case err == nil:
		account.asset[call.Field] = keys
		account.exchanges = append(account.exchanges, exchanges...)
	case slices.Contains(call.Vanished, code):
		a.emit.Vanished(account.kind, account.region, account.id)
		return nil
	default:
		a.partKeys.Store(true)
		if err := a.detailFailed(ctx, account, call, err); err != nil {
			return err
		}
		if err := a.listFailed(ctx, &ofError{name, err}, serviceAccountKeyKind); err != nil {
			return err
		}
	}
	if err := a.observe(ctx, account.resource, account.asset); err != nil {
		return err
	}
	for _, key := range keys {
		r := resource{kind: serviceAccountKeyKind, id: account.id + strings.TrimPrefix(text(key, "name"), name), project: account.project, exchanges: exchanges}
		if err := a.observe(ctx, r, key); err != nil {
			return err
		}
	}
	return nil
}

// keys lists the keys of an account, of all types. One answer has them all: were
// there ever a second page, the list would not count as read.
func (a *serviceAccounts) keys(ctx context.Context, account string) (keys []map[string]any, exchanges []string, err error) {
	keys = []map[string]any{} // none is an answer, too
	err = a.pages(ctx, listServiceAccountKeys, func(ctx context.Context, _ string) error {
		_, err := a.service.Projects.ServiceAccounts.Keys.List(account).Context(ctx).Do()
		return err
	}, func(page answer) error {
		members, err := page.members(listServiceAccountKeys, "keys")
		if err != nil {
			return err
		}
		for _, key := range members {
			if name := text(key, "name"); !strings.HasPrefix(name, account+"/keys/") {
				return malformed(listServiceAccountKeys, "the name of a key is %q, which does not begin with %s/keys/", name, account)
			}
		}
		keys, exchanges = append(keys, members...), append(exchanges, page.exchange)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return keys, exchanges, nil
}
