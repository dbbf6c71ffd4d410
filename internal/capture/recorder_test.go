package capture_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// plantedSecret must be in no file that a test writes.
const plantedSecret = "planted-secret-0123456789"

func TestRecorderKeepsTheExchange(t *testing.T) {
	const body = `{"Buckets":[{"Name":"logs","Owner":"` + plantedSecret + `"}], "n" : 1e0 }`
	var sent string
	url := serve(t, func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		sent = req.Header.Get("Authorization") + " " + string(b)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Requestid", "request-1")
		w.Header().Set("X-Amz-Crc32", "1")
		w.Header().Set("Set-Cookie", "s="+plantedSecret)
		w.Header().Set("X-Unheard-Of", plantedSecret)
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, body)
	})
	f := &files{}
	r := capture.NewRecorder(capture.Options{
		Create:    f.create,
		Sensitive: []string{"Owner", "MasterUserPassword"},
		Describe: func(*http.Request) capture.Labels {
			return capture.Labels{Service: "s3", Operation: "s3:ListBuckets", Region: "eu-west-1", Attempt: 2}
		},
		Version: `1.0 "quoted"`,
	})
	const form = "Action=ListBuckets&MasterUserPassword=" + plantedSecret
	resp, err := send(t, r.Transport(base(t)), http.MethodPost, url+"/path?X-Amz-Signature="+plantedSecret+"&b=1", form,
		"Authorization", "AWS4 "+plantedSecret, "X-Amz-Security-Token", plantedSecret, "Cookie", plantedSecret,
		"X-Amz-Content-Sha256", "hash-of-body", "Content-Type", "application/x-www-form-urlencoded", "User-Agent", "tallystick/test")
	got := text(t, resp, err)
	summary := closed(t, r)

	if sent != "AWS4 "+plantedSecret+" "+form {
		t.Errorf("the provider received %q: redaction must not change what is sent", sent)
	}
	if !regexp.MustCompile(`^\{"Buckets":\[\{"Name":"logs","Owner":"REDACTED-[0-9a-f]{12}"\}\], "n" : 1e0 \}$`).MatchString(got) {
		t.Errorf("client saw %s", got)
	}
	kept, ok := capture.Kept(resp)
	if !ok || string(kept) != got {
		t.Errorf("Kept gives %q, %v", kept, ok)
	}
	if n := resp.Header.Get("Content-Length"); n != fmt.Sprint(len(got)) || resp.ContentLength != int64(len(got)) {
		t.Errorf("content length %s (%d) of a body of %d", n, resp.ContentLength, len(got))
	}
	for _, gone := range []string{"X-Amz-Crc32", "Set-Cookie", "X-Unheard-Of"} {
		if v, ok := resp.Header[gone]; ok {
			t.Errorf("client saw %s: %s", gone, v)
		}
	}
	if bytes.Contains(f.committed[0], []byte(plantedSecret)) || bytes.Contains(f.committed[0], []byte("hash-of-body")) {
		t.Errorf("kept a secret:\n%s", f.committed[0])
	}

	e := f.entries(t)[0]
	if e.ID != resp.Header.Get(collectors.ExchangeHeader) || !regexp.MustCompile(`^[0-9a-f]{16}\.1$`).MatchString(e.ID) {
		t.Errorf("id %q, header %q", e.ID, resp.Header.Get(collectors.ExchangeHeader))
	}
	if e.Service != "s3" || e.Operation != "s3:ListBuckets" || e.Region != "eu-west-1" || e.Attempt != 2 || e.RequestID != "request-1" {
		t.Errorf("labels %+v", e)
	}
	if e.Response.Status != 403 || e.Response.StatusText != "Forbidden" || e.Response.BodySize != int64(len(body)) || e.Response.Content.Size != int64(len(got)) {
		t.Errorf("response %+v", e.Response)
	}
	sum := sha256.Sum256([]byte(got))
	if e.Response.Content.Text != got || e.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("kept body %q with digest %s", e.Response.Content.Text, e.SHA256)
	}
	rules := map[string]capture.Rule{}
	for _, red := range e.Redactions {
		rules[red.Place] = red.Rule
	}
	for place, rule := range map[string]capture.Rule{
		"request.header.authorization":        capture.RuleCredential,
		"request.header.x-amz-security-token": capture.RuleCredential,
		"request.header.cookie":               capture.RuleCredential,
		"request.header.x-amz-content-sha256": capture.RuleIntegrity,
		"request.url/X-Amz-Signature":         capture.RulePresigned,
		"request.body/MasterUserPassword":     capture.RuleSensitive,
		"response.header.set-cookie":          capture.RuleCredential,
		"response.header.x-unheard-of":        capture.RuleHeader,
		"response.header.x-amz-crc32":         capture.RuleIntegrity,
		"response.header.content-length":      capture.RuleIntegrity,
		"response.body/Buckets/0/Owner":       capture.RuleSensitive,
	} {
		if rules[place] != rule {
			t.Errorf("redaction of %s by rule %q, want %q", place, rules[place], rule)
		}
		delete(rules, place)
	}
	if len(rules) > 0 {
		t.Errorf("other redactions: %v", rules)
	}
	if len(summary.Files) != 1 || summary.Files[0].Name != "exchanges-0001.har" || summary.Bytes != int64(len(f.committed[0])) || summary.Received != int64(len(body)) {
		t.Errorf("summary %+v", summary)
	}
}

