package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/tallystick/tallystick/collectors"
)

//go:embed role.gcp.tf.tmpl
var terraformCustomRole string

// customRole is a role as `gcloud iam roles create --file` and the REST API take it.
// Source: IAM API reference, organizations.roles.
type customRole struct {
	Title               string   `json:"title" yaml:"title"`
	Description         string   `json:"description" yaml:"description"`
	Stage               string   `json:"stage" yaml:"stage"`
	IncludedPermissions []string `json:"includedPermissions" yaml:"includedPermissions"`
}

func customRoleOf(permissions []string) customRole {
	return customRole{"tallystick reader", "tallystick reads configuration with this role, and nothing else.", "GA", permissions}
}

// googleNeeds are what the calls of collectors need: permissions of a role, OAuth
// scopes, which are in no role, and APIs that are enabled in the quota project.
// Each is sorted.
type googleNeeds struct{ permissions, scopes, apis []string }

func googleNeedsOf(specs []collectors.Spec) (n googleNeeds, by map[string][]string) {
	all, by := needs(specs)
	for _, p := range all {
		if strings.HasPrefix(p, "https://") {
			n.scopes = append(n.scopes, p)
		} else {
			n.permissions = append(n.permissions, p)
		}
	}
	for _, spec := range specs {
		for _, call := range spec.Calls {
			service, _ := collectors.Split(call.Operation)
			for _, api := range apisOf(service) {
				if !slices.Contains(n.apis, api) {
					n.apis = append(n.apis, api)
				}
				if !slices.Contains(by[api], spec.Name) {
					by[api] = append(by[api], spec.Name)
				}
			}
		}
	}
	slices.Sort(n.apis)
	return n, by
}

// apisOf gives the APIs behind a service. Every token of a service account that
// is impersonated, and every delegated one, comes from iamcredentials.
// Source: discovery documents; IAM, create short-lived credentials for a service account.
func apisOf(service string) []string {
	const tokens = "iamcredentials.googleapis.com"
	if service == "directory" {
		return []string{"admin.googleapis.com", tokens}
	}
	return []string{service + ".googleapis.com", tokens}
}

func writeGooglePermissions(w io.Writer, as format, specs []collectors.Spec) error {
	n, _ := googleNeedsOf(specs)
	role := customRoleOf(n.permissions)
	switch {
	case as == asCloudFormation:
		return errors.New("CloudFormation deploys to AWS only: for Google Cloud use --output terraform, or yaml for gcloud")
	case as == asTable || as == asCSV:
		return listing{header: []string{"what", "name", "collectors"}, rows: googleRows(specs)}.write(w, as)
	case len(n.permissions) == 0:
		return fmt.Errorf("these collectors need no role, only the OAuth scopes %s, which are delegated in the Admin console: see docs/gcp-role.md", strings.Join(n.scopes, ", "))
	case as == asYAML:
		text, err := yaml.Marshal(role)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	case as == asTerraform:
		text := strings.NewReplacer("{{title}}", role.Title, "{{description}}", role.Description, "{{stage}}", role.Stage).Replace(terraformCustomRole)
		text = repeated(repeated(text, "{{permission}}", n.permissions), "{{api}}", n.apis)
		_, err := io.WriteString(w, text)
		return err
	default:
		return listing{value: role}.write(w, as)
	}
}

// googleRows lists permissions, then APIs, then OAuth scopes.
func googleRows(specs []collectors.Spec) [][]string {
	n, by := googleNeedsOf(specs)
	var rows [][]string
	add := func(what string, names []string) {
		for _, name := range names {
			rows = append(rows, []string{what, name, allOr(by[name], specs)})
		}
	}
	add("permission", n.permissions)
	add("API to enable", n.apis)
	add("OAuth scope", n.scopes)
	return rows
}

// repeated writes a line that holds a place once for each of the values.
func repeated(text, place string, values []string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, place) {
			b.WriteString(line)
			continue
		}
		for _, value := range values {
			b.WriteString(strings.ReplaceAll(line, place, value))
		}
	}
	return b.String()
}
