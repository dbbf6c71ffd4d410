package gcp

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	cloudidentity "google.golang.org/api/cloudidentity/v1"

	"github.com/tallystick/tallystick/collectors"
)

const (
	lookupGroup = "cloudidentity.groups.lookup"
	listMembers = "cloudidentity.groups.memberships.list"
)

// memberPage is the most that one page with everything of a membership may have.
// Source: Cloud Identity API reference, groups.memberships.list, pageSize.
const memberPage = 500

// maxGroups bounds the groups of a scope: a domain whose groups name ever new
// ones would otherwise be read for ever.
const maxGroups = 10_000

// cloudIdentityGroups reads the members of the groups that hold roles on the
// organisation, the folders and the projects of a scope, and of the groups in
// these, each once. A group is observed under its e-mail. One that can not be
// read, as one of another domain, is a gap of that group alone; where the list of
// policies broke off, the groups that came before are read all the same.
//
// Limits: groups that hold roles on a single resource only, such as a bucket, are
// not read.
// Source: Cloud Identity API reference, groups.lookup and groups.memberships.list.
func cloudIdentityGroups(e *Estate) *collector {
	return &collector{estate: e, read: readGroups, spec: collectors.Spec{
		Name:    "gcp.cloudidentity_groups",
		Summary: "Members of the groups that hold roles on the organisation, folders and projects of a scope, and of the groups in them.",
		Kinds:   []string{groupKind},
		Reach:   collectors.Global,
		Calls: append(assetCall("cloudasset.assets.listIamPolicy"),
			collectors.Call{Operation: lookupGroup, Permission: groupsScope, Kind: groupKind, Field: "members"},
			collectors.Call{Operation: listMembers, Permission: groupsScope, Kind: groupKind, Field: "members"},
		),
	}}
}

const groupKind = "gcp.cloudidentity.group"

func readGroups(ctx context.Context, t *task) error {
	if t.workspace() == nil {
		return nil
	}
	service, err := cloudidentity.NewService(ctx, t.estate.client("cloudidentity", t, t.estate.identity.delegated[groupsScope])...)
	if err != nil {
		return errRunner{err}
	}
	named := map[string][]string{} // the exchanges that name a group, by its e-mail
	listed := t.assets(ctx, "IAM_POLICY", containerTypes(), func(asset map[string]any, page answer) error {
		for _, email := range groupsOf(asset) {
			named[email] = append(named[email], page.exchange)
		}
		return nil
	})
	read := map[string]bool{}
	for len(named) > 0 {
		for email := range named {
			read[email] = true
		}
		if len(read) > maxGroups {
			return malformed(listMembers, "more than %d groups hold roles or are in groups that do", maxGroups)
		}
		if named, err = t.groups(ctx, service, named); err != nil {
			return err
		}
		maps.DeleteFunc(named, func(email string, _ []string) bool { return read[email] })
	}
	if listed != nil {
		return listed
	}
	t.emit.Listed(groupKind, "")
	return nil
}

// groups reads some groups, several at a time, and gives the groups in them.
func (t *task) groups(ctx context.Context, service *cloudidentity.Service, named map[string][]string) (map[string][]string, error) {
	var mu sync.Mutex
	nested := map[string][]string{} // guarded by mu
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, t.in.InFlight))
	for email, exchanges := range named {
		group.Go(func() error {
			members, err := t.group(ctx, service, subject{
				resource: resource{kind: groupKind, id: email, exchanges: exchanges},
				asset:    map[string]any{"groupKey": map[string]any{"id": email}},
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			list, _ := members.value.([]any)
			for _, m := range list {
				if email := groupIn(m); email != "" {
					nested[email] = append(nested[email], members.exchanges...)
				}
			}
			return nil
		})
	}
	return nested, group.Wait()
}

// group reads one group and hands it over, with its members where they could be
// read. It gives an error only when the task is over.
func (t *task) group(ctx context.Context, service *cloudidentity.Service, s subject) (found, error) {
	var members found
	operation := lookupGroup
	looked, err := t.read(ctx, lookupGroup, func(ctx context.Context) error {
		_, err := service.Groups.Lookup().GroupKeyId(s.id).Context(ctx).Do()
		return err
	})
	name := text(looked.document, "name")
	if err == nil && name == "" {
		err = malformed(lookupGroup, "the answer has no name")
	}
	if err == nil {
		operation = listMembers
		members, err = t.list(ctx, listMembers, "memberships", "name", func(ctx context.Context, token string) error {
			_, err := service.Groups.Memberships.List(name).View("FULL").PageSize(memberPage).Context(ctx).Do(after(token)...)
			return err
		})
	}
	if err == nil {
		s.asset["name"], s.asset["members"] = name, members.value
		s.exchanges = slices.Concat(s.exchanges, []string{looked.exchange}, members.exchanges)
	} else {
		call, _ := t.spec.Call(operation)
		if err := t.detailFailed(ctx, s, call, err); err != nil {
			return found{}, err
		}
	}
	return members, t.observe(ctx, s.resource, s.asset)
}

// groupIn gives the e-mail of a member that is a group of Google's; nothing for
// any other member.
func groupIn(membership any) string {
	m, _ := membership.(map[string]any)
	key, _ := m["preferredMemberKey"].(map[string]any)
	if text(m, "type") != "GROUP" || text(key, "namespace") != "" {
		return ""
	}
	return strings.ToLower(text(key, "id"))
}

// groupsOf gives the groups that a policy names. Google compares e-mails without
// regard to case.
func groupsOf(asset map[string]any) []string {
	var emails []string
	policy, _ := asset["iamPolicy"].(map[string]any)
	bindings, _ := policy["bindings"].([]any)
	for _, b := range bindings {
		binding, _ := b.(map[string]any)
		members, _ := binding["members"].([]any)
		for _, m := range members {
			member, _ := m.(string)
			if email, ok := strings.CutPrefix(member, "group:"); ok {
				emails = append(emails, strings.ToLower(email))
			}
		}
	}
	return emails
}
