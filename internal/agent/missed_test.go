package agent

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for daylight saving

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

func TestMissedWhileDown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		end     func(*bench, *Agent)
		from    func(*bench) time.Time // the last sign of life
		restart func(*bench)
		want    []string // after the first two records of fake.things
	}{
		{
			name: "stopped",
			end:  (*bench).close,
			from: func(*bench) time.Time { return at("2026-07-01T07:00:00Z") },
			want: []string{"3 missed agent_down 3 02T06:17:00..04T06:17:00", "4 run catch_up now complete", "5 run schedule 05T06:17:00 complete"},
		},
		{
			name: "killed",
			end:  func(b *bench, a *Agent) { kill(b.t, a) },
			from: func(b *bench) time.Time { // of the slot's assessment
				all := of[evidence.Assessment](b.t, b.dir)
				return all[1].At
			},
			want: []string{"3 missed agent_down 3 02T06:17:00..04T06:17:00", "4 run catch_up now complete", "5 run schedule 05T06:17:00 complete"},
		},
		{
			name: "the schedule was edited while down",
			end:  (*bench).close,
			from: func(*bench) time.Time { return at("2026-07-01T07:00:00Z") },
			restart: func(b *bench) {
				b.options.ScheduleFor = func(string) string { return "30 20 * * *" }
			},
			want: []string{"3 missed agent_down 3 02T06:17:00..04T06:17:00", "4 run catch_up now complete", "5 run schedule 04T20:30:00 complete"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := &leaping{now: at("2026-07-01T00:00:00Z")}
			b := newBench(t, clock)
			a := b.open()
			b.until(a, "2026-07-01T07:00:00Z")
			test.end(b, a)

			clock.now = at("2026-07-04T12:00:00Z")
			if test.restart != nil {
				test.restart(b)
			}
			a = b.open()
			b.wantMetric(3, "slots_missed_total", "cause=agent_down", "collector=fake.things")
			b.until(a, "2026-07-05T07:00:00Z")
			b.close(a)
			want := append([]string{"1 run initial now complete", "2 run schedule 01T06:17:00 complete"}, test.want...)
			b.wantStory("fake.things", want...)
			missed := of[evidence.Missed](t, b.dir)[0]
			if from := test.from(b); !missed.From.Equal(from) || !missed.To.Equal(at("2026-07-04T12:00:00Z")) {
				t.Errorf("missed from %s to %s, want %s to 2026-07-04T12:00:00Z", missed.From, missed.To, from)
			}
			b.verified()
		})
	}
}

func TestStreamThatLeft(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b := newBench(t, clock)
	b.options.Providers[0].Collectors = append(b.options.Providers[0].Collectors, b.estate.partsCollector())
	a := b.open()
	b.until(a, "2026-07-01T01:00:00Z")
	b.close(a)

	clock.now = at("2026-07-03T00:00:00Z")
	b.options.Providers[0].Collectors = b.options.Providers[0].Collectors[:1]
	a = b.open()
	b.wantMetric(-1, "slots_missed_total", "collector=fake.parts")
	b.wantMetric(-1, "run_last_completed_timestamp_seconds", "collector=fake.parts")
	b.until(a, "2026-07-03T07:00:00Z")
	b.close(a)
	b.wantStory("fake.parts", "1 run initial now complete", "2 missed agent_down 2 01T06:17:00..02T06:17:00")
	b.wantStory("fake.things", "1 run initial now complete", "2 missed agent_down 2 01T06:17:00..02T06:17:00",
		"3 run catch_up now complete", "4 run schedule 03T06:17:00 complete")
	b.verified()
}

