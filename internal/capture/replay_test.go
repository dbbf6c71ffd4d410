package capture_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/internal/capture"
)

// describe labels requests by their X-Op header.
func describe(req *http.Request) capture.Labels {
	return capture.Labels{Operation: req.Header.Get("X-Op"), Attempt: 1}
}

type request struct {
	method, url, body string
	header            []string
}

// session makes the requests and gives what a client saw.
func session(t *testing.T, rt http.RoundTripper, requests []request) string {
	t.Helper()
	var b strings.Builder
	for _, q := range requests {
		resp, err := send(t, rt, q.method, q.url, q.body, q.header...)
		body := text(t, resp, err)
		resp.Header.Del("Date")
		fmt.Fprintln(&b, resp.Status, resp.Proto, resp.ContentLength, resp.Header, body)
	}
	return b.String()
}

// Record, replay, and record the replay: the client sees the same, and the
// same is kept.
func TestReplayEquality(t *testing.T) {
	n := 0
	url := serve(t, func(w http.ResponseWriter, req *http.Request) {
		n++
		w.Header().Set("X-Amzn-Requestid", fmt.Sprint("request-", n))
		if n == 2 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		b, _ := io.ReadAll(req.Body)
		if req.URL.Path == "/binary" {
			_, _ = w.Write([]byte{0, 0xff})
			return
		}
		_, _ = fmt.Fprintf(w, `{"n":%d,"body":%q,"Secret":"%s-%d"}`, n, b, plantedSecret, n)
	})
	target := func(op string) []string {
		return []string{"X-Amz-Target", "Svc." + op, "X-Op", "svc:" + op, "Content-Type", "application/x-amz-json-1.1"}
	}
	first := []request{
		{method: "GET", url: url + "/?b=2&a=1&X-Amz-Signature=one&X-Amz-Date=20260701T000000Z", header: []string{"X-Op", "s3:ListBuckets"}},
		{method: "POST", url: url, body: `{"b":1, "a":[1.0]}`, header: target("ListKeys")},
		{method: "POST", url: url, body: `{"b":1, "a":[1.0]}`, header: target("ListKeys")},
		{method: "POST", url: url, body: `{"b":1, "a":[1.0]}`, header: target("ListAliases")},
		{method: "POST", url: url, body: "Version=1&Action=ListUsers&Secret=one"},
		{method: "GET", url: url + "/binary"},
		{method: "POST", url: url, body: "<R><Secret>one</Secret></R>"},
	}
	// The same requests as another program, at another time, may write them.
	second := []request{
		{method: "GET", url: url + "/?a=1&b=2&X-Amz-Signature=two&X-Amz-Date=20270101T000000Z", header: []string{"X-Op", "s3:ListBuckets"}},
		{method: "POST", url: url + "/", body: `{"a":[1.0],"b":1}`, header: target("ListKeys")},
		{method: "POST", url: url, body: `{"b":1,"a":[1.0]}`, header: target("ListKeys")},
		{method: "POST", url: url, body: `{"b":1, "a":[1.0]}`, header: target("ListAliases")},
		{method: "POST", url: url, body: "Action=ListUsers&Secret=two&Version=1"},
		{method: "GET", url: url + "/binary"},
		{method: "POST", url: url, body: "<R><Secret>two</Secret></R>"},
	}
	record := func(over http.RoundTripper, requests []request, key string) (*files, string) {
		f := &files{}
		r := capture.NewRecorder(capture.Options{Create: f.create, Describe: describe, Sensitive: []string{"Secret"}, Key: []byte(key)})
		saw := session(t, r.Transport(over), requests)
		closed(t, r)
		return f, saw
	}
	live, saw := record(base(t), first, "one")
	replay, err := capture.OpenReplay(capture.ReplayOptions{Describe: describe, Sensitive: []string{"Secret"}}, live.readers()...)
	if err != nil {
		t.Fatal(err)
	}
	again, sawAgain := record(replay, second, "two")
	if saw != sawAgain {
		t.Errorf("live, the client saw\n%s\nin replay\n%s", saw, sawAgain)
	}
	if left := replay.Unused(); len(left) > 0 {
		t.Errorf("not replayed: %q", left)
	}
	a, b := live.entries(t), again.entries(t)
	for i := range a {
		if a[i].ID != b[i].ID || a[i].SHA256 != b[i].SHA256 || a[i].Response.Content.Text != b[i].Response.Content.Text || a[i].RequestID != b[i].RequestID {
			t.Errorf("entry %d was kept as %s %s, then as %s %s", i, a[i].ID, a[i].Response.Content.Text, b[i].ID, b[i].Response.Content.Text)
		}
	}
	if !strings.Contains(fmt.Sprint(a[1].Redactions), "response.body/Secret") {
		t.Errorf("redactions %v", a[1].Redactions)
	}
	for i := range a {
		if x, y := answerRedactions(a[i]), answerRedactions(b[i]); x != y {
			t.Errorf("entry %d has the redactions %s, then %s", i, x, y)
		}
	}
	if a[1].ID == a[3].ID || strings.TrimSuffix(a[1].ID, ".1") != strings.TrimSuffix(a[2].ID, ".2") {
		t.Errorf("ids %s, %s (the same request again), %s (another operation)", a[1].ID, a[2].ID, a[3].ID)
	}
}

