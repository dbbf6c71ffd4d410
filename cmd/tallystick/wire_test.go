package main

import (
	"regexp"
	"testing"

	"github.com/tallystick/tallystick/config"
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
