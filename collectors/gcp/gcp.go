// Package gcp is the flat catalogue of collectors for Google Cloud and the
// Workspace domain beside it: one file per service_resource, written out in
// Catalogue.
//
// Collectors keep what Google sent and never judge it. What Cloud Asset
// Inventory carries is listed there, once for a whole scope, be it an
// organisation, a folder or a project. What it lacks or carries stale is asked of
// the service itself, about each project or instance that the inventory lists, and
// the Workspace domain of its directory. Clocks, rate limits, capture and counting
// are the runner's; only how often a refused call is made again is said here,
// since Google's REST clients do not retry. Nothing here reads customer data.
package gcp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/api/option"

	"github.com/tallystick/tallystick/collectors"
)

// Provider is the name of this provider in scopes.
const Provider = "gcp"

// Workspace is the domain whose people sign in to Google Cloud.
type Workspace struct {
	Customer       string // "my_customer", or the id of the customer
	Subject        string // e-mail of the dedicated user as whom the directory is read
	ServiceAccount string // e-mail of the account that has domain-wide delegation
}

// Settings say where to look.
type Settings struct {
	// Accounts are the scopes: "organizations/123456789012",
	// "folders/200000000001", or the id of a project.
	Accounts []string

	// NotCollected are the projects that the operator left out, as the inventory
	// names them: "projects/100000000003". No API is asked about them alone.
	NotCollected []string

	ServiceAccount string            // to be impersonated; empty: the ambient identity
	QuotaProject   string            // whose quota and enabled APIs count; empty: the credentials' own
	Workspace      *Workspace        // nil: the directory can not be read, and that is a gap
	Endpoints      map[string]string // base URLs by service, in place of Google's
	InFlight       int               // connections to keep per host; 0: the default of net/http

	// Recorded, when set, makes calls without credentials, as a recording or a
	// demo needs it, and gives the principal in whose name they were made.
	Recorded *Recorded
}

// Recorded is what a recording says of its calls.
type Recorded struct{ Principal string }

// Estate is the Google Cloud side of the estate: the scopes and the
// credentials for them, which all tasks share.
type Estate struct {
	settings  Settings
	identity  identity
	transport http.RoundTripper
}

// New finds the ambient identity the way every Google tool does (application
// default credentials: environment, the file of gcloud, workload identity
// federation, the metadata server). It makes no call.
func New(ctx context.Context, s Settings) (*Estate, error) {
	for i, account := range s.Accounts {
		if slices.Contains(s.Accounts[:i], account) {
			return nil, fmt.Errorf("scope %s is listed twice", account)
		}
	}
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("the process's HTTP transport is a %T", http.DefaultTransport)
	}
	t := base.Clone()
	t.DisableCompression = true // capture keeps what crossed the wire
	t.OnProxyConnectResponse = proxied
	if s.InFlight > 0 {
		t.MaxIdleConnsPerHost = s.InFlight
		t.MaxIdleConns = max(t.MaxIdleConns, 4*s.InFlight)
	}
	e := &Estate{settings: s, transport: t}
	if s.Recorded != nil {
		e.identity = identity{principal: s.Recorded.Principal}
		return e, nil
	}
	var err error
	if e.identity, err = ambient(ctx, s, t); err != nil {
		return nil, err
	}
	return e, nil
}

// proxied says that it was the proxy that refused, and not Google. The transport
// itself would give the text of the status alone, such as "Forbidden".
func proxied(_ context.Context, proxy *url.URL, to *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("the proxy %s does not connect to %s: it answered %s", proxy.Host, to.Host, answer.Status)
}

// Transport is the tuned transport that every call of the estate shares. The
// runner puts its limits and its capture on top of it.
func (e *Estate) Transport() http.RoundTripper { return e.transport }

// Accounts gives the scopes, sorted.
func (e *Estate) Accounts() []string { return slices.Sorted(slices.Values(e.settings.Accounts)) }

// Answering is the scope in which the Workspace domain is read: the first, for a
// domain belongs to one organisation.
func (e *Estate) Answering() []string {
	if len(e.settings.Accounts) == 0 {
		return nil
	}
	return e.Accounts()[:1]
}

// parent gives a scope as Google names it: a project is told by its bare id.
func parent(account string) string {
	if strings.HasPrefix(account, "organizations/") || strings.HasPrefix(account, "folders/") {
		return account
	}
	return "projects/" + account
}

// client gives the options of a REST client: over the captured transport, with
// the token of an identity, at the endpoint that the operator chose.
func (e *Estate) client(service string, t *task, as tokens) []option.ClientOption {
	options := []option.ClientOption{option.WithHTTPClient(e.http(t, as))}
	if endpoint, set := e.settings.Endpoints[service]; set {
		options = append(options, option.WithEndpoint(strings.TrimSuffix(endpoint, "/")+"/"))
	}
	return options
}

// http gives a client over the captured transport that makes refused calls again.
func (e *Estate) http(t *task, as tokens) *http.Client {
	return &http.Client{
		Transport: &retrying{
			base: &authorized{base: t.in.Captured, as: as, quota: e.settings.QuotaProject},
			wait: t.in.Wait,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Specs gives what every collector declares. It needs no credentials.
func Specs() []collectors.Spec {
	var specs []collectors.Spec
	for _, c := range Catalogue(nil) {
		specs = append(specs, c.Spec())
	}
	return specs
}
