package config

import (
	"reflect"
	"testing"
)

func TestOrganization(t *testing.T) {
	data := fixtures(t, "organization.ok.yaml")["testdata/organization.ok.yaml"]
	f, err := Parse("/etc/tallystick/config.yaml", data, known(), environment(data))
	if err != nil {
		t.Fatal(err)
	}
	by := func(rule AccountRule, reason string) AccountRule {
		rule.Reason, rule.Approver = reason, "Sam Roe"
		return rule
	}
	want := AWS{
		Accounts: []Account{{ID: "444455556666", Role: "arn:aws:iam::444455556666:role/OtherReader"}},
		Organization: AWSOrganization{
			ManagementRole: "arn:aws:iam::111122223333:role/TallystickOrganization",
			MemberRole:     "security/TallystickReader",
			ExternalID:     "tallystick-7f3a",
			Include: []AccountRule{
				by(AccountRule{Unit: "r-ab12"}, "the whole of it"),
				by(AccountRule{Unit: "Production/Web"}, "what customers use"),
			},
			Exclude: []AccountRule{
				by(AccountRule{ID: "999900001111"}, "closed in May"),
				by(AccountRule{Unit: "ou-ab12-22222222"}, "sandboxes without data of customers"),
				by(AccountRule{Tag: "purpose=training"}, "training"),
			},
		},
		Through:        Through{Role: "arn:aws:iam::777788889999:role/TallystickHub", ExternalID: "hub-7f3a"},
		SessionName:    "tallystick-prod",
		SourceIdentity: "platform@example.com",
	}
	if !reflect.DeepEqual(f.Config.AWS, want) {
		t.Errorf("read\n%+v, want\n%+v", f.Config.AWS, want)
	}
}
