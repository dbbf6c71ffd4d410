package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tallystick/tallystick/evidence/schedule"
)

// Validate gives every problem of a configuration that was not read from a
// file; those of a file are the error of Load. It gives nil if there is none.
func (c Config) Validate(known Known) Problems {
	r := &reader{}
	r.validate(c, known)
	return r.problems
}

func (r *reader) validate(c Config, known Known) {
	r.validateOrganization(c.Organization)
	r.validatePeriod(c.Period)
	r.validateRemediation(c.Remediation)
	r.validateEvidence(c.Evidence)
	r.validateSchedule(c.Schedule, known.Collectors)
	google := r.has("gcp") || r.spoilt["gcp"] || !reflect.ValueOf(c.GCP).IsZero()
	r.validateAWS(c.AWS, google)
	if google {
		r.validateGCP(c.GCP, known.Services)
	}
	r.validateCatalogue(c.Catalogue)
	r.validateLimits(c.Limits, known.Services)
	r.validateListen(c.HTTP.Listen)
	r.oneOf("log.format", c.Log.Format, "auto", "json", "console")
	r.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
}

func (r *reader) validateOrganization(name string) {
	const key, longest = "organization", 200
	switch {
	case strings.TrimSpace(name) == "":
		r.problem(key, "required: the name of the organization, as its auditor knows it")
	case utf8.RuneCountInString(name) > longest:
		r.problem(key, "longer than %d characters", longest)
	case strings.ContainsFunc(name, unicode.IsControl):
		r.problem(key, "must be one line of text")
	}
}

func (r *reader) validatePeriod(p Period) {
	valid := func(key, date, what string) bool {
		if date == "" {
			r.problem(key, "required: the %s day of the observation period, such as 2026-07-01", what)
			return false
		}
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			r.problem(key, "%s is not a calendar date such as 2026-07-01", r.show(key, date))
			return false
		}
		return true
	}
	start, end := valid("period.start", p.Start, "first"), valid("period.end", p.End, "last")
	if start && end && p.End < p.Start {
		r.problem("period.end", "%s is before the start, %s", r.show("period.end", p.End), r.show("period.start", p.Start))
	}
}

func (r *reader) validateRemediation(days map[string]int) {
	const longest = 3650
	for _, severity := range slices.Sorted(maps.Keys(days)) {
		key := join("remediation_days", severity)
		if known := []string{"critical", "high", "medium", "low"}; !slices.Contains(known, severity) {
			r.problemAtKey(key, "there is no such severity%s", suggest(severity, known))
		}
		if n := days[severity]; n < 0 || n > longest {
			r.problem(key, "must be 0 (no limit) to %d days", longest)
		}
	}
}

func (r *reader) validateEvidence(e Evidence) {
	for _, path := range []struct{ key, value string }{{"evidence.dir", e.Dir}, {"evidence.key", e.Key}} {
		if path.value == "" && !r.has(path.key) {
			r.problem(path.key, "required: a path")
		}
	}
	if e.Dir == "" || e.Key == "" {
		return
	}
	if rel, err := filepath.Rel(e.Dir, e.Key); err == nil && filepath.IsLocal(rel) {
		r.problem("evidence.key", "the signing key must not lie inside evidence.dir: whoever is given the evidence would be given the key")
	}
}

