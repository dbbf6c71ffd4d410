package verify

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tallystick/tallystick/evidence"
)

var hourly = map[evidence.Stream]string{buckets: "@hourly"}

// both has the users looked at every six hours.
var both = map[evidence.Stream]string{buckets: "@hourly", users: "0 */6 * * *"}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// TestRules has sound histories, and others with one thing wrong. The problems
// wanted are all of those found, as "kind place".
func TestRules(t *testing.T) {
	manual := func(r *evidence.Run) { r.Trigger = evidence.TriggerManual; r.Slot = r.Slot.Add(7 * time.Millisecond) }
	for _, test := range []struct {
		name string
		make func(w *world)
		want []string
		tail string // "slots stream", by stream
	}{
		{name: "nothing", make: func(*world) {}},
		{name: "a day in good order", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, both)
			for h := 1; h <= 7; h++ {
				w.run(buckets, hour(h))
				if h == 6 {
					w.run(users, hour(h))
				}
			}
			w.stop(hour(7).Add(minutes(30)))
		}, tail: "3 aws.s3_buckets@aws/111122223333"},
		{name: "killed, then accounted for", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, both)
			w.run(buckets, hour(1))
			w.missed(buckets, hour(7).Add(minutes(1)), hour(2), hour(7), 6, evidence.CauseAgentDown)
			w.missed(users, hour(7).Add(minutes(1)), hour(6), hour(6), 1, evidence.CauseAgentDown)
			w.configure(hour(7).Add(minutes(1)-time.Second), evidence.EventStarted, both)
			w.run(buckets, hour(7).Add(minutes(2)).Add(time.Millisecond), func(r *evidence.Run) { r.Trigger = evidence.TriggerCatchUp })
			w.run(buckets, hour(8))
		}, tail: "2 aws.s3_buckets@aws/111122223333"},
		{name: "killed, then not accounted for", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, both)
			w.run(buckets, hour(1))
			w.configure(hour(7).Add(minutes(1)), evidence.EventStarted, both)
			w.run(buckets, hour(8))
		}, want: []string{"slot_missing record 0", "slot_missing record 1"}, tail: "2 aws.s3_buckets@aws/111122223333"},
		{name: "a slot left out", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.run(buckets, hour(3))
		}, want: []string{"slot_missing record 1"}, tail: "7 aws.s3_buckets@aws/111122223333"},
		{name: "a stream that falls silent while others go on", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "@hourly", users: "@hourly"})
			for h := 1; h <= 6; h++ {
				w.run(buckets, hour(h))
				if h == 1 {
					w.run(users, hour(h))
				}
			}
			// The last record is of 06:01. The slot of 04:00 and the one
			// after it are a full period older; that of 05:00 is not.
		}, want: []string{"slot_missing record 2"}, tail: "6 aws.iam_users@aws/111122223333, 4 aws.s3_buckets@aws/111122223333"},
		{name: "a person's own run shows nothing about the agent", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.configure(hour(9), evidence.EventManual, hourly)
			w.run(buckets, hour(9), manual)
			w.stop(hour(9).Add(minutes(5)))
		}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "a task longer than its period, still running", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			for h := 3; h <= 6; h++ {
				w.missed(buckets, hour(h).Add(time.Second), hour(h), hour(h), 1, evidence.CauseOverlap)
			}
		}, tail: "5 aws.s3_buckets@aws/111122223333"}, // 02:00, and 07:00 to 10:00
		{name: "a task longer than its period, ended", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.missed(buckets, hour(2).Add(time.Second), hour(2), hour(2), 1, evidence.CauseOverlap)
			w.run(buckets, hour(1), func(r *evidence.Run) { r.At = hour(2).Add(minutes(20)) })
			w.run(buckets, hour(3))
		}, tail: "7 aws.s3_buckets@aws/111122223333"},
		{name: "a task longer than its period that never ends", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.missed(buckets, hour(2).Add(time.Second), hour(2), hour(2), 1, evidence.CauseOverlap)
			w.run(buckets, hour(3))
		}, want: []string{"slot_missing record 0"}, tail: "7 aws.s3_buckets@aws/111122223333"},
		{name: "a stream taken out of the schedule", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, both)
			w.run(buckets, hour(1))
			w.configure(hour(1).Add(minutes(30)), evidence.EventReloaded, map[evidence.Stream]string{users: "0 */6 * * *"})
			w.run(users, hour(6))
		}},
		{name: "a configuration left out", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.numbered++
			w.configure(hour(1).Add(minutes(30)), evidence.EventReloaded, hourly)
			w.run(buckets, hour(2))
		}, want: []string{"sequence record 2"}, tail: "8 aws.s3_buckets@aws/111122223333"},
		{name: "exports and samples are no sign of life", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.record(evidence.TypeExport, evidence.Export{Header: header(hour(8))})
			w.record(evidence.TypeSample, evidence.Sample{Header: header(hour(9))})
		}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "an export put in later", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.record(evidence.TypeExport, evidence.Export{Header: header(t0.Add(-time.Hour))})
		}, want: []string{"time record 1"}, tail: "10 aws.s3_buckets@aws/111122223333"},
		{name: "a schedule that changes", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.configure(hour(2), evidence.EventReloaded, map[evidence.Stream]string{buckets: "*/30 * * * *"}) // 02:00 was due before it
			w.run(buckets, hour(2).Add(minutes(30)))
		}, want: []string{"slot_missing record 1"}, tail: "15 aws.s3_buckets@aws/111122223333"},
		{name: "a run of a slot that was not due", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1).Add(minutes(5)))
		}, want: []string{"slot_not_due record 1"}, tail: "10 aws.s3_buckets@aws/111122223333"},
		{name: "a run of a stream that has no schedule", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(users, hour(1))
		}, want: []string{"slot_not_due record 1"}, tail: "10 aws.s3_buckets@aws/111122223333"},
		{name: "a missed record with too many slots", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.missed(buckets, hour(4), hour(1), hour(3), 4, evidence.CauseAgentDown)
		}, want: []string{"slot_not_due record 1"}, tail: "7 aws.s3_buckets@aws/111122223333"},
		{name: "a missed record that ends before it begins", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.missed(buckets, hour(4), hour(3), hour(1), 2, evidence.CauseAgentDown)
		}, want: []string{"record record 1", "slot_missing record 0"}, tail: "8 aws.s3_buckets@aws/111122223333"},
		{name: "a slot both run and missed", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.run(buckets, hour(2))
			w.missed(buckets, hour(4), hour(1), hour(3), 3, evidence.CauseAgentDown)
		}, want: []string{"duplicate record 3", "slot_not_due record 3", "duplicate record 3"}, tail: "7 aws.s3_buckets@aws/111122223333"},
		{name: "a task sealed twice", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.run(buckets, hour(1))
		}, want: []string{"duplicate record 2", "duplicate record 2"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "a number left out", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.next(buckets)
			w.run(buckets, hour(2))
			w.run(buckets, hour(3))
		}, want: []string{"sequence record 2"}, tail: "7 aws.s3_buckets@aws/111122223333"},
		{name: "a stream that does not begin with 1", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.next(buckets)
			w.run(buckets, hour(1))
		}, want: []string{"sequence record 1"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "a clock that runs backwards", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.stop(hour(1).Add(-minutes(1)))
		}, want: []string{"time record 2"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "another clock is not compared", make: func(w *world) {
			w.configure(hour(5), evidence.EventStarted, nil)
			w.records[0].Predicate = bytes.Replace(w.records[0].Predicate, []byte("system"), []byte("simulated"), 1)
			w.stop(hour(1))
		}},
		{name: "a clock of no kind", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, nil)
			w.records[0].Predicate = bytes.Replace(w.records[0].Predicate, []byte("system"), []byte("sundial"), 1)
		}, want: []string{"record record 0"}},
		{name: "a configuration for another ledger", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, nil)
			w.records[0].Predicate = bytes.Replace(w.records[0].Predicate, []byte("verify.test"), []byte("other.test"), 1)
		}, want: []string{"configuration record 0"}},
		{name: "a run under another schedule", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1), func(r *evidence.Run) { r.ConfigurationDigest = w.catalogue })
		}, want: []string{"configuration record 1"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "observations counted wrong", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1), func(r *evidence.Run) { r.Observations[0].Count = 3 })
		}, want: []string{"counts record 1"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "gaps counted in two ways", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.run(buckets, hour(2), func(r *evidence.Run) { r.Gaps = nil })
		}, want: []string{"counts record 2"}, tail: "8 aws.s3_buckets@aws/111122223333"},
		{name: "observations counted without a payload", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.records[1].Subject = w.records[1].Subject[:1]
		}, want: []string{"counts record 1", "counts record 1"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "a payload that is not there", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, nil)
			w.records[0].Subject = append(w.records[0].Subject, evidence.SubjectOf("x", evidence.Digest(strings.Repeat("ab", 32))))
		}, want: []string{"payload_missing payload " + strings.Repeat("ab", 32)}},
		{name: "a subject that is no digest", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, nil)
			w.records[0].Subject = append(w.records[0].Subject, evidence.SubjectOf("x", "../../etc/passwd"))
		}, want: []string{"record record 0"}},
		{name: "a schedule that is none", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, map[evidence.Stream]string{buckets: "61 * * * *"})
			w.run(buckets, hour(1))
		}, want: []string{"schedule payload "}},
		{name: "an assessment", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			a := evidence.Assessment{
				Header: header(hour(1).Add(minutes(1))), Scope: buckets.Scope, Sequence: 1,
				Used:   []evidence.Used{{Stream: buckets.String(), Sequence: 1, Slot: hour(1), Record: 1}},
				Checks: []evidence.CheckCount{{Check: "a", Pass: 1, Unknown: 1}},
			}
			verdicts := w.judged(2)
			w.record(evidence.TypeAssessment, a, verdicts...)
			a.Used[0].Sequence, a.Sequence = 2, 2
			w.record(evidence.TypeAssessment, a, verdicts...)
			a.Used[0] = evidence.Used{Stream: buckets.String(), Sequence: 1, Slot: hour(1), Record: 9}
			a.Checks[0].Fail, a.Sequence = 1, 3
			w.record(evidence.TypeAssessment, a, verdicts...)
		}, want: []string{"record record 3", "counts record 4", "record record 4"}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "an assessment under another schedule, and under none", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, nil)
			subjects := w.judged(0)
			a := evidence.Assessment{Header: header(t0.Add(minutes(1))), Scope: buckets.Scope, Sequence: 1}
			w.record(evidence.TypeAssessment, a, subjects...)
			a.Sequence = 2
			w.record(evidence.TypeAssessment, a, subjects[:2]...)
			w.configure(t0.Add(minutes(2)), evidence.EventReloaded, hourly)
			a.Sequence, a.At = 3, t0.Add(minutes(3))
			w.record(evidence.TypeAssessment, a, subjects...)
			w.catalogue = w.put(`{"catalogue":2}`)
			a.Sequence = 4
			w.record(evidence.TypeAssessment, a, w.judged(0)...)
			w.configure(t0.Add(minutes(4)), evidence.EventManual, nil) // of tasks by hand, which are judged by it
			a.Sequence, a.At = 5, t0.Add(minutes(5))
			w.record(evidence.TypeAssessment, a, w.judged(0)...)
		}, want: []string{"configuration record 2", "configuration record 4", "configuration record 5"}, tail: "10 aws.s3_buckets@aws/111122223333"},
		{name: "a discovery that rests on a listing", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.configureAs(hour(1).Add(minutes(2)), evidence.EventDiscovered, evidence.Schedule{TimeZone: "UTC", Scopes: []evidence.Scope{buckets.Scope}}, hourly,
				func(c *evidence.Configuration) {
					c.Discoveries = []evidence.Discovery{{Scope: buckets.Scope, Record: 1}}
				})
		}, tail: "9 aws.s3_buckets@aws/111122223333"},
		{name: "a discovery that rests on nothing", make: func(w *world) {
			w.configureAs(t0, evidence.EventStarted, evidence.Schedule{TimeZone: "UTC"}, nil,
				func(c *evidence.Configuration) {
					c.Discoveries = []evidence.Discovery{{Scope: buckets.Scope, Record: 1}}
				})
			w.stop(t0.Add(minutes(1)))
			w.configureAs(t0.Add(minutes(2)), evidence.EventStarted, evidence.Schedule{TimeZone: "UTC"}, nil,
				func(c *evidence.Configuration) {
					c.Discoveries = []evidence.Discovery{{Scope: buckets.Scope, Record: 1}}
				})
		}, want: []string{"configuration record 0", "configuration record 2"}},
		{name: "a discovery that rests on the listing of another", make: func(w *world) {
			w.configure(t0, evidence.EventStarted, hourly)
			w.run(buckets, hour(1))
			w.configureAs(hour(1).Add(minutes(2)), evidence.EventDiscovered, evidence.Schedule{TimeZone: "UTC", Scopes: []evidence.Scope{buckets.Scope}}, hourly,
				func(c *evidence.Configuration) {
					c.Discoveries = []evidence.Discovery{{Scope: buckets.Scope, Record: 1}, {Scope: evidence.Scope{Provider: "gcp", Account: "example-solo"}, Record: 1}}
				})
		}, want: []string{"configuration record 2"}, tail: "9 aws.s3_buckets@aws/111122223333"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.make(w)
			r := w.judge(hour(10))
			var tails []string
			for _, open := range r.Tail {
				tails = append(tails, fmt.Sprint(open.Slots, " ", open.Stream))
			}
			if got := strings.Join(tails, ", "); got != test.tail {
				t.Errorf("open tail %q, want %q", got, test.tail)
			}
			ok := len(r.Problems) == len(test.want)
			for i := 0; ok && i < len(test.want); i++ {
				ok = strings.HasPrefix(r.Problems[i].Kind+" "+r.Problems[i].Place, test.want[i])
			}
			if !ok {
				t.Errorf("want %q, there are:\n%s", test.want, lines(r.Problems))
			}
		})
	}
}

