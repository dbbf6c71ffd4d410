package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// gcpForms are the forms of ids and e-mail addresses. Sources: Resource Manager
// API reference, projects, with the ids of old projects that begin with a
// domain; IAM documentation, types of service accounts; Directory API
// reference, users.list.
type gcpForms struct{ project, serviceAccount, customer, user *regexp.Regexp }

func formsOfGCP() gcpForms {
	return gcpForms{
		project:        regexp.MustCompile(`^([a-z][a-z0-9-]{4,28}[a-z0-9]|[a-z0-9-]+(\.[a-z0-9-]+)+:[a-z]([a-z0-9-]{0,28}[a-z0-9])?)$`),
		serviceAccount: regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*@([a-z0-9-]+\.)+gserviceaccount\.com$`),
		customer:       regexp.MustCompile(`^(my_customer|C[0-9A-Za-z]+)$`),
		user:           regexp.MustCompile(`^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$`),
	}
}

func (r *reader) validateGCP(c GCP, known []string) {
	forms := formsOfGCP()
	r.validateGCPScopes(c, forms)
	r.validateProjectRules("gcp.include", c.Include, c, forms)
	r.validateProjectRules("gcp.exclude", c.Exclude, c, forms)
	r.validateServiceAccount("gcp.service_account", c.ServiceAccount, forms)
	if key := "gcp.quota_project"; (c.QuotaProject != "" || r.has(key)) && !forms.project.MatchString(c.QuotaProject) {
		r.problem(key, "%s is not the id of a project, such as example-prod", r.show(key, c.QuotaProject))
	}
	if r.has("gcp.workspace") || c.Workspace != (GCPWorkspace{}) {
		r.validateWorkspace(c, forms)
	}
	r.validateEndpoints(c.Endpoints, known)
}

func (r *reader) validateGCPScopes(c GCP, forms gcpForms) {
	const organization = "gcp.organization"
	named := c.Organization != "" || r.has(organization)
	if named && !digits(c.Organization) {
		r.problem(organization, "%s is not the id of an organization: digits in quotes, such as \"123456789012\"", r.show(organization, c.Organization))
	}
	unread := r.spoilt["gcp.folders"] || r.spoilt["gcp.projects"]
	if !named && len(c.Folders) == 0 && len(c.Projects) == 0 && !unread {
		r.problem(organization, "required: the id of the organization, such as \"123456789012\", or gcp.folders or gcp.projects")
	}
	for _, scopes := range []struct {
		key   string
		list  []string
		valid func(string) bool
		form  string
	}{
		{"gcp.folders", c.Folders, digits, "folder: digits in quotes, such as \"456789012345\""},
		{"gcp.projects", c.Projects, forms.project.MatchString, "project, such as example-prod"},
	} {
		if named && len(scopes.list) > 0 {
			r.problem(scopes.key, "they are part of the organisation already; remove them, or gcp.organization")
		}
		for i, id := range scopes.list {
			key := fmt.Sprintf("%s[%d]", scopes.key, i)
			switch {
			case !scopes.valid(id):
				r.problem(key, "%s is not the id of a %s", r.show(key, id), scopes.form)
			case slices.Contains(scopes.list[:i], id):
				r.problem(key, "%s is listed twice", r.show(key, id))
			}
		}
	}
}

// validateProjectRules refuses rules where nothing is listed that they could
// choose from: projects that are named are chosen already.
func (r *reader) validateProjectRules(path string, rules []ProjectRule, c GCP, forms gcpForms) {
	unread := r.spoilt["gcp.organization"] || r.spoilt["gcp.folders"]
	if len(rules) > 0 && c.Organization == "" && len(c.Folders) == 0 && !unread {
		r.problem(path, "its rules choose among the projects of gcp.organization or gcp.folders, and there is neither; projects that are named in gcp.projects are collected")
	}
	folder := regexp.MustCompile(`^(folders/)?[0-9]+$`)
	for i, rule := range rules {
		key := fmt.Sprintf("%s[%d]", path, i)
		given := 0
		for _, value := range []string{rule.ID, rule.Folder, rule.Label} {
			if value != "" {
				given++
			}
		}
		if given != 1 {
			r.problem(key, "a rule has one of id, folder and label")
		}
		switch {
		case rule.ID == "":
		case !digits(rule.ID) && !forms.project.MatchString(rule.ID):
			r.problem(key+".id", "%s is neither the id of a project, such as example-dev, nor its number in quotes", r.show(key+".id", rule.ID))
		case path == "gcp.exclude" && slices.Contains(c.Projects, rule.ID):
			r.problem(key+".id", "%s is one of gcp.projects; remove it there, or this rule", r.show(key+".id", rule.ID))
		}
		if rule.Folder != "" && !folder.MatchString(rule.Folder) {
			r.problem(key+".folder", "%s is not a folder, such as folders/456789012345; its name is not unique", r.show(key+".folder", rule.Folder))
		}
		if strings.HasPrefix(rule.Label, "=") {
			r.problem(key+".label", "%s has no key; write key=value, or key for any value", r.show(key+".label", rule.Label))
		}
		r.validateAnswer(key, "projects", rule.Reason, rule.Approver)
	}
}

func (r *reader) validateServiceAccount(key, email string, forms gcpForms) {
	if (email != "" || r.has(key)) && !forms.serviceAccount.MatchString(email) {
		r.problem(key, "%s is not the e-mail address of a service account, such as tallystick@example-prod.iam.gserviceaccount.com", r.show(key, email))
	}
}

func (r *reader) validateWorkspace(c GCP, forms gcpForms) {
	const path = "gcp.workspace"
	w := c.Workspace
	switch key := path + ".customer"; {
	case w.Customer == "":
		r.problem(key, "required: my_customer, which is the customer of the subject, or the customer's id, such as C01234567")
	case !forms.customer.MatchString(w.Customer):
		r.problem(key, "%s is not my_customer nor the id of a customer, such as C01234567", r.show(key, w.Customer))
	}
	switch key := path + ".subject"; {
	case w.Subject == "":
		r.problem(key, "required: the e-mail address of the user to read as, whose role may only read")
	case !forms.user.MatchString(w.Subject) || forms.serviceAccount.MatchString(w.Subject):
		r.problem(key, "%s is not the e-mail address of a user, such as tallystick@example.com", r.show(key, w.Subject))
	}
	key := path + ".service_account"
	if w.ServiceAccount == "" && c.ServiceAccount == "" && !r.has(key) && !r.has("gcp.service_account") {
		r.problem(key, "required, here or as gcp.service_account: the service account with domain-wide delegation; it signs the token by signJwt, without a key file")
	}
	r.validateServiceAccount(key, w.ServiceAccount, forms)
}

// validateEndpoints refuses what could hand a token to whoever listens.
func (r *reader) validateEndpoints(endpoints map[string]string, known []string) {
	for _, service := range slices.Sorted(maps.Keys(endpoints)) {
		key := join("gcp.endpoints", service)
		if known != nil && !slices.Contains(known, service) {
			r.problemAtKey(key, "no collector calls a service of this name%s", suggest(service, known))
		}
		value := endpoints[service]
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(value, "?#@"):
			r.problem(key, "%s is not the base URL of a service, such as https://cloudasset-example.p.googleapis.com", r.show(key, value))
		case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
			r.problem(key, "%s would send tokens in clear text; write https://, http:// is for this machine alone", r.show(key, value))
		}
	}
}
