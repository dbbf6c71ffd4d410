package gcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/evidence"
)

const (
	listedFolder  = "gcp.cloudresourcemanager.listed_folder"
	listedProject = "gcp.cloudresourcemanager.listed_project"
)

// tree answers as Resource Manager does: the folders and projects that stand
// directly beneath a parent, two a page. A call whose path and parent are refused
// is denied, and so is one about a folder that nobody should ask about.
type tree struct {
	children map[string][]string // by parent, names
	deleted  []string            // folders that are being deleted
	refused  string              // "projects of folders/2"
}

func (s *tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	parent, what := query.Get("parent"), strings.TrimPrefix(r.URL.Path, "/v3/")
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if s.refused == what+" of "+parent || slices.Contains(s.deleted, parent) || query.Get("showDeleted") != "true" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(refused))
		return
	}
	var of []string
	for _, name := range s.children[parent] {
		if strings.HasPrefix(name, what+"/") {
			state := "ACTIVE"
			if slices.Contains(s.deleted, name) {
				state = "DELETE_REQUESTED"
			}
			of = append(of, fmt.Sprintf(`{"name": %q, "parent": %q, "state": %q}`, name, parent, state))
		}
	}
	first, next := 0, ""
	if query.Get("pageToken") != "" {
		first = 2
	}
	if len(of) > first+2 {
		next = "more"
	}
	_, _ = fmt.Fprintf(w, `{%q: [%s], "nextPageToken": %q}`, what, strings.Join(of[first:min(first+2, len(of))], ","), next)
}

// listing runs the collector over a tree and gives the ancestors by name.
func listing(t *testing.T, s *tree) (*seen, map[string][]string) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	e := made(t, gcp.Settings{Accounts: []string{"organizations/1"}, Endpoints: map[string]string{"cloudresourcemanager": server.URL}})
	got := newSeen()
	for _, c := range gcp.Catalogue(e) {
		if c.Spec().Name == "gcp.cloudresourcemanager_projects" {
			collect(t, c, "organizations/1", e.Transport(), got)
		}
	}
	ancestors := map[string][]string{}
	for _, o := range got.observations {
		var body struct {
			Name      string
			Ancestors []string
		}
		if err := json.Unmarshal(o.Body, &body); err != nil {
			t.Fatal(err)
		}
		if _, twice := ancestors[body.Name]; twice || o.ID != "//cloudresourcemanager.googleapis.com/"+body.Name {
			t.Errorf("%s is observed as %s, or twice", body.Name, o.ID)
		}
		ancestors[body.Name] = body.Ancestors
	}
	return got, ancestors
}

// TestFolderDenied denies the lists of one folder. The others are read, and which
// projects there are does not count as known.
func TestFolderDenied(t *testing.T) {
	children := map[string][]string{
		"organizations/1": {"folders/2", "folders/3", "projects/11", "projects/12", "projects/13"},
		"folders/2":       {"folders/4", "projects/21"},
		"folders/3":       {"projects/31"},
		"folders/4":       {"projects/41"},
	}
	for _, test := range []struct {
		refused, operation string
		lost               []string // names
		kinds              []string // that do not count as listed
	}{
		{"projects of folders/2", "cloudresourcemanager.projects.list", []string{"projects/21"}, []string{listedProject}},
		{"folders of folders/2", "cloudresourcemanager.folders.list", []string{"folders/4", "projects/41"}, []string{listedFolder, listedProject}},
	} {
		got, ancestors := listing(t, &tree{children: children, refused: test.refused})
		for _, all := range children {
			for _, name := range all {
				if _, there := ancestors[name]; there == slices.Contains(test.lost, name) {
					t.Errorf("%s denied: %s is observed: %v", test.refused, name, there)
				}
			}
		}
		lost(t, got, test.kinds, evidence.Gap{
			Operation: test.operation, Permission: strings.Replace(test.operation, "cloudresourcemanager", "resourcemanager", 1),
			Class: evidence.Denied, Code: "IAM_PERMISSION_DENIED",
		})
		if len(got.gaps) != len(test.kinds) || !strings.HasPrefix(got.gaps[0].Message, "folders/2: ") {
			t.Errorf("%s denied: the gaps %+v do not name the folder once for each kind", test.refused, got.gaps)
		}
		if got.listed[listedFolder] == slices.Contains(test.kinds, listedFolder) {
			t.Errorf("%s denied: the list of folders counts as read: %v", test.refused, got.listed[listedFolder])
		}
	}
}

// TestDeepTree reads a chain of folders that is deeper than Google allows, beside
// a folder that is being deleted, which is not asked about.
func TestDeepTree(t *testing.T) {
	s := &tree{children: map[string][]string{}, deleted: []string{"folders/900"}}
	parent := "organizations/1"
	want := []string{parent}
	for i := range 15 {
		name := fmt.Sprintf("folders/%d", 100+i)
		s.children[parent] = []string{name}
		want = slices.Insert(want, 0, name)
		parent = name
	}
	s.children[parent] = []string{"projects/7", "folders/900"}
	got, ancestors := listing(t, s)
	if want = slices.Insert(want, 0, "projects/7"); !slices.Equal(ancestors["projects/7"], want) {
		t.Errorf("ancestors %v, want %v", ancestors["projects/7"], want)
	}
	if len(ancestors) != 15+2 || len(got.gaps) > 0 || !got.listed[listedFolder] || !got.listed[listedProject] {
		t.Errorf("%d observed, listed %v, gaps %+v", len(ancestors), got.listed, got.gaps)
	}
}

// TestMovedMeanwhile has a project in the lists of two folders, and a folder in the
// lists of two others, as it is when they are moved between the two calls. Each is
// observed once, and under what it stands is a gap, for what is beneath it too.
func TestMovedMeanwhile(t *testing.T) {
	got, ancestors := listing(t, &tree{children: map[string][]string{
		"organizations/1": {"folders/2", "folders/3"},
		"folders/2":       {"projects/21", "projects/99", "folders/4"},
		"folders/3":       {"projects/31", "projects/99", "folders/4"},
		"folders/4":       {"folders/5", "projects/41"},
		"folders/5":       {"projects/51"},
	}})
	if len(ancestors) != 9 {
		t.Errorf("observed %v", ancestors)
	}
	by := map[string]string{} // what moved, by whose ancestors are not known
	for _, g := range got.gaps {
		moved, rest, _ := strings.Cut(g.Message, " was moved during the listing: it was listed beneath ")
		if g.Field != "ancestors" || g.Class != evidence.Unavailable || !strings.Contains(rest, "folders/2") || !strings.Contains(rest, "folders/3") {
			t.Errorf("gap %+v", g)
		}
		by[g.Kind+" "+strings.TrimPrefix(g.Resource, "//cloudresourcemanager.googleapis.com/")] = moved + " " + g.Operation
	}
	const folders, projects = "folders/4 cloudresourcemanager.folders.list", "projects/99 cloudresourcemanager.projects.list"
	for of, want := range map[string]string{
		listedProject + " projects/99": projects, listedFolder + " folders/4": folders, listedFolder + " folders/5": folders,
		listedProject + " projects/41": folders, listedProject + " projects/51": folders,
	} {
		if by[of] != want {
			t.Errorf("the ancestors of %s are not known for %q, want %q", of, by[of], want)
		}
	}
	if len(got.gaps) != 5 || !got.listed[listedFolder] || !got.listed[listedProject] {
		t.Errorf("listed %v, gaps %+v", got.listed, got.gaps)
	}
}
