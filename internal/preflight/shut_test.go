package preflight_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/preflight"
)

// TestShut: where the way into an account fails, one entry says so, and nothing
// else is tried there.
func TestShut(t *testing.T) {
	found, w := tried(t, preflight.Options{}, all, func(req *http.Request, l capture.Labels, account string) (*http.Response, error) {
		if account == management {
			return nil, nil
		}
		return refuse(req, l.Service, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid"), nil
	})
	var other []preflight.Permission
	for _, p := range found {
		if p.Account != management {
			other = append(other, p)
		}
	}
	if len(other) != 1 {
		t.Fatalf("%d entries, want one: %+v", len(other), other)
	}
	blocked, names := map[string]bool{}, []string{}
	for _, c := range w.work[1].Collectors {
		names = append(names, c.Spec().Name)
		for _, call := range c.Spec().Calls {
			blocked[call.Needs()] = true
		}
	}
	delete(blocked, "sts:GetCallerIdentity")
	p := other[0]
	if p.Permission != "sts:GetCallerIdentity" || p.Result != preflight.Denied || p.Code != "InvalidClientTokenId" {
		t.Errorf("%+v", p)
	}
	if p.Blocks != len(blocked) || !slices.Equal(p.Collectors, names) {
		t.Errorf("it blocks %d permissions of %v, want %d of %v", p.Blocks, p.Collectors, len(blocked), names)
	}
	calls := 0
	for m, n := range w.made {
		if m.account != management {
			calls += n
		}
	}
	if calls != 1 {
		t.Errorf("%d calls into the account, want 1", calls)
	}
	if n := len(by(found, preflight.Allowed)); n < len(blocked) {
		t.Errorf("%d permissions are allowed in the other account, which suffers from it", n)
	}
}

// TestWrongAccount: credentials that open another account are no permission.
func TestWrongAccount(t *testing.T) {
	found, _ := tried(t, preflight.Options{}, all, func(req *http.Request, l capture.Labels, account string) (*http.Response, error) {
		if account == management || l.Operation != "sts:GetCallerIdentity" {
			return nil, nil
		}
		return capture.Respond(req, http.StatusOK, "text/xml", `<GetCallerIdentityResponse><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::999999999999:user/x</Arn><UserId>x</UserId><Account>999999999999</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`), nil
	})
	var other []preflight.Permission
	for _, p := range found {
		if p.Account != management {
			other = append(other, p)
		}
	}
	if len(other) != 1 || other[0].Result != preflight.Failed || !strings.Contains(other[0].Message, "open account 999999999999") {
		t.Errorf("%+v", other)
	}
}

// TestRegions: where the regions can not be had, one entry says so in the place
// of every regional permission; and so does a region that is not enabled.
func TestRegions(t *testing.T) {
	volumes := func(in intercept, regions ...string) (found []preflight.Permission) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldIn(t, regions, preflight.Options{}, only("aws.ec2_volumes", "aws.iam_password_policy"), in)
			w.work = w.work[:1]
			found = w.try(t)
		})
		return found
	}
	denied := func(req *http.Request, l capture.Labels, _ string) (*http.Response, error) {
		if l.Operation != "ec2:DescribeRegions" {
			return nil, nil
		}
		return refuse(req, l.Service, http.StatusForbidden, "UnauthorizedOperation", "no"), nil
	}
	for _, tt := range []struct {
		found []preflight.Permission
		want  []string
	}{
		{volumes(denied), []string{
			"ec2:DescribeRegions denied in aws/111122223333: UnauthorizedOperation: no",
			"iam:GetAccountPasswordPolicy allowed in aws/111122223333", "sts:GetCallerIdentity allowed in aws/111122223333",
		}},
		{volumes(denied, "eu-west-1"), []string{
			"ec2:DescribeRegions denied in aws/111122223333: UnauthorizedOperation: no", "ec2:DescribeVolumes allowed in aws/111122223333 eu-west-1",
			"iam:GetAccountPasswordPolicy allowed in aws/111122223333", "sts:GetCallerIdentity allowed in aws/111122223333",
		}},
		{volumes(nil, "eu-west-1", "me-south-1"), []string{
			"ec2:DescribeRegions allowed in aws/111122223333",
			"ec2:DescribeRegions failed in aws/111122223333 me-south-1: region me-south-1 is configured but not enabled in account 111122223333",
			"ec2:DescribeVolumes allowed in aws/111122223333 eu-west-1",
			"iam:GetAccountPasswordPolicy allowed in aws/111122223333", "sts:GetCallerIdentity allowed in aws/111122223333",
		}},
	} {
		var got []string
		for _, p := range tt.found {
			got = append(got, p.String())
			if blocks := p.Permission == "ec2:DescribeRegions" && len(tt.want) == 3; blocks != (p.Blocks == 1) {
				t.Errorf("%s blocks %d", p, p.Blocks)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}
