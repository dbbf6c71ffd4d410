package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/checks/catalogue"
	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/collectors/gcp"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/replay"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// This file is the only place that knows every part. Collectors and providers
// are written out here; nothing registers itself.

// The names of the providers.
const (
	amazon = aws.Provider
	google = gcp.Provider
)

// declared gives what every collector declares.
func declared() []collectors.Spec { return append(aws.Specs(), gcp.Specs()...) }

// known gives the names that a configuration may use.
func known() config.Known {
	var k config.Known
	of := map[string][]string{} // by service, that of each provider: "gcp.iam"
	for _, spec := range declared() {
		k.Collectors = append(k.Collectors, spec.Name)
		for _, call := range spec.Calls {
			service, _ := collectors.Split(call.Operation)
			if !slices.Contains(k.Services, service) {
				k.Services = append(k.Services, service)
			}
			if name := spec.Provider + "." + service; !slices.Contains(of[service], name) {
				of[service] = append(of[service], name)
			}
		}
	}
	for _, service := range k.Services {
		if len(of[service]) > 1 {
			k.Services = append(k.Services, of[service]...)
		}
	}
	return k
}

// readConfig reads the configuration file, with all of its problems at once.
func readConfig(path string) (*config.File, error) { return config.Load(path, known()) }

// loadConfig is readConfig that looks into the operator's catalogue too. To
// compile all rules takes most of a second; wire does it by itself.
func loadConfig(path string) (*config.File, error) {
	file, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	if _, err := loadCatalogue(file); err != nil {
		return nil, err
	}
	return file, nil
}

// loadCatalogue gives the checks in force: ours, the operator's, and the
// parameters as changed.
func loadCatalogue(file *config.File) (*checks.Catalogue, error) {
	sources := []fs.FS{catalogue.FS()}
	if file != nil {
		for _, dir := range file.Config.Catalogue.Dirs {
			if info, err := os.Stat(dir); err != nil {
				return nil, file.Problem("catalogue.dirs", err.Error())
			} else if !info.IsDir() {
				return nil, file.Problem("catalogue.dirs", dir+" is not a directory")
			}
			sources = append(sources, os.DirFS(dir))
		}
	}
	c, err := checks.Load(sources...)
	switch {
	case err != nil && len(sources) > 1:
		return nil, fmt.Errorf("load catalogue, with the checks of %s: %w", strings.Join(file.Config.Catalogue.Dirs, ", "), err)
	case err != nil:
		return nil, fmt.Errorf("load catalogue: %w", err)
	}
	if file == nil || len(file.Config.Catalogue.Parameters) == 0 {
		return c, nil
	}
	overrides := make(map[string]map[string]checks.Override)
	for check, parameters := range file.Config.Catalogue.Parameters {
		overrides[check] = make(map[string]checks.Override)
		for name, p := range parameters {
			overrides[check][name] = checks.Override{Value: p.Value, Owner: p.Owner, Approver: p.Approver, Reason: p.Reason}
		}
	}
	c, err = c.WithParameters(overrides)
	if err != nil {
		return nil, file.Problem("catalogue.parameters", err.Error())
	}
	return c, nil
}

// wire makes the options of an agent from a configuration. Nil providers are
// derived from the ledger when it is opened, and are those that are really there.
func wire(ctx context.Context, file *config.File, providers []agent.Provider, event string, log *zap.Logger, metrics *telemetry.Metrics) (agent.Options, error) {
	c := file.Config
	signer, err := seal.LoadKey(c.Evidence.Key)
	if err != nil {
		return agent.Options{}, err
	}
	rules, err := loadCatalogue(file)
	if err != nil {
		return agent.Options{}, err
	}
	redaction, err := redactionKey(ctx, signer)
	if err != nil {
		return agent.Options{}, err
	}
	var estate func(context.Context, agent.Known) ([]agent.Provider, []evidence.Discovery, error)
	if providers == nil {
		estate = func(ctx context.Context, known agent.Known) ([]agent.Provider, []evidence.Discovery, error) {
			return live(ctx, file, known)
		}
	}
	return agent.Options{
		Dir:             c.Evidence.Dir,
		Estate:          estate,
		Signer:          signer,
		Providers:       providers,
		Catalogue:       rules,
		Organization:    c.Organization,
		PeriodStart:     c.Period.Start,
		PeriodEnd:       c.Period.End,
		RemediationDays: c.RemediationDays(),
		Configuration:   file.Raw,
		Event:           event,
		ScheduleFor:     c.ScheduleFor,
		Zone:            c.Location(),
		Limits:          limits(c),
		Clock:           agent.SystemClock{},
		Program:         program(),
		Log:             log,
		Metrics:         metrics,
		RedactionKey:    redaction,
	}, nil
}

