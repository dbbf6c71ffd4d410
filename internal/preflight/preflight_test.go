package preflight_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/preflight"
)

// management is the account of the recorded estate that lists its organisation.
const management = "111122223333"

// world is the recorded estate under a preflight, and what was asked of it.
type world struct {
	*preflight.Preflight
	work []preflight.Work

	mu   sync.Mutex
	made map[made]int // guarded by mu; calls
}

type made struct{ operation, account, region string }

// intercept answers in place of a recording, or not.
type intercept = func(req *http.Request, l capture.Labels, account string) (*http.Response, error)

// newWorld gives the collectors that are picked over the recorded estate.
func newWorld(t *testing.T, o preflight.Options, pick func(collectors.Spec) bool, in intercept) *world {
	t.Helper()
	return newWorldIn(t, []string{"eu-west-1", "us-east-1"}, o, pick, in)
}

// newWorldIn is newWorld with the regions of the configuration; none: every one.
func newWorldIn(t *testing.T, regions []string, o preflight.Options, pick func(collectors.Spec) bool, in intercept) *world {
	t.Helper()
	w := &world{made: map[made]int{}}
	transport, err := recordings.NewTransport(aws.Describe, recordings.At)
	if err != nil {
		t.Fatal(err)
	}
	var accounts []aws.Account
	for _, id := range recordings.Accounts() {
		accounts = append(accounts, aws.Account{ID: id})
	}
	estate, err := aws.New(t.Context(), aws.Settings{
		Accounts: accounts, Regions: regions,
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "test", "")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Wait == nil {
		o.Wait = func(context.Context, time.Duration) error { return nil }
	}
	o.InFlight = 4
	w.Preflight = preflight.New(o)
	for _, account := range recordings.Accounts() {
		var picked []collectors.Collector
		for _, c := range aws.Catalogue(estate) {
			if (c.Spec().Reach != collectors.Organization || account == management) && pick(c.Spec()) {
				picked = append(picked, c)
			}
		}
		w.work = append(w.work, preflight.Work{
			Scope: evidence.Scope{Provider: aws.Provider, Account: account}, Collectors: picked, Describe: aws.Describe,
			Through: func(keep func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
				return keep(roundTripper(func(req *http.Request) (*http.Response, error) {
					l := aws.Describe(req)
					w.mu.Lock()
					w.made[made{l.Operation, account, l.Region}]++
					w.mu.Unlock()
					if in != nil {
						if resp, err := in(req, l, account); resp != nil || err != nil {
							return resp, err
						}
					}
					resp, err := transport.RoundTrip(req)
					if _, ok := errors.AsType[*capture.NoAnswerError](err); ok {
						t.Error(err)
					}
					return resp, err
				}))
			},
		})
	}
	return w
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func all(collectors.Spec) bool { return true }

// try tries everything. It belongs in a bubble: on its clock, what a list waits
// for has begun or never will.
func (w *world) try(t *testing.T) []preflight.Permission {
	t.Helper()
	if err := w.Try(t.Context(), w.work); err != nil {
		t.Fatal(err)
	}
	return w.Permissions()
}

// key is a permission in an account, and in a region where it lists.
type key struct{ permission, account, region string }

// by gives the permissions by result.
func by(all []preflight.Permission, r preflight.Result) map[key]preflight.Permission {
	out := map[key]preflight.Permission{}
	for _, p := range all {
		if p.Result == r {
			out[key{p.Permission, p.Account, p.Region}] = p
		}
	}
	return out
}
