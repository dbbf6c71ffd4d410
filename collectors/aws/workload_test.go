package aws_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
)

// webIdentity is the environment that EKS gives a container for the role of its
// service account. The SDK makes the client for its call before it looks at
// AWS_ENDPOINT_URL.
func webIdentity(i *issuer, token string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": i.URL, "AWS_ENDPOINT_URL_STS": i.URL, "AWS_ROLE_ARN": ownRole, "AWS_WEB_IDENTITY_TOKEN_FILE": token,
	}
}

// TestWebIdentity is the ambient identity of a pod with a service account: the
// token is read again whenever credentials are renewed, as it is replaced.
func TestWebIdentity(t *testing.T) {
	const token, next = "made-up-web-identity-1", "made-up-web-identity-2"
	tests := []struct {
		name        string
		settings    aws.Settings
		environment string // AWS_ROLE_SESSION_NAME
		session     string
		then        string // what is assumed after it
	}{
		{"alone", aws.Settings{Accounts: []aws.Account{{ID: "777788889999"}}}, "", "tallystick", ""},
		{"alone, with a name", aws.Settings{Accounts: []aws.Account{{ID: "777788889999"}}, SessionName: "evidence"}, "", "evidence", ""},
		{"alone, with a name in the environment", aws.Settings{Accounts: []aws.Account{{ID: "777788889999"}}}, "pod", "pod", ""},
		{
			"and a role",
			aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole, ExternalID: "first-7f3a"}}, SourceIdentity: "collector"},
			"", "tallystick", "AssumeRole " + firstRole + " as tallystick, ExternalId first-7f3a, SourceIdentity collector",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := newIssuer(t, httptest.NewServer)
			i.lives = []time.Duration{4 * time.Minute, 4 * time.Minute}
			file := write(t, "token", token)
			environment := webIdentity(i, file)
			if tt.environment != "" {
				environment["AWS_ROLE_SESSION_NAME"] = tt.environment
			}
			ambient(t, environment)
			e := newEstate(t, tt.settings)
			web := "AssumeRoleWithWebIdentity " + ownRole + " as " + tt.session + ", WebIdentityToken "
			want := []string{web + token + " by nobody"}
			if tt.then != "" {
				want = append(want, tt.then+" by KEY-1")
			} else {
				i.lives = i.lives[1:]
			}
			c := named(t, e, "aws.iam_password_policy")
			base := once{e.Transport(), func() {
				if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
					t.Error(err)
				}
			}, new(sync.Once)}
			got, kept := collect(t, c, tt.settings.Accounts[0].ID, base)
			whole(t, got, kept, token, next)
			if want = append(want, web+next+" by nobody"); tt.then != "" {
				want = append(want, tt.then+" by KEY-3")
			}
			same(t, "asked for credentials", i.asked, want)
		})
	}
}

// once is a transport that does something after the first answer.
type once struct {
	http.RoundTripper
	do   func()
	done *sync.Once
}

func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.RoundTripper.RoundTrip(req)
	o.done.Do(o.do)
	return resp, err
}

// podIdentity is the environment that EKS Pod Identity gives a container.
func podIdentity(t *testing.T, i *issuer, token string) map[string]string {
	t.Helper()
	return map[string]string{
		"AWS_ENDPOINT_URL": i.URL, "AWS_CONTAINER_CREDENTIALS_FULL_URI": i.URL + "/v1/credentials",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": write(t, "eks-pod-identity-token", token),
	}
}

// TestPodIdentity is the ambient identity of a pod with EKS Pod Identity.
func TestPodIdentity(t *testing.T) {
	const token = "made-up-pod-identity"
	i := newIssuer(t, httptest.NewServer)
	ambient(t, podIdentity(t, i, token))
	e := newEstate(t, aws.Settings{Accounts: []aws.Account{{ID: "111122223333", Role: firstRole, ExternalID: "first-7f3a"}, {ID: "777788889999"}}})
	for _, account := range e.Accounts() {
		got, kept := collect(t, named(t, e, "aws.iam_account_summary"), account, e.Transport())
		whole(t, got, kept, token, "first-7f3a")
	}
	same(t, "asked for credentials", i.asked, []string{
		"pod identity by " + token, "AssumeRole " + firstRole + " as tallystick, ExternalId first-7f3a by KEY-1",
	})
	same(t, "calls", i.signed, []string{
		"GetCallerIdentity by KEY-2", "GetAccountSummary by KEY-2", "ListOrganizationsFeatures by KEY-2",
		"GetCallerIdentity by KEY-1", "GetAccountSummary by KEY-1", "ListOrganizationsFeatures by KEY-1",
	})
}

// TestNoAmbientIdentity: where the machine has no credentials to give, no
// permission of AWS is named as the missing one.
func TestNoAmbientIdentity(t *testing.T) {
	tests := []struct {
		name        string
		environment func(*testing.T, *issuer) map[string]string
		code, says  string
	}{
		{"refused by the agent of pod identity", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			i.refuses = map[string]string{ownRole: "(AccessDeniedException): no association"}
			return podIdentity(t, i, "made-up-pod-identity")
		}, "", "no AWS credentials were had from the container's agent: (AccessDeniedException): no association"},
		{"refused by the agent of a container", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			i.refuses = map[string]string{ownRole: `{"code":"AccessDenied","message":"no such task"}`}
			return podIdentity(t, i, "made-up-pod-identity")
		}, "AccessDenied", "no AWS credentials were had from the container's agent: no such task"},
		{"no token of pod identity", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			environment := podIdentity(t, i, "")
			environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] += ".lost"
			return environment
		}, "", "eks-pod-identity-token.lost"},
		{"no web identity", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			return webIdentity(i, write(t, "token", "")+".lost")
		}, "", "token.lost"},
		{"nothing at all", func(_ *testing.T, i *issuer) map[string]string {
			return map[string]string{"AWS_ENDPOINT_URL": i.URL}
		}, "", "no AWS credentials were found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := newIssuer(t, httptest.NewServer)
			ambient(t, tt.environment(t, i))
			e := newEstate(t, aws.Settings{Accounts: []aws.Account{{ID: "777788889999"}}})
			got, _ := collect(t, named(t, e, "aws.iam_account_summary"), "777788889999", e.Transport())
			if len(got.gaps) != 1 {
				t.Fatalf("gaps %v, want one", got.gaps)
			}
			want := evidence.Gap{
				Kind: "aws.iam.account", Operation: "sts:GetCallerIdentity", Permission: "sts:GetCallerIdentity",
				Class: evidence.Unavailable, Code: tt.code, Message: got.gaps[0].Message,
			}
			if got.gaps[0] != want || !strings.Contains(want.Message, tt.says) {
				t.Errorf("the gap is\n%#v, want\n%#v and %q", got.gaps[0], want, tt.says)
			}
		})
	}
}