// again gives the collector of a recording: with made-up credentials, and
// calls as they were made then. It has none for a collector that is not ours.
func again(ctx context.Context, r replay.Recording) (replay.Collector, error) {
	switch r.Provider {
	case aws.Provider:
	case gcp.Provider:
		return gcpAgain(ctx, r)
	default:
		return replay.Collector{}, nil
	}
	has := func(part string) bool {
		return slices.ContainsFunc(r.Hosts, func(host string) bool { return strings.Contains(host, part) })
	}
	estate, err := aws.New(ctx, aws.Settings{
		// The partition, and with it the home region, follows from an ARN, or from
		// who answered where the caller could not be told.
		Accounts: []aws.Account{{ID: r.Account, Role: cmp.Or(r.Principal, "arn:"+partitionOf(r.Hosts)+":")}},
		Regions:  r.Regions,
		Attempts: max(1, r.Attempts),
		Recorded: &aws.Recorded{FIPS: has("-fips."), DualStack: has(".dualstack.") || has(".api.aws"), PathStyle: custom(r.Hosts)},
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "made-up", "")
		},
	})
	if err != nil {
		return replay.Collector{}, err
	}
	for _, c := range aws.Catalogue(estate) {
		if c.Spec().Name == r.Collector {
			return replay.Collector{Collector: c, Describe: aws.Describe}, nil
		}
	}
	return replay.Collector{}, nil
}

// partitionOf gives the partition of the hosts that answered.
// Source: AWS general reference, service endpoints by partition.
func partitionOf(hosts []string) string {
	for _, host := range hosts {
		switch {
		case strings.HasSuffix(host, ".amazonaws.com.cn"):
			return "aws-cn"
		case strings.Contains(host, "us-gov-"):
			return "aws-us-gov"
		}
	}
	return "aws"
}

// custom says whether some host is an endpoint of the operator's own.
func custom(hosts []string) bool {
	return slices.ContainsFunc(hosts, func(host string) bool {
		return !strings.Contains(host, ".amazonaws.com") && !strings.HasSuffix(host, ".api.aws")
	})
}

// live gives the providers that a configuration names, with the identity of
// this process, over the accounts that the ledger knows of.
func live(ctx context.Context, file *config.File, known agent.Known) ([]agent.Provider, []evidence.Discovery, error) {
	var providers []agent.Provider
	var discoveries []evidence.Discovery
	if c := file.Config.AWS; len(c.Accounts) > 0 || c.Organization.ManagementRole != "" {
		p, found, err := liveAWS(ctx, file.Config, known)
		if err != nil {
			return nil, nil, err
		}
		providers = append(providers, p)
		if found != nil {
			discoveries = append(discoveries, *found)
		}
	}
	if len(gcpAccounts(file.Config.GCP)) > 0 {
		if projectRules(file.Config.GCP).Any() && file.Config.ScheduleFor(projectsCollector) == "" {
			return nil, nil, file.Problem("schedule.collectors", projectsCollector+" is off, and what gcp.include and gcp.exclude leave out follows from what it lists")
		}
		p, found, err := liveGCP(ctx, file.Config, known)
		if err != nil {
			return nil, nil, err
		}
		providers, discoveries = append(providers, p), append(discoveries, found...)
	}
	return providers, discoveries, nil
}

// listedAnew is why an agent ends and another takes its place.
const listedAnew = "what is collected changed with the organisation's own listing"

