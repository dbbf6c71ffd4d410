package gcp_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors/gcp/recordings"
)

// TestDocumented holds every recorded answer, and what each recorded asset holds
// of its service, against Google's own description of its APIs: the discovery
// documents that come with the client library. A fixture may leave members out,
// as Google does; it may not have one, a type or a value that is not described.
func TestDocumented(t *testing.T) {
	d := discovery{dir: libraryDir(t), documents: map[string]*document{}, pages: map[string]bool{}}
	pages, err := fs.ReadFile(recordings.FS(), "assets.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(pages)) {
		kind, page, _ := strings.Cut(line, "\t")
		d.pages[kind] = strings.HasPrefix(page, "https://cloud.google.com/")
	}
	names, err := fs.Glob(recordings.FS(), "*/*.har")
	if err != nil || len(names) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(recordings.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		var har struct {
			Log struct {
				Entries []struct {
					Operation string `json:"_operation"`
					Comment   string
					Request   struct{ Method, URL string }
					Response  struct {
						Status  int
						Content struct {
							JSON map[string]any `json:"_json"`
						}
					}
				}
			}
		}
		if err := json.Unmarshal(data, &har); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, e := range har.Log.Entries {
			if !strings.HasPrefix(e.Comment, "https://") {
				t.Errorf("%s: %s does not name the page that it was written from", name, e.Operation)
			}
			if e.Response.Status >= 400 || slices.Contains(undescribed(), e.Operation) {
				continue
			}
			for _, problem := range d.answer(t, e.Request.Method, e.Request.URL, e.Response.Content.JSON) {
				t.Errorf("%s: %s: %s", name, e.Operation, problem)
			}
		}
	}
}

// undescribed lists the calls of services whose discovery document the library
// does not have. Their fixtures were written from the page in their comment alone.
func undescribed() []string {
	return []string{"securitycentermanagement.projects.locations.securityCenterServices.list"}
}

// libraryDir gives where the source of the client library lies.
func libraryDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		t.Fatalf("find the client library: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// discovery holds discovery documents as they are asked for.
// Source: Google API Discovery Service, "Discovery document format".
type discovery struct {
	dir       string
	documents map[string]*document
	pages     map[string]bool // by type of asset: it is said from which page one was written
}

type document struct {
	BasePath  string
	Schemas   map[string]*schema
	Methods   map[string]method
	Resources map[string]node
}

type node struct {
	Methods   map[string]method
	Resources map[string]node
}

type method struct {
	HTTPMethod, Path, FlatPath string
	Response                   struct {
		Ref string `json:"$ref"`
	}
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Enum                 []string
	Properties           map[string]*schema
	AdditionalProperties *schema
	Items                *schema
}

// of gives the document of an API, such as "sqladmin/v1".
func (d *discovery) of(t *testing.T, api string) *document {
	t.Helper()
	if found := d.documents[api]; found != nil {
		return found
	}
	files, err := filepath.Glob(filepath.Join(d.dir, filepath.FromSlash(api), "*-api.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the client library has %d discovery documents of %s: %v", len(files), api, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	found := new(document)
	if err := json.Unmarshal(data, found); err != nil {
		t.Fatalf("%s: %v", files[0], err)
	}
	d.documents[api] = found
	return found
}

// answer holds an answer against the description of the method that was called.
func (d *discovery) answer(t *testing.T, verb, address string, body map[string]any) []string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	service, _, _ := strings.Cut(u.Host, ".")
	version, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	api := service + "/" + version
	if service == "admin" {
		api = "admin/directory/v1"
	}
	doc := d.of(t, api)
	m, found := doc.method(verb, u.Path)
	if !found {
		return []string{fmt.Sprintf("%s has no method for %s %s", api, verb, u.Path)}
	}
	problems := doc.check(&schema{Ref: m.Response.Ref}, body, m.Response.Ref)
	if m.Response.Ref == "ListAssetsResponse" {
		for _, a := range list(body["assets"]) {
			problems = append(problems, d.asset(t, a)...)
		}
	}
	return problems
}

// asset holds what an asset has of its service against the schema that it names.
func (d *discovery) asset(t *testing.T, asset map[string]any) []string {
	t.Helper()
	resource, ok := asset["resource"].(map[string]any)
	if !ok {
		return nil
	}
	kind, _ := asset["assetType"].(string)
	if !d.pages[kind] {
		return []string{"assets.tsv names no page from which an asset of the type " + kind + " was written"}
	}
	service, _, _ := strings.Cut(kind, ".")
	version, _ := resource["version"].(string)
	name, _ := resource["discoveryName"].(string)
	doc := d.of(t, service+"/"+version)
	if doc.Schemas[name] == nil {
		// Some documents write the whole name: GoogleApiServiceusageV1Service.
		for full := range doc.Schemas {
			if strings.HasSuffix(full, strings.ToUpper(version)+name) {
				name = full
			}
		}
	}
	return doc.check(&schema{Ref: name}, resource["data"], kind)
}

func list(v any) []map[string]any {
	items, _ := v.([]any)
	var out []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// method finds the method of a path.
func (doc *document) method(verb, path string) (method, bool) {
	path = strings.TrimPrefix(path, doc.BasePath)
	var in func(n node) (method, bool)
	in = func(n node) (method, bool) {
		for _, m := range n.Methods {
			flat := m.FlatPath
			if flat == "" {
				flat = m.Path
			}
			parts := regexp.MustCompile(`\{[^}]*\}`).Split(flat, -1)
			for i, p := range parts {
				parts[i] = regexp.QuoteMeta(p)
			}
			if m.HTTPMethod == verb && regexp.MustCompile("^/?"+strings.Join(parts, "[^/]+")+"$").MatchString(path) {
				return m, true
			}
		}
		for _, sub := range n.Resources {
			if m, ok := in(sub); ok {
				return m, true
			}
		}
		return method{}, false
	}
	return in(node{doc.Methods, doc.Resources})
}

// check gives what of a value a schema does not describe.
func (doc *document) check(s *schema, v any, place string) []string {
	if s.Ref != "" {
		of, ok := doc.Schemas[s.Ref]
		if !ok {
			return []string{fmt.Sprintf("%s: there is no schema %q", place, s.Ref)}
		}
		return doc.check(of, v, place)
	}
	if s.Type == "any" {
		return nil
	}
	var problems []string
	switch x := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			return []string{fmt.Sprintf("%s is an object, described as %q", place, s.Type)}
		}
		for name, member := range x {
			of := s.Properties[name]
			if of == nil {
				of = s.AdditionalProperties
			}
			if of == nil {
				problems = append(problems, place+"."+name+" is not described")
				continue
			}
			problems = append(problems, doc.check(of, member, place+"."+name)...)
		}
	case []any:
		if s.Type != "array" {
			return []string{fmt.Sprintf("%s is a list, described as %q", place, s.Type)}
		}
		for _, item := range x {
			problems = append(problems, doc.check(s.Items, item, place+"[]")...)
		}
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, x) {
			return []string{fmt.Sprintf("%s is %q, described as %q, one of %q", place, x, s.Type, s.Enum)}
		}
	case bool:
		if s.Type != "boolean" {
			return []string{fmt.Sprintf("%s is a bool, described as %q", place, s.Type)}
		}
	case float64:
		if s.Type != "integer" && s.Type != "number" {
			return []string{fmt.Sprintf("%s is a number, described as %q", place, s.Type)}
		}
	default:
		return []string{fmt.Sprintf("%s is a %T", place, v)}
	}
	return problems
}
