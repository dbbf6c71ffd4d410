package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
)

// memory gives a directory that is not on a disk, where there is one: an estate
// and its bundles are flushed some thousand times.
func memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tallystick-") //nolint:usetesting // it has no directory in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func day(d, h int) time.Time { return time.Date(2026, time.July, d, h, 0, 0, 0, time.UTC) }

const (
	strict = `{"controls":[{"id":"storage","checks":[{"id":"s3","kinds":["aws.s3.bucket"]}]},{"id":"users","checks":[{"id":"iam","kinds":["aws.iam.user"],"parameters":{"days":90}}]}]}`
	loose  = `{"controls":[{"id":"storage","checks":[{"id":"s3","kinds":["aws.s3.bucket"]}]},{"id":"users","checks":[{"id":"iam","kinds":["aws.iam.user"],"parameters":{"days":900}}]}]}`
)

// estate is twelve days of two collectors in two accounts, in a real ledger:
// buckets at 0 and 12 o'clock, users at 6. On the 6th the threshold is lowered
// for a day, on the 8th the agent is down for some hours.
type estate struct {
	*world
	newest   map[evidence.Stream]evidence.Used
	assessed map[evidence.Scope]uint64 // number of the newest assessment
	kept     map[int][]byte            // checkpoints by the day at whose end they were published
	skip     func(key evidence.Stream, slot time.Time) bool
	body     func(key evidence.Stream, slot time.Time) string
}

var accounts = []evidence.Scope{{Provider: "aws", Account: "111122223333"}, {Provider: "aws", Account: "444455556666"}}

func newEstate(t testing.TB, edits ...func(*estate)) *estate {
	t.Helper()
	e := &estate{
		world: newWorldIn(t, memory(t)), newest: map[evidence.Stream]evidence.Used{}, assessed: map[evidence.Scope]uint64{}, kept: map[int][]byte{},
		skip: func(evidence.Stream, time.Time) bool { return false },
		body: func(key evidence.Stream, slot time.Time) string { return key.String() + stamp(slot) },
	}
	for _, edit := range edits {
		edit(e)
	}
	var written uint64
	e.force(day(1, 0).Add(-30*time.Minute), evidence.EventStarted, strict)
	for d := 1; d <= 12; d++ {
		for _, h := range []int{0, 6, 12} {
			at := day(d, h)
			switch {
			case d == 6 && h == 12:
				e.force(at.Add(-10*time.Minute), evidence.EventReloaded, loose)
			case d == 7 && h == 12:
				e.force(at.Add(-10*time.Minute), evidence.EventReloaded, strict)
			case d == 8 && h == 6:
				e.down(day(8, 14))
				continue
			case d == 8 && h == 12:
				continue
			}
			e.slot(at, written)
		}
		if d == 3 || d == 7 || d == 12 {
			written += uint64(len(e.records))
			e.seal()
			e.kept[d] = readIn(t, e.dir, "ledger/checkpoint")
		}
	}
	return e
}

