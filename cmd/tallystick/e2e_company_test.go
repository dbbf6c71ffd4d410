package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	organizationstypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	collectors "github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// company is an organisation of moto's, behind a proxy that answers what moto
// does not: where an account stands in the tree, and the regions of an account.
type company struct {
	t       *testing.T
	manager string
	client  *organizations.Client
	url     string // of the proxy
	root    string

	mu     sync.Mutex
	paths  map[string]string // guarded by mu; by account: the units above it
	denied bool              // guarded by mu: the accounts can not be listed
}

func (w world) found(t *testing.T, manager string) *company {
	t.Helper()
	c := &company{
		t: t, manager: manager, paths: map[string]string{},
		client: organizations.NewFromConfig(open(t, w.moto, place{manager, ""}).config),
	}
	if _, err := c.client.CreateOrganization(t.Context(), &organizations.CreateOrganizationInput{}); err != nil {
		t.Fatal(err)
	}
	roots, err := c.client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	if err != nil {
		t.Fatal(err)
	}
	c.root = *roots.Roots[0].Id
	c.paths[manager] = c.root
	target, err := url.Parse(w.moto)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: c.complete,
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		c.mu.Lock()
		denied := c.denied
		c.mu.Unlock()
		switch {
		case denied && isListAccounts(req):
			rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(rw, `{"__type":"AccessDeniedException","Message":"You don't have permissions to access this resource."}`)
		case req.URL.Path == "/listRegions":
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"Regions":[{"RegionName":"us-east-1","RegionOptStatus":"ENABLED_BY_DEFAULT"}]}`)
		default:
			pass.ServeHTTP(rw, req)
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func isListAccounts(req *http.Request) bool {
	return strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".ListAccounts")
}

// complete puts the Paths of an account into the answer, as AWS sends them.
// Source: Organizations API reference, Account.
func (c *company) complete(resp *http.Response) error {
	if !isListAccounts(resp.Request) {
		return nil
	}
	raw, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		return err
	}
	list, _ := body["Accounts"].([]any)
	c.mu.Lock()
	for _, a := range list {
		if a, ok := a.(map[string]any); ok {
			id := fmt.Sprint(a["Id"])
			a["Paths"] = []string{"o-example/" + c.paths[id] + "/" + id + "/"}
		}
	}
	c.mu.Unlock()
	if raw, err = json.Marshal(body); err != nil {
		return err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	return nil
}

func (c *company) deny(denied bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied = denied
}

// unit makes an organisational unit under the root.
func (c *company) unit(name string) string {
	c.t.Helper()
	out, err := c.client.CreateOrganizationalUnit(c.t.Context(), &organizations.CreateOrganizationalUnitInput{Name: &name, ParentId: &c.root})
	if err != nil {
		c.t.Fatal(err)
	}
	return *out.OrganizationalUnit.Id
}

// account makes an account in a unit.
func (c *company) account(name, unit string, tags ...organizationstypes.Tag) string {
	c.t.Helper()
	out, err := c.client.CreateAccount(c.t.Context(), &organizations.CreateAccountInput{
		AccountName: &name, Email: aws.String(name + "@example.com"), Tags: tags,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	id := *out.CreateAccountStatus.AccountId
	if _, err := c.client.MoveAccount(c.t.Context(), &organizations.MoveAccountInput{AccountId: &id, SourceParentId: &c.root, DestinationParentId: &unit}); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths[id] = c.root + "/" + unit
	return id
}

// config reads the organisation by a few collectors, that are due so often.
func (c *company) config(every, more string) string {
	var b strings.Builder
	b.WriteString("schedule:\n  default: \"@yearly\"\n  collectors:\n")
	due := map[string]string{
		"aws.organizations_accounts": every, "aws.s3_buckets": every, "aws.organizations_membership": "@yearly", "aws.account_regions": "@yearly",
	}
	for _, spec := range collectors.Specs() {
		expr, ok := due[spec.Name]
		if !ok {
			expr = "off"
		}
		fmt.Fprintf(&b, "    %s: %q\n", spec.Name, expr)
	}
	fmt.Fprintf(&b, `aws:
  regions: [us-east-1]
  organization:
    management_role: %s
    member_role: TallystickReader
    external_id: %s
`, roleIn(c.manager), testExternal)
	return b.String() + more
}

// configuration is a Configuration record with what it put in force.
type configuration struct {
	*evidence.Configuration
	schedule evidence.Schedule
}

func (c configuration) accounts() []string {
	var ids []string
	for _, s := range c.schedule.Scopes {
		ids = append(ids, s.Account)
	}
	return ids
}

// left tells what is not collected, and why, sorted by account.
func (c configuration) left() []string {
	var out []string
	for _, n := range c.schedule.NotCollected {
		out = append(out, fmt.Sprintf("%s %s: %s%s (%s)", n.Account, n.Name, n.State, n.Reason, n.Approver))
	}
	return out
}

func configurations(t *testing.T, dir string) []configuration {
	t.Helper()
	store := payload.OpenRead(dir)
	var out []configuration
	for _, e := range entries(t, dir) {
		p, ok := e.Predicate.(*evidence.Configuration)
		if !ok {
			continue
		}
		c := configuration{Configuration: p}
		digest, _ := e.Statement.Payload(evidence.PayloadSchedule)
		raw, err := store.ReadAll(digest, 1<<20)
		if err == nil {
			err = json.Unmarshal(raw, &c.schedule)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// next waits for the configuration with that number, from 1.
func next(t *testing.T, dir string, number int) configuration {
	t.Helper()
	var c configuration
	eventually(t, fmt.Sprintf("configuration %d takes force", number), func() error {
		all := configurations(t, dir)
		if len(all) < number {
			return fmt.Errorf("there are %d", len(all))
		}
		c = all[number-1]
		return nil
	})
	return c
}

func sorted(ids ...string) []string { return slices.Sorted(slices.Values(ids)) }

func wantEqual(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
