package gcp_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// refused is what Google answers a caller that lacks a permission.
// Source: AIP-193, and the Cloud IAM troubleshooting pages.
const refused = `{"error": {"code": 403, "message": "The caller does not have permission", "status": "PERMISSION_DENIED",
 "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED", "domain": "iam.googleapis.com"}]}}`

// disabled is what Google answers for an API that is not enabled in the project
// whose quota is used, which is none of the estate.
// Source: Service Usage, "SERVICE_DISABLED".
const disabled = `{"error": {"code": 403, "message": "Cloud Asset API has not been used in project 100000000003 before or it is disabled.", "status": "PERMISSION_DENIED",
 "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com", "metadata": {"service": "cloudasset.googleapis.com", "consumer": "projects/100000000003"}}]}}`

func answered(req *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", Header: h, Request: req,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// TestDenial denies each call of each collector in turn, in each scope. Its rows
// come from the declarations and from what the checks read, so a new collector or
// check is in it by existing.
func TestDenial(t *testing.T) {
	rules, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	all := gcp.Catalogue(estate(t))
	surveyed := everything(t, all)
	for _, c := range all {
		spec := c.Spec()
		for _, call := range spec.Calls {
			t.Run(spec.Name+"/"+call.Operation, func(t *testing.T) {
				kinds := spec.Kinds
				if call.Kind != "" {
					kinds = []string{call.Kind}
				}
				for _, account := range recordings.Accounts() {
					if surveyed[account][spec.Name].requests[call.Operation] == 0 {
						continue // it is made in another scope, see TestDeclared
					}
					got, _ := replay(t, c, account, func(req *http.Request, l capture.Labels) (*http.Response, error) {
						if l.Operation != call.Operation {
							return nil, nil
						}
						return answered(req, http.StatusForbidden, refused), nil
					})
					want := evidence.Gap{Operation: call.Operation, Permission: call.Needs(), Class: evidence.Denied, Code: "IAM_PERMISSION_DENIED", Field: call.Field}
					if call.Field == "" {
						lost(t, got, kinds, want)
					} else {
						lacks(t, got, surveyed[account][spec.Name], call.Kind, want)
					}
					if len(got.waits) > 0 {
						t.Error("a denial was asked for again")
					}
					blind(t, rules, all, surveyed, account, spec, got, kinds, call)
				}
			})
		}
	}
}

// lost demands that the lists of kinds are gaps and nothing of them counts as read.
func lost(t *testing.T, got *seen, kinds []string, want evidence.Gap) {
	t.Helper()
	for _, kind := range kinds {
		if got.listed[kind] {
			t.Errorf("the list of %s counts as read to its end", kind)
		}
		if !slices.ContainsFunc(got.gaps, func(g evidence.Gap) bool {
			return g.Kind == kind && g.Resource == "" && same(g, want)
		}) {
			t.Errorf("no gap %+v for %s among %+v", want, kind, got.gaps)
		}
	}
}

// lacks demands that a field is a gap of every resource that had it in whole, and
// of no other, while the list of them is whole.
func lacks(t *testing.T, got, whole *seen, kind string, want evidence.Gap) {
	t.Helper()
	if !got.listed[kind] {
		t.Errorf("the list of %s does not count as read to its end", kind)
	}
	had := map[string]bool{}
	for _, o := range whole.observations {
		if o.Kind == kind {
			had[o.ID] = hasField(o, want.Field)
		}
	}
	n := 0
	for _, o := range got.observations {
		if o.Kind != kind {
			continue
		}
		n++
		gap := slices.ContainsFunc(got.gaps, func(g evidence.Gap) bool {
			return want.Field == g.Field && g.Resource == o.ID && g.Kind == kind && same(g, want)
		})
		if gap != had[o.ID] || hasField(o, want.Field) {
			t.Errorf("%s has the field %s, or no gap %+v (want one: %v) among %+v", o.ID, want.Field, want, had[o.ID], got.gaps)
		}
	}
	if n != len(had) {
		t.Errorf("%d of %s were observed, want %d", n, kind, len(had))
	}
}

// TestVanished answers that what was listed a moment ago is gone: it is neither
// observed nor a gap.
func TestVanished(t *testing.T) {
	for _, c := range gcp.Catalogue(estate(t)) {
		for _, call := range c.Spec().Calls {
			for _, code := range call.Vanished {
				got, _ := replay(t, c, "organizations/123456789012", func(req *http.Request, l capture.Labels) (*http.Response, error) {
					if l.Operation != call.Operation {
						return nil, nil
					}
					return answered(req, 404, `{"error": {"code": 404, "message": "gone", "errors": [{"domain": "global", "reason": "`+code+`"}]}}`), nil
				})
				if !got.listed[call.Kind] || len(got.gaps) > 0 {
					t.Errorf("%s %s: listed %v, gaps %+v", call.Operation, code, got.listed, got.gaps)
				}
				for _, o := range got.observations {
					if len(o.Sources) > 1 {
						t.Errorf("%s %s: %s was observed", call.Operation, code, o.ID)
					}
				}
			}
		}
	}
}

// same says whether a gap is of a call and a cause, and says something.
func same(g, want evidence.Gap) bool {
	return g.Operation == want.Operation && g.Permission == want.Permission && g.Class == want.Class && g.Code == want.Code && g.Message != ""
}

// blind demands of every check that reads one of the kinds that each of its
// verdicts stays what it was or is unknown and says which call and permission it
// lacks, and that at least one is unknown.
func blind(t *testing.T, rules *checks.Catalogue, all []collectors.Collector, surveyed map[string]map[string]*seen,
	account string, spec collectors.Spec, got *seen, kinds []string, call collectors.Call,
) {
	t.Helper()
	without := maps.Clone(surveyed[account])
	without[spec.Name] = got
	for _, check := range rules.Checks() {
		if check.Provider != gcp.Provider || !slices.ContainsFunc(rules.Reads(check.ID), func(r checks.Read) bool { return slices.Contains(kinds, r.Kind) }) {
			continue
		}
		was := map[[2]string]evidence.Status{}
		for _, v := range judged(t, rules, input(account, all, surveyed[account]), check.ID) {
			was[[2]string{v.Region, v.Resource}] = v.Status
		}
		unknown := false
		for _, v := range judged(t, rules, input(account, all, without), check.ID) {
			named := strings.Contains(v.Reason, call.Operation) && strings.Contains(v.Reason, call.Needs())
			switch {
			case v.Status == evidence.Unknown && named:
				unknown = true
			case was[[2]string{v.Region, v.Resource}] == v.Status:
			default:
				t.Errorf("%s on %s of %s is %s although %s is denied: %s", v.Check, v.Resource, account, v.Status, call.Operation, v.Reason)
			}
		}
		judgedHere := slices.ContainsFunc(slices.Collect(maps.Values(was)), func(s evidence.Status) bool { return s != evidence.NotApplicable })
		if judgedHere && !unknown {
			t.Errorf("%s reads what %s lists in %s, and no verdict of it is unknown", check.ID, call.Operation, account)
		}
	}
}

// TestLostPage loses the second page of each list in every way in which a page
// can be lost. What was seen before stays, and no list counts as whole.
func TestLostPage(t *testing.T) {
	for _, way := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		class  evidence.Class
		code   string
		again  bool // it is asked for again before it counts as lost
	}{
		{"denied", func(r *http.Request) (*http.Response, error) { return answered(r, 403, refused), nil }, evidence.Denied, "IAM_PERMISSION_DENIED", false},
		{"disabled", func(r *http.Request) (*http.Response, error) { return answered(r, 403, disabled), nil }, evidence.Disabled, "SERVICE_DISABLED", false},
		{"throttled", func(r *http.Request) (*http.Response, error) {
			return answered(r, 429, `{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}`, "Retry-After", "20"), nil
		}, evidence.Throttled, "RESOURCE_EXHAUSTED", true},
		{"throttled the old way", func(r *http.Request) (*http.Response, error) {
			return answered(r, 403, `{"error": {"code": 403, "message": "Quota exceeded", "errors": [{"domain": "usageLimits", "reason": "quotaExceeded"}]}}`), nil
		}, evidence.Throttled, "quotaExceeded", true},
		{"unavailable", func(r *http.Request) (*http.Response, error) { return answered(r, 503, "upstream"), nil }, evidence.Unavailable, "HTTP 503", true},
		{"timed out", func(r *http.Request) (*http.Response, error) {
			return answered(r, 504, `{"error": {"code": 504, "status": "DEADLINE_EXCEEDED", "message": "deadline"}}`), nil
		}, evidence.Timeout, "DEADLINE_EXCEEDED", true},
		{"no JSON", func(r *http.Request) (*http.Response, error) { return answered(r, 200, "<html>"), nil }, evidence.Malformed, "", false},
		{"another form", func(r *http.Request) (*http.Response, error) {
			// Whatever list it is, its members do not say what they are of.
			var lists []string
			for _, field := range []string{
				"accounts", "assets", "entries", "folders", "inboundOidcSsoProfiles", "inboundSamlSsoProfiles", "inboundSsoAssignments",
				"items", "memberships", "organizationUnits", "policies", "projects", "securityCenterServices", "users",
				"vpcFlowLogsConfigs",
			} {
				lists = append(lists, `"`+field+`": [{"updateTime": "2026-06-30T06:17:00Z"}]`)
			}
			return answered(r, 200, "{"+strings.Join(lists, ", ")+"}"), nil
		}, evidence.Malformed, "", false},
		{"partial", func(r *http.Request) (*http.Response, error) {
			return answered(r, 200, `{"unreachable": ["locations/europe-west1"]}`), nil
		}, evidence.Unavailable, "", false},
		{"cut off", func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, evidence.Unavailable, "", true},
	} {
		for _, c := range gcp.Catalogue(estate(t)) {
			for _, call := range c.Spec().Calls {
				t.Run(way.name+"/"+c.Spec().Name+"/"+call.Operation, func(t *testing.T) {
					var mu sync.Mutex
					tries := map[string]int{}
					got, _ := replay(t, c, "organizations/123456789012", func(req *http.Request, l capture.Labels) (*http.Response, error) {
						if l.Operation != call.Operation || !furtherPage(req) {
							return nil, nil
						}
						mu.Lock()
						tries[req.URL.Path]++
						mu.Unlock()
						return way.answer(req)
					})
					if len(tries) == 0 && (call.Field != "" || slices.Contains([]string{"directory.orgunits.list", "iam.projects.serviceAccounts.keys.list"}, call.Operation) || got.requests[call.Operation] == 0) {
						return // one answer tells it all, or it is made in another scope
					}
					want := evidence.Gap{Operation: call.Operation, Permission: call.Needs(), Class: way.class, Code: way.code, Field: call.Field}
					switch {
					case len(tries) == 0:
						t.Fatal("the recording has no second page")
					case call.Field != "":
						if !slices.ContainsFunc(got.gaps, func(g evidence.Gap) bool { return g.Field == call.Field && g.Resource != "" && same(g, want) }) {
							t.Errorf("no gap %+v among %+v", want, got.gaps)
						}
					default:
						kinds := c.Spec().Kinds
						if call.Kind != "" {
							kinds = []string{call.Kind}
						}
						lost(t, got, kinds, want)
					}
					if len(got.observations) == 0 {
						t.Error("what the first page held is lost too")
					}
					again := 0
					for _, n := range tries {
						again += n - 1
					}
					if way.again != (again > 0) || len(got.waits) != again {
						t.Errorf("asked %v times with the pauses %v", tries, got.waits)
					}
				})
			}
		}
	}
}

