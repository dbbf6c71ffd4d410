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
	workspace string // as whom the Workspace domain is read; empty: as principal
	cloud     tokens
	delegated map[string]tokens // by OAuth scope; empty: there is no way into the Workspace domain
}

// ambient finds the ambient identity and what is reached from it.
func ambient(ctx context.Context, s Settings, base http.RoundTripper) (identity, error) {
	client := func(scope string, as tokens, quota string) *http.Client {
		return &http.Client{Transport: &authorized{base: &asking{base, scope}, as: as, quota: quota}}
	}
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{cloudScope}, Client: client("", nil, ""), DisableAsyncRefresh: true})
	if err != nil {
		return identity{}, fmt.Errorf("find Google credentials: %w: set GOOGLE_APPLICATION_CREDENTIALS to a workload identity configuration, run `gcloud auth application-default login`, or run on Google Cloud with a service account", err)
	}
	id := identity{
		principal: principalOf(found.JSON()),
		cloud:     named{found},
	}
	quota, err := found.QuotaProjectID(ctx) // that of gcp.quota_project is for who reads
	if err != nil {
		return identity{}, fmt.Errorf("find the quota project of the Google credentials: %w", err)
	}
	if s.ServiceAccount != "" {
		as, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
			TargetPrincipal: s.ServiceAccount, Scopes: []string{cloudScope},
			Credentials: found, Client: client("", named{found}, quota),
		})
		if err != nil {
			return identity{}, fmt.Errorf("impersonate %s: %w", s.ServiceAccount, err)
		}
		id.principal = s.ServiceAccount
		id.cloud = named{as}
	}
	if w := s.Workspace; w != nil {
		// Signed by the service account itself: no key leaves Google.
		// Source: IAM Service Account Credentials API, projects.serviceAccounts.signJwt.
		id.workspace = w.Subject
		id.delegated = map[string]tokens{}
		for _, scope := range delegatedScopes() {
			as, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
				TargetPrincipal: w.ServiceAccount, Subject: w.Subject, Scopes: []string{scope},
				Credentials: found, Client: client(scope, named{found}, quota),
			})
			if err != nil {
				return identity{}, fmt.Errorf("act as %s by the domain-wide delegation of %s: %w", w.Subject, w.ServiceAccount, err)
			}
			id.delegated[scope] = named{as}
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

// named is a source of tokens whose errors say that there was none.
type named struct{ *auth.Credentials }

// Token implements tokens.
func (n named) Token(ctx context.Context) (*auth.Token, error) {
	t, err := n.Credentials.Token(ctx)
	if err == nil {
		return t, nil
	}
	if asked, ok := errors.AsType[*credentialError](err); ok {
		return nil, asked
	}
	return nil, &credentialError{err: err}
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