func (r *reader) validateSchedule(s Schedule, known []string) {
	zone, err := time.LoadLocation(s.Timezone)
	switch {
	case s.Timezone == "":
		r.problem("schedule.timezone", "there is no name; write one such as UTC or Europe/Berlin, or remove the key")
	case s.Timezone == "Local":
		r.problem("schedule.timezone", "Local means something else on each machine; write a name such as Europe/Berlin")
	case err != nil:
		r.problem("schedule.timezone", "%s is not a time zone; write an IANA name such as UTC or Europe/Berlin", r.show("schedule.timezone", s.Timezone))
	}
	if err != nil || s.Timezone == "Local" {
		zone = time.UTC // the expressions can be looked at all the same
	}
	if _, err := schedule.Parse(s.Default, zone); err != nil {
		r.problem("schedule.default", "%s", r.cause("schedule.default", err))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Collectors)) {
		key := join("schedule.collectors", name)
		if known != nil && !slices.Contains(known, name) {
			r.problemAtKey(key, "there is no such collector%s", suggest(name, known))
		}
		if s.Collectors[name] == Off {
			continue
		}
		if _, err := schedule.Parse(s.Collectors[name], zone); err != nil {
			r.problem(key, "%s", r.cause(key, err))
		}
	}
}

// awsForms are the forms of ids and names. Sources: AWS STS API reference,
// AssumeRole; AWS Organizations API reference, OrganizationalUnit.
type awsForms struct{ id, role, roleName, external, session, unit *regexp.Regexp }

// isExternalID bounds the length too, for which regexp has no such repeat.
func (f awsForms) isExternalID(s string) bool {
	return len(s) >= 2 && len(s) <= 1224 && f.external.MatchString(s)
}

func formsOfAWS() awsForms {
	return awsForms{
		id:       regexp.MustCompile(`^[0-9]{12}$`),
		role:     regexp.MustCompile(`^arn:(aws|aws-us-gov|aws-cn):iam::([0-9]{12}):role/[\w+=,.@/-]+$`),
		roleName: regexp.MustCompile(`^[\w+=,.@-]+(/[\w+=,.@-]+)*$`),
		external: regexp.MustCompile(`^[\w+=,.@:/-]+$`),
		session:  regexp.MustCompile(`^[\w+=,.@-]{2,64}$`),
		unit:     regexp.MustCompile(`^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$`),
	}
}

// validateAWS demands accounts unless another provider is there.
func (r *reader) validateAWS(c AWS, another bool) {
	forms := formsOfAWS()
	partition := map[string]string{} // to the first key that names it
	organization := r.has("aws.organization") || c.Organization.ManagementRole != ""
	if len(c.Accounts) == 0 && !organization && !another {
		r.problem("aws.accounts", "required: at least one account, such as - id: \"111122223333\", or aws.organization, gcp.organization, gcp.folders or gcp.projects")
	}
	r.validateAccounts(c.Accounts, forms, partition)
	if organization {
		r.validateAWSOrganization(c.Organization, forms, partition)
	}
	if c.Through.Role != "" || r.has("aws.through") {
		r.validateRole("aws.through.role", c.Through.Role, forms, partition)
		r.validateExternalID("aws.through.external_id", c.Through.ExternalID, forms)
	}
	if !forms.session.MatchString(c.SessionName) {
		r.problem("aws.session_name", "a session name has 2 to 64 letters, digits and _+=,.@-")
	}
	if (c.SourceIdentity != "" || r.has("aws.source_identity")) && !forms.session.MatchString(c.SourceIdentity) {
		r.problem("aws.source_identity", "a source identity has 2 to 64 letters, digits and _+=,.@-")
	}
	r.validateRegions(c.Regions.Names)
}

// validateRole checks the ARN of a role and gives its account. All roles must
// be of one partition: no identity of one is known in another.
func (r *reader) validateRole(key, arn string, forms awsForms, partition map[string]string) (account string) {
	m := forms.role.FindStringSubmatch(arn)
	if m == nil {
		r.problem(key, "%s is not the ARN of a role, such as arn:aws:iam::111122223333:role/TallystickReader", r.show(key, arn))
		return ""
	}
	partition[m[1]] = cmp.Or(partition[m[1]], key)
	for other, first := range partition {
		if other != m[1] && partition[m[1]] == key {
			r.problem(key, "%s is of the partition %s, and %s of %s: run one tallystick for each partition", r.show(key, arn), m[1], first, other)
		}
	}
	return m[2]
}

