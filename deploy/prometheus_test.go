// Package deploy_test holds what can be proved about the files that operators
// deploy: the alert rules, the container image and the units.
//
// It promises that the alerts fire and that the image runs. What needs a tool
// that the machine lacks is skipped, and fails under TALLYSTICK_E2E=required.
package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/internal/telemetry"
)

// tool gives the path of a program, or skips the test, or fails it where the
// end-to-end tests are required.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("TALLYSTICK_E2E") == "required" {
		t.Fatalf("%s is not on the PATH and TALLYSTICK_E2E=required: install the Debian package %s", name, debian)
	}
	t.Skipf("%s is not on the PATH: install the Debian package %s to run this test", name, debian)
	return ""
}

func TestPromtool(t *testing.T) {
	promtool := tool(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "rules", "tallystick.rules.yml"},
		{"test", "rules", "tallystick.rules_test.yml"},
		{"check", "config", "--lint=none", "prometheus.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	load(t, "prometheus/tallystick.rules.yml", &file)
	var out []alert
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("no alerts in tallystick.rules.yml")
	}
	return out
}

func load(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
}

// exported gives every metric that the agent can show, with its labels sorted.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	reg := prometheus.NewRegistry()
	if _, err := telemetry.New(reg); err != nil {
		t.Fatal(err)
	}
	ch := make(chan *prometheus.Desc)
	go func() { reg.Describe(ch); close(ch) }()
	parts := regexp.MustCompile(`^Desc\{fqName: "([^"]+)".*variableLabels: \{([^}]*)\}\}$`)
	out := map[string][]string{"up": {}} // Prometheus makes it for every target
	for d := range ch {
		p := parts.FindStringSubmatch(d.String())
		if p == nil {
			t.Fatalf("cannot read the description %s", d)
		}
		labels := strings.FieldsFunc(p[2], func(r rune) bool { return r == ',' })
		slices.Sort(labels)
		out[p[1]] = labels
	}
	return out
}

func TestAlertsUseMetricsThatExist(t *testing.T) {
	metrics := exported(t)
	name := regexp.MustCompile(`\b(?:tallystick|process|go)_[a-z_]+\b|\bup\b`)
	label := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	for _, a := range alerts(t) {
		have := []string{"job", "instance"}
		names := name.FindAllString(a.Expr, -1)
		if len(names) == 0 {
			t.Errorf("%s: no metric in %q", a.Alert, a.Expr)
		}
		for _, n := range names {
			labels, ok := metrics[n]
			if !ok {
				t.Errorf("%s: the agent has no metric %s", a.Alert, n)
			}
			have = append(have, labels...)
		}
		for _, text := range a.Annotations {
			for _, l := range label.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(have, l[1]) {
					t.Errorf("%s: an annotation uses the label %s, which its metrics lack", a.Alert, l[1])
				}
			}
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	doc, err := os.ReadFile("../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		if s := a.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: severity %q, want warning or critical", a.Alert, s)
		}
		for _, k := range []string{"summary", "description", "runbook_url"} {
			if a.Annotations[k] == "" {
				t.Errorf("%s: no %s", a.Alert, k)
			}
		}
		if want := "docs/alerts.md#" + strings.ToLower(a.Alert); !strings.HasSuffix(a.Annotations["runbook_url"], want) {
			t.Errorf("%s: runbook_url does not end in %s", a.Alert, want)
		}
		if !strings.Contains(string(doc), "\n## "+a.Alert+"\n") {
			t.Errorf("%s: docs/alerts.md has no such section", a.Alert)
		}
	}
}

// TestEachAlertIsSeenToFire holds the unit tests of the rules against the
// rules and the metrics: each alert fires in one place and is silent in
// another, over series that look as the agent makes them.
func TestEachAlertIsSeenToFire(t *testing.T) {
	var file struct {
		Tests []struct {
			Name   string `yaml:"name"`
			Series []struct {
				Series string `yaml:"series"`
			} `yaml:"input_series"`
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	load(t, "prometheus/tallystick.rules_test.yml", &file)

	metrics := exported(t)
	fires, silent := map[string]bool{}, map[string]bool{}
	label := regexp.MustCompile(`([a-z_]+)="`)
	for _, tt := range file.Tests {
		for _, s := range tt.Series {
			name, rest, _ := strings.Cut(s.Series, "{")
			got := map[string]bool{}
			for _, l := range label.FindAllStringSubmatch(rest, -1) {
				got[l[1]] = true
			}
			want, ok := metrics[name]
			if !ok {
				t.Errorf("%s: the agent has no metric %s", tt.Name, name)
			}
			want = slices.Sorted(slices.Values(append([]string{"job", "instance"}, want...)))
			if labels := slices.Sorted(maps.Keys(got)); !slices.Equal(labels, want) {
				t.Errorf("%s: %s has the labels %q, the agent gives it %q", tt.Name, name, labels, want)
			}
		}
		for _, a := range tt.Alerts {
			if len(a.Expected) > 0 {
				fires[a.Name] = true
			} else {
				silent[a.Name] = true
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] {
			t.Errorf("%s: no test in which it fires", a.Alert)
		}
		if !silent[a.Alert] {
			t.Errorf("%s: no test in which it is silent", a.Alert)
		}
	}
}
