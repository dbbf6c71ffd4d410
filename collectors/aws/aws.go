// Package aws is the flat catalogue of collectors for Amazon Web Services:
// one file per service_resource, written out in Catalogue.
//
// Collectors keep what the provider sent and never judge it. Retries are the
// SDK's; clocks, rate limits, capture and counting are the runner's. Nothing
// here reads customer data: no object, no secret value, no row.
package aws

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/tallystick/tallystick/collectors"
)

// Provider is the name of this provider in scopes.
const Provider = "aws"

// Account is one AWS account and the way into it.
type Account struct {
	ID         string
	Role       string // ARN to assume; empty: the ambient identity
	ExternalID string // as the role's trust policy demands; may be empty
}

// Settings say where to look.
type Settings struct {
	Accounts []Account
	Through  Account  // a role that is assumed first, and from which the others are; without a Role: none
	Regions  []string // empty: every region that is enabled in the account

	SessionName    string // of assumed roles, as CloudTrail shows it; empty: "tallystick"
	SourceIdentity string // likewise; empty: none is set
	InFlight       int    // connections to keep per host; 0: the SDK's default
	Attempts       int    // for each call; 0: as the environment says, or the SDK's default

	// Recorded, when set, makes the calls of a recording again: an answer that
	// is at hand is not waited for.
	Recorded *Recorded

	// Credentials, when set, gives the credentials of an account in place of
	// the ambient identity and of every role, and nothing of the process's
	// environment or shared files counts. Tests and the demo set it.
	Credentials func(account string) aws.CredentialsProvider
}

// Estate is the AWS side of the estate: the accounts and the credentials for
// them, which are shared by all tasks and renewed before they lapse.
type Estate struct {
	ambient     aws.Config
	accounts    map[string]Account
	credentials map[string]aws.CredentialsProvider
	regions     []string
	home        string // where global services answer
	pathStyle   bool   // S3 behind a custom endpoint
	transport   http.RoundTripper
}

// credentialTimeout bounds one attempt of a call for credentials, which does
// not go through the runner's transport.
const credentialTimeout = 30 * time.Second

// credentialWindow is how long before they lapse credentials are renewed. A
// signature is good for five minutes, so none is refused for its credentials.
// Source: IAM user guide, AWS Signature Version 4 for API requests.
const credentialWindow = 5 * time.Minute

// defaultSession names the sessions of assumed roles.
const defaultSession = "tallystick"

// New loads the ambient identity the way every AWS tool does: environment,
// shared files, web identity, container and instance roles. It makes no call.
func New(ctx context.Context, s Settings) (*Estate, error) {
	// The SDK wants its own client here: a plain http.Client makes loading
	// fail when AWS_CA_BUNDLE is set.
	client := awshttp.NewBuildableClient().WithTimeout(credentialTimeout).WithTransportOptions(func(t *http.Transport) {
		t.DisableCompression = true // capture keeps what crossed the wire
		if s.InFlight > 0 {
			t.MaxIdleConnsPerHost = s.InFlight
			t.MaxIdleConns = max(t.MaxIdleConns, 4*s.InFlight)
		}
	})
	home := homeRegion(s, "")
	// What the SDK has to say beside its answers and errors is about its own
	// checksums; the agent's log is JSON in a container.
	cfg := aws.Config{Region: home, HTTPClient: client, Logger: logging.Nop{}}
	if s.Credentials == nil {
		var err error
		cfg, err = awsconfig.LoadDefaultConfig(ctx, ambient(s, client, home)...)
		if err != nil {
			return nil, fmt.Errorf("load AWS configuration from environment and shared files: %w", err)
		}
		home = homeRegion(s, cfg.Region)
	}
	if s.Attempts > 0 {
		cfg.RetryMaxAttempts = s.Attempts
	}
	e := &Estate{
		ambient:     cfg,
		accounts:    make(map[string]Account, len(s.Accounts)),
		credentials: make(map[string]aws.CredentialsProvider, len(s.Accounts)),
		regions:     slices.Sorted(slices.Values(s.Regions)),
		home:        home,
		pathStyle:   s.Credentials == nil && (os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != "" || cfg.BaseEndpoint != nil),
		transport:   http.DefaultTransport,
	}
	if b, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		e.transport = b.GetTransport()
	}
	if s.Recorded != nil {
		s.Recorded.apply(&cfg)
		e.ambient, e.pathStyle = cfg, s.Recorded.PathStyle
	}
	assume := cfg.Copy()
	assume.Region = home
	if s.Through.Role != "" && s.Credentials == nil {
		assume.Credentials = assumed(assume, s.Through, s)
	}
	for _, a := range s.Accounts {
		if _, dup := e.accounts[a.ID]; dup {
			return nil, fmt.Errorf("account %s is listed twice", a.ID)
		}
		e.accounts[a.ID] = a
		e.credentials[a.ID] = cfg.Credentials
		if s.Credentials != nil {
			e.credentials[a.ID] = s.Credentials(a.ID)
			continue
		}
		if a.Role == "" {
			continue
		}
		e.credentials[a.ID] = assumed(assume, a, s)
	}
	return e, nil
}

