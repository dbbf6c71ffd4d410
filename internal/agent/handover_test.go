package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// ran runs an agent beside the test, and gives what tells of its end.
func (b *bench) ran(a *Agent) chan error {
	ended := make(chan error, 1)
	go func() { ended <- a.Run(b.t.Context()) }()
	return ended
}

// wantEnded demands that an agent ends, or has not ended.
func (b *bench) wantEnded(ended chan error) {
	b.t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			b.t.Fatal(err)
		}
	case <-time.After(time.Minute):
		b.t.Fatal("the agent did not end when it was relieved")
	}
}

// relieve relieves an agent while its loop waits, and then sets the clock.
func (c *byHand) relieve(a *Agent, t time.Time) {
	<-c.waiting
	a.Relieve()
	c.mu.Lock()
	c.now = t
	c.mu.Unlock()
	c.moved <- struct{}{}
}

func TestRelieve(t *testing.T) {
	t.Parallel()
	t.Run("when idle", func(t *testing.T) {
		t.Parallel()
		clock := newByHand(at("2026-07-01T00:00:00Z"))
		b := newBench(t, clock)
		b.options.Prompt = true
		a := b.open()
		ended := b.ran(a)
		clock.relieve(a, at("2026-07-01T05:00:01Z"))
		b.wantEnded(ended)
		if !a.Relieved().Equal(at("2026-07-01T05:00:01Z")) {
			t.Errorf("relieved at %s", a.Relieved())
		}
		b.close(a)
		b.verified()
	})
	t.Run("not when a slot is near", func(t *testing.T) {
		t.Parallel()
		clock := newByHand(at("2026-07-01T00:00:00Z"))
		b := newBench(t, clock)
		b.options.Prompt = true
		a := b.open()
		ended := b.ran(a)
		clock.to(at("2026-07-01T06:16:45Z"))
		clock.relieve(a, at("2026-07-01T06:16:51Z"))
		clock.to(at("2026-07-01T06:16:59Z"))
		clock.to(at("2026-07-01T06:17:00Z"))
		b.wantEnded(ended)
		b.close(a)
		b.wantStory("fake.things", "1 run initial now complete", "2 run schedule 01T06:17:00 complete")
		b.verified()
	})
	t.Run("not while a task runs", func(t *testing.T) {
		t.Parallel()
		clock := newByHand(at("2026-07-01T06:00:00Z"))
		b, o := newOrganization(t, clock, account)
		b.options.Settle = false
		things := streamIn("fake.things", account)
		a := b.open()
		hold := make(chan struct{})
		o.set(func() { o.hold[things] = hold })
		ended := b.ran(a) // its first look is held
		a.Relieve()
		clock.to(at("2026-07-01T06:05:00Z"))
		clock.to(at("2026-07-01T06:10:00Z"))
		clock.to(at("2026-07-01T06:11:00Z")) // each waits for the loop: it goes on
		close(hold)
		for i := range 1000 {
			select {
			case <-clock.waiting:
				clock.mu.Lock()
				clock.now = at("2026-07-01T06:12:00Z").Add(time.Duration(i) * time.Millisecond)
				clock.mu.Unlock()
				clock.moved <- struct{}{}
				time.Sleep(10 * time.Millisecond)
				continue
			case err := <-ended:
				ended <- err
			}
			break
		}
		b.wantEnded(ended)
		b.close(a)
		b.wantStory("fake.things", "1 run initial now complete")
		b.verified()
	})
	// A stream that is due every few seconds would put it off for ever.
	t.Run("between dense slots", func(t *testing.T) {
		t.Parallel()
		clock := newByHand(at("2026-07-01T00:00:00Z"))
		b := newBench(t, clock)
		b.options.Prompt = true
		b.options.ScheduleFor = func(string) string { return "*/5 * * * * *" }
		a := b.open()
		ended := b.ran(a)
		clock.to(at("2026-07-01T00:00:04Z"))
		clock.relieve(a, at("2026-07-01T00:00:05Z"))
		b.wantEnded(ended)
		b.close(a)
		b.wantStory("fake.things", "1 run initial now complete", "2 run schedule 01T00:00:05 complete")
		b.verified()
	})
}

// estateOf derives the provider from the newest whole listing, as the program does.
func estateOf(p Provider) func(context.Context, Known) ([]Provider, []evidence.Discovery, error) {
	return func(_ context.Context, known Known) ([]Provider, []evidence.Discovery, error) {
		p.Accounts = []string{account}
		before, err := known.Before()
		if err != nil {
			return nil, nil, err
		}
		listing := streamIn("fake.listing", account)
		run := known.Newest(listing)
		if run == nil {
			return []Provider{p}, nil, nil
		}
		for range 2 {
			seen, whole, err := known.Observed(run, "fake.member")
			if err != nil {
				return nil, nil, err
			}
			if !whole {
				if run, err = known.Listed(listing); err != nil || run == nil {
					return []Provider{p}, nil, err
				}
				continue
			}
			d := evidence.Discovery{Scope: listing.Scope, Record: run.Record}
			for member, err := range seen {
				if err != nil {
					return nil, nil, err
				}
				d.Accounts++
				if member.ID != account {
					p.Accounts = append(p.Accounts, member.ID)
				}
				if before == nil || !slices.Contains(before.Scopes, evidence.Scope{Provider: "fake", Account: member.ID}) {
					d.Appeared = append(d.Appeared, member.ID)
				}
			}
			slices.Sort(p.Accounts)
			return []Provider{p}, []evidence.Discovery{d}, nil
		}
		return nil, nil, errors.New("the listing of before is not whole")
	}
}

