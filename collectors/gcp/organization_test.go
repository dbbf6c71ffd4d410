package gcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/evidence"
)

// The size of the organisation that largeServer answers for.
const (
	largeProjects = 300
	largeAssets   = 50_000
	largeAccount  = "organizations/900000000001"
)

// large answers as Cloud Asset Inventory does for a large organisation. Every
// seventh bucket has no uniform access; project 7 is moved from one folder to
// another while its assets are listed.
type large struct {
	assets  int
	refused map[int]int // by page: how often it is refused for rate before it is answered
	moving  bool
	calls   int
	tokens  []string // the pages that were asked for, in order
}

func bucketName(i int) string  { return fmt.Sprintf("//storage.googleapis.com/example-bucket-%05d", i) }
func bucketUniform(i int) bool { return i%7 != 0 }

// asset gives the i-th asset of the listing: first the projects, then buckets.
func (l *large) asset(i int) string {
	p := i % largeProjects
	folder := 1 + p%10
	if l.moving && p == 7 && i >= l.assets/2 {
		folder = 99
	}
	ancestors := fmt.Sprintf(`["projects/%d", "folders/%d", "%s"]`, 100000+p, folder, largeAccount)
	if i < largeProjects {
		return fmt.Sprintf(`{"name": "//cloudresourcemanager.googleapis.com/projects/%d", "assetType": "cloudresourcemanager.googleapis.com/Project", "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "resource": {"version": "v3", "data": {"projectId": "example-%d", "state": "ACTIVE"}}}`, 100000+p, ancestors, p)
	}
	return fmt.Sprintf(`{"name": %q, "assetType": "storage.googleapis.com/Bucket", "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "resource": {"version": "v1", "parent": "//cloudresourcemanager.googleapis.com/projects/%d", "location": "europe-west1", "data": {"name": "example-bucket-%05d", "location": "EUROPE-WEST1", "iamConfiguration": {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": {"enabled": %t}}, "versioning": {"enabled": true}, "softDeletePolicy": {"retentionDurationSeconds": "604800"}}}}`,
		bucketName(i), ancestors, 100000+p, i, bucketUniform(i))
}

func (l *large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.calls++
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if r.URL.Path != "/v1/"+largeAccount+"/assets" || r.URL.Query().Get("contentType") != "RESOURCE" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	size, err := strconv.Atoi(r.URL.Query().Get("pageSize"))
	page, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
	l.tokens = append(l.tokens, r.URL.Query().Get("pageToken"))
	if err != nil || size < 1 || size > 1000 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if l.refused[page] > 0 {
		l.refused[page]--
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for quota metric 'ListAssets'"}}`))
		return
	}
	var b strings.Builder
	b.WriteString(`{"readTime": "2026-06-30T06:17:00Z", "assets": [`)
	end := min((page+1)*size, l.assets)
	for i := page * size; i < end; i++ {
		if i > page*size {
			b.WriteString(",")
		}
		b.WriteString(l.asset(i))
	}
	b.WriteString("]")
	if end < l.assets {
		fmt.Fprintf(&b, `, "nextPageToken": "%d"`, page+1)
	}
	b.WriteString("}")
	_, _ = w.Write([]byte(b.String()))
}