// A collector that is switched off has no stream and no series any more; what
// was missed while it was on is recorded all the same. Switched on again, it
// goes on with its numbers.
func TestCollectorOff(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b := newBench(t, clock)
	b.options.Providers[0].Collectors = append(b.options.Providers[0].Collectors, b.estate.partsCollector())
	on := b.options.ScheduleFor
	b.options.RemediationDays = map[string]int{"low": 5}
	a := b.open()
	b.until(a, "2026-07-01T01:00:00Z")
	b.close(a)

	clock.now = at("2026-07-03T00:00:00Z")
	b.options.ScheduleFor = func(collector string) string {
		if collector == "fake.parts" {
			return ""
		}
		return daily
	}
	a = b.open()
	for _, name := range []string{"slots_missed_total", "run_last_completed_timestamp_seconds", "next_slot_timestamp_seconds"} {
		b.wantMetric(-1, name, "collector=fake.parts")
	}
	b.until(a, "2026-07-03T07:00:00Z")
	b.close(a)
	before := []string{"1 run initial now complete", "2 missed agent_down 2 01T06:17:00..02T06:17:00"}
	b.wantStory("fake.parts", before...)
	// What the check would join is no longer looked at: it can not decide.
	b.wantVerdict(a, "fake-thing-part one", evidence.Unknown, "fake.part")

	clock.now = at("2026-07-05T00:00:00Z")
	b.options.ScheduleFor = on
	a = b.open()
	b.until(a, "2026-07-05T07:00:00Z")
	b.close(a)
	b.wantStory("fake.parts", append(before, "3 run catch_up now complete", "4 run schedule 05T06:17:00 complete")...)
	b.verified()

	for i, c := range of[evidence.Configuration](t, b.dir) {
		if c.Sequence != uint64(i)+1 || c.RemediationDays["low"] != 5 {
			t.Errorf("configuration %d says sequence %d, remediation days %v", i, c.Sequence, c.RemediationDays)
		}
	}
	b.options.ScheduleFor = func(string) string { return "" }
	if s := b.options.Schedule(); len(s.Collectors) != 0 || len(s.Scopes) != 1 {
		t.Errorf("with every collector off the schedule is %+v", s)
	}
	b.options.ScheduleFor = on
	if s := b.options.Schedule(); len(s.Collectors) != 2 || !slices.Equal(s.Collectors[1].Kinds, []string{"fake.part"}) {
		t.Errorf("the schedule is %+v", s)
	}
}

func TestMissedAcrossDaylightSaving(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// On 29 March 2026 the clock skips from 02:00 to 03:00: the slot of 02:30
	// falls on 03:00, which is 01:00 UTC; the day after it is 00:30 UTC.
	clock := &leaping{now: at("2026-03-28T12:00:00Z")}
	b := newBench(t, clock)
	b.options.Zone, b.options.ScheduleFor = zone, func(string) string { return "30 2 * * *" }
	a := b.open()
	b.until(a, "2026-03-28T12:01:00Z")
	b.close(a)
	clock.now = at("2026-03-30T12:00:00Z")
	b.close(b.open())
	b.wantStory("fake.things", "1 run initial now complete", "2 missed agent_down 2 29T01:00:00..30T00:30:00")
	b.verified()
}

// A catch-up that was itself cut short is done at the next start.
func TestCatchUpAfterKill(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b := newBench(t, clock)
	a := b.open()
	b.until(a, "2026-07-01T01:00:00Z")
	b.close(a)
	clock.now = at("2026-07-02T00:00:00Z")
	kill(t, b.open()) // records what was missed, and is killed before the catch-up
	a = b.open()
	b.until(a, "2026-07-02T00:00:01Z")
	b.close(a)
	b.wantStory("fake.things", "1 run initial now complete", "2 missed agent_down 1 01T06:17:00..01T06:17:00", "3 run catch_up now complete")
	b.verified()
}

