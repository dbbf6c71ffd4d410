package gcp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/gcp"
)

// The size of the organisation that large answers for.
const (
	largeProjects = 300
	largeAssets   = 50_000
	largeAccount  = "organizations/900000000001"
	largeFolders  = 10
)

// movedFolder is put under another while the assets of the large organisation are
// listed.
const movedFolder = 7

// Projects of the large organisation to which something happens.
const (
	refusedProject = 11 // its own APIs refuse the caller, while the inventory has it
	offProject     = 13 // its own APIs are off
	otherOff       = 16 // an API is off in the project whose quota is used, as it happens for this one
	deletedProject = 19 // it is being deleted
	keysProject    = 22 // its own APIs refuse the caller the keys of its service account
)

// large answers as Google's APIs do for a large organisation, one page after the
// other. What it holds follows from the numbers of its projects and assets.
type large struct {
	assets int
	moving bool
	// unknown is a type of asset that the inventory does not take.
	unknown string
	// refused says how often a request is refused for rate before it is answered,
	// by path and page token.
	refused map[string]int

	mu    sync.Mutex
	calls int // guarded by mu
}

// serve starts a server for an organisation.
func serve(t testing.TB, l *large) string {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return server.URL
}

// number gives the number of the p-th project.
func number(p int) string { return strconv.Itoa(100000 + p) }

// route is one path of the server: the first group of its pattern is a project,
// by number or id. A path without one names it in the body.
type route struct {
	pattern *regexp.Regexp
	answer  func(l *large, p int, q url.Values) (status int, body string)
}

func routes() []route {
	return []route{
		{regexp.MustCompile(`^/v1/` + largeAccount + `/assets$`), (*large).listAssets},
		{regexp.MustCompile(`^/v1/projects/(\d+)/locations/global/securityCenterServices$`), (*large).securityServices},
		{regexp.MustCompile(`^/v1/projects/example-(\d+)/instances/[a-z]+/backupRuns$`), (*large).backupRuns},
		{regexp.MustCompile(`^/v1/projects/example-(\d+)/serviceAccounts$`), (*large).serviceAccounts},
		{regexp.MustCompile(`^/v1/projects/example-(\d+)/serviceAccounts/[^/]+/keys$`), (*large).serviceAccountKeys},
		{regexp.MustCompile(`^/v1/projects/(\d+)/locations/global/vpcFlowLogsConfigs$`), (*large).flowLogs},
		{regexp.MustCompile(`^/v1/` + largeAccount + `/locations/global/vpcFlowLogsConfigs$`), (*large).flowLogs},
		{regexp.MustCompile(`^/v2/projects/(\d+)/policies/storage\.publicAccessPrevention:getEffectivePolicy$`), (*large).publicAccess},
		{regexp.MustCompile(`^/v3/folders$`), (*large).folders},
		{regexp.MustCompile(`^/v3/projects$`), (*large).projects},
		{regexp.MustCompile(`^/v2/entries:list$`), (*large).entries},
	}
}

