package config

import (
	"reflect"
	"testing"
)

func TestGCP(t *testing.T) {
	data := fixtures(t, "gcp.ok.yaml")["testdata/gcp.ok.yaml"]
	f, err := Parse("/etc/tallystick/config.yaml", data, known(), environment(data))
	if err != nil {
		t.Fatal(err)
	}
	want := GCP{
		Folders:        []string{"200000000001", "300000000001"},
		Projects:       []string{"example-prod", "example.com:proj"},
		ServiceAccount: "tallystick@example-prod.iam.gserviceaccount.com",
		QuotaProject:   "example-prod",
		Workspace: GCPWorkspace{
			Customer: "C01234567", Subject: "tallystick@example.com",
			ServiceAccount: "100000000001-compute@developer.gserviceaccount.com",
		},
		Endpoints: map[string]string{
			"cloudasset": "https://cloudasset-example.p.googleapis.com/",
			"directory":  "http://[::1]:8443/admin",
		},
	}
	if !reflect.DeepEqual(f.Config.GCP, want) {
		t.Errorf("read\n%+v, want\n%+v", f.Config.GCP, want)
	}
	if len(f.Config.AWS.Accounts) != 0 || f.Config.RateFor("cloudasset") != 1 {
		t.Errorf("accounts are %+v, the rate is %v", f.Config.AWS.Accounts, f.Config.RateFor("cloudasset"))
	}
}

// Without a file, too, what is there is what is looked at.
func TestValidateGCPWithoutFile(t *testing.T) {
	c := Default()
	c.Organization, c.Period = "Example, Inc.", Period{Start: "2026-07-01", End: "2026-12-31"}
	c.GCP.Projects = []string{"example-prod"}
	if problems := c.Validate(Known{}); problems != nil {
		t.Errorf("problems: %v", problems)
	}
	c.GCP.Projects, c.GCP.Workspace.Customer = nil, "my_customer"
	if problems := c.Validate(Known{}); len(problems) != 3 {
		t.Errorf("problems: %v, want the scope, the subject and the service account", problems)
	}
}

func TestProjectRules(t *testing.T) {
	data := fixtures(t, "gcp_rules.ok.yaml")["testdata/gcp_rules.ok.yaml"]
	f, err := Parse("/etc/tallystick/config.yaml", data, known(), environment(data))
	if err != nil {
		t.Fatal(err)
	}
	by := func(rule ProjectRule, reason string) ProjectRule {
		rule.Reason, rule.Approver = reason, "Sam Roe"
		return rule
	}
	want := GCP{
		Organization: "123456789012",
		Include: []ProjectRule{
			by(ProjectRule{Folder: "folders/200000000001"}, "what customers use"),
			by(ProjectRule{ID: "example-dev"}, "what customers are shown"),
		},
		Exclude: []ProjectRule{
			by(ProjectRule{ID: "100000000003"}, "closed in May"),
			by(ProjectRule{Folder: "300000000001"}, "sandboxes without data of customers"),
			by(ProjectRule{Label: "purpose=training"}, "training"),
			by(ProjectRule{Label: "throwaway"}, "thrown away each week"),
		},
	}
	if !reflect.DeepEqual(f.Config.GCP, want) {
		t.Errorf("read\n%+v, want\n%+v", f.Config.GCP, want)
	}
}
