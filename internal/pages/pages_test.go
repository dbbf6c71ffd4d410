package pages_test

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/internal/pages"
)

type file struct {
	bytes.Buffer
	closed bool
}

func (f *file) Close() error { f.closed = true; return nil }

// write gives every file of a site by its name.
func write(t *testing.T, in pages.Input) map[string]string {
	t.Helper()
	s, err := pages.New(in)
	if err != nil {
		t.Fatal(err)
	}
	files, last := map[string]string{}, (*file)(nil)
	names := []string{}
	open := map[string]*file{}
	err = s.Write(t.Context(), func(name string) (io.WriteCloser, error) {
		if last != nil && !last.closed {
			t.Errorf("%s is created before the one before it is closed", name)
		}
		if open[name] != nil {
			t.Errorf("%s is written twice", name)
		}
		last = &file{}
		open[name] = last
		names = append(names, name)
		return last, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		files[n] = open[n].String()
	}
	return files
}

var (
	attribute = regexp.MustCompile(`\s(href|src|id|xlink:href)="([^"]*)"`)
	reference = regexp.MustCompile(`url\(#([^)]+)\)`)
)

// TestLinksResolve follows every link of every page.
func TestLinksResolve(t *testing.T) {
	p := plant(t, 1010)
	files := write(t, p.in)
	ids := map[string]map[string]bool{}
	for name, body := range files {
		ids[name] = map[string]bool{}
		for _, m := range attribute.FindAllStringSubmatch(body, -1) {
			if m[1] != "id" {
				continue
			}
			if ids[name][m[2]] {
				t.Errorf("%s has the id %q twice", name, m[2])
			}
			ids[name][m[2]] = true
		}
	}
	reached := map[string]bool{"index.html": true}
	outside := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, m := range reference.FindAllStringSubmatch(files[name], -1) {
			if !ids[name][m[1]] && path.Ext(name) == ".html" {
				t.Errorf("%s draws with #%s, which it does not have", name, m[1])
			}
		}
		for _, m := range attribute.FindAllStringSubmatch(files[name], -1) {
			link := html.UnescapeString(m[2])
			switch {
			case m[1] == "id":
				continue
			case strings.HasPrefix(link, "https://"):
				outside[link] = true
				continue
			case strings.Contains(link, ":") || strings.HasPrefix(link, "/"):
				t.Errorf("%s links to %q, which is not relative", name, link)
				continue
			}
			target, anchor, _ := strings.Cut(link, "#")
			if target == "" {
				target = name
			} else {
				target = path.Join(path.Dir(name), target)
			}
			if target == "README.txt" || target == "VERIFY.md" {
				continue
			}
			if d, ok := payload.Digest(strings.TrimPrefix(target, "payloads/")); ok {
				if has, err := p.store.Has(d); !has || err != nil {
					t.Errorf("%s links to a payload that is not there: %s, %v", name, link, err)
				}
				continue
			}
			if _, ok := files[target]; !ok {
				t.Errorf("%s links to %q: there is no %s", name, link, target)
				continue
			}
			reached[target] = true
			if anchor != "" && !ids[target][anchor] {
				t.Errorf("%s links to %q: no such place", name, link)
			}
		}
	}
	for name := range files {
		if !reached[name] {
			t.Errorf("no page leads to %s", name)
		}
	}
	for link := range outside {
		if !slices.ContainsFunc(p.in.Catalogue.Checks(), func(c checks.Check) bool { return c.Documentation == link }) {
			t.Errorf("a link leaves for %s, which is no documentation of a check", link)
		}
	}
	// 1,010 buckets and 1,000, 500 on a page.
	if _, ok := files["population/aws-s3-encryption-default--5.html"]; !ok {
		t.Error("the population of 2,010 is not on 5 pages")
	}
}

// TestHostileBytes looks for anything that a provider's bytes could have become.
func TestHostileBytes(t *testing.T) {
	p := plant(t, 3)
	found := 0
	for name, body := range write(t, p.in) {
		if path.Ext(name) != ".html" {
			continue
		}
		if n := strings.Count(body, "<script"); n != 1 {
			t.Errorf("%s has %d scripts, want its own alone", name, n)
		}
		for _, bad := range []string{"<img", "<b>on", "encryption <b>", "javascript:", "@s.", "templ_", "\u202e", " style=", " onerror=alert(2)\"", "<Traders>"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %q", name, bad)
			}
		}
		if strings.Contains(body, "&lt;script&gt;alert(") {
			found++
		}
	}
	if found < 5 {
		t.Errorf("the hostile bytes show on %d pages only: they were lost", found)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	p := plant(t, 200)
	a, b := write(t, p.in), write(t, p.in)
	if !maps.Equal(a, b) {
		t.Error("two writes differ")
	}
}

// TestNotOccurredIsNoPass: a control that was not due has no verdict anywhere.
func TestNotOccurredIsNoPass(t *testing.T) {
	p := plant(t, 3)
	for i := range p.report.Controls {
		if c := &p.report.Controls[i]; !c.Occurred {
			c.Standing = period.Standing{Pass: 977} // even if someone says so
		}
	}
	files := write(t, p.in)
	index := files["index.html"]
	row := regexp.MustCompile(`(?s)<tr>\s*<th scope="row"><a href="controls/`+neverOccurred+`.html">.*?</tr>`).FindAllString(index, -1)
	if len(row) != 2 {
		t.Fatalf("%d rows, want the matrix and the strip", len(row))
	}
	for _, r := range row {
		if !strings.Contains(r, "not occurred in period") || strings.Contains(r, "pass") || strings.Contains(r, "977") {
			t.Errorf("row says %s", r)
		}
	}
	if page := files["controls/"+neverOccurred+".html"]; !strings.Contains(page, "Not occurred in period.") || strings.Contains(page, "v-pass") || strings.Contains(page, ">977<") {
		t.Error("the control's own page does not say it")
	}
}