// force puts the schedule in force, with a catalogue.
func (e *estate) force(at time.Time, event, catalogue string) {
	e.t.Helper()
	e.catalogue = e.put(catalogue)
	raw, err := json.Marshal(evidence.Schedule{TimeZone: "UTC", Scopes: accounts, Collectors: []evidence.CollectorSchedule{
		{Provider: "aws", Collector: buckets.Collector, Schedule: "0 0,12 * * *", Kinds: []string{"aws.s3.bucket"}},
		{Provider: "aws", Collector: users.Collector, Schedule: "0 6 * * *", Kinds: []string{"aws.iam.user"}},
	}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.schedule = e.put(string(raw))
	e.numbered++
	e.record(evidence.TypeConfiguration, evidence.Configuration{
		Header: header(at), Sequence: e.numbered, Event: event, Ledger: "verify.test", Organization: "Example, Inc.",
	}, evidence.SubjectOf(evidence.PayloadConfiguration, e.put("organization: Example, Inc.\n")),
		evidence.SubjectOf(evidence.PayloadSchedule, e.schedule), evidence.SubjectOf(evidence.PayloadCatalogue, e.catalogue))
}

// slot runs what is due at a time, and judges it.
func (e *estate) slot(at time.Time, written uint64) {
	e.t.Helper()
	for _, scope := range accounts {
		key := evidence.Stream{Collector: buckets.Collector, Scope: scope}
		if at.Hour() == 6 {
			key.Collector = users.Collector
		}
		if e.skip(key, at) {
			continue
		}
		body := e.body(key, at)
		r := evidence.Run{
			Header: header(at.Add(time.Minute)), Task: evidence.Task{Stream: key, Slot: at}, Sequence: e.next(key),
			Trigger: evidence.TriggerSchedule, Started: at, Finished: at.Add(30 * time.Second), Outcome: evidence.Complete,
			Observations:        []evidence.KindCount{{Kind: "aws.s3.bucket", Count: 1}},
			ConfigurationDigest: e.schedule, CatalogueDigest: e.catalogue,
		}
		e.newest[key] = evidence.Used{Stream: key.String(), Sequence: r.Sequence, Slot: at, Record: written + uint64(len(e.records))}
		e.record(evidence.TypeRun, r,
			evidence.SubjectOf("exchanges-0001.har", e.put(`{"log":"`+key.String()+`"}`)),
			evidence.SubjectOf(evidence.PayloadObservations, e.put(`{"id":"`+body+`"}`+"\n")))
	}
	for _, scope := range accounts {
		e.assessed[scope]++
		a := evidence.Assessment{Header: header(at.Add(2 * time.Minute)), Scope: scope, Sequence: e.assessed[scope], Evaluated: at.Add(2 * time.Minute)}
		for _, collector := range []string{users.Collector, buckets.Collector} {
			if u, ok := e.newest[evidence.Stream{Collector: collector, Scope: scope}]; ok {
				a.Used = append(a.Used, u)
			}
		}
		a.Checks = []evidence.CheckCount{{Check: "iam", Pass: 1}, {Check: "s3", Fail: 1}}
		e.record(evidence.TypeAssessment, a, evidence.SubjectOf(evidence.PayloadVerdicts, e.put(fmt.Sprintf("{%q:1}\n{}\n", scope.String()))),
			evidence.SubjectOf(evidence.PayloadCatalogue, e.catalogue), evidence.SubjectOf(evidence.PayloadSchedule, e.schedule))
	}
}

// down has the agent killed after the first slots of the day, and started again.
func (e *estate) down(until time.Time) {
	e.t.Helper()
	for _, scope := range accounts {
		for _, m := range []struct {
			collector string
			slot      time.Time
		}{{buckets.Collector, day(until.Day(), 12)}, {users.Collector, day(until.Day(), 6)}} {
			key := evidence.Stream{Collector: m.collector, Scope: scope}
			if !e.skip(key, m.slot) {
				e.missed(key, until, m.slot, m.slot, 1, evidence.CauseAgentDown)
			}
		}
	}
	e.force(until, evidence.EventStarted, strict)
}

// export makes a bundle as the command does. What its hooks change is signed.
type export struct {
	kind     string
	from, to time.Time
	controls []string
	out      string
	choose   func(chosen []uint64, entries []evidence.Entry) []uint64
	files    func(map[string][]byte)
	record   func(*evidence.Export)
}

func week() export {
	return export{kind: evidence.ExportPeriod, from: day(4, 0), to: day(11, 0)}
}

func (e *estate) export(x export) string {
	e.t.Helper()
	var sealed [][]byte
	var entries []evidence.Entry
	w := period.Window{From: x.from, To: x.to, Zone: time.UTC, AsOf: x.kind != evidence.ExportPeriod, Controls: x.controls}
	chooser := period.NewChooser(w)
	reader, err := ledger.OpenReader(e.dir)
	must(e.t, err)
	for raw, err := range reader.Entries(0) {
		must(e.t, err)
		st, err := seal.Peek(raw.Data)
		must(e.t, err)
		p, err := evidence.Decode(st)
		must(e.t, err)
		entry := evidence.Entry{Index: raw.Index, Statement: st, Predicate: p}
		sealed, entries = append(sealed, raw.Data), append(entries, entry)
		chooser.Take(entry)
	}
	chosen := chooser.Indexes()
	if x.choose != nil {
		chosen = x.choose(chosen, entries)
	}
	verifier, err := seal.NewVerifier(e.signer.VerifierKey())
	must(e.t, err)
	meta := bundle.Meta{
		Version: bundle.Version, Kind: x.kind, From: x.from, To: x.to, TimeZone: "UTC", Controls: x.controls, Ledger: "verify.test", Organization: "Example, Inc.",
	}
	files := map[string][]byte{
		"README.txt": []byte("Read VERIFY.md.\n"), "index.html": []byte("<!doctype html>"), bundle.KeyFile: []byte(e.signer.VerifierKey() + "\n"),
	}
	files[bundle.MetaFile], err = meta.Encode()
	must(e.t, err)
	files[bundle.PEMFile], err = bundle.PEM(verifier)
	must(e.t, err)
	e.tables(files, w, chosen, entries)
	var ranges []bundle.Range
	for _, index := range chosen {
		ranges = bundle.AppendIndex(ranges, index)
		files[bundle.RecordsFile] = append(append(files[bundle.RecordsFile], sealed[index]...), '\n')
		e.payloads(files, entries[index], x.controls)
	}
	leaf := func(i uint64) []byte { return rfc6962.DefaultHasher.HashLeaf(sealed[i]) }
	proof, err := bundle.Prove(chosen[len(chosen)-1]+1, leaf, ranges)
	must(e.t, err)
	files[bundle.ProofFile], err = bundle.EncodeProof(proof)
	must(e.t, err)
	if x.files != nil {
		x.files(files)
	}
	return e.write(x, files, evidence.Export{
		Kind: x.kind, From: x.from, To: x.to, TimeZone: "UTC", Controls: x.controls,
		Records: uint64(len(chosen)), TreeSize: proof.Size, TreeRoot: proof.Root,
	}, sealed)
}

// tables adds what the chosen records make, as far as they make any.
func (e *estate) tables(files map[string][]byte, w period.Window, chosen []uint64, entries []evidence.Entry) {
	e.t.Helper()
	changes, err := period.NewChangeFile()
	must(e.t, err)
	defer changes.Close()
	fold := period.New(period.Options{Window: w, Payloads: e.store, Changed: changes.Add})
	for _, index := range chosen {
		if fold.Take(entries[index]) != nil {
			return // what was left out is missing
		}
	}
	report, err := fold.Report(w.To)
	must(e.t, err)
	for _, table := range period.Tables(report, period.Sources{Payloads: e.store, Changes: changes.All}) {
		var data bytes.Buffer
		must(e.t, table.WriteCSV(&data))
		files[bundle.TablesDir+"/"+table.Name+".csv"] = data.Bytes()
	}
}

// payloads adds those that a record names and its bundle holds.
func (e *estate) payloads(files map[string][]byte, entry evidence.Entry, controls []string) {
	e.t.Helper()
	if run, ok := entry.Predicate.(*evidence.Run); ok && slices.Equal(controls, []string{"storage"}) && run.Collector == users.Collector {
		return
	}
	for _, subject := range entry.Statement.Subject {
		name, err := payload.Name(evidence.Digest(subject.Digest["sha256"]))
		must(e.t, err)
		if _, ok := entry.Predicate.(*evidence.Export); !ok {
			files[evidence.PayloadDir+"/"+name] = readIn(e.t, e.dir, evidence.PayloadDir, name)
		}
	}
}

// write writes the bundle, and its statement into the ledger.
func (e *estate) write(x export, files map[string][]byte, record evidence.Export, sealed [][]byte) string {
	e.t.Helper()
	if x.out == "" {
		x.out = filepath.Join(memory(e.t), "bundle")
	}
	w, err := bundle.Create(x.out, bundle.CreateOptions{})
	must(e.t, err)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := w.Create(name)
		must(e.t, err)
		_, err = f.Write(files[name])
		must(e.t, err)
		must(e.t, f.Close())
	}
	manifest, totals, err := w.Manifest()
	must(e.t, err)
	record.Header, record.Files, record.Bytes = header(x.to.Add(30*time.Hour)), totals.Files, totals.Bytes
	if x.record != nil {
		x.record(&record)
	}
	e.record(evidence.TypeExport, record, evidence.SubjectOf(evidence.PayloadManifest, e.put(string(manifest))))
	statement, err := e.signer.Seal(e.records[0])
	must(e.t, err)
	e.records = nil
	l, err := ledger.Open(e.t.Context(), e.dir, e.signer, ledger.Options{})
	must(e.t, err)
	index, err := l.Append(e.t.Context(), statement)
	must(e.t, err)
	checkpoint := l.Checkpoint()
	must(e.t, l.Close(context.Background()))
	sealed = append(sealed, statement)
	p, err := bundle.ProveStatement(index+1, func(i uint64) []byte { return rfc6962.DefaultHasher.HashLeaf(sealed[i]) }, index, record.TreeSize)
	must(e.t, err)
	proof, err := bundle.EncodeStatementProof(p)
	must(e.t, err)
	verifier, err := seal.NewVerifier(e.signer.VerifierKey())
	must(e.t, err)
	sigstore, err := bundle.Sigstore(statement, verifier)
	must(e.t, err)
	must(e.t, w.Statement(bundle.StatementFile, statement))
	must(e.t, w.Statement(bundle.SigstoreFile, sigstore))
	must(e.t, w.Statement(bundle.CheckpointFile, checkpoint))
	must(e.t, w.Statement(bundle.StatementProofFile, proof))
	must(e.t, w.Commit())
	return x.out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func verifyBundle(t testing.TB, path string, opts Options) Report {
	t.Helper()
	r, err := Bundle(t.Context(), path, opts)
	must(t, err)
	return r
}
