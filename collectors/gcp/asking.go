package gcp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// asking makes the calls that tokens are had by. A refusal becomes an error that
// names the call and what it needs: the libraries give the status as text alone,
// and not which of their calls was refused.
type asking struct {
	base  http.RoundTripper
	scope string // OAuth scope that is asked for as a user, by delegation; empty: none
}

// credentialTimeout bounds one attempt of a call for a token, which does not go
// through the runner's transport.
const credentialTimeout = 30 * time.Second

// maxToken bounds the answer to a call for a token.
const maxToken = 1 << 20

// RoundTrip implements http.RoundTripper.
func (a *asking) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), credentialTimeout)
	defer cancel()
	failed := &credentialError{}
	failed.operation, failed.permission = a.call(req)
	resp, err := a.base.RoundTrip(req.WithContext(ctx))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxToken))
		err = errors.Join(err, resp.Body.Close())
	}
	switch {
	case err != nil:
		failed.err = fmt.Errorf("%s: %w", req.URL.Host, err)
		return nil, failed
	case resp.StatusCode >= http.StatusMultipleChoices:
		failed.told = parseFailure(resp.StatusCode, body)
		failed.err = fmt.Errorf("%s answered HTTP %d: %s", req.URL.Host, resp.StatusCode,
			cmp.Or(failed.told.message, failed.told.status, "without a word"))
		return nil, failed
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// call names the call that a request makes. It has no name where a machine, or a
// server that the operator named, gives a token of its own.
// Source: IAM Service Account Credentials API, projects.serviceAccounts; Security
// Token Service API, token; Using OAuth 2.0 for server to server applications.
func (a *asking) call(req *http.Request) (operation, needs string) {
	switch host, path := req.URL.Host, req.URL.Path; {
	case strings.HasSuffix(path, ":generateAccessToken"):
		return "iamcredentials.serviceAccounts.generateAccessToken", "iam.serviceAccounts.getAccessToken"
	case strings.HasSuffix(path, ":signJwt"):
		return "iamcredentials.serviceAccounts.signJwt", "iam.serviceAccounts.signJwt"
	case host == "oauth2.googleapis.com":
		return "oauth2.token", a.scope
	case host == "sts.googleapis.com":
		return "sts.token", "" // no permission: the pool says whom it takes
	}
	return "", ""
}

// credentialError is returned when there is no token to call with.
type credentialError struct {
	err                   error
	operation, permission string // empty: see asking.call
	told                  told   // the zero value: there was no answer
}

func (e *credentialError) Error() string {
	return "no Google access token was had: " + e.err.Error()
}

func (e *credentialError) Unwrap() error { return e.err }

// class tells a refusal from a failure to ask. Whom a server of tokens does not
// take, it may tell by any code of these, such as 400 for invalid_grant.
// Source: RFC 6749, error response.
func (e *credentialError) class() evidence.Class {
	class := e.told.class()
	if class == evidence.Unavailable && e.told.code >= 400 && e.told.code < 500 {
		return evidence.Denied
	}
	return class
}
