package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/preflight"
	"github.com/tallystick/tallystick/internal/telemetry"
)

func newPreflight() *cobra.Command {
	f := &flight{clock: agent.SystemClock{}}
	var everything bool
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Try every permission in every account, before the period starts",
		Long: `Make each call that the collectors declare, as they make it and as seldom as
that tells something: a list once in each region, a detail of a resource once in
an account. Nothing is kept, and neither a key nor a data directory is needed.
Accounts, regions, limits and the collectors that are off are those of the
configuration; an organisation is listed anew.

The table has what is missing where, what failed for another reason, and what
could not be tried because there was no resource to try it on; --all adds what
is allowed. A detail is tried on one resource: a policy on another one (of a
bucket, of a key) may still refuse.

Exit code 3: something is missing or failed. What could not be tried does not count.`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd)
	cmd.Flags().StringSliceVar(&f.collectors, "collector", nil, "only these collectors")
	cmd.Flags().StringSliceVar(&f.accounts, "account", nil, "only these accounts")
	cmd.Flags().BoolVar(&everything, "all", false, "show what is allowed, too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, err := readConfig(*path)
		if err != nil {
			return err
		}
		if err := choices(file, f.collectors, f.accounts); err != nil {
			return err
		}
		f.config = file.Config
		f.estate = func(ctx context.Context, known agent.Known) ([]agent.Provider, error) {
			providers, _, err := live(ctx, file, known)
			return providers, err
		}
		f.bar = newBar(cmd.ErrOrStderr(), "trying", 0)
		found, err := f.run(cmd.Context())
		f.bar.stop()
		if err != nil {
			return err
		}
		return found.tell(cmd.OutOrStdout(), cmd.ErrOrStderr(), *output, everything)
	}
	return cmd
}

// flight is one run of preflight.
type flight struct {
	config               config.Config
	collectors, accounts []string // asked for by name; empty: all
	// estate gives the accounts that follow from what was seen.
	estate func(context.Context, agent.Known) ([]agent.Provider, error)
	clock  agent.Clock
	bar    *bar
}

// run tries what says which accounts there are, and then the rest.
func (f *flight) run(ctx context.Context) (*tried, error) {
	seen := &sightings{of: make(map[evidence.Stream]*sighting)}
	p := preflight.New(preflight.Options{
		InFlight: f.config.Limits.InFlight, Wait: f.clock.Wait, Whole: f.whole, Also: seen.also, OnTask: f.bar.step,
	})
	metrics, err := telemetry.New(prometheus.NewRegistry()) // nobody scrapes a command
	if err != nil {
		return nil, err
	}
	budget := agent.NewBudget(limits(f.config), metrics, zap.NewNop())
	done := make(map[evidence.Stream]bool)
	try := func(pick func(evidence.Stream) bool) ([]agent.Provider, error) {
		providers, err := f.estate(ctx, seen)
		if err != nil {
			return nil, err
		}
		work, n := f.work(providers, budget, func(s evidence.Stream) bool { return !done[s] && pick(s) })
		f.bar.set(uint64(len(done)), uint64(len(done)+n)) //nolint:gosec // counts of tasks
		for _, w := range work {
			for _, c := range w.Collectors {
				done[evidence.Stream{Collector: c.Spec().Name, Scope: w.Scope}] = true
			}
		}
		return providers, p.Try(ctx, work)
	}
	if _, err := try(f.first); err != nil {
		return nil, err
	}
	providers, err := try(f.pick)
	if err != nil {
		return nil, err
	}
	t := &tried{calls: p.Calls()}
	if manager := accountOf(f.config.AWS.Organization.ManagementRole); manager != "" {
		s, asked := seen.of[streamOf(listingCollector, manager)]
		t.unlisted = asked && !s.listed["aws.organizations.account"]
	}
	for _, p := range providers {
		t.shut = append(t.shut, p.Unlisted...)
	}
	for _, p := range p.Permissions() {
		// What was tried only to know the accounts counts where it failed.
		picked := func(collector string) bool { return f.pick(evidence.Stream{Collector: collector, Scope: p.Scope}) }
		if p.Bad() || slices.ContainsFunc(p.Collectors, picked) {
			t.permissions = append(t.permissions, p)
		}
	}
	for _, account := range f.accounts {
		if !slices.ContainsFunc(providers, func(p agent.Provider) bool { return slices.Contains(p.Accounts, account) }) {
			t.missing = append(t.missing, account)
		}
	}
	return t, nil
}

func (f *flight) pick(s evidence.Stream) bool {
	return (len(f.collectors) == 0 || slices.Contains(f.collectors, s.Collector)) &&
		(len(f.accounts) == 0 || slices.Contains(f.accounts, s.Account))
}

// first says whether a stream has to be looked at to know the others.
func (f *flight) first(s evidence.Stream) bool {
	if s.Collector == projectsCollector {
		return f.listsProjects(s)
	}
	if f.config.AWS.Organization.ManagementRole != "" {
		return s.Collector == listingCollector
	}
	// It tells in which account the organisation is listed.
	return s.Collector == membershipCollector && f.pick(evidence.Stream{Collector: listingCollector, Scope: s.Scope})
}

// listsProjects says whether it follows from a stream which projects are left out.
func (f *flight) listsProjects(s evidence.Stream) bool {
	return s.Collector == projectsCollector && projectRules(f.config.GCP).Any() && slices.Contains(gcpListing(f.config.GCP), s.Account)
}

// whole says which calls are made to their end: those from which the accounts
// of the organisation follow, and the projects that are left out.
func (f *flight) whole(s evidence.Stream, call collectors.Call) bool {
	if f.listsProjects(s) {
		return true
	}
	o := f.config.AWS.Organization
	if o.ManagementRole == "" || s.Collector != listingCollector {
		return false
	}
	byTag := slices.ContainsFunc(slices.Concat(o.Include, o.Exclude), func(r config.AccountRule) bool { return r.Tag != "" })
	return call.Field == "" || call.Field == "Tags" && byTag
}

// work gives the collectors that are picked, by account, and their number.
func (f *flight) work(providers []agent.Provider, budget *agent.Budget, pick func(evidence.Stream) bool) (all []preflight.Work, n int) {
	options := agent.Options{Providers: providers, ScheduleFor: f.config.ScheduleFor, Zone: f.config.Location()}
	due := make(map[evidence.Stream]bool)
	for s := range options.Schedule().Streams {
		due[s] = pick(s)
	}
	for _, p := range providers {
		for _, account := range p.Accounts {
			w := preflight.Work{Scope: evidence.Scope{Provider: p.Name, Account: account}, Describe: p.Describe}
			w.Through = func(keep func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
				return budget.Transport(w.Scope, p, keep)
			}
			for _, c := range p.Collectors {
				if due[evidence.Stream{Collector: c.Spec().Name, Scope: w.Scope}] {
					w.Collectors = append(w.Collectors, c)
				}
			}
			if n += len(w.Collectors); len(w.Collectors) > 0 {
				all = append(all, w)
			}
		}
	}
	return all, n
}
