package aws_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/internal/capture"
)

// TestThrottled knows a refusal for too many calls in every protocol that is
// spoken, and takes no other for one.
func TestThrottled(t *testing.T) {
	for service, r := range refusals() {
		if got, _ := aws.Throttled(r.answer(request(t), r.throttled)); !got {
			t.Errorf("%s: %s is not throttled", service, r.throttled)
		}
		if got, _ := aws.Throttled(r.answer(request(t), r.denied)); got {
			t.Errorf("%s: %s is throttled", service, r.denied)
		}
	}
	tests := []struct {
		name   string
		status int
		header [2]string
		body   string
		want   bool
	}{
		{"429 without a word", 429, [2]string{}, "", true},
		{"429 of a proxy", 429, [2]string{}, "<html><body>no", true},
		{"503 without a word", 503, [2]string{}, "", false},
		{"503 for another reason", 503, [2]string{}, "<Error><Code>ServiceUnavailable</Code><Message>SlowDown</Message></Error>", false},
		{"half a document", 503, [2]string{}, "<Error><Code>SlowDo", false},
		{"a code in the text", 503, [2]string{}, "<Error><Message>Throttling</Message></Error>", false},
		{"white space before it", 503, [2]string{}, "\n<Error>\n<Code>SlowDown</Code></Error>", true},
		{"JSON with a namespace", 400, [2]string{}, `{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}`, true},
		{"JSON with a code", 400, [2]string{}, `{"code":"Throttling"}`, true},
		{"half of JSON", 400, [2]string{}, `{"__type":"Thrott`, false},
		{"JSON of another shape", 400, [2]string{}, `["Throttling"]`, false},
		{"a header with a namespace", 400, [2]string{"X-Amzn-Errortype", "TooManyRequestsException:http://internal.amazon.com/coral/"}, `{}`, true},
		{"a header that says otherwise than the body", 400, [2]string{"X-Amzn-Errortype", "ValidationException"}, `{"__type":"Throttling"}`, false},
		{"an answer that is none", 200, [2]string{"X-Amzn-Errortype", "Throttling"}, `{"__type":"Throttling"}`, false},
	}
	for _, tt := range tests {
		resp := capture.Respond(request(t), tt.status, "text/plain", tt.body)
		if tt.header[0] != "" {
			resp.Header.Set(tt.header[0], tt.header[1])
		}
		if got, after := aws.Throttled(resp); got != tt.want || after != 0 {
			t.Errorf("%s: %v, to wait %s; want %v", tt.name, got, after, tt.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name   string
		header map[string]string
		want   time.Duration
	}{
		{"seconds", map[string]string{"Retry-After": "7"}, 7 * time.Second},
		{"milliseconds", map[string]string{"X-Amz-Retry-After": "1500"}, 1500 * time.Millisecond},
		{"both", map[string]string{"X-Amz-Retry-After": "1500", "Retry-After": "7"}, 1500 * time.Millisecond},
		{"a date", map[string]string{"Date": "Wed, 01 Jul 2026 06:17:00 GMT", "Retry-After": "Wed, 01 Jul 2026 06:18:30 GMT"}, 90 * time.Second},
		{"a date that was", map[string]string{"Date": "Wed, 01 Jul 2026 06:17:00 GMT", "Retry-After": "Wed, 01 Jul 2026 06:16:00 GMT"}, 0},
		{"a date and no clock", map[string]string{"Retry-After": "Wed, 01 Jul 2026 06:18:30 GMT"}, 0},
		{"less than nothing", map[string]string{"Retry-After": "-1"}, 0},
		{"more than there is", map[string]string{"Retry-After": "99999999999999999999"}, 0},
		{"nonsense", map[string]string{"Retry-After": "soon", "X-Amz-Retry-After": "1.5s"}, 0},
		{"nothing", nil, 0},
	}
	for _, tt := range tests {
		resp := capture.Respond(request(t), 429, "text/plain", "")
		for name, value := range tt.header {
			resp.Header.Set(name, value)
		}
		if throttled, got := aws.Throttled(resp); !throttled || got != tt.want {
			t.Errorf("%s: %v, to wait %s; want %s", tt.name, throttled, got, tt.want)
		}
	}
}

func request(t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://sts.us-east-1.amazonaws.com/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
