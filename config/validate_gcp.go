package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
)

// gcpForms are the forms of ids. Sources: Resource Manager API reference,
// projects, folders, organizations; IAM, service accounts overview; Admin SDK,
// Directory API, customers.
type gcpForms struct{ number, project, email, account, customer *regexp.Regexp }

func formsOfGCP() gcpForms {
	return gcpForms{
		number:   regexp.MustCompile(`^[1-9][0-9]{0,19}$`),
		project:  regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`),
		email:    regexp.MustCompile(`^[^@\s]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$`),
		account:  regexp.MustCompile(`^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$`),
		customer: regexp.MustCompile(`^(my_customer|C[A-Za-z0-9]+)$`),
	}
}

// namesGCP says whether something of Google Cloud is named, well or badly.
func (r *reader) namesGCP(c GCP) bool {
	return r.has("gcp") || c.Organization != "" || len(c.Folders) > 0 || len(c.Projects) > 0
}

func (r *reader) validateGCP(c GCP) {
	if !r.namesGCP(c) {
		return
	}
	forms := formsOfGCP()
	if c.Organization == "" && len(c.Folders) == 0 && len(c.Projects) == 0 {
		r.problem("gcp", "required: one of organization, folders and projects")
	}
	if c.Organization != "" && !forms.number.MatchString(c.Organization) {
		r.problem("gcp.organization", "%s is not the number of an organisation, such as \"123456789012\"", r.show("gcp.organization", c.Organization))
	}
	for _, list := range []struct {
		key, what string
		names     []string
		form      *regexp.Regexp
	}{
		{"gcp.folders", "the number of a folder, such as \"200000000001\"", c.Folders, forms.number},
		{"gcp.projects", "the id of a project, such as example-prod; its number and its name are something else", c.Projects, forms.project},
	} {
		if c.Organization != "" && len(list.names) > 0 {
			r.problem(list.key, "gcp.organization covers these already, and they would be read twice; remove one of the two keys")
		}
		for i, name := range list.names {
			key := fmt.Sprintf("%s[%d]", list.key, i)
			switch {
			case !list.form.MatchString(name):
				r.problem(key, "%s is not %s", r.show(key, name), list.what)
			case slices.Contains(list.names[:i], name):
				r.problem(key, "%s is listed twice", r.show(key, name))
			}
		}
	}
	r.validateServiceAccount("gcp.service_account", c.ServiceAccount, forms)
	if c.QuotaProject != "" && !forms.project.MatchString(c.QuotaProject) {
		r.problem("gcp.quota_project", "%s is not the id of a project, such as example-audit", r.show("gcp.quota_project", c.QuotaProject))
	}
	if c.Workspace != (Workspace{}) || r.has("gcp.workspace") {
		r.validateWorkspace(c, forms)
	}
	for _, service := range slices.Sorted(maps.Keys(c.Endpoints)) {
		r.validateEndpoint(join("gcp.endpoints", service), c.Endpoints[service])
	}
}

func (r *reader) validateServiceAccount(key, email string, forms gcpForms) {
	if email != "" && !forms.account.MatchString(email) {
		r.problem(key, "%s is not the e-mail of a service account, such as reader@example-audit.iam.gserviceaccount.com", r.show(key, email))
	}
}

func (r *reader) validateWorkspace(c GCP, forms gcpForms) {
	const path = "gcp.workspace"
	w := c.Workspace
	if !forms.customer.MatchString(w.Customer) {
		r.problem(path+".customer", "required: my_customer, or the id of the customer, which begins with C")
	}
	if !forms.email.MatchString(w.Subject) {
		r.problem(path+".subject", "required: the e-mail of the user as whom the directory is read; its admin role needs to read users and nothing else")
	}
	r.validateServiceAccount(path+".service_account", w.ServiceAccount, forms)
	if w.ServiceAccount == "" && c.ServiceAccount == "" {
		r.problem(path+".service_account", "required here or as gcp.service_account: the service account to which the domain delegates; it signs for the subject, and no key file is needed")
	}
}

// validateEndpoint demands an address to which a token may be sent.
func (r *reader) validateEndpoint(key, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil:
		r.problem(key, "%s is not an address such as https://cloudasset-example.p.googleapis.com", r.show(key, address))
	case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		r.problem(key, "%s is not encrypted, and a token would be sent to it; use https", r.show(key, address))
	}
}
