package imports_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependenciesAreExplained holds docs/dependencies.md against go.mod.
func TestDependenciesAreExplained(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z][^ |]*\.[^ |]*/[^ |]*) \|`).FindAllStringSubmatch(string(doc), -1) {
		rows = append(rows, m[1])
	}

	major := regexp.MustCompile(`/v[0-9]+$`)
	used := map[string]bool{}
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		path := major.ReplaceAllString(r.Path, "")
		i := slices.IndexFunc(rows, func(row string) bool { return fits(row, path) })
		if i < 0 {
			t.Errorf("docs/dependencies.md has no row for %s", path)
			continue
		}
		used[rows[i]] = true
	}
	for _, row := range rows {
		if !used[row] {
			t.Errorf("docs/dependencies.md has a row for %s, which go.mod does not require directly", row)
		}
	}
	if !strings.Contains(string(doc), "## Refused") {
		t.Error("docs/dependencies.md does not say what was refused")
	}
}
