package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"

	"github.com/tallystick/tallystick/evidence"
)

// The OAuth scopes that tokens are asked for. IAM decides what a token of the
// first opens; the others are what a super administrator delegates.
// Source: OAuth 2.0 scopes for Google APIs; Admin SDK, Directory API, Authorize
// requests; Cloud Identity API reference, each method.
const (
	cloudScope     = "https://www.googleapis.com/auth/cloud-platform"
	directoryScope = "https://www.googleapis.com/auth/admin.directory.user.readonly"
	groupsScope    = "https://www.googleapis.com/auth/cloud-identity.groups.readonly"
	policiesScope  = "https://www.googleapis.com/auth/cloud-identity.policies.readonly"
	ssoScope       = "https://www.googleapis.com/auth/cloud-identity.inboundsso.readonly"
	unitsScope     = "https://www.googleapis.com/auth/admin.directory.orgunit.readonly"
)

// delegatedScopes lists the scopes that a super administrator delegates. A token
// has one of them, so that one which was not delegated spoils only what needs it.
func delegatedScopes() []string {
	return []string{directoryScope, groupsScope, policiesScope, ssoScope, unitsScope}
}

// tokens gives the token to call with.
type tokens interface {
	Token(ctx context.Context) (*auth.Token, error)
}

// identity is as whom the estate is read. Nil tokens call without credentials.
type identity struct {
	principal string // as Google names it, where it is known without a call
	cloud     tokens
	delegated map[string]tokens // by OAuth scope; empty: there is no way into the Workspace domain
}

// ambient finds the ambient identity and what is reached from it.
func ambient(s Settings, client *http.Client) (identity, error) {
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{cloudScope}, Client: client, DisableAsyncRefresh: true})
	if err != nil {
		return identity{}, fmt.Errorf("find Google credentials: %w: set GOOGLE_APPLICATION_CREDENTIALS to a workload identity configuration, run `gcloud auth application-default login`, or run on Google Cloud with a service account", err)
	}
	id := identity{
		principal: principalOf(found.JSON()),
		cloud:     named{found, "", ""},
	}
	if s.ServiceAccount != "" {
		as, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
			TargetPrincipal: s.ServiceAccount, Scopes: []string{cloudScope}, Credentials: found,
		})
		if err != nil {
			return identity{}, fmt.Errorf("impersonate %s: %w", s.ServiceAccount, err)
		}
		id.principal = s.ServiceAccount
		id.cloud = named{as, "iamcredentials.serviceAccounts.generateAccessToken", "iam.serviceAccounts.getAccessToken"}
	}
	if w := s.Workspace; w != nil {
		// Signed by the service account itself: no key leaves Google.
		// Source: IAM Service Account Credentials API, projects.serviceAccounts.signJwt.
		id.delegated = map[string]tokens{}
		for _, scope := range delegatedScopes() {
			as, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
				TargetPrincipal: w.ServiceAccount, Subject: w.Subject, Scopes: []string{scope}, Credentials: found,
			})
			if err != nil {
				return identity{}, fmt.Errorf("act as %s by the domain-wide delegation of %s: %w", w.Subject, w.ServiceAccount, err)
			}
			id.delegated[scope] = named{as, "iamcredentials.serviceAccounts.signJwt", "iam.serviceAccounts.signJwt"}
		}
	}
	return id, nil
}

// principalOf says as whom credentials call, as far as their file tells. On a
// machine of Google's there is no file.
// Source: AIP-4110 and the credential configurations that it names.
func principalOf(file []byte) string {
	var c struct {
		Type          string `json:"type"`
		ClientEmail   string `json:"client_email"`
		Impersonation string `json:"service_account_impersonation_url"`
		Audience      string `json:"audience"`
	}
	if json.Unmarshal(file, &c) != nil {
		return "ambient identity"
	}
	if _, rest, ok := strings.Cut(c.Impersonation, "/serviceAccounts/"); ok {
		email, _, _ := strings.Cut(rest, ":")
		return email
	}
	switch {
	case c.ClientEmail != "":
		return c.ClientEmail
	case c.Audience != "":
		return "federated identity of " + c.Audience
	case c.Type == "authorized_user":
		return "a person's own credentials"
	}
	return "ambient identity"
}

// named is a source of tokens that says which call it makes for one. Neither
// name is set where the machine or a file gives the token.
type named struct {
	*auth.Credentials
	operation, permission string
}

// Token implements tokens.
func (n named) Token(ctx context.Context) (*auth.Token, error) {
	t, err := n.Credentials.Token(ctx)
	if err != nil {
		return nil, &credentialError{err: err, operation: n.operation, permission: n.permission}
	}
	return t, nil
}

// credentialError is returned when there is no token to call with.
type credentialError struct {
	err                   error
	operation, permission string
}

func (e *credentialError) Error() string {
	return "no Google access token was had: " + e.err.Error()
}

func (e *credentialError) Unwrap() error { return e.err }

// class tells a refusal from a failure to ask.
func (e *credentialError) class() evidence.Class {
	if refused, ok := errors.AsType[*auth.Error](e.err); ok && refused.Response != nil {
		if code := refused.Response.StatusCode; code >= 400 && code < 500 && code != http.StatusTooManyRequests {
			return evidence.Denied
		}
		return evidence.Unavailable
	}
	// The impersonating clients give the status as text alone.
	if strings.Contains(e.err.Error(), "status code 4") && !strings.Contains(e.err.Error(), "status code 429") {
		return evidence.Denied
	}
	return evidence.Unavailable
}

// authorized puts a token on each request. Capture, beneath it, keeps none.
type authorized struct {
	base  http.RoundTripper
	as    tokens // nil: none
	quota string // the project whose quota counts; empty: as Google decides
}

// RoundTrip implements http.RoundTripper.
func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	req = req.Clone(ctx)
	if a.quota != "" {
		req.Header.Set("X-Goog-User-Project", a.quota)
	}
	if a.as != nil {
		t, err := a.as.Token(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+t.Value)
	}
	return a.base.RoundTrip(req)
}
