package main_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// TestGoogleExclusions runs the built program over an organisation of which a rule
// leaves a project out: it is listed before anything is judged, nothing is said of
// it, and none of its own APIs is asked; the listing is lost; and the rule is gone.
func TestGoogleExclusions(t *testing.T) {
	t.Parallel()
	const (
		organization = "organizations/123456789012"
		lister       = "gcp.cloudresourcemanager_projects"
		resources    = "cloudresourcemanager.googleapis.com"
		security     = "securitycentermanagement.googleapis.com"
		rules        = `  exclude: [{label: env=dev, reason: no customers (SEC-31), approver: Sam Roe}]
`
	)
	h := startHosts(t)
	b, trusting := world{program: build(t)}.google(t, h, impersonating+rules)
	b.env = append(b.env, trusting)
	left := []string{"projects/100000000002 example-dev: no customers (SEC-31) (Sam Roe)"}
	calls := func() map[string]int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return maps.Clone(h.calls)
	}

	// First only the listing, whatever is asked for, then the rest.
	b.run(t, "collect").want(t, 0)
	all := configurations(t, b.dir)
	if len(all) != 2 {
		t.Fatalf("%d configurations, want the one that lists and another", len(all))
	}
	first, second := all[0].schedule, all[1].schedule
	if len(first.Collectors) != 1 || first.Collectors[0].Collector != lister || len(first.NotCollected) > 0 {
		t.Errorf("at first there is %+v", first)
	}
	if len(second.Collectors) < 5 || slices.ContainsFunc(second.Collectors, func(c evidence.CollectorSchedule) bool {
		return !ofDirectory(c.Collector) && len(c.Accounts) > 0
	}) {
		t.Errorf("then there is %+v", second)
	}
	wantEqual(t, "not collected", all[1].left(), left)
	listing := all[1].Discoveries
	if len(all[0].Discoveries) > 0 || len(listing) != 1 || listing[0].Account != organization || listing[0].Accounts != 3 {
		t.Fatalf("discovered are %+v and then %+v", all[0].Discoveries, listing)
	}
	if run, ok := records(t, b.dir)[listing[0].Record].(*evidence.Run); !ok || run.Collector != lister {
		t.Errorf("the discovery rests on record %d", listing[0].Record)
	}
	wantProjectOut(t, b, true)
	without := calls()

	// A listing that is refused changes nothing.
	h.mu.Lock()
	h.refuse[resources] = answerOf{http.StatusForbidden, `{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "The caller does not have permission"}}`}
	h.mu.Unlock()
	b.run(t, "collect").want(t, 3)
	all = configurations(t, b.dir)
	if lost := all[len(all)-1]; len(lost.Discoveries) != 1 || lost.Discoveries[0].Record != listing[0].Record {
		t.Errorf("without a listing: %+v", lost.Discoveries)
	}
	wantEqual(t, "not collected", all[len(all)-1].left(), left)
	wantProjectOut(t, b, true)

	// Without the rule, what was seen is judged at once, and asked about from then on.
	h.mu.Lock()
	clear(h.refuse)
	h.mu.Unlock()
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.config, []byte(strings.Replace(string(text), rules, "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t, "collect", "--collector", "gcp.directory_users").want(t, 0)
	wantProjectOut(t, b, false)
	before := calls()
	b.run(t, "collect").want(t, 0)
	if with := calls()[security] - before[security]; with <= without[security] {
		t.Errorf("%d calls about services of projects without the rule, %d with it", with, without[security])
	}

	// The daemon begins with what was listed before.
	port := freePort(t)
	if err := os.WriteFile(b.config, []byte(string(text)+`http: {listen: "127.0.0.1:`+port+`"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := b.start(t)
	d.ready(t, "http://127.0.0.1:"+port)
	all = configurations(t, b.dir)
	started := all[len(all)-1]
	if started.Event != evidence.EventStarted {
		t.Errorf("the daemon began with %+v", started.Configuration)
	}
	wantEqual(t, "not collected", started.left(), left)
	wantMetric(t, "http://127.0.0.1:"+port, 0, "tallystick_check_resources", `check="gcp-redis-tls"`, `status="fail"`)
	time.Sleep(time.Until(started.At.Truncate(time.Second).Add(2 * time.Second))) // a bundle ends at a whole second
	d.stop(t)
	wantProjectOut(t, b, true)

	b.wantVerified(t)
	b.run(t, "replay", b.dir).want(t, 0)
	b.run(t, "export", "--out", "bundle").want(t, 0)
	b.run(t, "verify", "--key", b.key, "bundle").want(t, 0)
	b.run(t, "replay", "bundle").want(t, 0)
	wantReassessed(t, b, "bundle", "--from", "2026-01-01")
	wantTable(t, b, "left-out", "gcp,projects/100000000002,example-dev,left out by the operator,,no customers (SEC-31),Sam Roe,")
	wantTable(t, b, "changes", `gcp/projects/100000000002,not_collected,,"""excluded: no customers (SEC-31) (approved by Sam Roe)""",,Sam Roe,no customers (SEC-31),`)
}

// TestGoogleDaemonExclusions: a daemon that begins lists first and then takes the
// rest in, without a person, and what is left out is never judged otherwise.
func TestGoogleDaemonExclusions(t *testing.T) {
	t.Parallel()
	h, port := startHosts(t), freePort(t)
	b, trusting := world{program: build(t)}.google(t, h, impersonating+`  include: [{folder: "200000000001", reason: what customers use, approver: Sam Roe}]
schedule: {collectors: {gcp.cloudresourcemanager_projects: "*/3 * * * * *"}}
http: {listen: "127.0.0.1:`+port+`"}
`)
	b.env = append(b.env, trusting)
	d := b.start(t)
	d.ready(t, "http://127.0.0.1:"+port)
	first, second := next(t, b.dir, 1), next(t, b.dir, 2)
	if first.Event != evidence.EventStarted || len(first.schedule.Collectors) != 1 || len(first.left()) > 0 {
		t.Errorf("at first there is %+v", first.schedule)
	}
	if second.Event != evidence.EventDiscovered || len(second.Discoveries) != 1 {
		t.Errorf("then there is %+v", second.Configuration)
	}
	const not = ": not among what is included: what customers use (Sam Roe)"
	wantEqual(t, "not collected", second.left(), []string{"projects/100000000002 example-dev" + not, "projects/100000000005 example-lost" + not})
	wantMetric(t, "http://127.0.0.1:"+port, 0, "tallystick_check_resources", `check="gcp-redis-tls"`, `status="fail"`)
	wantMetric(t, "http://127.0.0.1:"+port, 1, "tallystick_check_resources", `check="gcp-redis-tls"`, `status="pass"`)
	d.stop(t)
	if n := len(configurations(t, b.dir)); n != 2 {
		t.Errorf("%d configurations took force, want 2", n)
	}
	b.wantVerified(t)
	b.run(t, "replay", b.dir).want(t, 0)
}

// wantProjectOut demands that everything of example-dev is judged as left out, or as
// anything else is.
func wantProjectOut(t *testing.T, b *bench, out bool) {
	t.Helper()
	const reason = "project example-dev is left out by the operator: no customers (SEC-31) (approved by Sam Roe)"
	in, fails := 0, 0
	for _, v := range b.verdicts(t) {
		if !slices.ContainsFunc([]string{"/projects/example-dev/", "/projects/100000000002", "/example-scratch"}, func(part string) bool {
			return strings.Contains(v.Resource, part)
		}) {
			if strings.Contains(v.Reason, reason) {
				t.Errorf("left out is %+v", v)
			}
			continue
		}
		in++
		if v.Status == "fail" {
			fails++
		}
		if left := v.Status == "not_applicable" && v.Reason == reason; left != out {
			t.Errorf("%s of %s is %s: %s", v.Check, v.Resource, v.Status, v.Reason)
		}
	}
	if in < 50 || (fails > 0) == out {
		t.Errorf("%d verdicts on the project, %d of them fail", in, fails)
	}
}

// wantTable demands a row of a table of the bundle.
func wantTable(t *testing.T, b *bench, name, want string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.folder, "bundle", "tables", name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), want) {
		t.Errorf("%s.csv does not say %s:\n%s", name, want, raw)
	}
}
