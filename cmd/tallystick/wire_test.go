package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/internal/capture"
)

// TestExampleNamesWhatIsThere uncomments the example configuration: every
// collector, service, check and parameter that it names must exist.
func TestExampleNamesWhatIsThere(t *testing.T) {
	data := regexp.MustCompile(`(?m)^( *)# ( *(?:- )?[a-z_-]+:(?: .*)?| *- \{.*\})$`).ReplaceAll(config.Example(), []byte("$1$2"))
	data = regexp.MustCompile(`(?m)^ *dirs:.*$`).ReplaceAll(data, nil) // the operator's own folder
	file, err := config.Parse("example.yaml", data, known(), func(string) (string, bool) { return "made-up", true })
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Config.Catalogue.Parameters) == 0 {
		t.Fatal("the example changes no parameter")
	}
	if _, err := loadCatalogue(file); err != nil {
		t.Error(err)
	}
}

// TestWorkspaceOf reads the customer off the first request of each collector that
// reads the Workspace domain, as its recording has it, for two customers.
func TestWorkspaceOf(t *testing.T) {
	read := 0
	for _, spec := range gcp.Specs() {
		if !slices.ContainsFunc(spec.Calls, func(c collectors.Call) bool { return strings.HasPrefix(c.Needs(), "https://") }) {
			continue
		}
		files, err := recordings.Open("organizations/123456789012", spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		replayer, err := capture.OpenReplay(capture.ReplayOptions{Describe: gcp.Describe, RepeatLast: true}, files...)
		if err != nil {
			t.Fatal(err)
		}
		first := replayer.Entries()[0].Request.URL
		for _, customer := range []string{"my_customer", "C01abc23d"} {
			asked := strings.ReplaceAll(first, "my_customer", customer)
			got := workspaceOf(asked)
			if got == nil {
				t.Fatalf("no domain in %s", asked)
			}
			if named := strings.Contains(first, "my_customer"); named && got.Customer != customer || !named && got.Customer != "my_customer" {
				t.Errorf("customer %s in %s", got.Customer, asked)
			}
		}
		read++
	}
	if read == 0 || workspaceOf("") != nil {
		t.Errorf("%d collectors, and without a request the domain %v", read, workspaceOf(""))
	}
}