func (r *reader) validateExternalID(key, value string, forms awsForms) {
	if (value != "" || r.has(key)) && !forms.isExternalID(value) {
		r.problem(key, "an external id has 2 to 1224 letters, digits and _+=,.@:/-")
	}
}

func (r *reader) validateAccounts(accounts []Account, forms awsForms, partition map[string]string) {
	first := map[string]string{}
	ambient := ""
	for i, a := range accounts {
		path := fmt.Sprintf("aws.accounts[%d]", i)
		key := path + ".id"
		switch {
		case a.ID == "":
			r.problem(key, "required: the account id, 12 digits in quotes")
		case !forms.id.MatchString(a.ID):
			r.problem(key, "%s is not an account id: 12 digits in quotes", r.show(key, a.ID))
		case first[a.ID] != "":
			r.problem(key, "%s is already %s", r.show(key, a.ID), first[a.ID])
		default:
			first[a.ID] = path
		}

		key = path + ".role"
		named := a.Role != "" || r.has(key)
		switch {
		case !named && ambient != "":
			r.problem(path, "an account without a role is read with the ambient identity, and that is %s already; add a role", ambient)
		case !named:
			ambient = path
		default:
			account := r.validateRole(key, a.Role, forms, partition)
			if account != "" && forms.id.MatchString(a.ID) && account != a.ID {
				r.problem(key, "%s is a role of another account than %s", r.show(key, a.Role), r.show(path+".id", a.ID))
			}
		}

		r.validateExternalID(path+".external_id", a.ExternalID, forms)
		if key = path + ".external_id"; forms.isExternalID(a.ExternalID) && !named {
			r.problem(key, "an external id is for assuming a role, and there is none; add the role, or remove the key")
		}
	}
}

func (r *reader) validateAWSOrganization(o AWSOrganization, forms awsForms, partition map[string]string) {
	const path = "aws.organization"
	listing := ""
	if o.ManagementRole == "" {
		r.problem(path+".management_role", "required: the ARN of a role that may list the accounts, in the management account or in a delegated administrator's")
	} else {
		listing = r.validateRole(path+".management_role", o.ManagementRole, forms, partition)
	}
	if key := path + ".member_role"; !forms.roleName.MatchString(o.MemberRole) {
		r.problem(key, "required: the name of the role in every member account, such as TallystickReader; it is no ARN")
	}
	r.validateExternalID(path+".external_id", o.ExternalID, forms)
	for _, rules := range []struct {
		key  string
		list []AccountRule
	}{{path + ".include", o.Include}, {path + ".exclude", o.Exclude}} {
		for i, rule := range rules.list {
			key := fmt.Sprintf("%s[%d]", rules.key, i)
			r.validateAccountRule(key, rule, forms)
			if rules.key == path+".exclude" && rule.ID != "" && rule.ID == listing {
				r.problem(key+".id", "%s is the account that lists the others, and its listing is evidence: it can not be excluded", r.show(key+".id", rule.ID))
			}
		}
	}
}

func (r *reader) validateAccountRule(path string, rule AccountRule, forms awsForms) {
	given := 0
	for _, value := range []string{rule.ID, rule.Unit, rule.Tag} {
		if value != "" {
			given++
		}
	}
	if given != 1 {
		r.problem(path, "a rule has one of id, unit and tag")
	}
	if rule.ID != "" && !forms.id.MatchString(rule.ID) {
		r.problem(path+".id", "%s is not an account id: 12 digits in quotes", r.show(path+".id", rule.ID))
	}
	looksLikeID := strings.HasPrefix(rule.Unit, "ou-") || strings.HasPrefix(rule.Unit, "r-")
	if looksLikeID && !forms.unit.MatchString(rule.Unit) {
		r.problem(path+".unit", "%s is not the id of an organisational unit, such as ou-ab12-11111111, nor names from the root, such as Sandbox/Teams", r.show(path+".unit", rule.Unit))
	}
	if strings.HasPrefix(rule.Tag, "=") {
		r.problem(path+".tag", "%s has no key; write key=value, or key for any value", r.show(path+".tag", rule.Tag))
	}
	r.validateAnswer(path, "accounts", rule.Reason, rule.Approver)
}