// HAR 1.2 requires these fields; other tools refuse a file that lacks one.
func TestFilesAreHAR(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0xfe, 0}) })
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	resp, err := send(t, r.Transport(base(t)), http.MethodPost, url+"/?a=b%20c", "x=1")
	if got := text(t, resp, err); got != "\xff\xfe\x00" {
		t.Errorf("client saw %q", got)
	}
	closed(t, r)

	var doc map[string]any
	if err := json.Unmarshal(f.committed[0], &doc); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		var v any = doc
		for part := range strings.SplitSeq(path, ".") {
			switch c := v.(type) {
			case map[string]any:
				v = c[part]
			case []any:
				v = c[0]
			}
		}
		return v
	}
	for path, want := range map[string]string{
		"log.version": "1.2", "log.creator.name": "tallystick", "log.creator.version": "devel",
		"log.entries.0.request.method": "POST", "log.entries.0.request.queryString.0.value": "b c",
		"log.entries.0.request.postData.text": "x=1", "log.entries.0.request.bodySize": "3",
		"log.entries.0.response.content.encoding": "base64", "log.entries.0.response.content.text": "//4A",
	} {
		if got := fmt.Sprint(at(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{
		"startedDateTime", "time", "cache", "timings.send", "timings.wait", "timings.receive",
		"request.url", "request.httpVersion", "request.cookies", "request.headers", "request.headersSize",
		"request.postData.mimeType", "response.status", "response.statusText", "response.httpVersion",
		"response.cookies", "response.headers", "response.content.size", "response.content.mimeType",
		"response.redirectURL", "response.headersSize", "response.bodySize",
	} {
		if at("log.entries.0."+path) == nil {
			t.Errorf("entry has no %s", path)
		}
	}
}

func TestRecorderDecodesGzip(t *testing.T) {
	const body = `{"Owner":"x"}`
	tests := []struct {
		name, accept string
		cut, flip    int // bytes to leave out, or to change, counted from the end
		sort         capture.Sort
	}{
		{name: "the transport asks"},
		{name: "the client asks", accept: "gzip"},
		{name: "the client asks and gets less", accept: "gzip", cut: 6, sort: capture.TruncatedBody},
		{name: "the client asks and gets another checksum", accept: "gzip", flip: 5, sort: capture.MalformedBody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				var z bytes.Buffer
				g := gzip.NewWriter(&z)
				_, _ = io.WriteString(g, body)
				_ = g.Close()
				if tt.flip > 0 {
					z.Bytes()[z.Len()-tt.flip] ^= 1
				}
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Set("X-Amz-Crc32", "1")
				_, _ = w.Write(z.Bytes()[:z.Len()-tt.cut])
			})
			f := &files{}
			r := capture.NewRecorder(capture.Options{Create: f.create})
			var header []string
			if tt.accept != "" {
				header = []string{"Accept-Encoding", tt.accept}
			}
			resp, err := get(t, r.Transport(base(t)), url, header...)
			if tt.sort != "" {
				wantFailure(t, err, tt.sort)
				return
			}
			if got := text(t, resp, err); got != body {
				t.Errorf("client saw %q", got)
			}
			for _, gone := range []string{"Content-Encoding", "X-Amz-Crc32"} {
				if v, ok := resp.Header[gone]; ok {
					t.Errorf("client saw %s: %s", gone, v)
				}
			}
			closed(t, r)
			if e := f.entries(t)[0]; e.Response.Content.Text != body {
				t.Errorf("kept %q", e.Response.Content.Text)
			}
		})
	}
}

