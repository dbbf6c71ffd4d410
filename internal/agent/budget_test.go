package agent

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// asks makes calls as fast as the budget lets it, for a while, and gives when
// they went. Of each call, answer says whether it is refused.
func asks(b *budget, from, to time.Time, answer func(sent time.Time) (refused bool, after time.Duration)) []time.Time {
	var sent []time.Time
	for now := from; now.Before(to); {
		if wait := b.wait(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		if !b.spend(now) {
			continue // by a rounding: wait says so now
		}
		sent = append(sent, now)
		if refused, after := answer(now); refused {
			b.refused(now, now, after)
		} else {
			b.served(now)
		}
	}
	return sent
}

// within counts those of the times that are in [from, from+d).
func within(times []time.Time, from time.Time, d time.Duration) int {
	n := 0
	for _, t := range times {
		if !t.Before(from) && t.Before(from.Add(d)) {
			n++
		}
	}
	return n
}

func TestOneRefusal(t *testing.T) {
	t.Parallel()
	begin := at("2026-07-01T00:00:00Z")
	for _, test := range []struct {
		name          string
		rate          float64
		after         time.Duration
		pause         time.Duration
		soon, ordered int // calls in the second after the pause, and in one when all is as before
	}{
		{"a rate", 8, 0, time.Second, 5, 8},
		{"a low rate, which is half of it", 1, 0, 2 * time.Second, 1, 1},
		{"no limit", 0, 0, time.Second, 42, -1},
		{"asked to wait", 8, 7 * time.Second, 7 * time.Second, 5, 8},
		{"asked to wait for less", 8, 10 * time.Millisecond, time.Second, 5, 8},
		{"asked to wait for too long", 1, time.Hour, time.Minute, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBudget(test.rate)
			b.spend(begin)
			if !b.refused(begin, begin, test.after) {
				t.Error("the first refusal is not told")
			}
			served := func(time.Time) (bool, time.Duration) { return false, 0 }
			sent := asks(b, begin, begin.Add(test.pause+time.Second), served)
			if first := sent[0].Sub(begin); first != test.pause {
				t.Errorf("the first call goes after %s, want %s", first, test.pause)
			}
			if n := len(sent); n != test.soon {
				t.Errorf("%d calls in the second after the pause, want %d", n, test.soon)
			}
			later := begin.Add(2 * time.Minute)
			b.wait(later) // and whatever is saved from then on
			later = later.Add(burst * time.Second)
			if test.ordered < 0 {
				for range 1000 {
					if !b.spend(later) {
						t.Fatal("no limit is not restored")
					}
				}
				return
			}
			sent = asks(b, later, later.Add(2*time.Second), served)
			if n := within(sent, later, time.Millisecond); n != burst {
				t.Errorf("%d calls at once when all is as before, want the burst", n)
			}
			if n := within(sent, later.Add(time.Millisecond), time.Second); n != test.ordered {
				t.Errorf("%d calls in a second when all is as before, want %d", n, test.ordered)
			}
			if !b.refused(later.Add(time.Hour), later.Add(time.Hour), 0) {
				t.Error("the first refusal after that is not told")
			}
		})
	}
}

// Who refuses for ever is asked after one, four and sixteen seconds more, and
// from then on at an eighth of the rate, or a little more.
func TestRefusedForEver(t *testing.T) {
	t.Parallel()
	begin := at("2026-07-01T00:00:00Z")
	for _, rate := range []float64{0.5, 8, 20, 0} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			b := newBudget(rate)
			sent := asks(b, begin, begin.Add(10*time.Minute), func(time.Time) (bool, time.Duration) { return true, 0 })
			most := float64(b.most())
			for i, least := range []time.Duration{time.Second, 4 * time.Second, 16 * time.Second} {
				got := sent[i+1].Sub(sent[i])
				if slower := time.Duration(float64(time.Second) * slowest / most); got < least || got > max(least, slower) {
					t.Errorf("pause %d is %s, want %s", i, got, least)
				}
			}
			perSecond := float64(within(sent, begin.Add(time.Minute), 9*time.Minute)) / (9 * 60)
			if perSecond < 0.9*most/slowest || perSecond > 2*most/slowest {
				t.Errorf("%.2f calls a second, want about %.2f", perSecond, most/slowest)
			}
		})
	}
}

