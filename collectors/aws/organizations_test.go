package aws_test

import (
	"slices"
	"strings"
	"testing"
)

// TestNoOrganization answers in the place of Organizations that the account
// belongs to none: that is an answer, and no list is lost.
func TestNoOrganization(t *testing.T) {
	e := estateWith(t, 1)
	alone := loss{"organizations:DescribeOrganization", "us-east-1", 1, 400, "application/x-amz-json-1.1", jsonError("AWSOrganizationsNotInUseException")}

	got, _ := replay(t, named(t, e, "aws.organizations_membership"), "444455556666", alone.intercept())
	if len(got.gaps) != 0 || len(got.observations) != 1 || string(got.observations[0].Body) != `{"AccountId":"444455556666","Organization":null}` || len(got.observations[0].Sources) != 2 {
		t.Errorf("observed %v, gaps %v; want an account without an organisation, by two exchanges", got.observations, got.gaps)
	}

	c := named(t, e, "aws.organizations_accounts")
	got, _ = replay(t, c, "444455556666", alone.intercept())
	for _, kind := range c.Spec().Kinds {
		if !got.listed[kind+"@"] {
			t.Errorf("the list of %s does not count as read to its end", kind)
		}
	}
	if len(got.gaps) != 0 || len(got.observations) != 0 || got.requests["organizations:ListAccounts"] != 0 {
		t.Errorf("%d resources, gaps %v, requests %v; want nothing", len(got.observations), got.gaps, got.requests)
	}
}

// TestOrganizationLosses loses single answers about the organisation.
func TestOrganizationLosses(t *testing.T) {
	const account, unit, delegated = "aws.organizations.account", "aws.organizations.unit", "aws.organizations.delegated_administrator"
	tests := []struct {
		name, operation string
		nth             int
		code            string
		gap             string   // kind class
		vanished        []string // kind and the end of the id
		observed        int      // of 11
	}{
		{"an account that left in between", "organizations:ListTagsForResource", 1, "TargetNotFoundException", "", []string{account + " 999900001111"}, 10},
		{"a member that is no delegated administrator any more", "organizations:ListDelegatedServicesForAccount", 1, "AccountNotRegisteredException", "", []string{delegated + " 444455556666"}, 10},
		{"a unit that was deleted in between", "organizations:ListOrganizationalUnitsForParent", 4, "ParentNotFoundException", "", nil, 11},
		{"the units of one unit", "organizations:ListOrganizationalUnitsForParent", 3, "TooManyRequestsException", unit + " throttled", nil, 10},
		{"the organisation itself", "organizations:DescribeOrganization", 1, "ServiceException", "aws.organizations.organization unavailable", nil, 10},
	}
	e := estateWith(t, 1)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := loss{tt.operation, "us-east-1", tt.nth, 400, "application/x-amz-json-1.1", jsonError(tt.code)}
			got, _ := replayWith(t, named(t, e, "aws.organizations_accounts"), "111122223333", l.intercept(), 1)
			var gaps []string
			for _, g := range got.gaps {
				gaps = append(gaps, g.Kind+" "+string(g.Class))
				if g.Operation != tt.operation || g.Resource != "" || got.listed[g.Kind+"@"] {
					t.Errorf("the gap is %+v, listed %v; want the list by %s", g, got.listed, tt.operation)
				}
			}
			if strings.Join(gaps, ", ") != tt.gap {
				t.Errorf("gaps %q, want %q", gaps, tt.gap)
			}
			var vanished []string
			for _, v := range got.vanished {
				kind, id, _ := strings.Cut(v, " ")
				vanished = append(vanished, kind+" "+id[strings.LastIndex(id, "/")+1:])
			}
			if !slices.Equal(vanished, tt.vanished) {
				t.Errorf("vanished %q, want %q", vanished, tt.vanished)
			}
			if len(got.observations) != tt.observed {
				t.Errorf("%d resources, want %d", len(got.observations), tt.observed)
			}
		})
	}
}
