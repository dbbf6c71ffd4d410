// Package config reads the configuration file of tallystick.
//
// It promises that a file is either understood in every word or refused: all
// of its problems are reported at once, each with its place, and no key, value
// or missing variable is ever ignored or guessed. It does not look at the
// machine: it does not say whether a folder is there, a role can be assumed or
// a port is free.
//
// The file is evidence: it is kept as written and handed to the auditor.
// Secrets have no place in it, and a value that looks like one is refused. The
// tool needs none either: credentials come from the environment of the process
// (the providers' own variables, files and metadata services).
//
// A value may name environment variables as ${NAME}. They are replaced after
// the file has been parsed, so a variable can not add a key. What is kept as
// evidence holds the names. $${ stands for a literal ${.
//
// The example file, config/example.yaml, is the reference documentation.
package config

import (
	"maps"
	"time"

	"github.com/tallystick/tallystick/evidence/schedule"
)

// Config is the configuration in force. Default fills it and the file changes
// it; the example file documents each key.
type Config struct {
	Organization string `yaml:"organization"`
	Period       Period `yaml:"period"`

	// Remediation is how many days a deviation may last, by the severity of
	// its control; 0: no limit.
	Remediation map[string]int `yaml:"remediation_days"`

	Evidence  Evidence  `yaml:"evidence"`
	Schedule  Schedule  `yaml:"schedule"`
	AWS       AWS       `yaml:"aws"`
	GCP       GCP       `yaml:"gcp"`
	Catalogue Catalogue `yaml:"catalogue"`
	Limits    Limits    `yaml:"limits"`
	HTTP      HTTP      `yaml:"http"`
	Log       Log       `yaml:"log"`
}

// Period is the observation period. Both dates, YYYY-MM-DD, are in it.
type Period struct {
	Start string `yaml:"start"`
	End   string `yaml:"end"`
}

// Evidence says where evidence is kept. Both paths are absolute, or relative to
// the working directory, once loaded; in the file they are relative to it.
type Evidence struct {
	Dir string `yaml:"dir"` // ledger and payloads
	Key string `yaml:"key"` // the signing key, never inside Dir
}

// Schedule says when collectors are due: cron expressions, as package
// evidence/schedule reads them.
type Schedule struct {
	Default    string            `yaml:"default"`
	Timezone   string            `yaml:"timezone"`   // IANA name
	Collectors map[string]string `yaml:"collectors"` // by collector, instead of Default
}

// AWS says what is collected of Amazon Web Services.
type AWS struct {
	Accounts     []Account       `yaml:"accounts"`
	Organization AWSOrganization `yaml:"organization"` // instead of accounts, or beside them
	Through      Through         `yaml:"through"`

	SessionName    string `yaml:"session_name"`    // of every assumed role, as CloudTrail shows it
	SourceIdentity string `yaml:"source_identity"` // likewise; empty: none is set

	Regions Regions `yaml:"regions"`
}

// AWSOrganization says how the accounts of an organisation are found and read.
type AWSOrganization struct {
	// ManagementRole is the ARN of a role in the management account, or in a
	// delegated administrator's, that may list the organisation's accounts.
	// Its account is read with it, too. Empty: there is no organisation.
	ManagementRole string `yaml:"management_role"`
	MemberRole     string `yaml:"member_role"` // name of the role in every other account, with its path
	ExternalID     string `yaml:"external_id"` // of these roles

	Include []AccountRule `yaml:"include"` // only these accounts; empty: all
	Exclude []AccountRule `yaml:"exclude"` // and of those, not these
}

// AccountRule chooses accounts by one of ID, Unit and Tag, and says who answers
// for what it leaves out.
type AccountRule struct {
	ID       string `yaml:"id"`   // 12 digits
	Unit     string `yaml:"unit"` // an organisational unit with all beneath it: its id, or the names from the root, "Sandbox/Teams"
	Tag      string `yaml:"tag"`  // "key=value", or "key" for any value
	Reason   string `yaml:"reason"`
	Approver string `yaml:"approver"`
}

// Through is a role that is assumed first, and from which every other role is.
type Through struct {
	Role       string `yaml:"role"` // ARN; empty: roles are assumed with the ambient identity
	ExternalID string `yaml:"external_id"`
}

// Account is one AWS account.
type Account struct {
	ID         string `yaml:"id"`          // 12 digits
	Role       string `yaml:"role"`        // ARN of the role to assume; empty: the ambient identity
	ExternalID string `yaml:"external_id"` // for the role's trust policy; not a secret
}

// Regions is the choice of regions: those that Names lists or, if it lists
// none, all that are enabled in the account.
type Regions struct {
	Names []string
}

// Enabled says that all regions that are enabled in an account are meant.
func (r Regions) Enabled() bool { return len(r.Names) == 0 }

// GCP says what is collected of Google Cloud: the organization, or folders and
// projects, each with all beneath it.
type GCP struct {
	Organization string   `yaml:"organization"` // digits
	Folders      []string `yaml:"folders"`      // digits
	Projects     []string `yaml:"projects"`     // ids, not numbers or names

	Include []ProjectRule `yaml:"include"` // of what the organization and the folders hold, only these projects; empty: all
	Exclude []ProjectRule `yaml:"exclude"` // and of those, not these

	ServiceAccount string            `yaml:"service_account"` // e-mail, to be impersonated for every call; empty: the ambient identity
	QuotaProject   string            `yaml:"quota_project"`   // whose quota and enabled APIs count; empty: the credentials' own
	Workspace      GCPWorkspace      `yaml:"workspace"`
	Endpoints      map[string]string `yaml:"endpoints"` // by service: base URL in place of Google's
}