// What is refused for some seconds costs few calls, and the rate comes back
// within a minute.
func TestRefusedForSeconds(t *testing.T) {
	t.Parallel()
	begin := at("2026-07-01T00:00:00Z")
	b := newBudget(20)
	over := begin.Add(4 * time.Second)
	refused := 0
	sent := asks(b, begin, begin.Add(3*time.Minute), func(now time.Time) (bool, time.Duration) {
		if now.Before(over) {
			refused++
		}
		return now.Before(over), 0
	})
	if refused != 2 {
		t.Errorf("%d calls were refused, want 2", refused)
	}
	last := 0
	for second := time.Duration(5); second < 70; second += 10 {
		n := within(sent, begin.Add(second*time.Second), time.Second)
		if n < last {
			t.Errorf("%d calls in second %d, and %d ten seconds before", n, second, last)
		}
		last = n
	}
	if n := within(sent, begin.Add(2*time.Minute), time.Second); n != 20 {
		t.Errorf("%d calls a second after two minutes, want 20", n)
	}
}

// Calls that were under way together are refused together: that is one refusal.
// An answer to one of them that came through does not end the row.
func TestRefusedTogether(t *testing.T) {
	t.Parallel()
	begin := at("2026-07-01T00:00:00Z")
	b := newBudget(8)
	for i := range 20 {
		came := begin.Add(time.Duration(i) * time.Millisecond)
		if first := b.refused(begin, came, 0); first != (i == 0) {
			t.Errorf("refusal %d: first is %v", i, first)
		}
		b.served(begin)
	}
	if b.from != 4 || b.row != 1 || !b.until.Equal(begin.Add(time.Second)) {
		t.Errorf("rate %v, %d in a row, until %s; want one refusal", b.from, b.row, b.until)
	}
	next := begin.Add(time.Second)
	b.refused(next, next, 0)
	if b.row != 2 || !b.until.Equal(next.Add(4*time.Second)) {
		t.Errorf("%d in a row, until %s; want two", b.row, b.until)
	}
	b.served(next.Add(time.Second))
	if b.row != 0 {
		t.Error("the row did not end")
	}
}

// The back-off is shared by the tasks of an account, and touches no other
// account, region or service. A call that is held back holds no place in flight.
func TestBackOffIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, registry := fakeLimiter(t, Limits{InFlight: 2, Default: 8})
		one, other := evidence.Scope{Provider: "fake", Account: "1"}, evidence.Scope{Provider: "fake", Account: "2"}
		var refuse sync.Map // by account and host
		transport := func(scope evidence.Scope) http.RoundTripper {
			return l.transport(scope, fakeProvider(), roundTripper(func(req *http.Request) (*http.Response, error) {
				resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req, Header: http.Header{"Retry-After": {"30s"}}}
				if _, yes := refuse.Load(scope.Account + req.URL.Host); yes {
					resp.StatusCode = http.StatusTooManyRequests
				}
				return resp, nil
			}))
		}
		took := func(rt http.RoundTripper, host string) time.Duration {
			begin := time.Now()
			if err := fakeCall(t.Context(), rt, host); err != nil {
				t.Error(err)
			}
			return time.Since(begin)
		}
		refuse.Store("1ec2.eu", true)
		took(transport(one), "ec2.eu")
		refuse.Delete("1ec2.eu")

		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() { took(transport(one), "ec2.eu") })
		}
		synctest.Wait()
		if len(l.slots) != 0 {
			t.Errorf("%d calls that wait are in flight", len(l.slots))
		}
		for _, free := range []time.Duration{
			took(transport(other), "ec2.eu"), took(transport(one), "ec2.us"), took(transport(one), "s3.eu"),
		} {
			if free != 0 {
				t.Errorf("a call that has nothing to do with it waited %s", free)
			}
		}
		begin := time.Now()
		calls.Wait()
		if waited := time.Since(begin); waited < 30*time.Second || waited > 31*time.Second {
			t.Errorf("another task's call waited %s, want the 30s that were asked for and less than a second more", waited)
		}
		for name, want := range map[string]float64{"api_throttles_total": 1, "api_retries_total": -1} {
			if got := metric(t, registry, name, "provider=fake", "service=ec2"); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		// Five calls of 30 seconds, and a little for each that came after another.
		if got := metric(t, registry, "api_wait_seconds_total", "provider=fake", "service=ec2"); got < 150 || got > 153 {
			t.Errorf("api_wait_seconds_total is %v, want 150 and a little", got)
		}
	})
}

