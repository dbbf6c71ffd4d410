package period

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Of the estate of the benchmarks: 50 tasks a day over 500 resources each, of
// which one changes a day.
const (
	benchAccounts = 10
	benchEach     = 500
)

func benchKinds() []string { return []string{"t.user", "t.bucket", "t.group", "t.trail", "t.report"} }

// benchDay gives the records of one day, without those of the days before.
type benchDay struct {
	w      *world
	day    int
	newest map[evidence.Stream]evidence.Used
}

// records makes the records of the next day. With fresh, no two payloads of a
// stream are the same: the exchanges that resources came from are numbered in
// another order each day.
func (b *benchDay) records(take func(evidence.Entry)) {
	w := b.w
	b.day++
	for a := range benchAccounts {
		account := fmt.Sprintf("%012d", a)
		for _, kind := range benchKinds() {
			w.entries = w.entries[:0]
			key := stream(kind+"s", account)
			slot := at("2026-01-01 06:00").AddDate(0, 0, b.day)
			w.sequence[key.String()]++
			r := &evidence.Run{
				Task: evidence.Task{Stream: key, Slot: slot}, Sequence: w.sequence[key.String()], Trigger: evidence.TriggerSchedule, Started: slot, Finished: slot.Add(time.Minute),
				Header: w.header(slot.Add(time.Minute)), Outcome: evidence.Complete, Observations: []evidence.KindCount{{Kind: kind, Count: benchEach}}, Calls: []evidence.CallCount{},
			}
			var observations, verdicts strings.Builder
			count := evidence.CheckCount{Check: "c-" + kind[2:]}
			for i := range benchEach {
				good := i != b.day%benchEach
				body := fmt.Sprintf(`{"Name":"n%04d","Good":%t,"Encryption":{"Rules":[{"Apply":{"Algorithm":"aws:kms","Key":"arn:aws:kms:eu-west-1:111111111111:key/%032d"}}]},"Tags":[{"Key":"team","Value":"t%d"}]}`, i, good, i, i%7)
				line, _ := json.Marshal(evidence.Observation{Kind: kind, ID: fmt.Sprintf("arn:aws:x:::%04d", i), Body: json.RawMessage(body), Sources: []string{fmt.Sprintf("1-%d", (i*7+b.day)%benchEach)}})
				observations.Write(append(line, '\n'))
				v := evidence.Verdict{Check: count.Check, Control: "k", Provider: "t", Account: account, Kind: kind, Resource: fmt.Sprintf("arn:aws:x:::%04d", i), Status: evidence.Pass, Basis: evidence.CustomerConfig, Reason: "it is encrypted with a key of the account's own"}
				if !good {
					v.Status, v.Reason = evidence.Fail, "it is not encrypted"
				}
				count.Add(v.Status)
				line, _ = json.Marshal(v)
				verdicts.Write(append(line, '\n'))
			}
			next := b.index()
			w.record(evidence.TypeRun, r, evidence.SubjectOf(evidence.PayloadObservations, b.put(observations.String())))
			w.entries[0].Index = next
			b.newest[key] = evidence.Used{Stream: key.String(), Sequence: r.Sequence, Slot: slot, Record: next}
			w.record(evidence.TypeAssessment, evidence.Assessment{Header: r.Header, Scope: key.Scope, Evaluated: r.Finished, Used: []evidence.Used{b.newest[key]}, Checks: []evidence.CheckCount{count}},
				evidence.SubjectOf(evidence.PayloadVerdicts, b.put(verdicts.String())), evidence.SubjectOf(evidence.PayloadCatalogue, w.catalogueDigest))
			w.entries[1].Index = b.index()
			take(w.entries[0])
			take(w.entries[1])
		}
	}
}

func (b *benchDay) index() uint64 {
	b.w.configs++
	return b.w.configs
}

func (b *benchDay) put(text string) evidence.Digest {
	d, err := b.w.store.Put([]byte(text))
	if err != nil {
		b.w.t.Fatal(err)
	}
	return d
}

// BenchmarkFold reports on days of 50 tasks each: a year is 366 of them. The
// heap is what the fold holds in the end.
func BenchmarkFold(b *testing.B) {
	for _, changed := range []bool{false, true} {
		b.Run(fmt.Sprintf("changes=%t", changed), func(b *testing.B) {
			w := newWorld(b)
			var checks []string
			w.exprs = map[string]string{}
			for _, kind := range benchKinds() {
				checks = append(checks, checkJSON("c-"+kind[2:], kind, "", 1))
				w.exprs[kind+"s"] = "0 6 * * *"
			}
			w.accounts = nil
			for a := range benchAccounts {
				w.accounts = append(w.accounts, fmt.Sprintf("%012d", a))
			}
			w.catalogue = catalogueJSON(controlJSON("k", "high", checks...))
			w.configure(at("2026-01-01"), evidence.EventStarted)
			options := Options{Window: window("2026-01-01", "2030-01-01"), Payloads: w.store}
			changes := 0
			if changed {
				options.Changed = func(Change) error { changes++; return nil }
			}
			f := New(options)
			take := func(e evidence.Entry) {
				if err := f.Take(e); err != nil {
					b.Fatal(err)
				}
			}
			take(w.entries[0])
			var before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			day := &benchDay{w: w, newest: map[evidence.Stream]evidence.Used{}}
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				var all []evidence.Entry
				day.records(func(e evidence.Entry) { all = append(all, e) })
				b.StartTimer()
				for _, e := range all {
					take(e)
				}
			}
			b.StopTimer()
			runtime.GC()
			var after runtime.MemStats
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))/(1<<20), "MB")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*366/1e9, "s/year")
			if r, err := f.Report(w.entries[0].Predicate.(*evidence.Run).At); err != nil || changed != (changes > 0) || len(r.Deviations) == 0 {
				b.Errorf("%v, %d changes", err, changes)
			}
		})
	}
}
