package preflight_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/preflight"
)

func only(names ...string) func(collectors.Spec) bool {
	return func(s collectors.Spec) bool { return slices.Contains(names, s.Name) }
}

// tried runs some collectors over the recorded estate.
func tried(t *testing.T, o preflight.Options, pick func(collectors.Spec) bool, in intercept) (found []preflight.Permission, w *world) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, o, pick, in)
		found = w.try(t)
	})
	return found, w
}

// one gives the entries of a permission.
func one(found []preflight.Permission, permission string) (out []preflight.Permission) {
	for _, p := range found {
		if p.Permission == permission {
			out = append(out, p)
		}
	}
	return out
}

const scp = "User: arn:aws:sts::444455556666:assumed-role/TallystickReader/tallystick is not authorized to perform: ec2:DescribeVolumes " +
	"with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-exampleorg1/service_control_policy/p-regions1"

// TestTroubles answers the list of volumes of one region in other ways.
func TestTroubles(t *testing.T) {
	const permission = "ec2:DescribeVolumes"
	for _, tt := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		want   preflight.Permission
		calls  int
	}{
		{
			"a service control policy", func(r *http.Request) (*http.Response, error) {
				return refuse(r, "ec2", http.StatusForbidden, "UnauthorizedOperation", scp), nil
			},
			preflight.Permission{Result: preflight.Denied, Class: evidence.Denied, Code: "UnauthorizedOperation", Policy: "service control policy", Message: scp},
			1,
		},
		{
			"throttled for good", func(r *http.Request) (*http.Response, error) {
				return refuse(r, "ec2", http.StatusServiceUnavailable, "RequestLimitExceeded", "slow down"), nil
			},
			preflight.Permission{Result: preflight.Failed, Class: evidence.Throttled, Code: "RequestLimitExceeded", Message: "slow down"},
			3,
		},
		{
			"not subscribed", func(r *http.Request) (*http.Response, error) {
				return refuse(r, "ec2", http.StatusUnauthorized, "OptInRequired", "not subscribed"), nil
			},
			preflight.Permission{Result: preflight.Failed, Class: evidence.Disabled, Code: "OptInRequired", Message: "not subscribed"},
			1,
		},
		{
			"a dropped connection", func(*http.Request) (*http.Response, error) {
				return nil, os.NewSyscallError("read", syscall.ECONNRESET)
			},
			preflight.Permission{Result: preflight.Failed, Class: evidence.Unavailable, Message: "connection reset by peer"},
			3,
		},
		{
			"no answer in time", func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded },
			preflight.Permission{Result: preflight.Failed, Class: evidence.Timeout, Message: "i/o timeout"},
			3,
		},
		{
			"a page of something else", func(r *http.Request) (*http.Response, error) {
				return capture.Respond(r, http.StatusOK, "text/html", "<html><body>sign in"), nil
			},
			preflight.Permission{Result: preflight.Failed, Class: evidence.Malformed},
			1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, w := tried(t, preflight.Options{}, only("aws.ec2_volumes"), func(req *http.Request, l capture.Labels, account string) (*http.Response, error) {
				if l.Operation == permission && l.Region == "eu-west-1" && account == management {
					return tt.answer(req)
				}
				return nil, nil
			})
			if n := w.made[made{permission, management, "eu-west-1"}]; n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			var bad []preflight.Permission
			for _, p := range found {
				if p.Result != preflight.Allowed {
					bad = append(bad, p)
				}
			}
			if len(bad) != 1 {
				t.Fatalf("%+v, want one entry that is not allowed", bad)
			}
			got := bad[0]
			if got.Permission != permission || got.Account != management || got.Region != "eu-west-1" ||
				got.Result != tt.want.Result || got.Class != tt.want.Class || got.Code != tt.want.Code ||
				got.Policy != tt.want.Policy || !strings.Contains(got.Message, tt.want.Message) {
				t.Errorf("got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestThrottledForAWhile: what comes at the last attempt is allowed.
func TestThrottledForAWhile(t *testing.T) {
	var left atomic.Int64
	left.Store(2)
	found, w := tried(t, preflight.Options{}, only("aws.ec2_volumes"), func(req *http.Request, l capture.Labels, account string) (*http.Response, error) {
		if l.Operation == "ec2:DescribeVolumes" && l.Region == "eu-west-1" && account == management && left.Add(-1) >= 0 {
			return refuse(req, l.Service, http.StatusServiceUnavailable, "RequestLimitExceeded", "slow down"), nil
		}
		return nil, nil
	})
	for _, p := range found {
		if p.Result != preflight.Allowed {
			t.Errorf("%+v", p)
		}
	}
	if n := w.made[made{"ec2:DescribeVolumes", management, "eu-west-1"}]; n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

// TestOneResourceRefuses: a detail that one bucket refuses is tried on others,
// and a few times at most.
func TestOneResourceRefuses(t *testing.T) {
	const permission = "s3:GetBucketVersioning"
	var refusals atomic.Int64
	refusing := func(n int64) intercept {
		refusals.Store(0)
		return func(req *http.Request, l capture.Labels, _ string) (*http.Response, error) {
			if l.Operation == permission && refusals.Add(1) <= n {
				return refuse(req, l.Service, http.StatusForbidden, "AccessDenied", "with an explicit deny in a resource-based policy"), nil
			}
			return nil, nil
		}
	}
	found, _ := tried(t, preflight.Options{}, only("aws.s3_buckets"), refusing(1))
	for _, p := range one(found, permission) {
		if p.Result != preflight.Allowed {
			t.Errorf("%+v", p)
		}
	}
	if !slices.ContainsFunc(one(found, permission), func(p preflight.Permission) bool {
		return strings.Contains(p.Message, "not on another resource: s3:GetBucketVersioning denied (AccessDenied)") && p.Class == ""
	}) {
		t.Errorf("nothing says that one refused: %+v", one(found, permission))
	}
	found, w := tried(t, preflight.Options{}, only("aws.s3_buckets"), refusing(1000))
	if denied := by(found, preflight.Denied); len(denied) != len(one(found, permission)) {
		t.Errorf("%+v", one(found, permission))
	}
	for m, n := range w.made {
		if m.operation == permission && n > 4 {
			t.Errorf("%d calls in %s %s", n, m.account, m.region)
		}
	}
}

// TestReportThatIsNeverReady: the wait for it ends soon, and says nothing bad.
func TestReportThatIsNeverReady(t *testing.T) {
	waited := time.Duration(0)
	o := preflight.Options{Wait: func(_ context.Context, d time.Duration) error { waited += d; return nil }}
	found, w := tried(t, o, func(s collectors.Spec) bool { return s.Name == "aws.iam_credential_report" }, func(req *http.Request, l capture.Labels, account string) (*http.Response, error) {
		if account != management {
			return nil, errors.New("not part of this test")
		}
		if l.Operation != "iam:GenerateCredentialReport" {
			return nil, nil
		}
		return capture.Respond(req, http.StatusOK, "text/xml", `<GenerateCredentialReportResponse><GenerateCredentialReportResult>`+
			`<State>INPROGRESS</State></GenerateCredentialReportResult></GenerateCredentialReportResponse>`), nil
	})
	if n := w.made[made{"iam:GenerateCredentialReport", management, "us-east-1"}]; n != 4 || waited > 15*time.Second {
		t.Errorf("%d calls over %s", n, waited)
	}
	if p := one(found, "iam:GenerateCredentialReport"); p[0].Account != management || p[0].Result != preflight.Allowed {
		t.Errorf("%+v", p)
	}
	if p := one(found, "iam:GetCredentialReport"); p[0].Account != management || p[0].Result != preflight.NotTried {
		t.Errorf("%+v", p)
	}
}

// TestWhole: a call that is wanted whole is not cut short, and what is seen of
// it is handed on.
func TestWhole(t *testing.T) {
	got := &sighted{}
	listing := func(s evidence.Stream) bool { return s.Collector == "aws.organizations_accounts" }
	o := preflight.Options{
		Whole: func(s evidence.Stream, call collectors.Call) bool { return listing(s) && call.Field == "" },
		Also: func(s evidence.Stream) collectors.Emit {
			if listing(s) {
				return got
			}
			return nil
		},
	}
	found, w := tried(t, o, only("aws.organizations_accounts"), nil)
	for _, p := range found {
		if p.Result != preflight.Allowed {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Contains(got.listed, "aws.organizations.account") || !slices.Contains(got.listed, "aws.organizations.unit") {
		t.Errorf("listed to the end: %v", got.listed)
	}
	if n := w.made[made{"organizations:ListTagsForResource", management, "us-east-1"}]; n != 1 {
		t.Errorf("%d calls for tags, which nobody wants whole", n)
	}
	cut, _ := tried(t, preflight.Options{Also: func(evidence.Stream) collectors.Emit { got = &sighted{}; return got }}, only("aws.organizations_accounts"), nil)
	if slices.Contains(got.listed, "aws.organizations.account") || len(cut) != len(found) {
		t.Errorf("a list that is cut short counts as whole: %v", got.listed)
	}
}

// sighted is a collectors.Emit that keeps which lists were read to their end.
type sighted struct {
	collectors.Emit
	listed []string
}

func (s *sighted) Principal(string)                   {}
func (s *sighted) Gap(evidence.Gap)                   {}
func (s *sighted) Vanished(_, _, _ string)            {}
func (s *sighted) Observe(evidence.Observation) error { return nil }
func (s *sighted) Listed(kind, _ string)              { s.listed = append(s.listed, kind) }

// TestFaults: a collector that can not be run is an entry, and the others are tried.
func TestFaults(t *testing.T) {
	w := newWorld(t, preflight.Options{}, only("aws.iam_password_policy"), nil)
	w.work = w.work[:1]
	w.work[0].Collectors = append(w.work[0].Collectors, faulty{}, faulty{panics: true})
	found := w.try(t)
	var faults []string
	for _, p := range found {
		if p.Bad() {
			faults = append(faults, p.Collectors[0]+": "+p.Message)
			if p.Permission != "" || p.Class != evidence.Internal {
				t.Errorf("%+v", p)
			}
		}
	}
	slices.Sort(faults)
	if want := []string{"fake.faulty: could not begin", "fake.panics: collector fake.panics panicked: out of range"}; !slices.Equal(faults, want) {
		t.Errorf("faults %q, want %q", faults, want)
	}
	if len(by(found, preflight.Allowed)) != 2 {
		t.Errorf("%+v", found)
	}
}

// TestInterrupted: a context that ends is the error, and no entry.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, preflight.Options{}, all, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Try(ctx, w.work); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if found := by(w.Permissions(), preflight.Failed); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// faulty is a collector that can not be run.
type faulty struct{ panics bool }

func (f faulty) Spec() collectors.Spec {
	if f.panics {
		return collectors.Spec{Name: "fake.panics"}
	}
	return collectors.Spec{Name: "fake.faulty"}
}

func (f faulty) Collect(context.Context, collectors.Input, collectors.Emit) error {
	if f.panics {
		panic("out of range")
	}
	return errors.New("could not begin")
}
