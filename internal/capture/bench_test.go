package capture_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// canned answers from memory, so that what is measured is the recorder.
type canned struct{ body []byte }

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"text/xml"}, "Date": {"Wed, 01 Jul 2026 06:00:00 GMT"},
			"X-Amzn-Requestid": {"00000000-0000-0000-0000-000000000000"}, "Server": {"AmazonS3"},
		},
		Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Request: req,
	}, nil
}

// discard hashes what it is given, as a payload store does.
type discard struct{ io.Writer }

func (discard) Commit() (evidence.Digest, int64, error) { return "", 0, nil }
func (discard) Abort()                                  {}

// BenchmarkExchange is the recorder's overhead for one exchange: bare is the
// same without it.
func BenchmarkExchange(b *testing.B) {
	const item = `<item><volumeId>vol-0123456789abcdef0</volumeId><size>100</size><encrypted>true</encrypted><state>in-use</state></item>`
	const object = `{"volumeId":"vol-0123456789abcdef0","size":100,"encrypted":true,"state":"in-use"},`
	const flag = `{"databaseFlags":[{"name":"log_connections","value":"on"},{"name":"log_disconnections","value":"off"}]},`
	xml := func(n int) []byte { return []byte("<R><set>" + strings.Repeat(item, n) + "</set></R>") }
	json := func(n int) []byte { return []byte(`{"set":[` + strings.Repeat(object, n) + `{}]}`) }
	flags := func(n int) []byte { return []byte(`{"set":[` + strings.Repeat(flag, n) + `{}]}`) }
	for _, bb := range []struct {
		name      string
		body      []byte
		sensitive []string
	}{
		{"xml/1KB", xml(8), nil},
		{"xml/1KB/declared", xml(8), []string{"MasterUserPassword"}},
		{"json/1KB", json(12), nil},
		{"xml/1MB", xml(8500), nil},
		{"xml/1MB/declared", xml(8500), []string{"MasterUserPassword"}},
		{"json/1MB", json(12500), nil},
		{"json/1MB/declared", json(12500), []string{"MasterUserPassword"}},
		{"json/1MB/elsewhere", flags(9500), []string{"metadata.items.value"}}, // its last name, without the others
	} {
		for _, recorded := range []bool{false, true} {
			name := map[bool]string{false: "bare", true: "recorded"}[recorded]
			b.Run(fmt.Sprint(bb.name, "/", name), func(b *testing.B) {
				var rt http.RoundTripper = canned{bb.body}
				if recorded {
					r := capture.NewRecorder(capture.Options{
						Sensitive: bb.sensitive,
						Create:    func() (capture.Sink, error) { return discard{sha256.New()}, nil },
						Describe: func(*http.Request) capture.Labels {
							return capture.Labels{Service: "ec2", Operation: "ec2:DescribeVolumes", Region: "eu-west-1", Attempt: 1}
						},
					})
					rt = r.Transport(rt)
				}
				const form = "Action=DescribeVolumes&Version=2016-11-15"
				b.SetBytes(int64(len(bb.body)))
				b.ReportAllocs()
				for b.Loop() {
					req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "https://ec2.eu-west-1.amazonaws.com/", strings.NewReader(form))
					if err != nil {
						b.Fatal(err)
					}
					req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
					req.Header.Set("X-Amz-Security-Token", "x")
					req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					resp, err := rt.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
