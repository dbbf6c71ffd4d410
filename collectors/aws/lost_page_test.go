package aws_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// attempts is how often the SDK makes a call that fails for want of capacity
// or of a connection. Source: AWS SDKs reference, standard retry mode.
const attempts = 3

// next is a page that a recorded answer announces.
type next struct{ operation, token string }

// announced gives the pages that the answers of a recording announce.
func announced(t *testing.T, collector, account string) []next {
	t.Helper()
	files, err := recordings.Open(account, collector)
	if err != nil {
		t.Fatal(err)
	}
	names := `(?i:nextToken|marker|nextMarker|continuationToken|lastEvaluatedTableName)`
	token := regexp.MustCompile(`<` + names + `>([^<]+)<|"` + names + `":"([^"]+)"`)
	var out []next
	for _, f := range files {
		for entry, err := range capture.Read(f) {
			if err != nil {
				t.Fatal(err)
			}
			body, err := entry.Response.Body()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range token.FindAllSubmatch(body, -1) {
				n := next{entry.Operation, string(m[1]) + string(m[2])}
				if !slices.Contains(out, n) {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// asks says whether a request asks for a page.
func (n next) asks(t *testing.T, req *http.Request, l capture.Labels) bool {
	t.Helper()
	if !strings.EqualFold(l.Operation, n.operation) {
		return false
	}
	for _, values := range req.URL.Query() {
		if slices.Contains(values, n.token) {
			return true
		}
	}
	if req.GetBody == nil {
		return false
	}
	r, err := req.GetBody()
	if err != nil {
		t.Error(err)
		return false
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
		return slices.ContainsFunc(slices.Collect(maps.Values(form)), func(values []string) bool { return slices.Contains(values, n.token) })
	}
	return bytes.Contains(body, []byte(n.token))
}

// trouble is a way in which a page can be lost.
type trouble struct {
	name   string
	class  evidence.Class
	answer func(*http.Request, refusal) (*http.Response, error)
}

func troubles() []trouble {
	return []trouble{
		{"throttled", evidence.Throttled, func(req *http.Request, r refusal) (*http.Response, error) {
			return r.answer(req, r.throttled), nil
		}},
		{"dropped", evidence.Unavailable, func(*http.Request, refusal) (*http.Response, error) {
			return nil, os.NewSyscallError("read", syscall.ECONNRESET)
		}},
		{"cut short", evidence.Unavailable, func(req *http.Request, _ refusal) (*http.Response, error) {
			resp := capture.Respond(req, http.StatusOK, "text/xml", "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("<Half"), broken{}))
			return resp, nil
		}},
	}
}

// broken is a connection that ends before its answer does.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestLostPage loses each page that a recorded answer announces: until the SDK
// gives up, which must be a gap and never a shorter list, and once less often,
// which must make no difference. The SDK's back-off runs on a bubble's clock.
func TestLostPage(t *testing.T) {
	e := estateWith(t, attempts)
	for _, c := range aws.Catalogue(e) {
		for _, account := range recordings.Accounts() {
			whole, _ := replay(t, c, account, nil)
			for _, page := range announced(t, c.Spec().Name, account) {
				for _, trouble := range troubles() {
					name := fmt.Sprintf("%s/%s/%s/%s/%s", c.Spec().Name, account, page.operation, page.token, trouble.name)
					t.Run(name, func(t *testing.T) {
						lost, tries := losing(t, c, account, page, trouble, attempts)
						if tries != attempts {
							t.Errorf("the page was asked for %d times, want %d", tries, attempts)
						}
						mustBeGap(t, c.Spec(), page.operation, trouble.class, whole, lost)
						late, _ := losing(t, c, account, page, trouble, attempts-1)
						if len(late.gaps) != len(whole.gaps) || len(late.observations) != len(whole.observations) {
							t.Errorf("a page that came at the last attempt: %d gaps and %d resources, want %d and %d",
								len(late.gaps), len(late.observations), len(whole.gaps), len(whole.observations))
						}
					})
				}
			}
		}
	}
}

// losing replays a recording in which the first times of asking for a page
// fail. It tells how often the page was asked for.
func losing(t *testing.T, c collectors.Collector, account string, page next, how trouble, times int) (got *seen, tries int) {
	t.Helper()
	var mu sync.Mutex
	synctest.Test(t, func(t *testing.T) {
		got, _ = replay(t, c, account, func(req *http.Request, l capture.Labels) (*http.Response, error) {
			if !page.asks(t, req, l) {
				return nil, nil
			}
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries > times {
				return nil, nil
			}
			return how.answer(req, refusals()[l.Service])
		})
	})
	return got, tries
}

// mustBeGap demands that the lost page is a gap where the operation's answers
// go: the list, or a field of a resource.
func mustBeGap(t *testing.T, spec collectors.Spec, operation string, class evidence.Class, whole, lost *seen) {
	t.Helper()
	call, declared := spec.Call(operation)
	if !declared {
		t.Fatalf("%s is not declared", operation)
	}
	kinds := []string{call.Kind}
	if call.Kind == "" { // one call that lists every kind of the collector
		kinds = slices.Sorted(slices.Values(spec.Kinds))
	}
	var gaps []evidence.Gap
	for _, g := range lost.gaps {
		if g.Operation == call.Operation && g.Class == class {
			gaps = append(gaps, g)
		}
	}
	if len(gaps) != len(kinds) {
		t.Fatalf("%d gaps of class %s by %s, want %d; all gaps: %v", len(gaps), class, operation, len(kinds), lost.gaps)
	}
	for i, g := range gaps { // in the order of the kinds
		if g.Kind != kinds[i] || g.Field != call.Field || (g.Resource == "") != (call.Field == "") {
			t.Errorf("the gap is for %s %q field %q, want %s field %q", g.Kind, g.Resource, g.Field, kinds[i], call.Field)
		}
		if call.Field == "" && lost.listed[g.Kind+"@"+g.Region] {
			t.Errorf("the list of %s in %q counts as read to its end", g.Kind, g.Region)
		}
	}
	if call.Field == "" {
		return
	}
	g := gaps[0]
	if hasField(t, lost, g) {
		t.Errorf("%s has a shorter %s", g.Resource, g.Field)
	}
	if len(lost.observations) != len(whole.observations) {
		t.Errorf("%d resources, want %d: a lost field must not lose the resource", len(lost.observations), len(whole.observations))
	}
}