func TestWords(t *testing.T) {
	p := plant(t, 130)
	files := write(t, p.in)
	for name, wants := range map[string][]string{
		"controls/mfa-root.html": {
			"failing for at least 3 d 4 h and at most 5 d 2 h; limit 7 days: kept; 2nd time in the period",
			"seen failing at one look; for at most 11 d; no limit is set for severity critical; 1st time",
			"resource.SummaryMap.AccountMFAEnabled == 1", "never seen good before that in the window",
			"the resource was gone from a list that was read to its end", "opened by 1,604", "every aws.iam.account",
		},
		"gaps.html":    {"the agent was not running", "the host was replaced", "s3:GetEncryptionConfiguration", "the collector was turned off", "no scheduled collector supplies", "36 refusals"},
		"changes.html": {"max_days", "owner ciso, approver board, reason: freeze"},
		"index.html":   {"Northwind &lt;Traders&gt; &amp; Sons", "v0.4.1", "<b>1,420</b> of 1,460"},
		"exchanges/002-aws.s3_buckets-111122223333.html": {
			"POST https://iam.amazonaws.com/ HTTP/1.1", "Action=GetAccountSummary&amp;Version=2010-05-08", "not text; they are shown in hexadecimal", "fffe00", "There was no whole answer: timeout", "request.headers/Authorization", "Page 1 of 3",
		},
		"observations/001-aws.iam_account-111122223333.html": {"12345678901234567890"},
		"observations/005-aws.kms_keys-444455556666.html":    {"This stream has no run in the window"},
	} {
		for _, want := range wants {
			if !strings.Contains(files[name], want) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
	for name, body := range files {
		if strings.Contains(body, "SIMULATED") {
			t.Errorf("%s calls it simulated", name)
		}
		if strings.Contains(body, "%!") {
			t.Errorf("%s has a broken format", name)
		}
	}
	p.report.Simulated = true
	for name, body := range write(t, p.in) {
		if path.Ext(name) == ".html" && (!strings.Contains(body, "SIMULATED CLOCK") || !strings.Contains(body, "It is not evidence")) {
			t.Errorf("%s does not say that it is simulated", name)
		}
	}
}

// TestMissingPayloads: an export without the payloads says so on every page
// that would show them, and is no error. A corrupt one is.
func TestMissingPayloads(t *testing.T) {
	p := plant(t, 3)
	in := p.in
	in.Catalogue = nil
	in.Payloads = payload.OpenRead(t.TempDir())
	files := write(t, in)
	for _, name := range []string{"population/aws-iam-root-mfa.html", "observations/001-aws.iam_account-111122223333.html", "exchanges/001-aws.iam_account-111122223333.html"} {
		if !strings.Contains(files[name], "Not in this export.") || strings.Contains(files[name], "saw no resource") {
			t.Errorf("%s does not say what is missing", name)
		}
	}
	if !strings.Contains(files["controls/mfa-root.html"], "Words and rules are missing.") {
		t.Error("the control does not say that its rule is missing")
	}

	dir := t.TempDir()
	name, err := payload.Name(p.report.Streams[0].Newest.Observations)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, evidence.PayloadDir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, []byte("not zstd"), 0o600)); err != nil {
		t.Fatal(err)
	}
	in.Payloads = payload.OpenRead(dir)
	s, err := pages.New(in)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(t.Context(), func(string) (io.WriteCloser, error) { return &file{}, nil })
	if !errors.Is(err, payload.ErrCorrupt) {
		t.Errorf("a corrupt payload gives %v", err)
	}
}

func TestErrorsArePassedOn(t *testing.T) {
	p := plant(t, 3)
	for _, in := range []pages.Input{{}, {Report: p.report}, {Report: &period.Report{}, Payloads: p.store}} {
		if _, err := pages.New(in); err == nil {
			t.Error("New takes an input with something missing")
		}
	}
	broken := errors.New("broken")
	in := p.in
	in.Changes = func() iter.Seq2[period.Change, error] {
		return func(yield func(period.Change, error) bool) { yield(period.Change{}, broken) }
	}
	s, err := pages.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), nil); !errors.Is(err, broken) {
		t.Errorf("Changes: %v", err)
	}
	if s, err = pages.New(p.in); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), func(string) (io.WriteCloser, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("create: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, func(string) (io.WriteCloser, error) { return &file{}, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestServe: what is served is what is written.
func TestServe(t *testing.T) {
	p := plant(t, 3)
	files := write(t, p.in)
	s, err := pages.New(p.in)
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, at string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, at, nil))
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'; script-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", at, csp)
		}
		return w
	}
	for name, body := range files {
		if w := get(http.MethodGet, "/"+name); w.Code != http.StatusOK || w.Body.String() != body {
			t.Errorf("%s: %d, and not as written", name, w.Code)
		}
	}
	if w := get(http.MethodGet, "/"); w.Body.String() != files["index.html"] {
		t.Error("/ is not the overview")
	}
	for at, want := range map[string]int{"/nothing.html": 404, "/assets": 404, "/assets/": 404, "/../pages.go": 404, "/changes--9.html": 404, "/changes--1.html": 404} {
		if w := get(http.MethodGet, at); w.Code != want {
			t.Errorf("%s: %d", at, w.Code)
		}
	}
	if w := get(http.MethodPost, "/index.html"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	in := p.in
	in.Live = true
	live := write(t, in)
	if !strings.Contains(live["index.html"], "computed from the records up to") || strings.Contains(live["index.html"], "README.txt") {
		t.Error("the live pages do not say so")
	}
}
