package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/schedule"
)

func TestEachSlotHasOneRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, NewSimulatedClock(at("2026-07-01T00:00:00Z")))
	b.options.Providers[0].Collectors = append(b.options.Providers[0].Collectors, b.estate.partsCollector())
	b.options.Providers[0].Accounts = []string{account, "444455556666"}
	b.options.ScheduleFor = func(collector string) string {
		if collector == "fake.parts" {
			return "0 */8 * * *"
		}
		return daily
	}
	a := b.open()
	b.until(a, "2026-07-03T09:00:00Z")
	b.close(a)

	runs := make(map[string]int)
	sequence := make(map[evidence.Stream]uint64)
	for _, r := range of[evidence.Run](t, b.dir) {
		if sequence[r.Stream]++; r.Sequence != sequence[r.Stream] {
			t.Errorf("%s has the number %d, want %d", r.ID(), r.Sequence, sequence[r.Stream])
		}
		if r.Trigger == evidence.TriggerSchedule {
			runs[r.ID()]++
			late := r.Started.Sub(r.Slot)
			jitter := schedule.Jitter(r.Stream.String(), map[string]time.Duration{"fake.things": 24 * time.Hour, "fake.parts": 8 * time.Hour}[r.Collector], 5*time.Minute)
			if late < jitter || late > jitter+10*time.Second {
				t.Errorf("%s began %s after its slot, want %s", r.ID(), late, jitter)
			}
		}
	}
	want := 0
	for _, account := range []string{account, "444455556666"} {
		for day := 1; day <= 3; day++ {
			for _, slot := range []string{"things@06:17", "parts@00:00", "parts@08:00", "parts@16:00"} {
				name, clock := slot[:len(slot)-6], slot[len(slot)-5:]
				if day == 1 && clock == "00:00" || day == 3 && clock == "16:00" {
					continue // the moment of the start, which is not after it; and after the end
				}
				want++
				id := fmt.Sprintf("fake.%s@fake/%s@2026-07-0%dT%s:00Z", name, account, day, clock)
				if runs[id] != 1 {
					t.Errorf("%s has %d runs", id, runs[id])
				}
			}
		}
	}
	if len(runs) != want {
		t.Errorf("%d slots ran, want %d", len(runs), want)
	}
	b.verified()
}

// The jitter must not depend on when the agent is started: a task that moves
// by minutes at a restart could miss its slot or do it twice.
func TestJitterIsStable(t *testing.T) {
	t.Parallel()
	var jitters []time.Duration
	for _, start := range []string{"2026-07-01T00:05:00Z", "2026-07-01T00:30:00Z"} {
		b := newBench(t, &leaping{now: at(start)})
		b.options.ScheduleFor = func(string) string { return "0,10 * * * *" } // ten minutes, then fifty
		jitters = append(jitters, b.open().streams[0].jitter)
	}
	if jitters[0] != jitters[1] || jitters[0] <= 0 || jitters[0] >= time.Minute {
		t.Errorf("jitters are %v, want one, of less than a tenth of ten minutes", jitters)
	}
}

func TestSpace(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, test := range []struct {
		expr              string
		shortest, longest time.Duration
	}{
		{"17 6 * * *", day, day},
		{"@every 90s", 90 * time.Second, 90 * time.Second},
		{"0,10 * * * *", 10 * time.Minute, 50 * time.Minute},
		{"0 9 * * 1-5", day, 3 * day},
		{"* * * * 1-5", time.Minute, 2*day + time.Minute},
		{"0 0 1 * *", 29 * day, 31 * day},
		{"0 0 29 2 *", 4*365*day + day, 4*365*day + day},
	} {
		s, err := schedule.Parse(test.expr, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if got := space(s); got.shortest != test.shortest || got.longest != test.longest {
			t.Errorf("%s: %s and %s apart, want %s and %s", test.expr, got.shortest, got.longest, test.shortest, test.longest)
		}
	}
}

// A clock that was set back must not make the agent do slots a second time.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b := newBench(t, clock)
	a := b.open()
	b.until(a, "2026-07-03T12:00:00Z")
	b.close(a)
	clock.now = at("2026-07-01T12:00:00Z")
	a = b.open()
	b.until(a, "2026-07-04T12:00:00Z")
	b.close(a)
	b.wantStory("fake.things", "1 run initial now complete", "2 run schedule 01T06:17:00 complete",
		"3 run schedule 02T06:17:00 complete", "4 run schedule 03T06:17:00 complete", "5 run schedule 04T06:17:00 complete")
}

// The process may be stopped and go on (a laptop that sleeps): the newest slot
// runs, those before it were missed.
func TestHeldUp(t *testing.T) {
	t.Parallel()
	clock := newByHand(at("2026-07-01T00:00:00Z"))
	b := newBench(t, clock)
	a := b.open()
	ended := make(chan error)
	go func() { ended <- a.RunUntil(t.Context(), at("2026-07-04T12:00:00Z")) }()
	clock.to(at("2026-07-04T12:00:00Z"))
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.close(a)
	b.wantStory("fake.things", "1 run initial now complete", "2 missed fault 3 01T06:17:00..03T06:17:00", "3 run schedule 04T06:17:00 complete")
	b.wantMetric(3, "slots_missed_total", "cause=fault")
	b.verified()
}

func TestOffSchedule(t *testing.T) {
	t.Parallel()
	for now, want := range map[string]string{
		"2026-07-01T00:00:00Z":           "2026-07-01T00:00:00.001Z",
		"2026-07-01T00:00:00.0009Z":      "2026-07-01T00:00:00.001Z",
		"2026-07-01T02:00:00.123456789Z": "2026-07-01T02:00:00.123Z",
	} {
		if got := offSchedule(at(now)); !got.Equal(at(want)) {
			t.Errorf("offSchedule(%s) = %s, want %s", now, got, want)
		}
	}
}