// One agent lists, and another takes over that looks at what was listed. No slot
// is missed, also when one comes in between.
func TestHandover(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		gone  time.Duration // between the two agents
		want  []string      // of fake.things in account
		since bool
	}{
		{"at once", time.Second, []string{"1 run initial now complete", "2 run schedule 01T06:17:00 complete"}, true},
		{"over a slot", 25 * time.Second, []string{"1 run initial now complete", "2 run schedule 01T06:17:00 complete"}, true},
		{"for too long", 2 * time.Minute, []string{"1 run initial now complete", "2 missed agent_down 1 01T06:17:00..01T06:17:00", "3 run catch_up now complete"}, true},
		{"without a word", 25 * time.Second, []string{"1 run initial now complete", "2 missed agent_down 1 01T06:17:00..01T06:17:00", "3 run catch_up now complete"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := &leaping{now: at("2026-07-01T06:16:40Z")}
			b, o := newOrganization(t, clock)
			o.set(func() { o.members = []string{account, memberAccount} })
			asked := 0
			derive := estateOf(b.options.Providers[0])
			b.options.Providers = nil
			b.options.Estate = func(ctx context.Context, known Known) ([]Provider, []evidence.Discovery, error) {
				asked++
				return derive(ctx, known)
			}
			var a *Agent
			b.options.OnTask = func(r Result) {
				if r.Collector == "fake.listing" {
					a.Relieve()
				}
			}
			a = b.open()
			b.until(a, "2026-07-03T00:00:00Z")
			if !a.Relieved().Equal(at("2026-07-01T06:16:40Z")) || asked != 1 {
				t.Fatalf("relieved at %s, the estate was asked for %d times", a.Relieved(), asked)
			}
			b.close(a)

			clock.now = clock.now.Add(test.gone)
			b.options.OnTask = nil
			if test.since {
				b.options.Since = a.Relieved()
			}
			b.options.Event = evidence.EventDiscovered
			a = b.open()
			b.until(a, "2026-07-01T07:00:00Z")
			b.close(a)
			if asked != 2 {
				t.Errorf("the estate was asked for %d times, want once by each agent", asked)
			}
			var got []string
			for _, r := range records(t, b.dir) {
				switch r := r.(type) {
				case *evidence.Run:
					if r.Stream == streamIn("fake.things", account) {
						got = append(got, fmt.Sprintf("%d run %s %s %s", r.Sequence, r.Trigger, short(r.Slot), r.Outcome))
					}
				case *evidence.Missed:
					if r.Stream == streamIn("fake.things", account) {
						got = append(got, fmt.Sprintf("%d missed %s %d %s..%s", r.Sequence, r.Cause, r.Slots, short(r.First), short(r.Last)))
					}
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
			all := of[evidence.Configuration](t, b.dir)
			if len(all) != 2 || len(all[0].Discoveries) > 0 || len(all[1].Discoveries) != 1 || all[1].Event != evidence.EventDiscovered {
				t.Fatalf("configurations %+v", all)
			}
			d := all[1].Discoveries[0]
			run, ok := records(t, b.dir)[d.Record].(*evidence.Run)
			if !ok || run.Collector != "fake.listing" || d.Accounts != 2 || !slices.Equal(d.Appeared, []string{memberAccount}) {
				t.Errorf("the discovery is %+v, of %T", d, records(t, b.dir)[d.Record])
			}
			b.verified()
			b.wantScheduleNamed()
		})
	}
}

// A listing that can not be read changes nothing: what the one before said
// holds, over restarts too.
func TestListingDenied(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b, o := newOrganization(t, clock)
	listing := streamIn("fake.listing", account)
	o.set(func() { o.members = []string{account, memberAccount} })
	b.options.Estate = estateOf(b.options.Providers[0])
	b.options.Providers = nil
	for _, day := range []string{"01", "02", "03", "04"} {
		a := b.open()
		b.until(a, "2026-07-"+day+"T12:00:00Z")
		b.close(a)
		o.set(func() { o.denied[listing] = true })
	}
	for i, c := range of[evidence.Configuration](t, b.dir) {
		switch {
		case i == 0 && len(c.Discoveries) > 0, i > 0 && len(c.Discoveries) != 1:
			t.Errorf("configuration %d rests on %+v", i, c.Discoveries)
		case i > 1 && len(c.Discoveries[0].Appeared) > 0:
			t.Errorf("configuration %d says that %v appeared", i, c.Discoveries[0].Appeared)
		}
	}
	a := b.open()
	if len(a.inForce.Scopes) != 2 {
		t.Errorf("looked at are %v", a.inForce.Scopes)
	}
	b.close(a)
	b.verified()
}

func TestEstateThatFails(t *testing.T) {
	t.Parallel()
	b, _ := newOrganization(t, &leaping{now: at("2026-07-01T00:00:00Z")}, account)
	metrics := b.open() // for the metrics
	b.close(metrics)
	before := len(records(t, b.dir))
	b.options.Metrics = metrics.Metrics
	b.options.Estate = func(context.Context, Known) ([]Provider, []evidence.Discovery, error) {
		return nil, nil, errors.New("the listing is torn")
	}
	if a, err := Open(t.Context(), b.options); err == nil || !strings.Contains(err.Error(), "the listing is torn") {
		t.Errorf("opened %v, %v", a, err)
	}
	if n := len(records(t, b.dir)); n != before {
		t.Errorf("%d records were written", n-before)
	}
	b.options.Estate = nil
	a := b.open() // it let go of the directory
	b.close(a)
	b.verified()
}
