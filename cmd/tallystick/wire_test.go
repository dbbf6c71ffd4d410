package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/tallystick/tallystick/config"
)

// TestExampleNamesWhatIsThere uncomments the example configuration: every
// collector, service, check and parameter that it names must exist.
func TestExampleNamesWhatIsThere(t *testing.T) {
	data := regexp.MustCompile(`(?m)^( *)# ( *(?:- )?[a-z_-]+:(?: .*)?)$`).ReplaceAll(config.Example(), []byte("$1$2"))
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

// TestPermissionsAreThoseDeclared: what a collector needs is in the policy,
// and nothing else is.
func TestPermissionsAreThoseDeclared(t *testing.T) {
	var b bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"permissions", "--output", "json"})
	root.SetOut(&b)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got policy
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, spec := range declared() {
		for _, call := range spec.Calls {
			want[call.Needs()] = true
		}
	}
	if actions := got.Statement[0].Action; !slices.Equal(actions, slices.Sorted(maps.Keys(want))) {
		t.Errorf("the policy allows %v, the collectors need %v", actions, slices.Sorted(maps.Keys(want)))
	}
}