// While a task runs, later slots are recorded. When the agent is killed then,
// the slot of that task is not behind them to be forgotten.
func TestKilledWhileOverlapping(t *testing.T) {
	t.Parallel()
	clock := newByHand(at("2026-07-01T00:00:00Z"))
	b := newBench(t, clock)
	b.options.Settle, b.options.ScheduleFor = false, func(string) string { return "@every 10s" }
	release, looks := make(chan struct{}), 0 // looks is the collector's: a stream has one task at a time
	a := b.open()
	b.estate.replace(func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
		if looks++; looks == 2 {
			<-release
		}
		emit.Listed("fake.thing", "")
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	waitFor(t, "the first look", func() bool { return a.known(a.streams[0].Stream).Sequence == 1 && a.streams[0].idle() })
	clock.to(at("2026-07-01T00:00:10Z"))
	clock.to(at("2026-07-01T00:00:20Z"))
	clock.to(at("2026-07-01T00:00:30Z"))
	waitFor(t, "the overlapping slots", func() bool { return a.known(a.streams[0].Stream).Missed == 2 })
	kill(t, a)
	close(release)
	stop()
	t.Log("the agent whose process is dead says: ", <-ended)

	b.options.Clock = &leaping{now: at("2026-07-01T00:01:00Z")}
	b.close(b.open())
	got := b.story("fake.things")
	want := [][]string{{
		"1 run initial now complete",
		"2 missed overlap 1 01T00:00:20..01T00:00:20", "3 missed overlap 1 01T00:00:30..01T00:00:30",
		"4 missed interrupted 1 01T00:00:10..01T00:00:10", "5 missed agent_down 3 01T00:00:40..01T00:01:00",
	}, {
		"1 run initial now complete",
		"2 missed overlap 2 01T00:00:20..01T00:00:30",
		"3 missed interrupted 1 01T00:00:10..01T00:00:10", "4 missed agent_down 3 01T00:00:40..01T00:01:00",
	}}
	if !slices.Equal(got, want[0]) && !slices.Equal(got, want[1]) {
		t.Errorf("got\n\t%s", strings.Join(got, "\n\t"))
	}
	b.verified()
}

func (s *stream) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.running
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// second gives a time of a test day by its seconds.
func second(n int) time.Time { return at("2026-07-01T00:00:00Z").Add(time.Duration(n) * time.Second) }

func TestOwe(t *testing.T) {
	t.Parallel()
	every, err := schedule.Parse("@every 10s", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	slot := func(n int, cause evidence.Cause, detail string) evidence.Missed {
		return evidence.Missed{First: second(n), Last: second(n), Slots: 1, Cause: cause, From: second(n), To: second(n + 5), Detail: detail}
	}
	const fault, overlap = evidence.CauseFault, evidence.CauseOverlap
	row := func(from, to, slots int, cause evidence.Cause, detail string) evidence.Missed {
		return evidence.Missed{First: second(from), Last: second(to), Slots: slots, Cause: cause, From: second(from), To: second(to + 5), Detail: detail}
	}
	for _, test := range []struct {
		name string
		owe  []evidence.Missed
		want []evidence.Missed
	}{
		{"one", []evidence.Missed{slot(10, fault, "a")}, []evidence.Missed{row(10, 10, 1, fault, "a")}},
		{"neighbours", []evidence.Missed{slot(10, fault, "a"), slot(20, fault, "b")}, []evidence.Missed{row(10, 20, 2, fault, "b")}},
		{"the wrong way round", []evidence.Missed{slot(20, fault, "b"), slot(10, fault, "a")}, []evidence.Missed{row(10, 20, 2, fault, "b")}},
		{"one that joins two", []evidence.Missed{slot(10, fault, "a"), slot(30, fault, "c"), slot(20, fault, "b")}, []evidence.Missed{row(10, 30, 3, fault, "c")}},
		{"a slot between that has a record", []evidence.Missed{slot(10, fault, "a"), slot(30, fault, "c")}, []evidence.Missed{row(10, 10, 1, fault, "a"), row(30, 30, 1, fault, "c")}},
		{"two causes", []evidence.Missed{slot(20, overlap, ""), slot(10, fault, "a"), slot(30, overlap, "")}, []evidence.Missed{row(10, 10, 1, fault, "a"), row(20, 30, 2, overlap, "")}},
	} {
		s := &stream{schedule: every}
		for _, m := range test.owe {
			s.owe(m)
		}
		if !slices.Equal(s.owed, test.want) {
			t.Errorf("%s:\ngot  %v\nwant %v", test.name, s.owed, test.want)
		}
	}
}

func TestUncovered(t *testing.T) {
	t.Parallel()
	every, err := schedule.Parse("@every 10s", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	const down, cut = evidence.CauseAgentDown, evidence.CauseInterrupted
	type group struct {
		first, last, slots int
		cause              evidence.Cause
	}
	for _, test := range []struct {
		name              string
		known             StreamState
		since, alive, now int
		want              []group
	}{
		{"nothing due", StreamState{}, 0, 5, 9, nil},
		{"due at this very moment", StreamState{}, 0, 5, 10, []group{{10, 10, 1, down}}},
		{"not due at the moment of the configuration", StreamState{}, 10, 10, 20, []group{{20, 20, 1, down}}},
		{"after a run", StreamState{ran: second(20)}, 0, 25, 40, []group{{30, 40, 2, down}}},
		{"a run of the schedule before", StreamState{ran: second(20)}, 30, 30, 40, []group{{40, 40, 1, down}}},
		{"the agent was there", StreamState{ran: second(10)}, 0, 25, 40, []group{{20, 20, 1, cut}, {30, 40, 2, down}}},
		{
			"behind overlapping slots",
			StreamState{ran: second(10), later: []span{{second(30), second(40)}}},
			0, 45, 60,
			[]group{{20, 20, 1, cut}, {50, 60, 2, down}},
		},
		{
			"records out of order",
			StreamState{later: []span{{second(40), second(40)}, {second(20), second(30)}}},
			0, 45, 60,
			[]group{{10, 10, 1, cut}, {50, 60, 2, down}},
		},
		{"between two", StreamState{later: []span{{second(10), second(10)}, {second(30), second(30)}}}, 0, 5, 40, []group{{20, 20, 1, down}, {40, 40, 1, down}}},
		{"all of them", StreamState{later: []span{{second(10), second(60)}}}, 0, 5, 60, nil},
	} {
		var got []group
		for _, m := range uncovered(every, test.known, second(test.since), second(test.alive), second(test.now)) {
			got = append(got, group{int(m.First.Sub(second(0)) / time.Second), int(m.Last.Sub(second(0)) / time.Second), m.Slots, m.Cause})
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
