package gcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	cloudresourcemanager "google.golang.org/api/cloudresourcemanager/v3"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

const (
	getProject   = "cloudresourcemanager.projects.get"
	listFolders  = "cloudresourcemanager.folders.list"
	listProjects = "cloudresourcemanager.projects.list"

	listedFolderKind  = "gcp.cloudresourcemanager.listed_folder"
	listedProjectKind = "gcp.cloudresourcemanager.listed_project"
)

// resourceManager is how Resource Manager's names begin in the inventory.
const resourceManager = "//cloudresourcemanager.googleapis.com/"

// hierarchyPage is asked for; the reference names no most, and allows the service
// to send fewer.
const hierarchyPage = 100

// cloudresourcemanagerProjects lists the folders and projects of a scope by
// Resource Manager, folder by folder. Unlike the inventory and unlike searches,
// which leave out what the caller may not see, each such list is consistent and is
// refused as a whole: it is what the inventory is held against.
//
// What is observed is the folder or project as received, with the key ancestors
// beside it, as an asset has it: the thing itself, the folders by which the listing
// came to it, and the scope, above which nothing is looked at.
//
// Limits: the listing of a whole scope is no snapshot. What is moved meanwhile from
// a folder that is yet to be read to one that was read is in neither list; what is
// in both has a gap for its ancestors. Nothing is listed beneath a folder that is
// being deleted, which holds nothing active.
// Source: Resource Manager API reference, v3, projects.list, projects.get,
// folders.list, folders.delete.
func cloudresourcemanagerProjects(e *Estate) *collector {
	return &collector{estate: e, read: readHierarchy, spec: collectors.Spec{
		Name:    "gcp.cloudresourcemanager_projects",
		Summary: "Folders and projects as Resource Manager lists them, folder by folder, to hold the inventory against.",
		Kinds:   []string{listedFolderKind, listedProjectKind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			// Of no kind: without the folders, the projects in them are not known either.
			{Operation: listFolders, Permission: "resourcemanager.folders.list"},
			{Operation: getProject, Permission: "resourcemanager.projects.get", Kind: listedProjectKind},
			{Operation: listProjects, Permission: "resourcemanager.projects.list", Kind: listedProjectKind},
		},
	}}
}

func readHierarchy(ctx context.Context, t *task) error {
	service, err := cloudresourcemanager.NewService(ctx, t.estate.client("cloudresourcemanager", t, t.estate.identity.cloud)...)
	if err != nil {
		return errRunner{err}
	}
	h := &hierarchy{task: t, service: service, ancestors: map[string][]string{}, again: map[string]string{}, lost: map[string]bool{}}
	if strings.HasPrefix(t.parent, "projects/") {
		err = h.project(ctx)
	} else {
		err = h.descend(ctx)
	}
	if err != nil {
		return err
	}
	h.tellMoves()
	if h.lost[listedFolderKind] {
		return nil // nor are the projects known, whose folders are not
	}
	t.emit.Listed(listedFolderKind, "")
	if !h.lost[listedProjectKind] {
		t.emit.Listed(listedProjectKind, "")
	}
	return nil
}

// hierarchy is the part of the hierarchy beneath a scope, as far as it was read.
type hierarchy struct {
	*task
	service *cloudresourcemanager.Service

	mu        sync.Mutex
	next      []node
	ancestors map[string][]string // of everything observed, by name
	again     map[string]string   // what was seen beneath a second parent, and the parent
	lost      map[string]bool     // the kinds of which some list could not be read to its end
}

// node is an organisation or a folder whose children are to be listed.
type node struct {
	name      string
	ancestors []string // itself first
}

// project reads a scope that is one project. There are no folders beneath it.
func (h *hierarchy) project(ctx context.Context) error {
	page, err := h.read(ctx, getProject, func(ctx context.Context) error {
		_, err := h.service.Projects.Get(h.parent).Context(ctx).Do()
		return err
	})
	if err == nil {
		err = h.child(ctx, listing{kind: listedProjectKind, operation: getProject, prefix: "projects/"}, node{}, page.document, page)
	}
	if err != nil {
		h.lost[listedProjectKind] = true
		return h.listFailed(ctx, err)
	}
	return nil
}

