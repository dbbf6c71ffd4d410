package gcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// answering is a server that answers every call alike.
type answering struct {
	code int
	body string
	err  error
}

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.code, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
}

// TestAsking demands of each failure of a call for a token that it names the call
// and what the call needs, and that only a refusal is called one.
func TestAsking(t *testing.T) {
	const (
		credentials = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/reader@example-audit.iam.gserviceaccount.com"
		account     = "iamcredentials.serviceAccounts.generateAccessToken"
		getToken    = "iam.serviceAccounts.getAccessToken"
		sign        = "iamcredentials.serviceAccounts.signJwt"
	)
	for _, c := range []struct {
		name   string
		url    string
		answer answering
		want   evidence.Gap
	}{
		{"refused", credentials + ":generateAccessToken", answering{code: 403, body: `{"error": {"status": "PERMISSION_DENIED", "message": "no"}}`}, evidence.Gap{Operation: account, Permission: getToken, Class: evidence.Denied, Code: "PERMISSION_DENIED", Message: "HTTP 403: no"}},
		{"no such account", credentials + ":generateAccessToken", answering{code: 404, body: `{"error": {"status": "NOT_FOUND"}}`}, evidence.Gap{Operation: account, Permission: getToken, Class: evidence.Denied, Code: "NOT_FOUND", Message: "HTTP 404: NOT_FOUND"}},
		{"too often", credentials + ":generateAccessToken", answering{code: 429}, evidence.Gap{Operation: account, Permission: getToken, Class: evidence.Throttled, Code: "HTTP 429", Message: "without a word"}},
		{"broken", credentials + ":signJwt", answering{code: 503, body: "<html>"}, evidence.Gap{Operation: sign, Permission: "iam.serviceAccounts.signJwt", Class: evidence.Unavailable, Code: "HTTP 503", Message: "without a word"}},
		{"moved", credentials + ":signJwt", answering{code: 307}, evidence.Gap{Operation: sign, Permission: "iam.serviceAccounts.signJwt", Class: evidence.Unavailable, Code: "HTTP 307", Message: "without a word"}},
		{"no answer", credentials + ":signJwt", answering{err: context.DeadlineExceeded}, evidence.Gap{Operation: sign, Permission: "iam.serviceAccounts.signJwt", Class: evidence.Timeout, Message: "iamcredentials.googleapis.com: context deadline exceeded"}},
		{"not delegated", "https://oauth2.googleapis.com/token", answering{code: 401, body: `{"error": "unauthorized_client"}`}, evidence.Gap{Operation: "oauth2.token", Permission: directoryScope, Class: evidence.Denied, Code: "unauthorized_client", Message: "HTTP 401: unauthorized_client"}},
		{"not of the pool", "https://sts.googleapis.com/v1/token", answering{code: 400, body: `{"error": "invalid_grant"}`}, evidence.Gap{Operation: "sts.token", Class: evidence.Denied, Code: "invalid_grant", Message: "HTTP 400: invalid_grant"}},
		{"another's token", "http://169.254.169.254/metadata/identity/oauth2/token", answering{err: errors.New("no route")}, evidence.Gap{Class: evidence.Unavailable, Message: "169.254.169.254: no route"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			client := http.Client{Transport: &asking{c.answer, directoryScope}}
			_, err = client.Do(req)
			token, ok := errors.AsType[*credentialError](err)
			if !ok {
				t.Fatalf("the error is %v", err)
			}
			got := failure(err)
			got.Operation, got.Permission = operationOf(err), token.permission
			if !strings.HasSuffix(got.Message, c.want.Message) {
				t.Errorf("says %q, want %q", got.Message, c.want.Message)
			}
			got.Message = c.want.Message
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
