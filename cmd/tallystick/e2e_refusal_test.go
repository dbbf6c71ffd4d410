package main_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// refusal is one operation that a proxy answers in place of moto, in the shape
// that AWS gives to errors of that protocol.
type refusal struct {
	operation string // as tallystick names it
	matches   func(req *http.Request, body string) bool
	status    int
	header    map[string]string
	body      string
}

// refuse gives the URL of a proxy before moto. It passes everything on but what
// pick gives a refusal for.
func (w world) refuse(t *testing.T, pick func(req *http.Request, body string) *refusal) string {
	t.Helper()
	target, err := url.Parse(w.moto)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		if r := pick(req, string(body)); r != nil {
			for k, v := range r.header {
				rw.Header().Set(k, v)
			}
			rw.WriteHeader(r.status)
			_, _ = io.WriteString(rw, r.body) // a client that left needs no answer
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(rw, req)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// The protocols by which operations are told apart.
func query(action string) func(*http.Request, string) bool {
	return func(_ *http.Request, body string) bool {
		return strings.Contains("&"+body+"&", "&Action="+action+"&")
	}
}

func subresource(name string) func(*http.Request, string) bool {
	return func(req *http.Request, _ string) bool {
		return req.Method == http.MethodGet && req.URL.Query().Has(name)
	}
}

func target(suffix string) func(*http.Request, string) bool {
	return func(req *http.Request, _ string) bool {
		return strings.HasSuffix(req.Header.Get("X-Amz-Target"), suffix)
	}
}

func path(p string) func(*http.Request, string) bool {
	return func(req *http.Request, _ string) bool { return strings.TrimSuffix(req.URL.Path, "/") == p }
}

// denials holds one denied operation for each protocol of AWS.
// Source: the "Common Errors" and "Error responses" pages of the API references.
func denials() []refusal {
	text := func(operation string) string {
		return "User: arn:aws:sts::" + refusing + ":assumed-role/TallystickReader/tallystick is not authorized to perform: " + operation
	}
	xml, json := map[string]string{"Content-Type": "text/xml"}, map[string]string{"Content-Type": "application/x-amz-json-1.0"}
	return []refusal{
		{
			"iam:ListMFADevices", query("ListMFADevices"), http.StatusForbidden, xml,
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>` +
				text("iam:ListMFADevices") + `</Message></Error><RequestId>4f1b4a5e-0001</RequestId></ErrorResponse>`,
		},
		{
			"ec2:DescribeVolumes", query("DescribeVolumes"), http.StatusForbidden, xml,
			`<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>` +
				text("ec2:DescribeVolumes") + `</Message></Error></Errors><RequestID>4f1b4a5e-0002</RequestID></Response>`,
		},
		{
			"s3:GetBucketEncryption", subresource("encryption"), http.StatusForbidden, xml,
			`<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>` +
				text("s3:GetEncryptionConfiguration") + `</Message><RequestId>4F1B4A5E0003</RequestId><HostId>host</HostId></Error>`,
		},
		{
			"dynamodb:DescribeContinuousBackups", target(".DescribeContinuousBackups"), http.StatusBadRequest, json,
			`{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"` + text("dynamodb:DescribeContinuousBackups") + `"}`,
		},
		{
			"backup:ListBackupPlans", path("/backup/plans"), http.StatusForbidden,
			map[string]string{"Content-Type": "application/json", "X-Amzn-ErrorType": "AccessDeniedException"},
			`{"message":"` + text("backup:ListBackupPlans") + `"}`,
		},
	}
}

func (w world) denied(t *testing.T) {
	t.Parallel()
	at := place{refusing, "us-east-1"}
	c := open(t, w.moto, at)
	ids := map[string]string{}
	for name, make := range map[string]maker{
		"user": user("dana", password), "volume": volume(""), "bucket": bucket("e2e-denied"), "table": dbTable("denied", 35, ""),
	} {
		id, err := make(t.Context(), c)
		if err != nil {
			t.Fatalf("plant %s: %v", name, err)
		}
		ids[name] = id
	}
	endpoint := w.refuse(t, func(req *http.Request, body string) *refusal {
		for _, d := range denials() {
			if d.matches(req, body) {
				return &d
			}
		}
		return nil
	})
	port := freePort(t)
	b := w.bench(t, endpoint, `schedule: {default: "@yearly"}
aws:
  accounts: [{id: "`+refusing+`", role: "`+roleIn(refusing)+`"}]
  regions: [us-east-1]
http: {listen: "127.0.0.1:`+port+`"}
`)
	wants := []struct {
		collector, operation, permission, code string
		check, region, resource                string // what can not be decided for it; empty: nothing looks at it
	}{
		{"aws.iam_users", "iam:ListMFADevices", "iam:ListMFADevices", "AccessDenied", "aws-iam-user-console-mfa", "", ids["user"]},
		{"aws.ec2_volumes", "ec2:DescribeVolumes", "ec2:DescribeVolumes", "UnauthorizedOperation", "aws-ebs-volume-encrypted", "us-east-1", "*"},
		{"aws.s3_buckets", "s3:GetBucketEncryption", "s3:GetEncryptionConfiguration", "AccessDenied", "aws-s3-encryption-default", "", ids["bucket"]},
		{"aws.dynamodb_tables", "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeContinuousBackups", "AccessDeniedException", "aws-dynamodb-pitr", "us-east-1", ids["table"]},
		{"aws.backup_plans", "backup:ListBackupPlans", "backup:ListBackupPlans", "AccessDeniedException", "", "", ""},
	}

	r := b.run(t, "collect", "--output", "json")
	r.want(t, 3)
	var collected tasks
	r.json(t, &collected)
	byCollector := map[string]task{}
	for _, task := range collected.Tasks {
		byCollector[task.Collector] = task
	}
	for _, want := range wants {
		task := byCollector[want.collector]
		if task.Outcome == "complete" || len(task.Causes) != 1 {
			t.Errorf("%s: outcome %s with causes %+v", want.collector, task.Outcome, task.Causes)
			continue
		}
		if g := task.Causes[0]; g.Class != "denied" || g.Operation != want.operation || g.Permission != want.permission || g.Code != want.code || g.Count != 1 {
			t.Errorf("%s: the gap is %+v, want %s denied (%s), needing %s", want.collector, g, want.operation, want.code, want.permission)
		}
		if want.check == "" {
			continue
		}
		verdicts := b.verdicts(t, "--check", want.check)
		if len(verdicts) != 1 {
			t.Errorf("%s: %+v, want one verdict", want.check, verdicts)
			continue
		}
		v := verdicts[0]
		if v.Status != "unknown" || v.Resource != want.resource || v.Region != want.region || !strings.Contains(v.Reason, want.operation+" denied") || !strings.Contains(v.Reason, "needs "+want.permission) {
			t.Errorf("%s: %+v, want unknown on %s for want of %s", want.check, v, want.resource, want.permission)
		}
	}
	// What was readable of the same bucket and table is judged.
	for _, check := range []string{"aws-s3-versioning", "aws-dynamodb-encrypted"} {
		if v := b.verdicts(t, "--check", check); len(v) != 1 || v[0].Status == "unknown" {
			t.Errorf("%s, which needs nothing that was denied: %+v", check, v)
		}
	}
	b.run(t, "collect", "--collector", "aws.s3_buckets").says(t, "s3:GetBucketEncryption denied (AccessDenied), needs s3:GetEncryptionConfiguration")

	d := b.start(t)
	address := "http://127.0.0.1:" + port
	d.ready(t, address)
	for _, want := range wants {
		wantMetric(t, address, 1, "tallystick_gaps", `account="`+refusing+`"`, `collector="`+want.collector+`"`, `class="denied"`)
	}
	wantMetric(t, address, 1, "tallystick_check_resources", `check="aws-s3-encryption-default"`, `status="unknown"`)
	d.stop(t)
	b.wantVerified(t)
}

func (w world) throttled(t *testing.T) {
	t.Parallel()
	c := open(t, w.moto, place{refusing, "eu-west-1"})
	id, err := volume("")(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64 // how many more calls are refused
	var calls atomic.Int64
	throttle := refusal{
		status: http.StatusServiceUnavailable, header: map[string]string{"Content-Type": "text/xml"},
		body: `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>RequestLimitExceeded</Code>` +
			`<Message>Request limit exceeded.</Message></Error></Errors><RequestID>4f1b4a5e-0004</RequestID></Response>`,
	}
	endpoint := w.refuse(t, func(req *http.Request, body string) *refusal {
		if !query("DescribeVolumes")(req, body) {
			return nil
		}
		calls.Add(1)
		if left.Add(-1) >= 0 {
			return &throttle
		}
		return nil
	})
	b := w.bench(t, endpoint, `aws:
  accounts: [{id: "`+refusing+`", role: "`+roleIn(refusing)+`"}]
  regions: [eu-west-1]
`)
	b.env = append(b.env, "AWS_MAX_ATTEMPTS=3")
	collect := func(refused int64, code int) task {
		t.Helper()
		left.Store(refused)
		calls.Store(0)
		r := b.run(t, "collect", "--output", "json", "--collector", "aws.ec2_volumes")
		r.want(t, code)
		var out tasks
		r.json(t, &out)
		return out.one(t)
	}
	judged := func() verdict {
		t.Helper()
		v := b.verdicts(t, "--check", "aws-ebs-volume-encrypted")
		if len(v) != 1 {
			t.Fatalf("want one verdict, got %+v", v)
		}
		return v[0]
	}

	// Throttled for a while: tried again, and then it is all there.
	if task := collect(2, 0); task.Outcome != "complete" || task.Observations != 1 || calls.Load() != 3 {
		t.Errorf("throttled twice: %+v after %d calls", task, calls.Load())
	}
	if v := judged(); v.Status != "fail" || v.Resource != id {
		t.Errorf("throttled twice: %+v", v)
	}
	// Throttled for good: a gap, never an empty list.
	task := collect(1<<30, 3)
	if task.Outcome != "failed" || task.Observations != 0 || len(task.Causes) != 1 || calls.Load() != 3 {
		t.Fatalf("throttled for good: %+v after %d calls", task, calls.Load())
	}
	if g := task.Causes[0]; g.Class != "throttled" || g.Code != "RequestLimitExceeded" || g.Operation != "ec2:DescribeVolumes" {
		t.Errorf("throttled for good: the gap is %+v", g)
	}
	if v := judged(); v.Status != "unknown" || v.Resource != "*" || !strings.Contains(v.Reason, "ec2:DescribeVolumes throttled (RequestLimitExceeded)") {
		t.Errorf("throttled for good: %+v", v)
	}
	b.wantVerified(t)
}

func (w world) unreachable(t *testing.T) {
	t.Parallel()
	port := freePort(t) // and nobody listens there
	b := w.bench(t, "http://127.0.0.1:"+port, ambientOnly)
	w.wantNothing(t, b, "unavailable", "connection refused")
}

func (w world) wrongAccount(t *testing.T) {
	t.Parallel()
	b := w.bench(t, w.moto, strings.ReplaceAll(ambientOnly, ambient, "999999999999"))
	w.wantNothing(t, b, "", "the credentials for account 999999999999 open account "+ambient)
}

func (w world) noCredentials(t *testing.T) {
	t.Parallel()
	b := w.bench(t, w.moto, ambientOnly)
	b.env = append(b.env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	w.wantNothing(t, b, "", "sts:GetCallerIdentity", "credentials")
}

const ambientOnly = `aws:
  accounts: [{id: "` + ambient + `"}]
  regions: [us-east-1]
`

// wantNothing demands that nothing is seen, that everything about it is
// unknown, and that the words are shown to whoever runs it.
func (w world) wantNothing(t *testing.T, b *bench, class string, words ...string) {
	t.Helper()
	r := b.run(t, "collect", "--output", "json", "--collector", "aws.s3_buckets", "--collector", "aws.ec2_volumes")
	r.want(t, 3)
	var out tasks
	r.json(t, &out)
	if len(out.Tasks) != 2 {
		t.Fatalf("tasks: %+v", out.Tasks)
	}
	for _, task := range out.Tasks {
		if task.Outcome != "failed" || task.Observations != 0 || len(task.Causes) != 1 {
			t.Fatalf("%+v, want a failed task that saw nothing", task)
		}
		if g := task.Causes[0]; class != "" && g.Class != class || g.Operation != "sts:GetCallerIdentity" {
			t.Errorf("the gap is %+v", g)
		}
	}
	for _, v := range b.verdicts(t) {
		if v.Status != "unknown" {
			t.Errorf("judged without having seen anything: %+v", v)
		}
	}
	r = b.run(t, "collect", "--collector", "aws.s3_buckets")
	r.want(t, 3)
	r.says(t, words...)
	b.wantVerified(t)
}