// descend lists level by level, and the nodes of a level several at a time. Each
// folder is listed once, however often it is seen, so that it ends with the tree:
// that Google allows ten levels of folders needs no saying here.
func (h *hierarchy) descend(ctx context.Context) error {
	for level := []node{{h.parent, []string{h.parent}}}; len(level) > 0; level, h.next = h.next, nil {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(max(1, h.in.InFlight))
		for _, of := range level {
			group.Go(func() error { return h.children(ctx, h.folders(of.name), of) })
			group.Go(func() error { return h.children(ctx, h.projects(of.name), of) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// listing is one of the two lists that a node has.
type listing struct {
	kind, operation string
	field, prefix   string // of the answer; of the names in it
	next            func(ctx context.Context, token string) error
}

func (h *hierarchy) folders(parent string) listing {
	return listing{listedFolderKind, listFolders, "folders", "folders/", func(ctx context.Context, token string) error {
		_, err := h.service.Folders.List().Parent(parent).ShowDeleted(true).PageSize(hierarchyPage).Context(ctx).Do(after(token)...)
		return err
	}}
}

func (h *hierarchy) projects(parent string) listing {
	return listing{listedProjectKind, listProjects, "projects", "projects/", func(ctx context.Context, token string) error {
		_, err := h.service.Projects.List().Parent(parent).ShowDeleted(true).PageSize(hierarchyPage).Context(ctx).Do(after(token)...)
		return err
	}}
}

// children reads one list of a node to its end. One that could not be read is a gap
// that names the node, and the others are read on.
func (h *hierarchy) children(ctx context.Context, l listing, of node) error {
	err := h.pages(ctx, l.operation, l.next, func(page answer) error {
		members, err := page.members(l.operation, l.field)
		if err != nil {
			return err
		}
		for _, member := range members {
			if err := h.child(ctx, l, of, member, page); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	h.mu.Lock()
	h.lost[l.kind] = true
	h.mu.Unlock()
	return h.listFailed(ctx, &ofError{of.name, err})
}

// child observes a folder or a project, the first time that it is seen, and puts a
// folder among those to be listed.
func (h *hierarchy) child(ctx context.Context, l listing, of node, body map[string]any, page answer) error {
	name := text(body, "name")
	if !strings.HasPrefix(name, l.prefix) {
		return malformed(l.operation, "the name of a member is %q, which does not begin with %s", name, l.prefix)
	}
	n := node{name, append([]string{name}, of.ancestors...)}
	if !h.first(n, of, l.kind == listedFolderKind && text(body, "state") != "DELETE_REQUESTED") {
		return nil
	}
	body["ancestors"] = n.ancestors
	r := resource{kind: l.kind, id: resourceManager + name, exchanges: []string{page.exchange}}
	if l.kind == listedProjectKind {
		r.project = name
	}
	return h.observe(ctx, r, body)
}

// first notes that a node was seen beneath another, and says whether it is the
// first time.
func (h *hierarchy) first(n, of node, list bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if before, seen := h.ancestors[n.name]; seen {
		if before[1] != of.name {
			h.again[n.name] = of.name
		}
		return false
	}
	h.ancestors[n.name] = n.ancestors
	if list {
		h.next = append(h.next, n)
	}
	return true
}

// tellMoves leaves a gap for the ancestors of what was seen beneath two parents,
// and of all that was found beneath it.
func (h *hierarchy) tellMoves() {
	for name, ancestors := range h.ancestors {
		i := slices.IndexFunc(ancestors, func(a string) bool { return h.again[a] != "" })
		if i < 0 {
			continue
		}
		g := evidence.Gap{
			Kind: listedFolderKind, Resource: resourceManager + name, Field: "ancestors",
			Operation: listFolders, Permission: "resourcemanager.folders.list", Class: evidence.Unavailable,
			Message: fmt.Sprintf("%s was moved during the listing: it was listed beneath %s and beneath %s", ancestors[i], ancestors[i+1], h.again[ancestors[i]]),
		}
		if strings.HasPrefix(name, "projects/") {
			g.Kind = listedProjectKind
		}
		if strings.HasPrefix(ancestors[i], "projects/") {
			g.Operation, g.Permission = listProjects, "resourcemanager.projects.list"
		}
		h.emit.Gap(g)
	}
}
