package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
)

// BenchmarkManyResources sends 100,000 resources of one kilobyte through a
// task and its assessment, and reports the largest heap meanwhile: it must not
// grow with the estate beyond the buffers and 8 bytes or so a resource.
func BenchmarkManyResources(b *testing.B) {
	const resources = 100_000
	bench := newBench(b, &leaping{now: second(0)})
	bench.options.Event = evidence.EventManual
	filler := strings.Repeat("abcdefgh", 120)
	bench.estate.replace(func(_ context.Context, _ collectors.Input, emit collectors.Emit) error {
		for i := range resources {
			id := fmt.Sprintf("thing-%06d", i*7919%resources)
			err := emit.Observe(evidence.Observation{
				Kind: "fake.thing", ID: id, Sources: []string{},
				Body: json.RawMessage(fmt.Sprintf(`{"Name":%q,"Good":true,"Filler":%q}`, id, filler)),
			})
			if err != nil {
				return err
			}
		}
		emit.Listed("fake.thing", "")
		return nil
	})
	a := bench.open()
	stop, peak := watchHeap()
	for b.Loop() {
		a.Clock.(*leaping).now = a.Clock.Now().Add(time.Second)
		if r := bench.once(a); r.Err != nil || r.Run.Outcome != evidence.Complete {
			b.Fatalf("%+v", r)
		}
	}
	close(stop)
	b.ReportMetric(float64(<-peak)/1e6, "peak-heap-MB")
}

// watchHeap gives the largest heap in use between now and the end of stop.
func watchHeap() (stop chan struct{}, peak chan uint64) {
	stop, peak = make(chan struct{}), make(chan uint64, 1)
	var most uint64
	var m runtime.MemStats
	go func() {
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return stop, peak
}

// BenchmarkStart rebuilds the state from a year of 50 tasks a day, each a run
// and an assessment.
func BenchmarkStart(b *testing.B) {
	const tasks = 365 * 50
	bench := newBench(b, &leaping{now: second(0)})
	var entries []ledger.Entry
	var once sync.Once
	seal := func(predicateType string, predicate any, subjects ...evidence.Subject) {
		raw, err := json.Marshal(predicate)
		if err != nil {
			b.Fatal(err)
		}
		data, err := bench.signer.Seal(evidence.Statement{Type: evidence.StatementType, Subject: subjects, PredicateType: predicateType, Predicate: raw})
		if err != nil {
			b.Fatal(err)
		}
		entries = append(entries, ledger.Entry{Index: uint64(len(entries)), Data: data})
		once.Do(func() { b.Logf("a record has %d bytes", len(data)) })
	}
	digest := evidence.Digest(strings.Repeat("ab", 32))
	header := evidence.Header{Clock: evidence.ClockSystem, Agent: evidence.Agent{Version: "test", Binary: digest}}
	for i := range tasks {
		stream := evidence.Stream{Collector: fmt.Sprintf("fake.collector_%d", i%25), Scope: evidence.Scope{Provider: "fake", Account: fmt.Sprint(i % 2)}}
		header.At = second(i)
		run := &evidence.Run{Header: header, Task: evidence.Task{Stream: stream, Slot: second(i)}, Sequence: uint64(i/50 + 1), Trigger: evidence.TriggerSchedule, Outcome: evidence.Complete}
		assessment := &evidence.Assessment{Header: header, Scope: stream.Scope}
		for n := range 10 {
			run.Observations = append(run.Observations, evidence.KindCount{Kind: "fake.thing", Region: fmt.Sprint("region-", n), Count: n})
			run.Calls = append(run.Calls, evidence.CallCount{Operation: fmt.Sprint("fake:Call", n), Calls: n, Attempts: n})
			assessment.Checks = append(assessment.Checks, evidence.CheckCount{Check: fmt.Sprintf("fake-check-%d-%d", i%25, n)})
		}
		seal(evidence.TypeRun, run, evidence.SubjectOf(evidence.PayloadObservations, digest))
		seal(evidence.TypeAssessment, assessment, evidence.SubjectOf(evidence.PayloadVerdicts, digest))
	}
	each := func(yield func(ledger.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
	b.ResetTimer()
	for b.Loop() {
		s, _, err := readState(b.Context(), each, nil)
		if err != nil || s.Records != 2*tasks {
			b.Fatal(s.Records, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(entries)), "ns/record")
}
