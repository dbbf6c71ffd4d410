package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
)

var update = flag.Bool("update", false, "write the pages of docs/reference anew, and take out of later.tsv the checks that are there now")

const laterFile = "later.tsv"

func ours(t *testing.T) *checks.Catalogue {
	t.Helper()
	c, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ourReference(t *testing.T, provider string) reference {
	t.Helper()
	r, err := newReference(ours(t), provider, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReference holds the pages of docs/reference against the catalogue and the
// collectors.
func TestReference(t *testing.T) {
	if *update {
		laterChecks = without(t, ours(t))
		if err := os.WriteFile(laterFile, []byte(laterChecks), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, provider := range providers() {
		t.Run(provider, func(t *testing.T) {
			page, name := ourReference(t, provider).markdown(), "docs/reference/"+provider+".md"
			if *update {
				if err := os.WriteFile("../../"+name, []byte(page), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile("../../" + name)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(data); got != page {
				t.Errorf("%s is not what the catalogue and the collectors say:\n%s\nwrite it anew with: go test ./cmd/tallystick -run TestReference -update",
					name, firstDifference(got, page))
			}
		})
	}
}

// TestReferenceIsOfOneProvider: a page names nothing of another provider, and all
// pages together have all controls.
func TestReferenceIsOfOneProvider(t *testing.T) {
	seen := map[string]bool{}
	for _, provider := range providers() {
		r := ourReference(t, provider)
		page := r.markdown()
		for _, control := range r.controls {
			seen[control.ID] = true
		}
		for _, other := range providers() {
			if other == provider {
				continue
			}
			if m := regexp.MustCompile(`(?m)^#+ ` + other + `[.-].*$`).FindString(page); m != "" {
				t.Errorf("the page of %s has %q", provider, m)
			}
		}
	}
	for _, control := range ours(t).Controls() {
		if !seen[control.ID] {
			t.Errorf("no page has the control %s", control.ID)
		}
	}
}

// without gives later.tsv without the checks that a catalogue has.
func without(t *testing.T, rules *checks.Catalogue) string {
	t.Helper()
	data, err := os.ReadFile(laterFile)
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(data)) {
		id, _, _ := strings.Cut(line, "\t")
		if _, _, found := rules.Check(id); !found {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is  %s\nit must be %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("it has %d lines and must have %d", len(g), len(w))
}

// section gives the part of a page below a heading, up to the next one that is
// as high.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n"+heading+"\n")
	if !found {
		t.Fatalf("no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	if end := regexp.MustCompile("(?m)^#{1," + fmt.Sprint(len(level)) + "} ").FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// TestReferenceHasEverything: each fact of the catalogue and of the collectors
// stands in its own place.
func TestReferenceHasEverything(t *testing.T) {
	for _, provider := range providers() {
		t.Run(provider, func(t *testing.T) { hasEverything(t, ourReference(t, provider)) })
	}
}

func hasEverything(t *testing.T, r reference) {
	t.Helper()
	page := r.markdown()
	if again := r.markdown(); again != page {
		t.Error("a second time it is another page")
	}
	plain := strings.NewReplacer(`\`, "", "\n", " ", "  ", " ")
	has := func(where, text, what string) {
		t.Helper()
		if !strings.Contains(plain.Replace(plain.Replace(where)), plain.Replace(plain.Replace(strings.Join(strings.Fields(what), " ")))) {
			t.Errorf("%s: no %q", text, what)
		}
	}
	for _, control := range r.rules.Controls() {
		if !slices.ContainsFunc(control.Checks, func(c checks.Check) bool { return c.Provider == r.provider }) {
			if strings.Contains(page, "\n### "+control.ID+"\n") {
				t.Errorf("it has the control %s without any check", control.ID)
			}
			continue
		}
		at := section(t, page, "### "+control.ID)
		for _, what := range []string{control.Title, control.Why, control.Severity, control.Frequency} {
			has(at, control.ID, what)
		}
		for _, criterion := range control.Criteria {
			has(at, control.ID, criterion.ID+" | "+criterion.Why)
		}
		for _, check := range control.Checks {
			if check.Provider != r.provider {
				continue
			}
			at := section(t, page, "#### "+check.ID)
			for _, what := range append([]string{
				check.Title, fmt.Sprintf("tier %d", check.Tier), check.Messages.Pass, check.Messages.Fail, check.Remediation, check.Documentation,
			}, check.Notes...) {
				has(at, check.ID, what)
			}
			for word := range strings.FieldsSeq(check.Pass) {
				has(at, check.ID, word)
			}
			for _, condition := range check.NotApplicable {
				has(at, check.ID, condition.When)
				has(at, check.ID, condition.Reason)
			}
			for _, basis := range check.Basis {
				has(at, check.ID, string(basis.Basis))
			}
			for name, parameter := range check.Parameters {
				has(at, check.ID, "| `"+name+"` |")
				has(at, check.ID, "| "+parameter.Owner+" | "+parameter.Description)
			}
			for _, read := range r.rules.Reads(check.ID) {
				has(at, check.ID, "`"+read.Kind+"`")
			}
		}
	}
	for _, spec := range declaredBy(r.provider) {
		at := section(t, page, "### "+spec.Name)
		has(at, spec.Name, spec.Summary)
		has(at, spec.Name, "Reach: "+string(spec.Reach))
		for _, call := range spec.Calls {
			row := "| `" + call.Operation + "` | the same |"
			if call.Needs() != call.Operation {
				row = "| `" + call.Operation + "` | `" + call.Needs() + "` |"
			}
			has(at, spec.Name, row)
		}
		for _, field := range spec.Sensitive {
			has(at, spec.Name, "`"+field+"`")
		}
	}
	at := section(t, page, "## Permissions")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(at, -1) {
		listed = append(listed, m[1])
	}
	if want := needed(r.provider); !slices.Equal(listed, want) {
		t.Errorf("it lists the permissions\n%v, the collectors need\n%v", listed, want)
	}
}

// TestReferenceReads: what the planted rule of a known check needs, by hand.
func TestReferenceReads(t *testing.T) {
	page := ourReference(t, "aws").markdown()
	for check, want := range map[string]string{
		"aws-s3-versioning":          "`aws.s3.bucket`: [aws.s3_buckets](#awss3_buckets) calls `s3:ListBuckets` (permission `s3:ListAllMyBuckets`), `s3:GetBucketVersioning`",
		"aws-rds-instance-encrypted": "`aws.rds.instance`: [aws.rds_instances](#awsrds_instances) calls `rds:DescribeDBInstances`",
		"aws-cloudtrail-bucket":      "`aws.s3.bucket` as `bucket`, where `Name` equals `resource.Trail.S3BucketName`: [aws.s3_buckets](#awss3_buckets) calls",
	} {
		if at := section(t, page, "#### "+check); !strings.Contains(at, "- "+want) {
			t.Errorf("%s reads:\n%s\nwant %s", check, at, want)
		}
	}
}

// TestReferenceIsMarkdown looks for what GitHub would show otherwise than meant.
func TestReferenceIsMarkdown(t *testing.T) {
	for _, provider := range providers() {
		t.Run(provider, func(t *testing.T) { isMarkdown(t, ourReference(t, provider).markdown()) })
	}
}

func isMarkdown(t *testing.T, page string) {
	t.Helper()
	anchors := map[string]bool{}
	fenced, columns := false, 0
	for i, line := range strings.Split(page, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		if marks, heading, ok := strings.Cut(line, " "); ok && marks != "" && strings.Trim(marks, "#") == "" {
			if a := anchor(heading); anchors[a] {
				t.Errorf("line %d: a second heading %q", i+1, heading)
			} else {
				anchors[a] = true
			}
		}
		bars := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = bars
		case bars != columns:
			t.Errorf("line %d: %d bars in a table of %d: %s", i+1, bars, columns, line)
		}
		if text := regexp.MustCompile("`[^`]*`").ReplaceAllString(line, ""); regexp.MustCompile(`(^|[^\\])[<*]`).MatchString(strings.ReplaceAll(text, "**", "")) {
			t.Errorf("line %d: a sign that Markdown takes for its own: %s", i+1, line)
		}
	}
	if fenced {
		t.Error("a block of code does not end")
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		if !anchors[m[1]] {
			t.Errorf("no heading for the link to #%s", m[1])
		}
	}
}

// TestReferenceOfAControl: what is asked for, with what belongs to it.
func TestReferenceOfAControl(t *testing.T) {
	page := output(t, "catalog", "--output", "markdown", "--control", "backup-storage")
	section(t, page, "#### aws-s3-versioning")
	section(t, page, "### aws.s3_buckets")
	for _, other := range []string{"mfa-root", "aws.iam_account_summary", "enc-rest-other"} {
		if strings.Contains(page, other) {
			t.Errorf("it speaks of %s", other)
		}
	}
}

// TestLater: what is to come is not there yet. Where the list of checks that the
// catalogue grows towards lies beside the repository, each check of it is
// either in the catalogue or to come.
func TestLater(t *testing.T) {
	rules := ours(t)
	all, err := parseLater(laterChecks)
	if err != nil {
		t.Fatal(err)
	}
	coming := map[string]later{}
	previous := ""
	for _, l := range all {
		if l.check <= previous {
			t.Errorf("%s stands behind %s: sort later.tsv", l.check, previous)
		}
		previous = l.check
		if _, _, found := rules.Check(l.check); found {
			t.Errorf("%s is in the catalogue and yet to come: go test ./cmd/tallystick -run TestReference -update", l.check)
		}
		if l.why == "" || len(l.calls) == 0 || l.control == "" || l.tier == "" {
			t.Errorf("%s lacks something: %+v", l.check, l)
		}
		coming[l.check] = l
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "catalog.json"))
	if err != nil {
		t.Skipf("no list of planned checks: %v", err)
	}
	var plan struct {
		Checks []struct{ ID, Control, Tier, Provider string }
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	for _, p := range plan.Checks {
		if !slices.Contains(providers(), p.Provider) || !strings.HasPrefix(p.ID, p.Provider+"-") {
			t.Errorf("%s is of the provider %q", p.ID, p.Provider)
		}
		l, isComing := coming[p.ID]
		delete(coming, p.ID)
		if _, _, found := rules.Check(p.ID); !found && !isComing {
			t.Errorf("%s is planned, and neither in the catalogue nor in later.tsv", p.ID)
		}
		if isComing && (l.control != p.Control || l.tier != p.Tier) {
			t.Errorf("%s: control %s, tier %s; planned %+v", p.ID, l.control, l.tier, p)
		}
	}
	for id := range coming {
		t.Errorf("%s is not planned", id)
	}
}

func TestFolded(t *testing.T) {
	for _, tt := range []struct {
		name, expression, want string
	}{
		{"short", "a && b\n", "a && b"},
		{"long", "aaaa && bbbb && cccc", "aaaa &&\nbbbb &&\ncccc"},
		{"as many as fit", "a && b && cccccccc", "a && b &&\ncccccccc"},
		{"too long for any line", "aaaaaaaaaaaaaa || b", "aaaaaaaaaaaaaa ||\nb"},
		{"within parentheses", "(aaaa || bbbb || c)", "(aaaa ||\n  bbbb ||\n  c)"},
		{"nowhere to break", "aaaaaaa == bbbbbbb", "aaaaaaa == bbbbbbb"},
		{"not within a text", "a == 'b && c || d'", "a == 'b && c || d'"},
		{"breaks that are there", "a &&\n  (b ||\n   c)", "a &&\n  (b ||\n   c)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := folded(tt.expression, 10); got != tt.want {
				t.Errorf("%q becomes\n%s\nwant\n%s", tt.expression, got, tt.want)
			}
		})
	}
}
