package pages

import (
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence/period"
)

// luminance is the relative luminance of #rrggbb. Source: WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestContrast holds the tokens of the style against WCAG 2.2 level AA: 4.5
// for text (1.4.3), 3 for what is not text (1.4.11).
func TestContrast(t *testing.T) {
	css, err := assets.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(css), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d sets of colours, want light, dark and print", len(blocks))
	}
	for i, scheme := range []string{"light", "dark", "print"} {
		tokens := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(blocks[i][1], -1) {
			tokens[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "ground", 7},
			{"text", "panel", 4.5},
			{"text", "unknown-ground", 4.5},
			{"quiet", "ground", 4.5},
			{"quiet", "panel", 4.5},
			{"quiet", "sealed", 3}, // the dot of a complete cell, which its colour tells too
			{"link", "ground", 4.5},
			{"link", "panel", 4.5},
			{"focus", "ground", 3},
			{"ink-dark", "late", 4.5},
			{"ink-dark", "partial", 4.5},
			{"ink-dark", "failed", 4.5},
			{"ink-missed", "missed", 4.5},
			{"fell", "open", 4.5},
			{"fell", "ground", 4.5},
			{"fell", "sealed", 3},
			{"failed", "ground", 3},
			{"fail-text", "fail-ground", 4.5},
			{"fail-text", "ground", 4.5},
			{"fail-text", "panel", 4.5},
			{"unknown-text", "unknown-ground", 4.5},
			{"unknown-text", "ground", 4.5},
			{"pass-text", "pass-ground", 4.5},
			{"none-text", "none-ground", 4.5},
		} {
			if tokens[pair.front] == "" || tokens[pair.back] == "" {
				t.Errorf("%s: no colour %s or %s", scheme, pair.front, pair.back)
				continue
			}
			a, b := luminance(t, tokens[pair.front]), luminance(t, tokens[pair.back])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < pair.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", scheme, pair.front, pair.back, ratio, pair.least)
			}
		}
	}
}

func TestLength(t *testing.T) {
	for _, tt := range []struct {
		d        time.Duration
		down, up string
	}{
		{0, "0 s", "0 s"},
		{time.Millisecond, "0 s", "1 s"},
		{59 * time.Second, "59 s", "59 s"},
		{90 * time.Minute, "1 h 30 min", "1 h 30 min"},
		{90*time.Minute + time.Second, "1 h 30 min", "1 h 31 min"},
		{24*time.Hour - time.Second, "23 h 59 min", "1 d"},
		{76*time.Hour + 59*time.Minute, "3 d 4 h", "3 d 5 h"},
		{365 * 24 * time.Hour, "365 d", "365 d"},
	} {
		if got := length(tt.d, true); got != tt.down {
			t.Errorf("%v at least: %q, want %q", tt.d, got, tt.down)
		}
		if got := length(tt.d, false); got != tt.up {
			t.Errorf("%v at most: %q, want %q", tt.d, got, tt.up)
		}
	}
}

func TestSmallWords(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) is %q", n, got)
		}
	}
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 112: "112th"} {
		if got := ordinal(n); got != want {
			t.Errorf("ordinal(%d) is %q", n, got)
		}
	}
	for in, want := range map[string]string{"a\u202eb": "a⟨U+202E⟩b", "a\x00b\tc\n": "a⟨U+0000⟩b\tc\n", "zürich": "zürich"} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) is %q", in, got)
		}
	}
}

// FuzzSlug: whatever an id is, its slug is a plain name, and two ids that a
// file system might take for one another have two.
func FuzzSlug(f *testing.F) {
	for _, id := range []string{"mfa-root", "aws.s3_buckets", "..", "../../etc/passwd", "CON", "a--2", "A", ""} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		s := slug(id)
		if !plainName.MatchString(s) || len(s) > 80 || strings.Contains(s, "--") || strings.Contains(s, "..") {
			t.Errorf("slug(%q) is %q", id, s)
		}
		if s != id && slug(s) != s {
			t.Errorf("slug(%q) is %q, which is no slug", id, s)
		}
	})
}

func TestSplitter(t *testing.T) {
	by := splitter{rows: 3, bytes: 10}
	var got []int
	for _, weight := range []int{4, 4, 4, 50, 1, 1, 1, 1} {
		got = append(got, by.next(weight))
	}
	for i, want := range []int{1, 1, 2, 3, 4, 4, 4, 5} {
		if got[i] != want {
			t.Fatalf("pages are %v", got)
		}
	}
}

func TestStretches(t *testing.T) {
	cells := make([]period.Cell, 5)
	for i, s := range []period.State{period.Sealed, period.Sealed, period.Missed, period.Missed} {
		cells[i].Add(s, 1)
	}
	cells[3].FailSeen = true
	got := stretchesIn(cells, 1, 9)
	want := []stretch{{first: 1, last: 1}, {first: 2, last: 2}, {first: 3, last: 3, failed: true}, {first: 4, last: 4}}
	if len(got) != len(want) {
		t.Fatalf("%d stretches: %+v", len(got), got)
	}
	for i, w := range want {
		if g := got[i]; g.first != w.first || g.last != w.last || g.failed != w.failed {
			t.Errorf("stretch %d is %+v", i, g)
		}
	}
}

// TestNoTemplateExecutor: templ names html/template, but what runs templates
// by reflection must not be linked: it makes every exported method of every
// package stay in the binary.
func TestNoTemplateExecutor(t *testing.T) {
	if testing.Short() {
		t.Skip("a link takes its time: skipped by -short")
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/probe", "./testdata/probe")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, out)
	}
	names, err := exec.CommandContext(t.Context(), "go", "tool", "nm", dir+"/probe").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(names), "internal/pages.(*Site).Write") {
		t.Fatal("the probe does not have the pages")
	}
	for _, bad := range []string{"text/template.(*Template).Execute", "html/template.(*Template).Execute"} {
		if strings.Contains(string(names), bad) {
			t.Errorf("%s is linked", bad)
		}
	}
}
