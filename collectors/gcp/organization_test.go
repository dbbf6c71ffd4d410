package gcp_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
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

// TestOrganization reads an organisation of 300 projects and 50,000 assets from a
// server by every collector. The server refuses some calls for rate; a folder is
// moved meanwhile, the APIs of one project refuse the caller and those of another
// are off.
// Each asset comes once, in as few calls as there are pages, projects to ask and
// refusals, and the verdicts are those of the planted facts, one by one.
func TestOrganization(t *testing.T) {
	l := &large{assets: largeAssets, moving: true, refused: map[string]int{
		"/v1/" + largeAccount + "/assets#3000":                                    1,
		"/v1/" + largeAccount + "/assets#20000":                                   3,
		"/v1/projects/" + number(2) + "/locations/global/securityCenterServices#": 2,
	}}
	address := serve(t, l)
	e := largeEstate(t, address)
	all := gcp.Catalogue(e)
	troubled := map[string]bool{groupName(foreignGroup): true, accountID(keysProject): true, accountName(keysProject): true, evidence.Population: true}
	for _, p := range []int{refusedProject, offProject, otherOff} {
		troubled[projectName(p)], troubled["projects/"+number(p)], troubled[instanceName(p)] = true, true, true
	}
	moved := map[string]bool{}
	for p := range largeProjects {
		if folderOf(p) == fmt.Sprintf("folders/%d", movedFolder) {
			moved[projectName(p)] = true
		}
	}
	surveyed := map[string]*seen{}
	for _, c := range all {
		l.calls = 0
		got := newSeen()
		collect(t, c, largeAccount, e.Transport(), got)
		surveyed[c.Spec().Name] = got
		if want := fewest(c.Spec()); l.calls != want+len(got.waits) {
			t.Errorf("%s: %d calls, want %d and one for each of %d refusals", c.Spec().Name, l.calls, want, len(got.waits))
		}
		for _, g := range got.gaps {
			of := g.Resource
			if of == "" { // the message says of what a list is a part
				of, _, _ = strings.Cut(g.Message, ": ")
			}
			if !troubled[of] && !moved[of] {
				t.Errorf("%s: a gap of its own: %+v", c.Spec().Name, g)
			}
		}
		for _, d := range got.waits {
			if d < 17*time.Second || d > time.Minute {
				t.Errorf("%s: a pause of %v, when the server asked for 17 s", c.Spec().Name, d)
			}
		}
	}
	if n := len(surveyed["gcp.cloudasset_resources"].waits) + len(surveyed["gcp.securitycentermanagement_services"].waits); n != 6 {
		t.Errorf("%d pauses, want one for each of 6 refusals", n)
	}
	if n := len(surveyed["gcp.cloudasset_resources"].observations); n != largeAssets {
		t.Errorf("%d observations, want %d", n, largeAssets)
	}
	gaps := surveyed["gcp.cloudasset_resources"].gaps
	for _, g := range gaps {
		if !moved[g.Resource] || g.Field != "ancestors" || !strings.Contains(g.Message, "moved") {
			t.Errorf("a gap of its own: %+v", g)
		}
	}
	if len(gaps) != len(moved) {
		t.Errorf("%d gaps, want one for the ancestors of each of the %d projects whose folder was moved", len(gaps), len(moved))
	}

	rules, err := checks.Load(catalogue.FS())
	if err != nil {
		t.Fatal(err)
	}
	demanded := largeVerdicts()
	maps.Copy(demanded, domainVerdicts())
	for check, want := range demanded {
		got := map[string]evidence.Status{}
		for _, v := range judged(t, rules, input(largeAccount, all, surveyed), check) {
			got[v.Resource] = v.Status
			if v.Status == evidence.Unknown && troubled[v.Resource] && (len(v.Gaps) == 0 || !strings.Contains(v.Reason, v.Gaps[0].Operation)) {
				t.Errorf("%s on %s is unknown without the call: %s", check, v.Resource, v.Reason)
			}
		}
		for resource, status := range want {
			if got[resource] != status {
				t.Errorf("%s on %s is %q, want %s", check, resource, got[resource], status)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s gave %d verdicts, want %d", check, len(got), len(want))
		}
	}
}

// largeVerdicts gives the verdicts that the facts of the large organisation
// demand, by check and resource.
func largeVerdicts() map[string]map[string]evidence.Status {
	status := func(passes bool) evidence.Status {
		if passes {
			return evidence.Pass
		}
		return evidence.Fail
	}
	uniform, open := map[string]evidence.Status{}, map[string]evidence.Status{}
	for i := range largeAssets {
		if typeOf(i) != bucketType {
			continue
		}
		uniform[bucketName(i)] = status(bucketUniform(i))
		p := home(i)
		told := p != refusedProject && p != offProject && p != otherOff && p != deletedProject
		switch {
		case told && publicPrevented(p), !bucketPublic(i) && bucketUniform(i):
			open[bucketName(i)] = evidence.Pass
		case told && bucketPublic(i):
			open[bucketName(i)] = evidence.Fail
		default: // the policy of its project, or lists of access on its objects, are not known
			open[bucketName(i)] = evidence.Unknown
		}
	}
	services, logs, backups := map[string]evidence.Status{}, map[string]evidence.Status{}, map[string]evidence.Status{}
	for p := range largeProjects {
		services[projectName(p)], logs[projectName(p)] = status(securityOn(p)), evidence.Pass
		switch p {
		case deletedProject:
			services[projectName(p)], logs[projectName(p)] = evidence.NotApplicable, evidence.NotApplicable
		case refusedProject, otherOff:
			services[projectName(p)], logs[projectName(p)] = evidence.Unknown, evidence.Unknown
		case offProject:
			// Without its API nothing looks for threats, while the log is written all the same.
			services[projectName(p)], logs[projectName(p)] = evidence.Fail, evidence.Unknown
		}
		if p < largeInstances {
			backups[instanceName(p)] = status(backedUpFine(p))
			if p == refusedProject || p == otherOff || p == offProject {
				backups[instanceName(p)] = evidence.Unknown
			}
		}
	}
	inventory := map[string]evidence.Status{}
	for p := range largeProjects {
		inventory[projectName(p)] = evidence.Pass
	}
	inventory[projectName(deletedProject)] = evidence.NotApplicable
	// Which accounts and keys there are is not known as a whole.
	accounts := map[string]evidence.Status{evidence.Population: evidence.Unknown}
	keys := map[string]evidence.Status{evidence.Population: evidence.Unknown}
	for p := range largeProjects {
		switch p {
		case refusedProject, offProject, otherOff, deletedProject:
			continue // it has none that is seen
		case keysProject:
			accounts[accountID(p)] = evidence.Unknown
			continue
		}
		accounts[accountID(p)], keys[accountID(p)+"/keys/0a1b"] = status(googlesKey(p)), status(!oldKey(p))
		if googlesKey(p) {
			keys[accountID(p)+"/keys/0a1b"] = evidence.NotApplicable
		}
	}
	return map[string]map[string]evidence.Status{
		"gcp-project-inventory":    inventory,
		"gcp-audit-admin-activity": logs,
		"gcp-sa-key-age":           keys,
		"gcp-sa-no-user-keys":      accounts,
		"gcp-scc-enabled":          services,
		"gcp-sql-backup-runs":      backups,
		"gcp-storage-public":       open,
		"gcp-storage-uniform":      uniform,
	}
}

// TestQuotaSpent demands that a listing which is refused for good is a gap that
// says throttled, after a bounded number of attempts.
func TestQuotaSpent(t *testing.T) {
	l := &large{assets: 3000, refused: map[string]int{"/v1/" + largeAccount + "/assets#1000": 1000}}
	e := largeEstate(t, serve(t, l))
	c := collectorOf(t, e, "gcp.cloudasset_resources")
	got := newSeen()
	collect(t, c, largeAccount, e.Transport(), got)
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

// TestUnknownType demands that a type which the inventory does not take costs its
// own kind and no other: everything else is listed whole, and each asset once.
func TestUnknownType(t *testing.T) {
	l := &large{assets: 3000, unknown: "compute.googleapis.com/UrlMap"}
	e := largeEstate(t, serve(t, l))
	c := collectorOf(t, e, "gcp.cloudasset_resources")
	got := newSeen()
	collect(t, c, largeAccount, e.Transport(), got)
	if len(got.gaps) != 1 || got.gaps[0].Kind != "gcp.compute.url_map" || got.gaps[0].Code != "INVALID_ARGUMENT" || !strings.Contains(got.gaps[0].Message, l.unknown) {
		t.Errorf("gaps %+v, want one for the kind, that names the type", got.gaps)
	}
	for _, kind := range c.Spec().Kinds {
		if got.listed[kind] == (kind == "gcp.compute.url_map") {
			t.Errorf("the list of %s counts as whole: %v", kind, got.listed[kind])
		}
	}
	seen := map[string]bool{}
	for _, o := range got.observations {
		seen[o.ID] = true
	}
	if len(got.observations) != 3000 || len(seen) != 3000 {
		t.Errorf("%d observations of %d assets, want each of 3000 once", len(got.observations), len(seen))
	}
	if l.calls > 3+2*8 {
		t.Errorf("%d calls to find one type among %d", l.calls, len(c.Spec().Kinds))
	}
}

// BenchmarkOrganization measures each collector over an organisation of 300
// projects and 50,000 assets: calls against the fewest possible, wall, and the
// peak of the process's memory up to its end.
func BenchmarkOrganization(b *testing.B) {
	l := &large{assets: largeAssets}
	e := largeEstate(b, serve(b, l))
	for _, c := range gcp.Catalogue(e) {
		b.Run(c.Spec().Name, func(b *testing.B) {
			for b.Loop() {
				l.calls = 0
				if err := c.Collect(b.Context(), collectors.Input{
					Scope: evidence.Scope{Provider: gcp.Provider, Account: largeAccount}, Captured: kept(e.Transport()), InFlight: 4,
				}, counting{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(l.calls)/float64(fewest(c.Spec())), "calls/fewest")
			b.ReportMetric(float64(peak(b))/1024, "peakMB")
		})
	}
}

// fewest gives the fewest calls by which a collector can read the large
// organisation: full pages of a listing, two for what stands beneath each folder,
// or one of the projects or databases and one call for each, but for a project that
// is being deleted.
func fewest(spec collectors.Spec) int {
	switch {
	case spec.Name == "gcp.cloudasset_resources":
		return largeAssets / 1000
	case spec.Name == "gcp.cloudidentity_groups":
		return 1 + 2*largeGroups - 1 // one can not be looked up
	case spec.Name == "gcp.cloudidentity_sso":
		return 3
	case spec.Name == "gcp.directory_users":
		return (largeUsers + 499) / 500
	case spec.Name == "gcp.cloudresourcemanager_projects":
		return 2 + 2*largeFolders
	case spec.Name == "gcp.sqladmin_backup_runs":
		return 1 + largeInstances
	case spec.Name == "gcp.iam_service_accounts":
		return 1 + largeProjects - 1 + largeProjects - 4 // the keys of those alone that told their accounts
	case spec.Name == "gcp.networkmanagement_flow_logs":
		return 1 + largeProjects - 1 + 1 // the organisation is asked, too
	case slices.ContainsFunc(spec.Calls, func(call collectors.Call) bool { return call.Field != "" }):
		return 1 + largeProjects - 1
	default:
		return 1
	}
}

// peak gives the most memory that the process held at a time, in KiB.
func peak(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skipf("the machine does not tell the peak: %v", err)
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