// answerRedactions gives what was taken out of the answer's body. Of headers,
// a replay has only those that were kept, and their length is true already.
func answerRedactions(e capture.Entry) string {
	var b strings.Builder
	for _, r := range e.Redactions {
		if strings.HasPrefix(r.Place, "response.") && r.Place != "response.header.content-length" {
			fmt.Fprintln(&b, r)
		}
	}
	return b.String()
}

func open(t *testing.T, o capture.ReplayOptions, entries string) *capture.Replayer {
	t.Helper()
	r, err := capture.OpenReplay(o, strings.NewReader(`{"log":{"version":"1.2","entries":[`+entries+`]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const fixture = `
{"_operation":"iam:ListUsers","request":{"method":"POST","url":"https://iam.amazonaws.com/","postData":{"text":"Action=ListUsers&Version=2010-05-08"}},
 "response":{"status":200,"content":{"mimeType":"text/xml","_lines":["<ListUsersResponse>","</ListUsersResponse>"]}}},
{"_operation":"kms:ListKeys","request":{"method":"POST","url":"https://kms.eu-west-1.amazonaws.com/","postData":{"_json":{}}},
 "response":{"status":200,"content":{"_json":{"Keys": [ {"KeyId":"k-1"} ]}}}},
{"_operation":"kms:ListAliases","request":{"method":"POST","url":"https://kms.eu-west-1.amazonaws.com/","postData":{"_json":{}}},
 "response":{"status":400,"headers":[{"name":"X-Amzn-Errortype","value":"AccessDeniedException"}],"content":{"text":"{}"}}},
{"request":{"method":"GET","url":"https://logs.s3.eu-west-1.amazonaws.com/?encryption"},
 "response":{"status":200,"content":{"text":"first"}}},
{"request":{"method":"GET","url":"https://logs.s3.eu-west-1.amazonaws.com/?encryption"},
 "response":{"status":200,"content":{"text":"second"}}},
{"request":{"method":"GET","url":"https://logs.s3.eu-west-1.amazonaws.com/?logging"},
 "response":{"status":0},"_error":{"sort":"connection_reset","message":"reset"}}`

func TestReplayFixture(t *testing.T) {
	r := open(t, capture.ReplayOptions{Describe: describe}, fixture)
	resp, err := send(t, r, "POST", "https://iam.amazonaws.com", "Version=2010-05-08&Action=ListUsers", "X-Op", "iam:ListUsers")
	if got := text(t, resp, err); got != "<ListUsersResponse>\n</ListUsersResponse>" || resp.Status != "200 OK" || resp.Header.Get("Content-Type") != "text/xml" {
		t.Errorf("ListUsers gives %s %v %q", resp.Status, resp.Header, got)
	}
	// Two operations with the same URL and body: by _operation.
	resp, err = send(t, r, "POST", "https://kms.eu-west-1.amazonaws.com/", "{}", "X-Op", "kms:ListAliases", "X-Amz-Target", "TrentService.ListAliases")
	if got := text(t, resp, err); got != "{}" || resp.StatusCode != 400 || resp.Header.Get("X-Amzn-ErrorType") != "AccessDeniedException" {
		t.Errorf("ListAliases gives %s %q", resp.Status, got)
	}
	resp, err = send(t, r, "POST", "https://kms.eu-west-1.amazonaws.com/", "{}", "X-Op", "kms:listkeys")
	if got := text(t, resp, err); got != `{"Keys":[{"KeyId":"k-1"}]}` {
		t.Errorf("ListKeys gives %q", got)
	}
	for _, want := range []string{"first", "second"} {
		resp, err = get(t, r, "https://logs.s3.eu-west-1.amazonaws.com:443/?encryption=")
		if got := text(t, resp, err); got != want {
			t.Errorf("encryption gives %q, want %q", got, want)
		}
	}
	_, err = get(t, r, "https://logs.s3.eu-west-1.amazonaws.com/?logging")
	wantFailure(t, err, capture.ConnectionReset)
}

// Everything of a request tells it from others: requests are asked for in
// another order than they were recorded in.
func TestReplayTellsRequestsApart(t *testing.T) {
	type q struct{ method, url, body, target string }
	different := []q{
		{method: "GET", url: "https://a.example.com/"},
		{method: "HEAD", url: "https://a.example.com/"},
		{method: "GET", url: "https://b.example.com/"},
		{method: "GET", url: "https://a.example.com:8443/"},
		{method: "GET", url: "https://a.example.com/x"},
		{method: "GET", url: "https://a.example.com/?marker=1"},
		{method: "GET", url: "https://a.example.com/?marker=2"},
		{method: "GET", url: "https://a.example.com/?a=1&a=2"},
		{method: "GET", url: "https://a.example.com/?a=2&a=1"},
		{method: "POST", url: "https://a.example.com/", body: "Action=A"},
		{method: "POST", url: "https://a.example.com/", body: "Action=B"},
		{method: "POST", url: "https://a.example.com/", body: `{"a":1}`},
		{method: "POST", url: "https://a.example.com/", body: `{"a":"1"}`},
		{method: "POST", url: "https://a.example.com/", body: `{"a":9007199254740993}`},
		{method: "POST", url: "https://a.example.com/", body: `{"a":9007199254740992}`},
		{method: "POST", url: "https://a.example.com/", body: `{}`, target: "S.A"},
		{method: "POST", url: "https://a.example.com/", body: `{}`, target: "S.B"},
		{method: "POST", url: "https://a.example.com/", body: `<a/>`},
	}
	var entries []string
	for i, d := range different {
		entries = append(entries, fmt.Sprintf(`{"request":{"method":%q,"url":%q,"headers":[{"name":"x-amz-target","value":%q}],"postData":{"text":%q}},
			"response":{"status":200,"headers":[{"name":"Server","value":"%d"}]}}`, d.method, d.url, d.target, d.body, i))
	}
	r := open(t, capture.ReplayOptions{}, strings.Join(entries, ","))
	for i, d := range slices.Backward(different) {
		resp, err := send(t, r, d.method, d.url, d.body, "X-Amz-Target", d.target)
		if err != nil || resp.Header.Get("Server") != fmt.Sprint(i) {
			t.Errorf("%+v is answered by %v, %v, want %d", d, resp, err, i)
		}
	}
}

// Entries are written as exchanges end; answers go out as they began.
func TestReplayOrder(t *testing.T) {
	entry := `{"_id":"0123456789abcdef.%d","request":{"method":"GET","url":"https://example.com/"},"response":{"status":200,"content":{"text":"%d"}}}`
	var entries []string
	for _, n := range []int{2, 10, 1, 3} {
		entries = append(entries, fmt.Sprintf(entry, n, n))
	}
	r := open(t, capture.ReplayOptions{}, strings.Join(entries, ","))
	var got []string
	for range entries {
		resp, err := get(t, r, "https://example.com/")
		got = append(got, text(t, resp, err))
	}
	if fmt.Sprint(got) != "[1 2 3 10]" {
		t.Errorf("answers come in the order %v", got)
	}
}

func TestReplayOfWhatIsNotRecorded(t *testing.T) {
	r := open(t, capture.ReplayOptions{Describe: describe}, fixture)
	_, err := send(t, r, "POST", "https://iam.amazonaws.com/", "Action=ListRoles&Version=2010-05-08&Password="+plantedSecret, "X-Op", "iam:ListRoles")
	var missing *capture.NoAnswerError
	if !errors.As(err, &missing) || missing.Served != 0 {
		t.Fatalf("error is %v", err)
	}
	for _, want := range []string{"iam:ListRoles", "iam.amazonaws.com/", "Action=ListRoles", "not recorded"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if len(missing.Nearest) == 0 || !strings.Contains(missing.Nearest[0], "Action=ListUsers") {
		t.Errorf("nearest are %q", missing.Nearest)
	}
	// The AWS SDK asks this before it retries.
	var v interface{ CanceledError() bool }
	if !errors.As(err, &v) || !v.CanceledError() {
		t.Error("the SDK would retry")
	}

	const url = "https://kms.eu-west-1.amazonaws.com/"
	for i := range 2 {
		_, err = send(t, r, "POST", url, "{}", "X-Op", "kms:ListKeys")
		if exhausted := errors.As(err, &missing) && missing.Served == 1; exhausted != (i == 1) {
			t.Errorf("call %d gives %v", i+1, err)
		}
	}
	if left := r.Unused(); len(left) != 5 || !strings.Contains(left[0], "iam:ListUsers") {
		t.Errorf("unused are %q", left)
	}
	r.Rewind()
	if left := r.Unused(); len(left) != 6 {
		t.Errorf("after Rewind unused are %q", left)
	}
	repeat := open(t, capture.ReplayOptions{Describe: describe, RepeatLast: true}, fixture)
	var got []string
	for range 3 {
		resp, err := get(t, repeat, "https://logs.s3.eu-west-1.amazonaws.com/?encryption")
		got = append(got, text(t, resp, err))
	}
	if fmt.Sprint(got) != "[first second second]" {
		t.Errorf("with RepeatLast: %v", got)
	}
}

// Intercept is how tests deny, throttle and cut off a recorded estate.
func TestReplayIntercept(t *testing.T) {
	pages := 0
	r := open(t, capture.ReplayOptions{
		Describe: describe,
		Intercept: func(req *http.Request, l capture.Labels) (*http.Response, error) {
			switch l.Operation {
			case "kms:ListKeys":
				return capture.Respond(req, 400, "application/x-amz-json-1.1", `{"__type":"AccessDeniedException"}`), nil
			case "page":
				if pages++; pages == 2 {
					return nil, io.ErrUnexpectedEOF
				}
			}
			return nil, nil
		},
	}, fixture)
	resp, err := send(t, r, "POST", "https://kms.eu-west-1.amazonaws.com/", "{}", "X-Op", "kms:ListKeys")
	if got := text(t, resp, err); resp.StatusCode != 400 || !strings.Contains(got, "AccessDenied") {
		t.Errorf("denied call gives %s %s", resp.Status, got)
	}
	const url = "https://logs.s3.eu-west-1.amazonaws.com/?encryption"
	resp, err = get(t, r, url, "X-Op", "page")
	if got := text(t, resp, err); got != "first" {
		t.Errorf("page 1 is %q", got)
	}
	if _, err = get(t, r, url, "X-Op", "page"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("page 2 gives %v", err)
	}
	resp, err = get(t, r, url, "X-Op", "page")
	if got := text(t, resp, err); got != "second" {
		t.Errorf("page 2 again is %q", got)
	}
}

func TestTruncate(t *testing.T) {
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create})
	replay := open(t, capture.ReplayOptions{}, fixture)
	_, err := get(t, r.Transport(roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := replay.RoundTrip(req)
		return capture.Truncate(resp, 3), err
	})), "https://logs.s3.eu-west-1.amazonaws.com/?encryption")
	wantFailure(t, err, capture.TruncatedBody)
	closed(t, r)
	if e := f.entries(t)[0]; e.Response.Content.Text != "fir" {
		t.Errorf("kept %q", e.Response.Content.Text)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestReplayClock(t *testing.T) {
	const entry = `{"startedDateTime":"2026-06-30T06:00:00Z","_moving":%s,
 "request":{"method":"GET","url":"https://example.com/"},
 "response":{"status":200,"headers":[{"name":"Date","value":"Tue, 30 Jun 2026 06:00:00 GMT"},{"name":"Content-Length","value":"x"},{"name":"X-Amz-Crc32","value":"1"}],"content":{"text":%q}}}`
	day := func() time.Time { return time.Date(2026, 7, 1, 7, 0, 0, 123, time.UTC) } // 25 hours later
	tests := []struct{ name, moving, body, want, err string }{
		{
			name:   "RFC 3339 in several forms",
			moving: `["2026-06-30T05:55:00Z","2026-06-30T05:55:00.120Z","2026-06-30T05:55:00+02:00"]`,
			body:   `2026-06-30T05:55:00Z 2026-06-30T05:55:00.120Z 2026-06-30T05:55:00+02:00 2026-06-30T05:55:01Z`,
			want:   `2026-07-01T06:55:00Z 2026-07-01T06:55:00.120Z 2026-07-01T06:55:00+02:00 2026-06-30T05:55:01Z`,
		},
		{
			name: "seconds", moving: `["epoch:1782885600","epoch:1782885600.5"]`,
			body: `[1782885600,1782885600.5,11782885600,1782885600.55]`,
			want: `[1782975600,1782975600.5,11782885600,1782885600.55]`,
		},
		{
			name: "one moves onto another", moving: `["epoch:1000","epoch:91000"]`,
			body: `[1000,91000]`, want: `[91000,181000]`,
		},
		{
			name: "within Base64", moving: `["base64:2026-06-30T05:55:00+00:00"]`,
			body: `<C>dXNlcixhcm4KYW5uLDIwMjYtMDYtMzBUMDU6NTU6MDArMDA6MDAK</C>`, // user,arn\nann,2026-06-30T05:55:00+00:00\n
			want: `<C>dXNlcixhcm4KYW5uLDIwMjYtMDctMDFUMDY6NTU6MDArMDA6MDAK</C>`,
		},
		{name: "not there", moving: `["2026-06-30T05:55:00Z"]`, body: `none`, err: "does not hold"},
		{name: "not a time", moving: `["yesterday"]`, body: `yesterday`, err: "RFC 3339"},
		{name: "none", moving: `[]`, body: `2026-06-30T05:55:00Z`, want: `2026-06-30T05:55:00Z`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, capture.ReplayOptions{Now: day}, fmt.Sprintf(entry, tt.moving, tt.body))
			resp, err := get(t, r, "https://example.com")
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error is %v, want %q", err, tt.err)
				}
				return
			}
			if got := text(t, resp, err); got != tt.want {
				t.Errorf("body\n%s\nwant\n%s", got, tt.want)
			}
			if d := resp.Header.Get("Date"); d != "Wed, 01 Jul 2026 07:00:00 GMT" {
				t.Errorf("Date is %s", d)
			}
			if tt.want != tt.body && (resp.Header.Get("X-Amz-Crc32") != "" || resp.Header.Get("Content-Length") != fmt.Sprint(len(tt.want))) {
				t.Errorf("headers %v do not fit the body", resp.Header)
			}
		})
	}
	still := open(t, capture.ReplayOptions{}, fmt.Sprintf(entry, `["2026-06-30T05:55:00Z"]`, `2026-06-30T05:55:00Z`))
	resp, err := get(t, still, "https://example.com/")
	if got := text(t, resp, err); got != "2026-06-30T05:55:00Z" || resp.Header.Get("Date") != "Tue, 30 Jun 2026 06:00:00 GMT" {
		t.Errorf("without a clock: %s %s", resp.Header.Get("Date"), got)
	}
}

// A fixture with its ids left out still names exchanges once it is recorded.
func TestFixtureThroughRecorder(t *testing.T) {
	f := &files{}
	r := capture.NewRecorder(capture.Options{Create: f.create, Describe: describe})
	resp, err := send(t, r.Transport(open(t, capture.ReplayOptions{}, fixture)), "POST", "https://iam.amazonaws.com/", "Action=ListUsers&Version=2010-05-08")
	if text(t, resp, err); len(resp.Header.Get(collectors.ExchangeHeader)) != len("0123456789abcdef.1") {
		t.Errorf("headers %v", resp.Header)
	}
	closed(t, r)
}
