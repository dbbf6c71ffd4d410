package aws_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// iamResult is an answer of IAM.
func iamResult(operation, inner string) string {
	return fmt.Sprintf(`<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, operation, inner)
}

func iamError(code string) string {
	return fmt.Sprintf(`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>made up</Message></Error></ErrorResponse>`, code)
}

// TestCredentialReportWaits answers in the place of IAM while a report is not
// ready: the collector asks again, for a while, and then says why there is none.
func TestCredentialReportWaits(t *testing.T) {
	const generate, get = "iam:GenerateCredentialReport", "iam:GetCredentialReport"
	tests := []struct {
		name      string
		operation string
		times     int // how often the answer comes before the recorded ones do
		status    int
		body      string
		class     evidence.Class // of the gap; empty for a report that came in the end
		code      string
	}{
		{"in progress", generate, 5, 200, iamResult("GenerateCredentialReport", "<State>INPROGRESS</State>"), "", ""},
		{"too often", generate, 3, 409, iamError("LimitExceeded"), "", ""},
		{"not ready", get, 2, 404, iamError("ReportInProgress"), "", ""},
		{"expired in between", get, 1, 410, iamError("ReportExpired"), "", ""},
		{"in progress for ever", generate, 1000, 200, iamResult("GenerateCredentialReport", "<State>STARTED</State>"), evidence.Timeout, ""},
		{"too often for ever", generate, 1000, 409, iamError("LimitExceeded"), evidence.Throttled, "LimitExceeded"},
		{"not ready for ever", get, 1000, 404, iamError("ReportInProgress"), evidence.Timeout, "ReportInProgress"},
		{"expired for ever", get, 1000, 410, iamError("ReportExpired"), evidence.Unavailable, "ReportExpired"},
		{"a state that is not known", generate, 1000, 200, iamResult("GenerateCredentialReport", ""), evidence.Timeout, ""},
		{"half a row", get, 1000, 200, report("user,arn\nalice"), evidence.Malformed, ""},
		{"no columns", get, 1000, 200, report("user,arn\n"), evidence.Malformed, ""},
		{"nothing", get, 1000, 200, iamResult("GetCredentialReport", "<GeneratedTime>2026-06-30T03:40:00Z</GeneratedTime>"), evidence.Malformed, ""},
	}
	e := estate(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int32
			got, _ := replay(t, named(t, e, "aws.iam_credential_report"), "444455556666", func(req *http.Request, l capture.Labels) (*http.Response, error) {
				if l.Operation != tt.operation || int(n.Add(1)) > tt.times {
					return nil, nil
				}
				return capture.Respond(req, tt.status, "text/xml", tt.body), nil
			})
			if tt.class == "" {
				if len(got.gaps) != 0 || len(got.observations) != 3 || !got.listed["aws.iam.credential@"] {
					t.Errorf("gaps %v, %d rows; want the whole report", got.gaps, len(got.observations))
				}
				return
			}
			if len(got.observations) != 0 || got.listed["aws.iam.credential@"] {
				t.Errorf("%d rows, listed %v; want nothing", len(got.observations), got.listed)
			}
			if len(got.gaps) != 1 || got.gaps[0].Operation != tt.operation || got.gaps[0].Class != tt.class || got.gaps[0].Code != tt.code ||
				got.gaps[0].Kind != "aws.iam.credential" || got.gaps[0].Resource != "" || got.gaps[0].Message == "" {
				t.Errorf("gaps %+v, want one of %s by %s, code %q", got.gaps, tt.class, tt.operation, tt.code)
			}
		})
	}
}

func report(csv string) string {
	return iamResult("GetCredentialReport", "<Content>"+base64.StdEncoding.EncodeToString([]byte(csv))+
		"</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>2026-06-30T03:40:00Z</GeneratedTime>")
}

// TestReportWithoutTime refuses a report that does not say as of when it is:
// it would look as new as the call.
func TestReportWithoutTime(t *testing.T) {
	got, _ := replay(t, named(t, estate(t), "aws.iam_credential_report"), "444455556666", func(req *http.Request, l capture.Labels) (*http.Response, error) {
		if l.Operation != "iam:GetCredentialReport" {
			return nil, nil
		}
		body := strings.Replace(report(strings.Join(reportHeader(), ",")+"\n"), "<GeneratedTime>2026-06-30T03:40:00Z</GeneratedTime>", "", 1)
		return capture.Respond(req, 200, "text/xml", body), nil
	})
	if len(got.gaps) != 1 || got.gaps[0].Class != evidence.Malformed || !strings.Contains(got.gaps[0].Message, "GeneratedTime") {
		t.Errorf("gaps %+v, want one that names GeneratedTime", got.gaps)
	}
}

func reportHeader() []string {
	return strings.Split("user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,"+
		"access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"+
		"access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,"+
		"cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated", ",")
}

// TestUsersLosses replaces single answers about the users of 111122223333.
func TestUsersLosses(t *testing.T) {
	const alice = "arn:aws:iam::111122223333:user/alice"
	noMarker := "<Users></Users><IsTruncated>true</IsTruncated>"
	tests := []struct {
		name, operation, user string // user: whose call; empty for every one
		status                int
		body                  string
		gaps                  []string // resource field class
		vanished              []string
		listed                bool
		observed              int
	}{
		{"a user who is gone", "iam:ListMFADevices", "alice", 404, iamError("NoSuchEntity"), nil, []string{"aws.iam.user " + alice}, true, 8},
		{
			"devices cut off without a marker", "iam:ListMFADevices", "alice", 200,
			iamResult("ListMFADevices", "<MFADevices></MFADevices><IsTruncated>true</IsTruncated>"),
			[]string{alice + " MFADevices malformed"},
			nil, true, 9,
		},
		{"users cut off without a marker", "iam:ListUsers", "", 200, iamResult("ListUsers", noMarker), []string{"  malformed"}, nil, false, 0},
		{
			"a user without an ARN", "iam:ListUsers", "", 200,
			iamResult("ListUsers", "<Users><member><UserName>x</UserName></member></Users><IsTruncated>false</IsTruncated>"),
			[]string{"  malformed"},
			nil, false, 0,
		},
		{"a password that may not be looked for", "iam:GetLoginProfile", "alice", 403, iamError("AccessDenied"), []string{alice + " LoginProfile denied"}, nil, true, 9},
	}
	e := estate(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := replay(t, named(t, e, "aws.iam_users"), "111122223333", func(req *http.Request, l capture.Labels) (*http.Response, error) {
				about := next{tt.operation, tt.user}
				if l.Operation != tt.operation || tt.user != "" && !about.asks(t, req, l) {
					return nil, nil
				}
				return capture.Respond(req, tt.status, "text/xml", tt.body), nil
			})
			var gaps []string
			for _, g := range got.gaps {
				gaps = append(gaps, g.Resource+" "+g.Field+" "+string(g.Class))
			}
			if !slices.Equal(gaps, tt.gaps) || !slices.Equal(got.vanished, tt.vanished) ||
				got.listed["aws.iam.user@"] != tt.listed || len(got.observations) != tt.observed {
				t.Errorf("gaps %q vanished %q listed %v, %d users; want %q %q %v, %d",
					gaps, got.vanished, got.listed["aws.iam.user@"], len(got.observations), tt.gaps, tt.vanished, tt.listed, tt.observed)
			}
		})
	}
}

// TestAuthorizationDetailsLosses spoils single pages of 111122223333. Each page
// holds a part of all four lists, so that none of them may count as whole.
func TestAuthorizationDetailsLosses(t *testing.T) {
	const operation = "iam:GetAccountAuthorizationDetails"
	member := func(list, inner string) string {
		return iamResult("GetAccountAuthorizationDetails", "<"+list+"><member>"+inner+"</member></"+list+"><IsTruncated>false</IsTruncated>")
	}
	tests := []struct {
		name     string
		nth      int32 // which page
		status   int
		body     string
		class    evidence.Class
		observed int
	}{
		{"first page denied", 1, 403, iamError("AccessDenied"), evidence.Denied, 0},
		{"second page denied", 2, 403, iamError("AccessDenied"), evidence.Denied, 22},
		{"cut off without a marker", 1, 200, iamResult("GetAccountAuthorizationDetails", "<IsTruncated>true</IsTruncated>"), evidence.Malformed, 0},
		{"a user without an ARN", 2, 200, member("UserDetailList", "<UserName>x</UserName>"), evidence.Malformed, 22},
		{"a group without an ARN", 2, 200, member("GroupDetailList", "<GroupName>x</GroupName>"), evidence.Malformed, 22},
		{"a role without an ARN", 2, 200, member("RoleDetailList", "<RoleName>x</RoleName>"), evidence.Malformed, 22},
		{"a policy without an ARN", 2, 200, member("Policies", "<PolicyName>x</PolicyName>"), evidence.Malformed, 22},
	}
	e := estateWith(t, 1)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int32
			got, _ := replay(t, named(t, e, "aws.iam_authorization_details"), "111122223333", func(req *http.Request, l capture.Labels) (*http.Response, error) {
				if l.Operation != operation || n.Add(1) != tt.nth {
					return nil, nil
				}
				return capture.Respond(req, tt.status, "text/xml", tt.body), nil
			})
			var kinds []string
			for _, g := range got.gaps {
				if g.Class != tt.class || g.Operation != operation || g.Permission != operation || g.Resource != "" {
					t.Errorf("gap %+v, want a list of class %s by %s", g, tt.class, operation)
				}
				kinds = append(kinds, g.Kind)
			}
			if want := []string{"aws.iam.group", "aws.iam.policy", "aws.iam.role", "aws.iam.user_detail"}; !slices.Equal(kinds, want) || len(got.listed) != 0 {
				t.Errorf("gaps for %q, lists that count as whole %v; want %q and none", kinds, got.listed, want)
			}
			if len(got.observations) != tt.observed {
				t.Errorf("%d resources observed, want %d", len(got.observations), tt.observed)
			}
		})
	}
}
