package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// BenchmarkYear measures the auditor's half over many days of 50 tasks a day,
// each of about 2 MB of exchanges: what a data directory takes on disk, and
// what status, export, verify and replay take, each once, with the program as
// it is built for a release. It obeys two variables:
//
//	TALLYSTICK_YEAR_DAYS  how many days; 3 unless set. A year takes 20 GB of disk
//	                      and half an hour.
//	TALLYSTICK_YEAR_DIR   a folder to make it all in and to leave it; if it holds
//	                      the days already, they are used again
//
// Everything is measured in one run. The metrics of each step are cpu-s, of
// user and system, and peak-MB, resident; ns/op is wall time. The steps cp, tar
// and sha256sum are what to compare with. Only the last two days are replayed.
func BenchmarkYear(b *testing.B) {
	days, err := strconv.Atoi(cmp.Or(os.Getenv("TALLYSTICK_YEAR_DAYS"), "3"))
	check(b, err)
	folder := os.Getenv("TALLYSTICK_YEAR_DIR")
	if folder == "" {
		folder = b.TempDir()
	}
	y := &yearBench{folder: folder, dir: filepath.Join(folder, "evidence")}
	if !exists(y.dir) {
		makeYear(b, folder, days)
	}
	key, err := seal.LoadKey(filepath.Join(folder, "tallystick.key"))
	check(b, err)
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", folder+"/", ".", "../tallystick-verify")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	y.sizes(b)
	const all = `find "$0" -name "*.zst" -print0 | xargs -0 zstd -dcq | sha256sum`
	y.step(b, "status", "", "./tallystick", "status")
	y.step(b, "export directory", "bundle", "./tallystick", "export", "--out", "bundle")
	y.deviations(b, days)
	y.step(b, "verify directory", "", "./tallystick-verify", "--key", key.VerifierKey(), "bundle")
	y.step(b, "export archive", "bundle.tar.zst", "./tallystick", "export", "--out", "bundle.tar.zst")
	y.step(b, "verify archive", "", "./tallystick-verify", "--key", key.VerifierKey(), "bundle.tar.zst")
	y.step(b, "cp payloads", "copy", "sh", "-c", `cp -r evidence/payloads copy && sync -f copy`)
	y.step(b, "tar bundle", "copy.tar.zst", "sh", "-c", `tar -cf - bundle | zstd -q -1 -o copy.tar.zst && sync -f copy.tar.zst`)
	y.step(b, "export last days", "last", "./tallystick", "export", "--out", "last", "--from", yearSlot(days-replayedDays+1).Format(time.DateOnly))
	y.step(b, "replay last days", "", "./tallystick", "replay", "last")
	y.step(b, "sha256sum payloads", "", "sh", "-c", all, "evidence/payloads")
	y.step(b, "verify data directory", "", "./tallystick", "verify", "--key", key.VerifierKey(), "evidence")
}

// replayedDays is how many days are replayed. It is the SDK's own work again
// for each call, in proportion to them.
const replayedDays = 2

// yearBench is a folder with a configuration, a key, a data directory and the
// programs.
type yearBench struct{ folder, dir string }

// step runs a program, after removing what it is to make, if anything.
func (y *yearBench) step(b *testing.B, name, made string, command ...string) {
	b.Helper()
	b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
		var cpu time.Duration
		var peak int64
		for b.Loop() {
			b.StopTimer()
			if made != "" {
				check(b, os.RemoveAll(filepath.Join(y.folder, made)))
			}
			cmd := exec.CommandContext(b.Context(), command[0], command[1:]...)
			cmd.Dir = y.folder
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			b.StartTimer()
			check(b, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			peak = max(peak, watchPeak(cmd.Process.Pid, ended))
			if err := <-ended; err != nil {
				b.Errorf("%v: %v\n%.4000s", cmd.Args, err, out.String())
			}
			cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s")
		b.ReportMetric(float64(peak)/1024, "peak-MB")
	})
}

// deviations demands that the bundle tells of those that were planted: what
// is measured is work that was done.
func (y *yearBench) deviations(b *testing.B, days int) {
	b.Helper()
	table, err := os.ReadFile(filepath.Join(y.folder, "bundle/tables/deviations.csv"))
	if os.IsNotExist(err) { // another step was asked for alone
		return
	}
	check(b, err)
	planted := 0
	for i := range yearAccounts {
		for day := 1; day <= days; day++ {
			planted += yearFailing(i, day) &^ yearFailing(i, max(1, day-1))
		}
		planted += yearFailing(i, 1)
	}
	if told := bytes.Count(table, []byte("\n")) - 1; told != planted {
		b.Errorf("the bundle tells of %d deviations, %d were planted", told, planted)
	}
}

