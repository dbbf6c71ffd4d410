package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/replay"
)

// gcpAccounts gives the scopes that a configuration names, as their records
// name them.
func gcpAccounts(c config.GCP) []string {
	var accounts []string
	if c.Organization != "" {
		accounts = append(accounts, "organizations/"+c.Organization)
	}
	for _, folder := range c.Folders {
		accounts = append(accounts, "folders/"+folder)
	}
	return append(accounts, c.Projects...)
}

// gcpSettings says where to look in Google Cloud, and as whom.
func gcpSettings(c config.Config) gcp.Settings {
	s := gcp.Settings{
		Accounts: gcpAccounts(c.GCP), ServiceAccount: c.GCP.ServiceAccount, QuotaProject: c.GCP.QuotaProject,
		Endpoints: c.GCP.Endpoints, InFlight: c.Limits.InFlight,
	}
	if w := c.GCP.Workspace; w.Customer != "" {
		s.Workspace = &gcp.Workspace{Customer: w.Customer, Subject: w.Subject, ServiceAccount: w.ServiceAccount}
		if w.ServiceAccount == "" {
			s.Workspace.ServiceAccount = c.GCP.ServiceAccount
		}
	}
	return s
}

// gcpProvider is Google Cloud as the agent sees it. The Workspace domain is read
// in the first scope: a domain belongs to one organisation.
func gcpProvider(estate *gcp.Estate) agent.Provider {
	return agent.Provider{
		Name:       gcp.Provider,
		Collectors: gcp.Catalogue(estate),
		Accounts:   estate.Accounts(),
		Central:    estate.Answering(),
		Listing:    estate.Answering(),
		Transport:  estate.Transport(),
		Describe:   gcp.Describe,
		Throttled:  gcp.Throttled,
	}
}

// gcpAgain gives the collector of a recording of Google's, without credentials.
// What the configuration said of the Workspace domain follows from what was asked.
func gcpAgain(ctx context.Context, r replay.Recording) (replay.Collector, error) {
	estate, err := gcp.New(ctx, gcp.Settings{
		Accounts: []string{r.Account}, Workspace: workspaceOf(r.First), Recorded: &gcp.Recorded{Principal: r.Principal},
	})
	if err != nil {
		return replay.Collector{}, err
	}
	for _, c := range gcp.Catalogue(estate) {
		if c.Spec().Name == r.Collector {
			return replay.Collector{Collector: c, Describe: gcp.Describe}, nil
		}
	}
	return replay.Collector{}, nil
}

// workspaceOf gives the Workspace domain of a recording by the URL of its first
// exchange: none where nothing was asked. The customer is a parameter, a part of
// the path or of a filter; a call that names none does not depend on it.
func workspaceOf(first string) *gcp.Workspace {
	asked, err := url.Parse(first)
	if err != nil || first == "" {
		return nil
	}
	if customer := asked.Query().Get("customer"); customer != "" {
		return &gcp.Workspace{Customer: customer}
	}
	for _, place := range []struct{ text, before, after string }{
		{asked.Path, "/customer/", "/"},
		{asked.Query().Get("filter"), `"customers/`, `"`},
	} {
		if _, rest, ok := strings.Cut(place.text, place.before); ok {
			customer, _, _ := strings.Cut(rest, place.after)
			return &gcp.Workspace{Customer: customer}
		}
	}
	return &gcp.Workspace{Customer: "my_customer"}
}

// gcpRecorded gives the real Google collectors over the embedded organisation.
func gcpRecorded(ctx context.Context, clock agent.Clock) (agent.Provider, error) {
	const account = "organizations/123456789012"
	estate, err := gcp.New(ctx, gcp.Settings{
		Accounts:  []string{account},
		Workspace: &gcp.Workspace{Customer: "my_customer"},
		Recorded:  &gcp.Recorded{Principal: "reader@example-prod.iam.gserviceaccount.com"},
	})
	if err != nil {
		return agent.Provider{}, err
	}
	p := gcpProvider(estate)
	var files []io.Reader
	for _, c := range p.Collectors {
		of, err := recordings.Open(account, c.Spec().Name)
		if err != nil {
			return agent.Provider{}, err
		}
		files = append(files, of...)
	}
	if p.Transport, err = capture.OpenReplay(capture.ReplayOptions{Describe: gcp.Describe, RepeatLast: true, Now: clock.Now}, files...); err != nil {
		return agent.Provider{}, fmt.Errorf("recordings of %s: %w", account, err)
	}
	return p, nil
}