// changes says whether a run may have changed what the estate is derived from.
func changes(r agent.Result) bool {
	if r.Run == nil {
		return false
	}
	switch r.Collector {
	case listingCollector, membershipCollector, projectsCollector:
		return true
	}
	return false
}

// sameEstate says whether the providers that would be made now are those of the
// schedule in force.
func sameEstate(o agent.Options, providers []agent.Provider) (bool, error) {
	next := o
	next.Providers = providers
	was, err := json.Marshal(o.Schedule())
	if err != nil {
		return false, fmt.Errorf("encode schedule: %w", err)
	}
	is, err := json.Marshal(next.Schedule())
	if err != nil {
		return false, fmt.Errorf("encode schedule: %w", err)
	}
	return bytes.Equal(was, is), nil
}

func awsProvider(estate *aws.Estate) agent.Provider {
	return agent.Provider{
		Name:       aws.Provider,
		Collectors: aws.Catalogue(estate),
		Accounts:   estate.Accounts(),
		Transport:  estate.Transport(),
		Describe:   aws.Describe,
		Throttled:  aws.Throttled,
	}
}

// recordedAt is the time of the demo's estate.
func recordedAt() time.Time { return recordings.At() }

// change is something that happens in the estate of the demo on its second day.
type change struct{ account, name, what string }

func demoChanges() []change {
	return []change{
		{"111122223333", "versioning-suspended", "someone suspends versioning of a bucket in account 111122223333"},
		{"444455556666", "encryption-denied", "a bucket policy in account 444455556666 begins to deny our read of its encryption"},
	}
}

// recorded gives the real AWS collectors over the embedded estate: only the
// HTTP answers are recordings.
func recorded(ctx context.Context, file *config.File, clock agent.Clock) ([]agent.Provider, error) {
	transport, err := recordings.NewTransport(aws.Describe, clock.Now)
	if err != nil {
		return nil, err
	}
	for _, c := range demoChanges() {
		if err := transport.Change(c.account, c.name, recordings.At().Add(12*time.Hour)); err != nil {
			return nil, err
		}
	}
	var accounts []aws.Account
	for _, id := range recordings.Accounts() {
		accounts = append(accounts, aws.Account{ID: id})
	}
	estate, err := aws.New(ctx, aws.Settings{
		Accounts: accounts,
		Regions:  file.Config.AWS.Regions.Names,
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "made-up", "")
		},
	})
	if err != nil {
		return nil, err
	}
	provider := awsProvider(estate)
	provider.Transport = transport
	provider.Central, provider.Listing, provider.Regions = recordings.Accounts(), []string{"111122223333"}, file.Config.AWS.Regions.Names
	cloud, err := gcpRecorded(ctx, clock)
	if err != nil {
		return nil, err
	}
	return []agent.Provider{provider, cloud}, nil
}

func limits(c config.Config) agent.Limits {
	l := agent.Limits{InFlight: c.Limits.InFlight, Default: c.Limits.Rate[config.DefaultRate], Service: make(map[string]float64)}
	for service, rate := range c.Limits.Rate {
		if service != config.DefaultRate {
			l.Service[service] = rate
		}
	}
	return l
}

// redactionKey derives the key that salts redactions from the signing key, so
// that equal values have equal hashes for whoever holds it, and nobody else
// can try values out. Ed25519 signatures are deterministic (RFC 8032 section 5.1.6).
func redactionKey(ctx context.Context, signer *seal.Signer) ([]byte, error) {
	signature, err := signer.Sign(ctx, []byte("tallystick redaction key v1"))
	if err != nil {
		return nil, fmt.Errorf("derive redaction key: %w", err)
	}
	sum := sha256.Sum256(signature)
	return sum[:], nil
}

// program says which program this is. A binary that can not be read has no
// digest, which the records then show.
func program() evidence.Agent {
	a := evidence.Agent{Version: buildVersion()}
	if digest, err := executableDigest(); err == nil {
		a.Binary = digest
	}
	return a
}

func executableDigest() (_ evidence.Digest, err error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(name) //nolint:gosec // our own executable
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return evidence.Digest(hex.EncodeToString(h.Sum(nil))), nil
}