// watchPeak follows the largest resident memory of a process, in KiB, until it
// has ended, whose outcome it leaves in ended. What the system says afterwards
// counts the memory of the process that started it too: getrusage(2).
func watchPeak(pid int, ended chan error) (peak int64) {
	for {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
				var now int64
				if _, err := fmt.Sscan(rest, &now); err == nil {
					peak = max(peak, now)
				}
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return peak
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// sizes reports what the data directory takes, against the bytes of its
// exchanges before compression, as HAR, and of its observations and verdicts.
func (y *yearBench) sizes(b *testing.B) {
	b.Helper()
	b.Run("sizes", func(b *testing.B) {
		var exchanges, raw, disk, files int64
		check(b, filepath.WalkDir(y.dir, func(_ string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			if err == nil {
				disk += info.Size()
				files++
			}
			return err
		}))
		read, err := os.ReadFile(filepath.Join(y.folder, "raw"))
		check(b, err)
		_, err = fmt.Sscan(string(read), &exchanges, &raw)
		check(b, err)
		b.ReportMetric(float64(exchanges)/1e6, "exchanges-MB")
		b.ReportMetric(float64(raw)/1e6, "raw-MB")
		b.ReportMetric(float64(disk)/1e6, "disk-MB")
		b.ReportMetric(100*float64(disk)/float64(exchanges), "disk/exchanges-%")
		b.ReportMetric(float64(files), "files")
	})
}

// recordedTask is one task as the agent recorded it: to be repeated on other days.
type recordedTask struct {
	run                     evidence.Run
	subjects                []evidence.Subject
	exchanges, observations *template
	assessment              evidence.Assessment
	judged                  []evidence.Subject
}

// yearMaker makes a data directory of many days out of two.
type yearMaker struct {
	b              *testing.B
	days           int
	from, to       *payload.Store
	signer         *seal.Signer
	ledger         *ledger.Ledger
	tasks          map[string]*[2]recordedTask // by account: as it should be, and failing
	records        uint64
	last           func(context.Context) (uint64, error)
	exchanges, raw atomic.Int64 // bytes
}

// makeYear has the agent record the first look and the first day, and writes
// every further day from those: its own times, request ids and signatures, one
// or two buckets with another tag, and versioning suspended on one bucket of an
// account from time to time. What it writes is what the agent would have.
func makeYear(b *testing.B, folder string, days int) {
	b.Helper()
	skey, _, err := seal.NewKey("example.com/year")
	check(b, err)
	check(b, seal.WriteKey(filepath.Join(folder, "tallystick.key"), skey))
	check(b, os.WriteFile(filepath.Join(folder, "tallystick.yaml"), []byte(yearConfig(days)), 0o600))
	scratch := b.TempDir()
	recordDays(b, folder, scratch)

	m := &yearMaker{b: b, days: days, from: payload.OpenRead(scratch), tasks: map[string]*[2]recordedTask{}}
	m.signer, err = seal.ParseKey(skey)
	check(b, err)
	dir := filepath.Join(folder, "evidence")
	m.to, err = payload.OpenFS(dir, unsynced{})
	check(b, err)
	m.ledger, err = ledger.Open(b.Context(), dir, m.signer, ledger.Options{Patience: time.Minute})
	check(b, err)
	stop := m.take(scratch)
	written := m.write()
	for day := 1; day <= days; day++ {
		for i := range yearAccounts {
			m.day(i, day, written[i][day-1])
		}
	}
	at := yearSlot(days).Add(20 * time.Hour)
	m.seal(stop.PredicateType, evidence.Stop{Header: evidence.Header{At: at, Clock: evidence.ClockSystem}, Reason: "done"}, stop.Subject)
	_, err = m.last(b.Context())
	check(b, errors.Join(err, m.ledger.Close(b.Context())))
	check(b, os.WriteFile(filepath.Join(folder, "raw"), fmt.Append(nil, m.exchanges.Load(), " ", m.raw.Load()), 0o600))
}

// take copies the first look and keeps the first day to make others from.
func (m *yearMaker) take(scratch string) (stop evidence.Statement) {
	m.b.Helper()
	reader, err := ledger.OpenReader(scratch)
	check(m.b, err)
	failing := 0
	for raw, err := range reader.Entries(0) {
		check(m.b, err)
		statement, err := seal.Peek(raw.Data)
		check(m.b, err)
		predicate, err := evidence.Decode(statement)
		check(m.b, err)
		switch p := predicate.(type) {
		case *evidence.Run:
			if p.Trigger == evidence.TriggerSchedule {
				failing = 1
			}
			if m.tasks[p.Account] == nil {
				m.tasks[p.Account] = new([2]recordedTask)
			}
			t := &m.tasks[p.Account][failing]
			t.run, t.subjects = *p, statement.Subject
			t.exchanges = newTemplate(m.payload(statement, fmt.Sprintf(evidence.PayloadExchanges, 1)))
			t.observations = newTemplate(m.payload(statement, evidence.PayloadObservations))
		case *evidence.Assessment:
			t := &m.tasks[p.Account][failing]
			t.assessment, t.judged = *p, statement.Subject
			m.put(m.payload(statement, evidence.PayloadVerdicts))
		case *evidence.Stop:
			return statement
		}
		if failing == 0 {
			for _, subject := range statement.Subject {
				m.put(m.payload(statement, subject.Name))
			}
			m.add(raw.Data)
		}
	}
	m.b.Fatal("the agent did not stop")
	return stop
}

func (m *yearMaker) payload(s evidence.Statement, name string) []byte {
	m.b.Helper()
	digest, _ := s.Payload(name)
	data, err := m.from.ReadAll(digest, 64<<20)
	check(m.b, err)
	return data
}

func (m *yearMaker) put(data []byte) evidence.Digest {
	digest, err := m.to.Put(data)
	if err != nil {
		m.b.Error(err)
	}
	return digest
}

// yearPayloads are those of one task.
type yearPayloads struct{ exchanges, observations evidence.Digest }

// yearFailing says whether a bucket of an account is as it should not be: for 5
// to 24 days of every 90.
func yearFailing(i, day int) int {
	if at := (day + 7*i) % 90; at >= 20 && at < 25+i%20 {
		return 1
	}
	return 0
}

// yearTime is when the task of an account begins.
func yearTime(i, day int) time.Time {
	return yearSlot(day).Add(time.Duration(i)*4*time.Second + 17*time.Millisecond)
}

// write writes the payloads of all days, by account.
func (m *yearMaker) write() [yearAccounts][]yearPayloads {
	var written [yearAccounts][]yearPayloads
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range yearAccounts {
		group.Go(func() error {
			var exchanges, observations []byte
			var revisions [yearBuckets]int
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for day := 1; day <= m.days; day++ {
				revisions[(37*day+i)%yearBuckets] = day
				revisions[(51*day/2+i)%yearBuckets] = day
				t := &m.tasks[yearAccount(i)][yearFailing(i, day)]
				exchanges = t.exchanges.fill(exchanges[:0], yearTime(i, day), &revisions, r)
				observations = t.observations.fill(observations[:0], yearTime(i, day), &revisions, r)
				m.exchanges.Add(int64(len(exchanges)))
				m.raw.Add(int64(len(exchanges) + len(observations)))
				written[i] = append(written[i], yearPayloads{m.put(exchanges), m.put(observations)})
			}
			return nil
		})
	}
	check(m.b, group.Wait())
	return written
}

// day seals the run and the assessment of an account.
func (m *yearMaker) day(i, day int, p yearPayloads) {
	m.b.Helper()
	t := &m.tasks[yearAccount(i)][yearFailing(i, day)]
	began := yearTime(i, day)
	run := t.run
	run.Slot, run.Trigger, run.Sequence = yearSlot(day), evidence.TriggerSchedule, uint64(day)+1
	run.Started, run.Finished, run.At = began, began.Add(2*time.Second), began.Add(2100*time.Millisecond)
	subjects := []evidence.Subject{
		evidence.SubjectOf(fmt.Sprintf(evidence.PayloadExchanges, 1), p.exchanges), evidence.SubjectOf(evidence.PayloadObservations, p.observations),
	}
	if len(t.subjects) != len(subjects) {
		m.b.Fatalf("the agent gave a run the subjects %v", t.subjects)
	}
	index := m.seal(evidence.TypeRun, run, subjects)
	a := t.assessment
	a.Evaluated, a.At = began.Add(2200*time.Millisecond), began.Add(2300*time.Millisecond)
	a.Used = []evidence.Used{{Stream: run.Stream.String(), Sequence: run.Sequence, Slot: run.Slot, Record: index}}
	a.Sequence = uint64(day) + 1
	m.seal(evidence.TypeAssessment, a, t.judged)
}

// seal signs a record and gives the index that it will have.
func (m *yearMaker) seal(predicateType string, predicate any, subjects []evidence.Subject) uint64 {
	m.b.Helper()
	raw, err := json.Marshal(predicate)
	check(m.b, err)
	envelope, err := m.signer.Seal(evidence.Statement{Type: evidence.StatementType, Subject: subjects, PredicateType: predicateType, Predicate: raw})
	check(m.b, err)
	return m.add(envelope)
}

func (m *yearMaker) add(envelope []byte) uint64 {
	m.b.Helper()
	var err error
	m.last, err = m.ledger.Add(m.b.Context(), envelope)
	check(m.b, err)
	m.records++
	return m.records - 1
}