func (l *large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	q := r.URL.Query()
	if key := r.URL.Path + "#" + q.Get("pageToken"); l.refused[key] > 0 {
		l.refused[key]--
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for quota metric 'Reads'"}}`))
		return
	}
	status, body := http.StatusNotFound, `{"error": {"code": 404, "status": "NOT_FOUND", "message": "no such path"}}`
	for _, route := range append(routes(), l.domainRoutes()...) {
		m := route.pattern.FindStringSubmatch(r.URL.Path)
		if m == nil {
			continue
		}
		if sent, err := io.ReadAll(r.Body); err == nil && len(sent) > 0 {
			m = regexp.MustCompile(`"projects/example-(\d+)"`).FindStringSubmatch(string(sent))
		}
		p := 0
		if len(m) > 1 {
			if p, _ = strconv.Atoi(m[1]); p >= 100000 {
				p -= 100000
			}
		}
		status, body = route.answer(l, p, q)
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// off is the refusal of an API that is off in a project.
func off(project string) (int, string) {
	return http.StatusForbidden, `{"error": {"code": 403, "message": "The API has not been used in project ` + project + ` before or it is disabled.", "status": "PERMISSION_DENIED",
 "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com", "metadata": {"consumer": "projects/` + project + `"}}]}}`
}

// own gives what a project's own API answers, unless something is wrong there.
func own(p int, body string) (int, string) {
	switch p {
	case refusedProject:
		return http.StatusForbidden, refused
	case offProject:
		return off(number(p))
	case otherOff:
		return off("999999")
	}
	return http.StatusOK, body
}

const (
	projectType  = "cloudresourcemanager.googleapis.com/Project"
	instanceType = "sqladmin.googleapis.com/Instance"
	logType      = "logging.googleapis.com/LogBucket"
	bucketType   = "storage.googleapis.com/Bucket"
)

// largeInstances is how many of the projects have a database.
const largeInstances = 100

// typeOf gives the type of the i-th asset of the listing: first come the
// projects, a database in some of them and a log bucket in each, then buckets.
func typeOf(i int) string {
	switch {
	case i < largeProjects:
		return projectType
	case i < largeProjects+largeInstances:
		return instanceType
	case i < largeProjects+largeInstances+largeProjects:
		return logType
	default:
		return bucketType
	}
}

// home gives the project of the i-th asset.
func home(i int) int { return i % largeProjects }

func projectName(p int) string {
	return "//cloudresourcemanager.googleapis.com/projects/" + number(p)
}

func instanceName(p int) string {
	return fmt.Sprintf("//cloudsql.googleapis.com/projects/example-%d/instances/orders", p)
}

func bucketName(i int) string  { return fmt.Sprintf("//storage.googleapis.com/example-bucket-%05d", i) }
func bucketUniform(i int) bool { return i%7 != 0 }
func bucketPublic(i int) bool  { return i%101 == 0 }

// ancestors gives those of the i-th asset. What is beneath the folder that is moved
// has one more in the second half of the listing.
func (l *large) ancestors(i int) string {
	folder := folderOf(home(i))
	above := ""
	if l.moving && folder == fmt.Sprintf("folders/%d", movedFolder) && i >= l.assets/2 {
		above = `"folders/99", `
	}
	return fmt.Sprintf(`["projects/%s", %q, %s"%s"]`, number(home(i)), folder, above, largeAccount)
}

// asset gives the i-th asset.
func (l *large) asset(i int) string {
	switch p := home(i); typeOf(i) {
	case projectType:
		return fmt.Sprintf(`{"name": %q, "assetType": %q, "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "resource": {"version": "v3", "data": {"name": "projects/%s", "projectId": "example-%d", "state": %q}}}`,
			projectName(p), projectType, l.ancestors(i), number(p), p, state(p))
	case instanceType:
		return fmt.Sprintf(`{"name": %q, "assetType": %q, "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "resource": {"version": "v1", "parent": %q, "location": "europe-west1", "data": {"name": "orders", "project": "example-%d", "state": "RUNNABLE", "instanceType": "CLOUD_SQL_INSTANCE", "createTime": "2025-03-01T09:00:00Z", "settings": {"backupConfiguration": {"enabled": true, "startTime": "02:00", "backupTier": "STANDARD"}}}}}`,
			instanceName(p), instanceType, l.ancestors(i), projectName(p), p)
	case logType:
		return fmt.Sprintf(`{"name": "//logging.googleapis.com/projects/example-%d/locations/global/buckets/_Required", "assetType": %q, "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "resource": {"version": "v2", "parent": %q, "location": "global", "data": {"name": "projects/example-%d/locations/global/buckets/_Required", "retentionDays": 400, "lifecycleState": "ACTIVE", "locked": true}}}`,
			p, logType, l.ancestors(i), projectName(p), p)
	default:
		return fmt.Sprintf(`{"name": %q, "assetType": %q, "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "resource": {"version": "v1", "parent": "//cloudresourcemanager.googleapis.com/projects/%s", "location": "europe-west1", "data": {"name": "example-bucket-%05d", "location": "EUROPE-WEST1", "iamConfiguration": {"publicAccessPrevention": "inherited", "uniformBucketLevelAccess": {"enabled": %t}}, "versioning": {"enabled": true}, "softDeletePolicy": {"retentionDurationSeconds": "604800"}}}}`,
			bucketName(i), bucketType, l.ancestors(i), number(p), i, bucketUniform(i))
	}
}

// policy gives the IAM policy of the i-th asset; empty when it has none.
func (l *large) policy(i int) string {
	if typeOf(i) == projectType {
		return fmt.Sprintf(`{"name": %q, "assetType": %q, "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "iamPolicy": {"bindings": [{"role": "roles/viewer", "members": ["group:%s"]}]}}`,
			projectName(home(i)), projectType, l.ancestors(i), groupName(groupOfProject(home(i))))
	}
	if typeOf(i) != bucketType || !bucketPublic(i) {
		return ""
	}
	return fmt.Sprintf(`{"name": %q, "assetType": %q, "ancestors": %s, "updateTime": "2026-06-01T00:00:00Z", "iamPolicy": {"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]}}`,
		bucketName(i), bucketType, l.ancestors(i))
}

// listAssets answers for one page of a listing.
func (l *large) listAssets(_ int, q url.Values) (int, string) {
	size, err := strconv.Atoi(q.Get("pageSize"))
	if err != nil || size < 1 || size > 1000 {
		return http.StatusBadRequest, `{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "page size"}}`
	}
	from, _ := strconv.Atoi(q.Get("pageToken"))
	types := q["assetTypes"]
	if l.unknown != "" && slices.Contains(types, l.unknown) {
		return http.StatusBadRequest, `{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Request contains an invalid argument."}}`
	}
	var page []string
	next := ""
	for i := from; i < l.assets; i++ {
		asset := ""
		switch {
		case len(types) > 0 && !slices.Contains(types, typeOf(i)):
		case q.Get("contentType") == "RESOURCE":
			asset = l.asset(i)
		case q.Get("contentType") == "IAM_POLICY":
			asset = l.policy(i)
		}
		if asset == "" {
			continue
		}
		if len(page) == size {
			next = strconv.Itoa(i)
			break
		}
		page = append(page, asset)
	}
	return http.StatusOK, fmt.Sprintf(`{"readTime": "2026-06-30T06:17:00Z", "assets": [%s], "nextPageToken": %q}`, strings.Join(page, ","), next)
}

// securityOn says whether threats are looked for in a project.
func securityOn(p int) bool { return p%5 != 0 }

func (l *large) securityServices(p int, _ url.Values) (int, string) {
	state := "DISABLED"
	if securityOn(p) {
		state = "ENABLED"
	}
	service := func(name, state string) string {
		return fmt.Sprintf(`{"name": "projects/%s/locations/global/securityCenterServices/%s", "intendedEnablementState": "INHERITED", "effectiveEnablementState": %q}`, number(p), name, state)
	}
	return own(p, `{"securityCenterServices": [`+service("security-health-analytics", "ENABLED")+`, `+service("event-threat-detection", state)+`]}`)
}

// publicPrevented says whether organisation policy keeps buckets of a project from
// being public.
func publicPrevented(p int) bool { return p%2 == 0 }

func (l *large) publicAccess(p int, _ url.Values) (int, string) {
	return own(p, fmt.Sprintf(`{"name": "projects/%s/policies/storage.publicAccessPrevention", "spec": {"rules": [{"enforce": %t}]}}`, number(p), publicPrevented(p)))
}

// flowLogs answers that there are no configurations, of a project or of all.
func (l *large) flowLogs(p int, _ url.Values) (int, string) { return own(p, `{}`) }

// backedUpFine says whether the newest backup of a project's database is one.
func backedUpFine(p int) bool { return p%4 != 0 }

func (l *large) backupRuns(p int, _ url.Values) (int, string) {
	status := "FAILED"
	if backedUpFine(p) {
		status = "SUCCESSFUL"
	}
	return own(p, fmt.Sprintf(`{"items": [{"id": "2", "type": "AUTOMATED", "status": %q, "enqueuedTime": "2026-06-30T02:11:04Z", "endTime": "2026-06-30T02:12:47Z"}]}`, status))
}

// entries answers for the newest entry of a project's log. In every third nothing
// was changed.
func (l *large) entries(p int, _ url.Values) (int, string) {
	if p%3 == 0 {
		return own(p, `{}`)
	}
	return own(p, `{"entries": [{"insertId": "1q2w3e", "timestamp": "2026-06-29T14:03:21Z"}]}`)
}

// Each project has one service account, and that one key: in every second project
// it is Google's, and in every sixth it is old.
func googlesKey(p int) bool { return p%2 != 0 }
func oldKey(p int) bool     { return p%6 == 0 }

// accountName is how IAM names the account of a project, and accountID how the
// inventory does.
func accountName(p int) string {
	return fmt.Sprintf("projects/example-%[1]d/serviceAccounts/app@example-%[1]d.iam.gserviceaccount.com", p)
}

func accountID(p int) string {
	return fmt.Sprintf("//iam.googleapis.com/projects/example-%d/serviceAccounts/%d", p, 110000000000+p)
}

func (l *large) serviceAccounts(p int, _ url.Values) (int, string) {
	return own(p, fmt.Sprintf(`{"accounts": [{"name": %q, "projectId": "example-%d", "uniqueId": "%d", "email": "app@example-%[2]d.iam.gserviceaccount.com"}]}`, accountName(p), p, 110000000000+p))
}

func (l *large) serviceAccountKeys(p int, _ url.Values) (int, string) {
	if p == keysProject {
		return http.StatusForbidden, refused
	}
	kind, made := "USER_MANAGED", "2026-06-01T09:00:00Z"
	if googlesKey(p) {
		kind = "SYSTEM_MANAGED"
	}
	if oldKey(p) {
		made = "2025-03-01T09:00:00Z"
	}
	return own(p, fmt.Sprintf(`{"keys": [{"name": "%s/keys/0a1b", "keyType": %q, "validAfterTime": %q}]}`, accountName(p), kind, made))
}

// folderOf gives the folder of a project.
func folderOf(p int) string { return fmt.Sprintf("folders/%d", 1+p%largeFolders) }

// state gives that of a project.
func state(p int) string {
	if p == deletedProject {
		return "DELETE_REQUESTED"
	}
	return "ACTIVE"
}

// folders lists what stands beneath the organisation, and nothing beneath those.
func (l *large) folders(_ int, q url.Values) (int, string) {
	var all []string
	for f := range largeFolders {
		if q.Get("parent") == largeAccount {
			all = append(all, fmt.Sprintf(`{"name": "folders/%d", "parent": %q, "displayName": "Team %d", "state": "ACTIVE"}`, f+1, largeAccount, f+1))
		}
	}
	return http.StatusOK, `{"folders": [` + strings.Join(all, ", ") + `]}`
}

func (l *large) projects(_ int, q url.Values) (int, string) {
	var all []string
	for p := range largeProjects {
		if q.Get("parent") == folderOf(p) {
			all = append(all, fmt.Sprintf(`{"name": "projects/%s", "parent": %q, "projectId": "example-%d", "state": %q, "createTime": "2025-03-01T09:00:00Z"}`, number(p), folderOf(p), p, state(p)))
		}
	}
	return http.StatusOK, `{"projects": [` + strings.Join(all, ", ") + `]}`
}

// largeEstate gives the large organisation over a server.
func largeEstate(t testing.TB, address string) *gcp.Estate {
	t.Helper()
	endpoints := map[string]string{}
	for _, spec := range gcp.Specs() {
		for _, call := range spec.Calls {
			service, _ := collectors.Split(call.Operation)
			endpoints[service] = address
		}
	}
	e, err := gcp.New(t.Context(), gcp.Settings{
		Accounts: []string{largeAccount}, Workspace: &gcp.Workspace{Customer: "my_customer"}, Endpoints: endpoints, Recorded: &gcp.Recorded{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// collectorOf gives one collector of an estate.
func collectorOf(t testing.TB, e *gcp.Estate, name string) collectors.Collector {
	t.Helper()
	for _, c := range gcp.Catalogue(e) {
		if c.Spec().Name == name {
			return c
		}
	}
	t.Fatalf("there is no collector %s", name)
	return nil
}