// A budget is spent when a call goes. Calls that were held up for want of a
// place do not go all at once when there is one.
func TestHeldUpCallsKeepTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := fakeLimiter(t, Limits{InFlight: 16, Service: map[string]float64{"ec2": 2, "s3": 0}})
		slow := l.transport(evidence.Scope{Account: "1"}, fakeProvider(), answering(time.Minute))
		var calls sync.WaitGroup
		for range 16 {
			calls.Go(func() {
				if err := fakeCall(t.Context(), slow, "s3.eu"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		var mu sync.Mutex
		var sent []time.Time
		rt := l.transport(evidence.Scope{Account: "2"}, fakeProvider(), roundTripper(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			sent = append(sent, time.Now())
			mu.Unlock()
			return answering(0).RoundTrip(req)
		}))
		for range 40 {
			calls.Go(func() {
				if err := fakeCall(t.Context(), rt, "ec2.eu"); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		slices.SortFunc(sent, time.Time.Compare)
		if n := within(sent, sent[0], time.Second); n > burst+2 {
			t.Errorf("%d calls within a second of a budget of two a second, want %d at the most", n, burst+2)
		}
	})
}

// An account with much to read waits for one place at a time, so that another
// is not behind all of its calls.
func TestPlacesGoRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := fakeLimiter(t, Limits{InFlight: 2})
		var calls sync.WaitGroup
		busy := l.transport(evidence.Scope{Account: "1"}, fakeProvider(), answering(time.Second))
		for range 100 {
			calls.Go(func() {
				if err := fakeCall(t.Context(), busy, "s3.eu"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		if err := fakeCall(t.Context(), l.transport(evidence.Scope{Account: "2"}, fakeProvider(), answering(time.Second)), "s3.eu"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("one call of a second beside a hundred of another account took %s, want 3s at the most", took)
		}
		calls.Wait()
	})
}

func TestRetriesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, registry := fakeLimiter(t, Limits{InFlight: 2})
		p := fakeProvider()
		attempt := 0
		p.Describe = func(req *http.Request) capture.Labels {
			labels := fakeLabels(req)
			labels.Attempt = attempt
			return labels
		}
		rt := l.transport(evidence.Scope{Provider: "fake", Account: "1"}, p, answering(0))
		for ; attempt < 4; attempt++ {
			if err := fakeCall(t.Context(), rt, "s3.eu"); err != nil {
				t.Error(err)
			}
		}
		if got := metric(t, registry, "api_retries_total", "provider=fake", "service=s3"); got != 2 {
			t.Errorf("%v retries, want those of the attempts 2 and 3", got)
		}
	})
}

// An operator sees from the start that a service did not throttle, as against
// one that is not called.
func TestServicesAreDeclared(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	spec := b.options.Providers[0].Collectors[0].Spec()
	spec.Calls = []collectors.Call{{Operation: "fake:ListThings", Kind: "fake.thing"}}
	b.options.Providers[0].Collectors = []collectors.Collector{&fake{spec, nil}}
	b.close(b.open())
	for _, name := range []string{"api_throttles_total", "api_retries_total", "api_wait_seconds_total"} {
		b.wantMetric(0, name, "provider=fake", "service=fake")
	}
}
