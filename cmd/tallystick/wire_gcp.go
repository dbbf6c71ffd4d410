package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/collectors/gcp/recordings"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/replay"
)

// gcpAccounts gives the scopes that a configuration names, as their records
// name them.
func gcpAccounts(c config.GCP) []string { return append(gcpListing(c), c.Projects...) }

// gcpListing gives those of them that hold other projects than are named.
func gcpListing(c config.GCP) []string {
	var accounts []string
	if c.Organization != "" {
		accounts = append(accounts, "organizations/"+c.Organization)
	}
	for _, folder := range c.Folders {
		accounts = append(accounts, "folders/"+folder)
	}
	return accounts
}

// gcpSettings says where to look in Google Cloud, and as whom.
func gcpSettings(c config.Config, left []evidence.NotCollected) gcp.Settings {
	s := gcp.Settings{
		Accounts: gcpAccounts(c.GCP), ServiceAccount: c.GCP.ServiceAccount, QuotaProject: c.GCP.QuotaProject,
		Endpoints: c.GCP.Endpoints, InFlight: c.Limits.InFlight,
	}
	for _, n := range left {
		s.NotCollected = append(s.NotCollected, n.Account)
	}
	if w := c.GCP.Workspace; w.Customer != "" {
		s.Workspace = &gcp.Workspace{Customer: w.Customer, Subject: w.Subject, ServiceAccount: w.ServiceAccount}
		if w.ServiceAccount == "" {
			s.Workspace.ServiceAccount = c.GCP.ServiceAccount
		}
	}
	return s
}

// liveGCP gives the scopes of a configuration, over what the ledger knows of the
// projects that they hold.
func liveGCP(ctx context.Context, c config.Config, known agent.Known) (agent.Provider, []evidence.Discovery, error) {
	f, err := findProjects(c.GCP, known)
	if err != nil {
		return agent.Provider{}, nil, err
	}
	estate, err := gcp.New(ctx, gcpSettings(c, f.left))
	if err != nil {
		return agent.Provider{}, nil, err
	}
	p := gcpProvider(estate)
	p.NotCollected, p.Unlisted, p.Lists = f.left, f.unlisted, projectsCollector
	return p, f.discoveries, nil
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
// What the configuration said of the Workspace domain follows from what was asked;
// which projects were left out is what the schedule said.
func gcpAgain(ctx context.Context, r replay.Recording) (replay.Collector, error) {
	left, err := r.LeftOut()
	if err != nil {
		return replay.Collector{}, err
	}
	s := gcp.Settings{Accounts: []string{r.Account}, NotCollected: left, Recorded: &gcp.Recorded{Principal: r.Principal}}
	if asked, err := url.Parse(r.First); err == nil && asked.Query().Get("customer") != "" {
		s.Workspace = &gcp.Workspace{Customer: asked.Query().Get("customer")}
	}
	estate, err := gcp.New(ctx, s)
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
