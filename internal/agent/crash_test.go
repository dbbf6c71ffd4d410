package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// What the test binary does instead of testing when the variable says so.
const (
	helperVar  = "TALLYSTICK_AGENT_TEST"
	asAgent    = "run until killed, and report each sealed task"
	asNobody   = "open the directory without the right to write to it"
	dirVar     = "TALLYSTICK_AGENT_TEST_DIR"
	keyVar     = "TALLYSTICK_AGENT_TEST_KEY"
	nobody     = 65534
	crashSlots = time.Second
)

// other makes a process that does what helper does.
func other(what, dir, skey string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), helperVar+"="+what, dirVar+"="+dir, keyVar+"="+skey)
	return cmd
}

// helper runs in the other process. What it gives is the exit code.
func helper(what string) int {
	err := func() error {
		signer, err := seal.ParseKey(os.Getenv(keyVar))
		if err != nil {
			return err
		}
		if what == asNobody && os.Getuid() == 0 {
			if err := syscall.Setuid(nobody); err != nil {
				return err
			}
		}
		o, err := crashOptions(os.Getenv(dirVar), signer)
		if err != nil {
			return err
		}
		o.OnTask = func(r Result) {
			if r.Run != nil {
				fmt.Println(r.Record, r.ID()) // one write, to a pipe
			}
		}
		a, err := Open(context.Background(), o)
		if err != nil {
			return err
		}
		return a.Run(context.Background())
	}()
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// crashOptions are of four streams that are due each second, and that now and
// then take longer than that.
func crashOptions(dir string, signer *seal.Signer) (Options, error) {
	var t panicking
	metrics, err := telemetry.New(prometheus.NewRegistry())
	if err != nil {
		return Options{}, err
	}
	slowly := func(kind string) hook {
		return func(ctx context.Context, in collectors.Input, emit collectors.Emit) error {
			if err := in.Wait(ctx, rand.N(150*time.Millisecond)); err != nil {
				return err
			}
			if rand.N(10) == 0 {
				if err := in.Wait(ctx, crashSlots); err != nil {
					return err
				}
			}
			for i := range 5 {
				body := json.RawMessage(fmt.Sprintf(`{"Name":"%d","Good":%t}`, i, rand.N(2) == 0))
				if err := emit.Observe(evidence.Observation{Kind: kind, ID: fmt.Sprint(i), Body: body, Sources: []string{}}); err != nil {
					return err
				}
			}
			emit.Listed(kind, "")
			return nil
		}
	}
	spec := func(name, kind string) collectors.Spec {
		return collectors.Spec{Name: name, Provider: "fake", Kinds: []string{kind}, Reach: collectors.Global}
	}
	o := fakeOptions(dir, signer, fakeCatalogue(t), SystemClock{},
		&fake{spec("fake.things", "fake.thing"), slowly("fake.thing")}, &fake{spec("fake.parts", "fake.part"), slowly("fake.part")})
	o.Providers[0].Accounts = []string{account, "444455556666"}
	o.ScheduleFor = func(string) string { return "@every " + crashSlots.String() }
	o.Settle, o.Metrics = false, metrics
	return o, nil
}

// panicking stands for a test where there is none.
type panicking struct{ testing.TB }

func (panicking) Helper()           {}
func (panicking) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// reported is a task that the other process said was sealed.
type reported struct {
	record int
	id     string
}

func TestKilled(t *testing.T) {
	t.Parallel()
	kills := 8
	if os.Getenv("TALLYSTICK_E2E") == "required" {
		kills = 50
	}
	if testing.Short() {
		kills = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d kills, seed %d", kills, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	b := newBench(t, SystemClock{})
	skey, _, err := seal.NewKey("agent.test")
	if err != nil {
		t.Fatal(err)
	}
	if b.signer, err = seal.ParseKey(skey); err != nil {
		t.Fatal(err)
	}
	var all []reported
	for range kills {
		all = append(all, runAndKill(t, other(asAgent, b.dir, skey), time.Duration(random.Int64N(int64(2200*time.Millisecond))))...)
	}
	if b.options, err = crashOptions(b.dir, b.signer); err != nil {
		t.Fatal(err)
	}
	b.close(b.open())
	b.verified()

	sealed := make(map[string]int)
	story := records(t, b.dir)
	covered := make(map[evidence.Stream]map[int64]bool)
	cover := func(s evidence.Stream, first, last time.Time) {
		if covered[s] == nil {
			covered[s] = make(map[int64]bool)
		}
		for slot := first.Unix(); slot <= last.Unix(); slot++ {
			if covered[s][slot] {
				t.Errorf("the slot %d of %s is covered twice", slot, s)
			}
			covered[s][slot] = true
		}
	}
	var since, until time.Time
	for _, r := range story {
		switch r := r.(type) {
		case *evidence.Configuration:
			if since.IsZero() {
				since = r.At
			}
			until = r.At
		case *evidence.Run:
			if sealed[r.ID()]++; sealed[r.ID()] > 1 {
				t.Errorf("%s was sealed twice", r.ID())
			}
			if r.Trigger == evidence.TriggerSchedule {
				cover(r.Stream, r.Slot, r.Slot)
			}
		case *evidence.Missed:
			cover(r.Stream, r.First, r.Last)
		}
	}
	for _, r := range all {
		if r.record >= len(story) {
			t.Errorf("record %d, of %s, is gone: there are %d", r.record, r.id, len(story))
		} else if run, ok := story[r.record].(*evidence.Run); !ok || run.ID() != r.id {
			t.Errorf("record %d is not %s", r.record, r.id)
		}
	}
	if len(covered) != 4 {
		t.Errorf("%d streams have records, want 4", len(covered))
	}
	for s, slots := range covered {
		for slot := since.Unix() + 1; slot <= until.Unix(); slot++ {
			if !slots[slot] {
				t.Errorf("the slot %s of %s has neither a run nor a missed record", time.Unix(slot, 0).UTC(), s)
			}
		}
	}
	t.Logf("%d records, %d tasks reported, %s", len(story), len(all), until.Sub(since))
}

// runAndKill starts a process and ends it with SIGKILL, and gives what it
// reported by then.
func runAndKill(t *testing.T, cmd *exec.Cmd, after time.Duration) []reported {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out []reported
	var reader sync.WaitGroup
	reader.Go(func() {
		lines := bufio.NewReader(stdout)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // a line without an end was not reported
			}
			var r reported
			if _, err := fmt.Sscan(line, &r.record, &r.id); err != nil {
				t.Errorf("reported %q: %v", line, err)
			}
			out = append(out, r)
		}
	})
	time.Sleep(after)
	killErr := cmd.Process.Kill()
	reader.Wait()
	_ = cmd.Wait() // it was killed
	if killErr != nil || stderr.Len() > 0 {
		t.Fatalf("the agent ended by itself (%v): %s", killErr, stderr.String())
	}
	return out
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	for _, test := range []string{"new", "used before"} {
		t.Run(test, func(t *testing.T) {
			t.Parallel()
			skey, _, err := seal.NewKey("agent.test")
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t, SystemClock{})
			if test != "new" {
				if b.options.Signer, err = seal.ParseKey(skey); err != nil {
					t.Fatal(err)
				}
				b.close(b.open())
			}
			readOnly(t, b.dir)
			out, err := other(asNobody, b.dir, skey).CombinedOutput()
			if err == nil {
				t.Error("the agent started")
			}
			for _, want := range []string{b.dir, "permission denied", "must be able to write"} {
				if !strings.Contains(string(out), want) || strings.Contains(string(out), "panic") {
					t.Errorf("the error does not say %q: %s", want, out)
				}
			}
		})
	}
}

// readOnly takes the right to write from everybody.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		perm := info.Mode().Perm()
		t.Cleanup(func() { _ = os.Chmod(name, perm) })
		mode := os.FileMode(0o444)
		if e.IsDir() {
			mode = 0o555
		}
		return os.Chmod(name, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}