// validateAnswer demands that somebody answers for what a rule leaves out.
func (r *reader) validateAnswer(path, what, reason, approver string) {
	for _, who := range []struct{ key, value, what string }{
		{"reason", reason, "why the " + what + " that are left out need not be looked at"},
		{"approver", approver, "who approved that"},
	} {
		if strings.TrimSpace(who.value) == "" {
			r.problem(join(path, who.key), "required: %s", who.what)
		}
	}
}

func (r *reader) validateRegions(names []string) {
	region := regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
	for i, name := range names {
		key := fmt.Sprintf("aws.regions[%d]", i)
		switch {
		case !region.MatchString(name):
			r.problem(key, "%s is not a region such as eu-west-1", r.show(key, name))
		case slices.Contains(names[:i], name):
			r.problem(key, "%s is listed twice", r.show(key, name))
		}
	}
}

func (r *reader) validateCatalogue(c Catalogue) {
	for i, dir := range c.Dirs {
		if slices.Contains(c.Dirs[:i], dir) {
			key := fmt.Sprintf("catalogue.dirs[%d]", i)
			r.problem(key, "this folder is listed twice")
		}
	}
	for _, check := range slices.Sorted(maps.Keys(c.Parameters)) {
		for _, name := range slices.Sorted(maps.Keys(c.Parameters[check])) {
			path := join(join("catalogue.parameters", check), name)
			p := c.Parameters[check][name]
			if p.Value == nil {
				r.problem(path+".value", "required: the value to use instead of the default")
			}
			for _, who := range []struct{ key, value, what string }{
				{"owner", p.Owner, "who answers for the change"},
				{"approver", p.Approver, "who approved the change"},
				{"reason", p.Reason, "why the default does not fit"},
			} {
				if strings.TrimSpace(who.value) == "" {
					r.problem(join(path, who.key), "required: %s", who.what)
				}
			}
		}
	}
}

func (r *reader) validateLimits(l Limits, known []string) {
	if l.InFlight < 1 || l.InFlight > 1024 {
		r.problem("limits.in_flight", "must be from 1 to 1024")
	}
	for _, service := range slices.Sorted(maps.Keys(l.Rate)) {
		key := join("limits.rate", service)
		if known != nil && service != DefaultRate && r.has(key) && !slices.Contains(known, service) {
			r.problemAtKey(key, "no collector calls a service of this name%s", suggest(service, append([]string{DefaultRate}, known...)))
		}
		if !(l.Rate[service] >= 0 && l.Rate[service] <= 1e6) { // also for what is not a number
			r.problem(key, "must be from 0, which is unlimited, to 1000000 calls a second")
		}
	}
}

func (r *reader) validateListen(address string) {
	const key = "http.listen"
	host, port, err := net.SplitHostPort(address)
	number, errPort := strconv.ParseUint(port, 10, 16)
	name := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	switch {
	case err != nil:
		r.problem(key, "%s is not an address and port such as 127.0.0.1:8480 or :8480", r.show(key, address))
	case errPort != nil || strconv.FormatUint(number, 10) != port:
		r.problem(key, "%s has no port from 0 to 65535", r.show(key, address))
	case host != "" && net.ParseIP(host) == nil && !name.MatchString(host):
		r.problem(key, "%s is not a host to listen on", r.show(key, address))
	}
}

// oneOf reports a value that is not one of the choices.
func (r *reader) oneOf(key, value string, choices ...string) {
	if !slices.Contains(choices, value) {
		r.problem(key, "%s is not one of %s", r.show(key, value), strings.Join(choices, ", "))
	}
}
