package gcp

import (
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// The bodies have the forms of AIP-193 and of the Admin SDK's "Handle API errors".
func TestFailures(t *testing.T) {
	const info = `{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "`
	for _, c := range []struct {
		name   string
		code   int
		body   string
		class  evidence.Class
		said   string
		policy string
		after  time.Duration
	}{
		{"a permission is missing", 403, `{"error": {"status": "PERMISSION_DENIED", "details": [` + info + `IAM_PERMISSION_DENIED"}]}}`, evidence.Denied, "IAM_PERMISSION_DENIED", "", 0},
		{"no details", 403, `{"error": {"status": "PERMISSION_DENIED"}}`, evidence.Denied, "PERMISSION_DENIED", "", 0},
		{"the API is off", 403, `{"error": {"status": "PERMISSION_DENIED", "details": [` + info + `SERVICE_DISABLED"}]}}`, evidence.Disabled, "SERVICE_DISABLED", "", 0},
		{"the API is off, the old way", 403, `{"error": {"errors": [{"reason": "accessNotConfigured"}]}}`, evidence.Disabled, "accessNotConfigured", "", 0},
		{"a perimeter", 403, `{"error": {"status": "PERMISSION_DENIED", "details": [` + info + `SECURITY_POLICY_VIOLATED"}]}}`, evidence.Denied, "SECURITY_POLICY_VIOLATED", "VPC Service Controls perimeter", 0},
		{"a quota as 403", 403, `{"error": {"errors": [{"reason": "userRateLimitExceeded"}]}}`, evidence.Throttled, "userRateLimitExceeded", "", 0},
		{"a quota, with a time", 429, `{"error": {"status": "RESOURCE_EXHAUSTED", "details": [` + info + `RATE_LIMIT_EXCEEDED"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}]}}`, evidence.Throttled, "RATE_LIMIT_EXCEEDED", "", 12500 * time.Millisecond},
		{"no credentials", 401, `{"error": {"status": "UNAUTHENTICATED"}}`, evidence.Denied, "UNAUTHENTICATED", "", 0},
		{"a deadline", 504, `{"error": {"status": "DEADLINE_EXCEEDED"}}`, evidence.Timeout, "DEADLINE_EXCEEDED", "", 0},
		{"a server of tokens", 401, `{"error": "unauthorized_client", "error_description": "Client is unauthorized"}`, evidence.Denied, "unauthorized_client", "", 0},
		{"no JSON", 502, "<html>bad gateway</html>", evidence.Unavailable, "HTTP 502", "", 0},
		{"a list in place of an error", 500, `[{"error": {"code": 500}}]`, evidence.Unavailable, "HTTP 500", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parseFailure(c.code, []byte(c.body))
			if got.class() != c.class || got.said() != c.said || got.policy() != c.policy || got.retryDelay != c.after {
				t.Errorf("class %s, code %s, policy %q, wait %v; want %s, %s, %q, %v",
					got.class(), got.said(), got.policy(), got.retryDelay, c.class, c.said, c.policy, c.after)
			}
		})
	}
}

func FuzzFailure(f *testing.F) {
	f.Add(403, []byte(`{"error": {"status": "PERMISSION_DENIED", "details": [{"@type": "x", "metadata": {"a": "b"}}]}}`))
	f.Add(429, []byte(`{"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "-1s"}]}}`))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		got := parseFailure(code, body)
		if got.said() == "" || got.class() == "" || got.retryDelay < 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestPrincipal(t *testing.T) {
	for file, want := range map[string]string{
		"": "ambient identity",
		`{"type": "service_account", "client_email": "reader@example-audit.iam.gserviceaccount.com"}`:                                                                                                                                "reader@example-audit.iam.gserviceaccount.com",
		`{"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"}`:                                                                                           "federated identity of //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		`{"type": "external_account", "audience": "x", "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/reader@example-audit.iam.gserviceaccount.com:generateAccessToken"}`: "reader@example-audit.iam.gserviceaccount.com",
		`{"type": "authorized_user"}`: "a person's own credentials",
	} {
		if got := principalOf([]byte(file)); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}