// ambient says how the identity of the process is had. The SDK would name the
// sessions of its roles after the time, renew credentials when they have
// lapsed, and wait for a container's agent for ever.
func ambient(s Settings, client *awshttp.BuildableClient, region string) []func(*awsconfig.LoadOptions) error {
	session := cmp.Or(s.SessionName, defaultSession)
	return []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(client),
		awsconfig.WithDefaultRegion(region),
		awsconfig.WithLogger(logging.Nop{}),
		awsconfig.WithCredentialsCacheOptions(early),
		awsconfig.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = client }),
		awsconfig.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = cmp.Or(o.RoleSessionName, session) // AWS_ROLE_SESSION_NAME goes before
		}),
		awsconfig.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = cmp.Or(o.RoleSessionName, session) // role_session_name of the profile goes before
		}),
	}
}

// early makes a cache renew credentials before they lapse.
func early(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = credentialWindow }

// assumed gives the credentials of a role, which are had when they are first
// needed and renewed before they lapse.
func assumed(from aws.Config, a Account, s Settings) aws.CredentialsProvider {
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(from), a.Role,
		func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = cmp.Or(s.SessionName, defaultSession)
			if a.ExternalID != "" {
				o.ExternalID = aws.String(a.ExternalID)
			}
			if s.SourceIdentity != "" {
				o.SourceIdentity = aws.String(s.SourceIdentity)
			}
		}), early)
}

// Transport is the tuned transport that every call of the estate shares. The
// runner puts its limits and its capture on top of it.
func (e *Estate) Transport() http.RoundTripper { return e.transport }

// Accounts gives the account ids, sorted.
func (e *Estate) Accounts() []string { return slices.Sorted(maps.Keys(e.accounts)) }

// homeRegion gives the region in which the global services of the partition
// answer. A role says which partition that is, then a region that is to be
// looked at, then the region of the environment or of the shared files.
// Source: AWS general reference, service endpoints by partition.
func homeRegion(s Settings, environment string) string {
	hint := environment
	if s.Credentials != nil {
		hint = ""
	}
	if len(s.Regions) > 0 {
		hint = s.Regions[0]
	}
	for _, a := range append(slices.Clone(s.Accounts), s.Through) {
		if p := splitARN(a.Role); p != nil {
			hint = strings.TrimPrefix(strings.TrimPrefix(p[1], "aws"), "-") + "-"
		}
	}
	switch {
	case strings.HasPrefix(hint, "us-gov-"):
		return "us-gov-west-1"
	case strings.HasPrefix(hint, "cn-"):
		return "cn-north-1"
	default:
		return "us-east-1"
	}
}

// config gives the SDK configuration for one account and region, over the
// captured transport.
func (e *Estate) config(account, region string, in collectors.Input) aws.Config {
	c := e.ambient.Copy()
	c.Region = region
	c.Credentials = e.credentials[account]
	c.HTTPClient = &http.Client{Transport: in.Captured, CheckRedirect: noRedirect}
	// DynamoDB's endpoint would otherwise depend on what the credentials say of
	// their account, and the same call would be another at a replay.
	c.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
	c.APIOptions = append(slices.Clone(c.APIOptions), keepAnswer)
	return c
}

// noRedirect hands a redirect to the SDK, which knows what S3 means by it.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