// TestRestsOnOthers has assessments that were made from what was seen in other
// accounts. Only one that answers for the organisation may stand in for it.
func TestRestsOnOthers(t *testing.T) {
	t.Parallel()
	other := evidence.Stream{Collector: buckets.Collector, Scope: accounts[1]}
	for _, test := range []struct {
		name         string
		central      []evidence.Scope
		of           evidence.Stream
		organization bool
		want         string // in the detail; empty: nothing is wrong
	}{
		{"its own", nil, buckets, false, ""},
		{"another's", nil, other, false, "it judges aws/111122223333 by what was seen in aws/444455556666, record 2"},
		{"another's that answers for the organisation", accounts[1:], other, true, ""},
		{"the same, and it does not say so", accounts[1:], other, false, "it judges aws/111122223333 by what was seen in aws/444455556666"},
		{"an account that answers for nobody", nil, other, true, "answers for none"},
		{"another account answers", accounts[:1], other, true, "answers for none"},
		{"its own, that answers for the organisation", accounts[:1], buckets, true, ""},
		{"its own, that answers for nobody", accounts[1:], buckets, true, "answers for none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configureAs(t0, evidence.EventStarted, evidence.Schedule{TimeZone: "UTC", Scopes: accounts, Central: test.central}, hourly)
			w.run(buckets, hour(1))
			w.run(other, hour(1))
			used := evidence.Used{Stream: test.of.String(), Sequence: 1, Slot: hour(1), Record: 1, Organization: test.organization}
			if test.of == other {
				used.Record = 2
			}
			w.record(evidence.TypeAssessment, evidence.Assessment{
				Header: header(hour(1).Add(minutes(2))), Scope: buckets.Scope, Sequence: 1, Used: []evidence.Used{used},
			}, w.judged(0)...)
			r := w.judge(hour(1).Add(minutes(3)))
			switch {
			case test.want == "" && len(r.Problems) > 0:
				t.Errorf("there are:\n%s", lines(r.Problems))
			case test.want != "" && (len(r.Problems) != 1 || r.Problems[0].Kind != KindRecord || r.Problems[0].Place != "record 3" || !strings.Contains(r.Problems[0].Detail, test.want)):
				t.Errorf("want %q, there are:\n%s", test.want, lines(r.Problems))
			}
		})
	}
}