// furtherPage says whether a request is for a page that is not the first.
func furtherPage(req *http.Request) bool {
	if req.URL.Query().Get("pageToken") != "" {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	if err != nil {
		return false
	}
	sent, err := io.ReadAll(body)
	return err == nil && bytes.Contains(sent, []byte(`"pageToken"`))
}

// TestRepeatedToken proves that a provider which hands out the same page for ever
// is not read for ever.
func TestRepeatedToken(t *testing.T) {
	for _, c := range gcp.Catalogue(estate(t)) {
		var n atomic.Int64
		got, _ := replay(t, c, "organizations/123456789012", func(req *http.Request, _ capture.Labels) (*http.Response, error) {
			if n.Add(1) > 500 {
				t.Fatal("the same page is read for ever")
			}
			return answered(req, 200, `{"nextPageToken": "again"}`), nil
		})
		for _, kind := range c.Spec().Kinds {
			call := restsOn(c.Spec(), kind)
			lost(t, got, []string{kind}, evidence.Gap{Operation: call.Operation, Permission: call.Needs(), Class: evidence.Malformed})
		}
	}
}

// restsOn gives the first call on which the list of a kind rests.
func restsOn(spec collectors.Spec, kind string) collectors.Call {
	return spec.Calls[slices.IndexFunc(spec.Calls, func(c collectors.Call) bool { return c.Kind == "" || c.Kind == kind })]
}

// delegated gives the calls of a collector to the Workspace domain: a super
// administrator delegates their scopes.
func delegated(spec collectors.Spec) []collectors.Call {
	return slices.DeleteFunc(slices.Clone(spec.Calls), func(c collectors.Call) bool { return !strings.HasPrefix(c.Needs(), "https://") })
}

// TestEndlessSearch proves that a search of a log which never ends is a gap, and not
// the answer that there is no entry.
func TestEndlessSearch(t *testing.T) {
	for _, c := range gcp.Catalogue(estate(t)) {
		if c.Spec().Name != "gcp.logging_entries" {
			continue
		}
		n := 0
		got, _ := replay(t, c, "example-solo", func(req *http.Request, l capture.Labels) (*http.Response, error) {
			if l.Operation != "logging.entries.list" {
				return nil, nil
			}
			n++
			return answered(req, 200, `{"nextPageToken": "`+strconv.Itoa(n)+`"}`), nil
		})
		lacks(t, got, everything(t, []collectors.Collector{c})["example-solo"][c.Spec().Name], "gcp.logging.project", evidence.Gap{
			Operation: "logging.entries.list", Permission: "logging.logEntries.list", Class: evidence.Unavailable, Field: "newestActivity",
		})
		if n != 20 {
			t.Errorf("%d pages were read", n)
		}
	}
}

// TestWithoutWorkspace demands that without a way into the directory nothing is
// asked, and the gap says what is missing.
func TestWithoutWorkspace(t *testing.T) {
	e := made(t, gcp.Settings{Accounts: recordings.Accounts()})
	for _, c := range gcp.Catalogue(e) {
		calls := delegated(c.Spec())
		if len(calls) == 0 {
			continue
		}
		got := newSeen()
		collect(t, c, "organizations/123456789012", http.NewFileTransport(http.Dir(t.TempDir())), got)
		for _, call := range calls {
			lost(t, got, []string{call.Kind}, evidence.Gap{Operation: call.Operation, Permission: call.Needs(), Class: evidence.Denied, Code: "NOT_CONFIGURED"})
		}
		if !strings.Contains(got.gaps[0].Message, "gcp.workspace") || len(got.requests) > 0 {
			t.Errorf("gap %+v after requests %v", got.gaps[0], got.requests)
		}
	}
}