// With many callers at once nothing is lost, mixed up or counted twice, and
// files are cut between entries.
func TestConcurrencyAndRotation(t *testing.T) {
	const workers, each = 16, 25
	url := serve(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = fmt.Fprintf(w, `{"path":%q}`, req.URL.Path)
	})
	f := &files{}
	r := capture.NewRecorder(capture.Options{
		Create:      f.create,
		RotateBytes: 64 << 10,
		Describe: func(req *http.Request) capture.Labels {
			attempt := 1
			if strings.HasSuffix(req.URL.Path, "/retry") {
				attempt = 2
			}
			return capture.Labels{Operation: "t:" + strings.Split(req.URL.Path, "/")[1], Attempt: attempt}
		},
	})
	rt := r.Transport(base(t))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				path := fmt.Sprintf("/op%d/%d/%d", i%2, w, i)
				if i%5 == 0 {
					path = "/op0/same/retry"
				}
				resp, err := get(t, rt, url+path)
				if err != nil {
					t.Error(err)
					return
				}
				if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprintf(`{"path":%q}`, path) {
					t.Errorf("%s was answered %s", path, b)
				}
			}
		})
	}
	wg.Wait()
	s := closed(t, r)

	// Of 25 numbers, 5 are retries of op0; 10 others are even, 10 odd.
	want := []evidence.CallCount{
		{Operation: "t:op0", Calls: workers * 10, Attempts: workers * 15},
		{Operation: "t:op1", Calls: workers * 10, Attempts: workers * 10},
	}
	if fmt.Sprint(s.Calls) != fmt.Sprint(want) {
		t.Errorf("calls %v, want %v", s.Calls, want)
	}
	if len(s.Files) < 3 || len(s.Files) != len(f.committed) {
		t.Fatalf("%d files, %d committed: want at least 3", len(s.Files), len(f.committed))
	}
	var total int64
	for i, file := range s.Files {
		sum := sha256.Sum256(f.committed[i])
		if file.Name != fmt.Sprintf("exchanges-%04d.har", i+1) || string(file.Digest) != hex.EncodeToString(sum[:]) {
			t.Errorf("file %d is %+v", i+1, file)
		}
		total += file.Bytes
	}
	if total != s.Bytes {
		t.Errorf("%d bytes in files, %d in the summary", total, s.Bytes)
	}
	ids := map[string]bool{}
	retries := 0
	for _, e := range f.entries(t) {
		if ids[e.ID] {
			t.Errorf("id %s twice", e.ID)
		}
		ids[e.ID] = true
		if e.Attempt == 2 {
			retries++
		}
		if !strings.Contains(e.Response.Content.Text, strings.SplitN(e.Request.URL, url, 2)[1]) {
			t.Errorf("%s has the answer %s", e.Request.URL, e.Response.Content.Text)
		}
	}
	if len(ids) != workers*each || retries != workers*5 {
		t.Errorf("%d exchanges, %d retries", len(ids), retries)
	}
}

func TestClockOffset(t *testing.T) {
	now := time.Date(2026, 7, 1, 6, 0, 0, 500e6, time.UTC)
	dates := []string{
		"Wed, 01 Jul 2026 06:00:00 GMT", // 0
		"Wed, 01 Jul 2026 05:59:58 GMT", // agent 2 s ahead
		"Wed, 01 Jul 2026 06:00:05 GMT", // agent 5 s behind
		"nonsense",
		"Wed, 01 Jul 2026 05:59:59 GMT", // agent 1 s ahead
		"Wed, 01 Jul 2026 05:59:59 GMT",
	}
	next := 0
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", dates[next])
		next++
	})
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create, Now: func() time.Time { return now }})
	for range dates {
		if _, err := get(t, r.Transport(base(t)), url); err != nil {
			t.Fatal(err)
		}
	}
	got := closed(t, r).ClockOffset
	if want := (evidence.ClockOffset{MedianMS: 1000, MaxAbsMS: 5000, Samples: 5}); got == nil || *got != want {
		t.Errorf("offset %+v, want %+v", got, want)
	}
}

func TestHead(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "42") })
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	resp, err := send(t, r.Transport(base(t)), http.MethodHead, url, "")
	if got := text(t, resp, err); got != "" || resp.ContentLength != 42 {
		t.Errorf("HEAD gives %q, content length %d", got, resp.ContentLength)
	}
}