func TestSimulatedIsSaid(t *testing.T) {
	w := newWorld(t)
	w.configure(t0, evidence.EventStarted, nil)
	w.records[0].Predicate = bytes.Replace(w.records[0].Predicate, []byte("system"), []byte("simulated"), 1)
	if r := w.judge(hour(1)); !r.Simulated {
		t.Error("a simulated clock is not reported")
	}
}

// TestTooManySlots has a schedule of centuries.
func TestTooManySlots(t *testing.T) {
	w := newWorld(t)
	w.configure(t0, evidence.EventStarted, hourly)
	w.run(buckets, hour(1))
	s := &stream{Stream: buckets}
	budget := 5
	c := newCheck(w.dir, Options{})
	walk := slotWalk{check: c, stream: s, budget: &budget}
	segs := []segment{{Schedule: mustSchedule(t, "@hourly"), after: hour(0), until: hour(9)}}
	if err := walk.all(t.Context(), segs); err != errTooManySlots { //nolint:errorlint // it is that very value
		t.Errorf("nine slots with room for five: %v", err)
	}
}

// TestBomb replaces a payload by a few kilobytes that stand for 64 megabytes:
// the schedule, which is read whole, and another, which is only hashed.
func TestBomb(t *testing.T) {
	var bomb bytes.Buffer
	enc, err := zstd.NewWriter(&bomb, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := enc.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.configure(t0, evidence.EventStarted, hourly)
	for _, s := range w.records[0].Subject {
		d := s.Digest["sha256"]
		if err := os.WriteFile(filepath.Join(w.dir, "payloads", d[:2], d+".zst"), bomb.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := w.judge(hour(2))
	for _, s := range w.records[0].Subject {
		want(t, r, KindPayloadCorrupt, "payload "+s.Digest["sha256"])
	}
	want(t, r, KindSchedule, "payload "+string(w.schedule))
}