// ProjectRule chooses projects by one of ID, Folder and Label, and says who
// answers for what it leaves out.
type ProjectRule struct {
	ID       string `yaml:"id"`     // of a project, or its number
	Folder   string `yaml:"folder"` // with all beneath it: "folders/200000000001", or the digits alone
	Label    string `yaml:"label"`  // "key=value", or "key" for any value
	Reason   string `yaml:"reason"`
	Approver string `yaml:"approver"`
}

// GCPWorkspace says how the users of Google Workspace or Cloud Identity are
// read: as Subject, by the domain-wide delegation of a service account. Its
// tokens are signed by signJwt, so that there is no key file.
type GCPWorkspace struct {
	Customer       string `yaml:"customer"`        // "my_customer", or the customer's id; empty: users are not read
	Subject        string `yaml:"subject"`         // e-mail of a user with a role that may only read
	ServiceAccount string `yaml:"service_account"` // e-mail; empty: GCP.ServiceAccount
}

// Catalogue adds to the checks that come with the program.
type Catalogue struct {
	Dirs       []string                        `yaml:"dirs"`       // folders of control files; paths as in Evidence
	Parameters map[string]map[string]Parameter `yaml:"parameters"` // by check id, then parameter
}

// Parameter is a changed threshold of a check and who answers for it.
type Parameter struct {
	Value    any    `yaml:"value"` // string, bool, int64, float64, or []any of these
	Owner    string `yaml:"owner"`
	Approver string `yaml:"approver"`
	Reason   string `yaml:"reason"`
}

// Limits keeps the tool from being a nuisance.
type Limits struct {
	InFlight int                `yaml:"in_flight"` // API calls at a time, all scopes together
	Rate     map[string]float64 `yaml:"rate"`      // by service, such as "iam", or that of one provider, "gcp.iam": calls a second, for AWS per account and region, for Google Cloud in all; 0: unlimited
}

// DefaultRate is the key of Limits.Rate for services that it does not name.
const DefaultRate = "default"

// HTTP is the listener of the metrics and health pages.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; an empty host: all addresses
}

// Log says how the program logs.
type Log struct {
	Format string `yaml:"format"` // auto (console on a terminal, else json), json or console
	Level  string `yaml:"level"`  // debug, info, warn or error
}

// Default gives the value of every key that a file does not set. The keys that
// have none, and that a file must set, are organization, period and at least
// one of aws.accounts, aws.organization, gcp.organization, gcp.folders and
// gcp.projects.
func Default() Config {
	return Config{
		Evidence:    Evidence{Dir: "./evidence", Key: "./tallystick.key"},
		Schedule:    Schedule{Default: "17 6 * * *", Timezone: "UTC"},
		Limits:      Limits{InFlight: 32, Rate: map[string]float64{DefaultRate: 5, "account": 1, "cloudasset": 1.5, "cloudidentity": 1, "gcp.iam": 20, "iam": 2, "logging": 0.9, "organizations": 2, "s3": 20}},
		AWS:         AWS{SessionName: "tallystick"},
		Remediation: map[string]int{"critical": 7, "high": 30, "medium": 90, "low": 180},
		HTTP:        HTTP{Listen: "127.0.0.1:8480"},
		Log:         Log{Format: "auto", Level: "info"},
	}
}

// Off in place of a cron expression keeps a collector from being run.
const Off = "off"

// ScheduleFor gives the cron expression of a collector, or nothing for one that
// is off.
func (c Config) ScheduleFor(collector string) string {
	if expr, ok := c.Schedule.Collectors[collector]; ok {
		if expr == Off {
			return ""
		}
		return expr
	}
	return c.Schedule.Default
}

// RemediationDays gives the limits that are set, by severity.
func (c Config) RemediationDays() map[string]int {
	days := maps.Clone(c.Remediation)
	maps.DeleteFunc(days, func(_ string, n int) bool { return n == 0 })
	return days
}

// RateFor gives the calls a second that a service, such as "s3", may get per
// account and region; 0 is unlimited.
func (c Config) RateFor(service string) float64 {
	if rate, ok := c.Limits.Rate[service]; ok {
		return rate
	}
	return c.Limits.Rate[DefaultRate]
}

// Location gives the time zone of the schedule and the period: UTC for a
// configuration that Validate refuses.
func (c Config) Location() *time.Location {
	zone, err := time.LoadLocation(c.Schedule.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// PeriodBounds gives the observation period as start <= t < end, in UTC: its
// dates begin and end at midnight in Location. Both are zero for a
// configuration that Validate refuses.
func (c Config) PeriodBounds() (start, end time.Time) {
	start, _, errStart := schedule.Date(c.Period.Start, c.Location())
	_, end, errEnd := schedule.Date(c.Period.End, c.Location())
	if errStart != nil || errEnd != nil {
		return time.Time{}, time.Time{}
	}
	return start, end
}