// resourcesOf gives the collector of resources over a server.
func resourcesOf(t testing.TB, address string) (collectors.Collector, http.RoundTripper) {
	t.Helper()
	e, err := gcp.New(t.Context(), gcp.Settings{
		Accounts: []string{largeAccount}, Endpoints: map[string]string{"cloudasset": address}, Recorded: &gcp.Recorded{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range gcp.Catalogue(e) {
		if c.Spec().Name == "gcp.cloudasset_resources" {
			return c, e.Transport()
		}
	}
	t.Fatal("there is no collector of resources")
	return nil, nil
}

// TestOrganization reads an organisation of 300 projects and 50,000 assets from a
// server that refuses some calls for rate, while a project is moved. Each asset
// comes once, in as few calls as there are pages and refusals, and the verdicts
// are those of the planted facts.
func TestOrganization(t *testing.T) {
	l := &large{assets: largeAssets, moving: true, refused: map[int]int{3: 1, 20: 3}}
	server := httptest.NewServer(l)
	defer server.Close()
	c, transport := resourcesOf(t, server.URL)
	got := newSeen()
	collect(t, c, largeAccount, transport, got)

	if want := largeAssets/1000 + 4; l.calls != want {
		t.Errorf("%d calls, want %d: one for each page and each refusal", l.calls, want)
	}
	if len(got.waits) != 4 {
		t.Errorf("waited %v, want one pause for each refusal", got.waits)
	}
	for _, d := range got.waits {
		if d < 17*time.Second || d > time.Minute {
			t.Errorf("a pause of %v, when the server asked for 17 s", d)
		}
	}
	if len(got.observations) != largeAssets {
		t.Fatalf("%d observations, want %d", len(got.observations), largeAssets)
	}
	if len(got.gaps) != 1 || got.gaps[0].Resource != "//cloudresourcemanager.googleapis.com/projects/100007" || got.gaps[0].Field != "ancestors" || !strings.Contains(got.gaps[0].Message, "moved") {
		t.Errorf("gaps %+v, want one for the ancestors of the project that was moved", got.gaps)
	}

	rules, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]evidence.Status{}
	for _, v := range judged(t, rules, input(largeAccount, []collectors.Collector{c}, map[string]*seen{c.Spec().Name: got}), "gcp-storage-uniform") {
		verdicts[v.Resource] = v.Status
	}
	if len(verdicts) != largeAssets-largeProjects {
		t.Errorf("%d verdicts, want one for each of %d buckets", len(verdicts), largeAssets-largeProjects)
	}
	for i := largeProjects; i < largeAssets; i++ {
		want := evidence.Fail
		if bucketUniform(i) {
			want = evidence.Pass
		}
		if verdicts[bucketName(i)] != want {
			t.Fatalf("%s is %q, want %s", bucketName(i), verdicts[bucketName(i)], want)
		}
	}
}

// TestQuotaSpent demands that a listing which is refused for good is a gap that
// says throttled, after a bounded number of attempts.
func TestQuotaSpent(t *testing.T) {
	l := &large{assets: 3000, refused: map[int]int{1: 1000}}
	server := httptest.NewServer(l)
	defer server.Close()
	c, transport := resourcesOf(t, server.URL)
	got := newSeen()
	collect(t, c, largeAccount, transport, got)
	lost(t, got, c.Spec().Kinds, evidence.Gap{
		Operation: "cloudasset.assets.list", Permission: "cloudasset.assets.listResource", Class: evidence.Throttled, Code: "RESOURCE_EXHAUSTED",
	})
	if l.calls != 1+6 {
		t.Errorf("%d calls, want the first page and six attempts of the second", l.calls)
	}
	if len(got.observations) != 1000 {
		t.Errorf("%d observations, want those of the first page", len(got.observations))
	}
}

// BenchmarkOrganization measures a listing of 50,000 assets: calls against the
// fewest possible, wall, and the peak of the process's memory.
func BenchmarkOrganization(b *testing.B) {
	l := &large{assets: largeAssets}
	server := httptest.NewServer(l)
	defer server.Close()
	c, transport := resourcesOf(b, server.URL)
	calls := 0
	for b.Loop() {
		l.calls = 0
		if err := c.Collect(b.Context(), collectors.Input{
			Scope: evidence.Scope{Provider: gcp.Provider, Account: largeAccount}, Captured: kept(transport), InFlight: 4,
		}, counting{}); err != nil {
			b.Fatal(err)
		}
		calls = l.calls
	}
	b.ReportMetric(float64(calls)/(largeAssets/1000), "calls/fewest")
	b.ReportMetric(float64(peak(b))/1024, "peakMB")
}

// peak gives the most memory that the process held at a time, in KiB.
func peak(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Skip("the machine does not tell the peak")
	return 0
}

// counting lets go of what is emitted, as the runner does once it is on the disk.
type counting struct{}

func (counting) Principal(string)                {}
func (counting) Regions([]string, []string)      {}
func (counting) Listed(string, string)           {}
func (counting) Gap(evidence.Gap)                {}
func (counting) Vanished(string, string, string) {}

func (counting) Observe(o evidence.Observation) error {
	if !json.Valid(o.Body) {
		return fmt.Errorf("%s is not JSON", o.ID)
	}
	return nil
}
