package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/internal/durable"
)

// smallDisk is a disk that can be full: for new files, or for what is written
// to them.
type smallDisk struct {
	durable.Disk
	full, fullLater atomic.Bool
}

func (d *smallDisk) CreateTemp(dir string) (durable.Handle, error) {
	if d.full.Load() {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir, durable.TempPrefix+"1"), Err: syscall.ENOSPC}
	}
	h, err := d.Disk.CreateTemp(dir)
	return smallFile{h, d}, err
}

type smallFile struct {
	durable.Handle
	disk *smallDisk
}

func (f smallFile) Write(p []byte) (int, error) {
	if f.disk.fullLater.Load() {
		return 0, &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	return f.Handle.Write(p)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		full func(*smallDisk) *atomic.Bool
	}{
		{"no new files", func(d *smallDisk) *atomic.Bool { return &d.full }},
		{"no room in files", func(d *smallDisk) *atomic.Bool { return &d.fullLater }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk := &smallDisk{}
			full := test.full(disk)
			b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
			b.options.Files = disk
			var errs []error
			b.options.OnTask = func(r Result) { // full from the slot of the second to that of the third
				if r.Err != nil {
					errs = append(errs, r.Err)
					if r.Run != nil {
						t.Error("a task that was not sealed has a run")
					}
				}
				full.Store(r.Trigger == evidence.TriggerSchedule && r.Slot.Before(at("2026-07-03T00:00:00Z")))
			}
			a := b.open()
			b.until(a, "2026-07-04T12:00:00Z")
			b.close(a)
			b.wantStory("fake.things", "1 run initial now complete", "2 run schedule 01T06:17:00 complete",
				"3 missed fault 2 02T06:17:00..03T06:17:00", "4 run schedule 04T06:17:00 complete")
			if len(errs) != 2 {
				t.Fatalf("errors while the disk is full: %v", errs)
			}
			for _, err := range errs {
				if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), b.dir) || !strings.Contains(err.Error(), "no space left on device") {
					t.Errorf("the error does not say what is full: %v", err)
				}
			}
			b.wantMetric(2, "slots_missed_total", "cause=fault")
			b.wantMetric(3, "runs_total", "collector=fake.things")
			missed := of[evidence.Missed](t, b.dir)
			if len(missed) == 0 || !strings.Contains(missed[0].Detail, "no space left on device") {
				t.Errorf("missed: %+v", missed)
			}
			if left, err := filepath.Glob(filepath.Join(b.dir, "payloads", durable.TempPrefix+"*")); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			b.verified()
		})
	}
}

// Another stream that can write again pays for those that could not: else the
// ledger would show an agent at work and slots without a word.
func TestOthersPay(t *testing.T) {
	t.Parallel()
	disk := &smallDisk{}
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.options.Files = disk
	b.options.Providers[0].Collectors = append(b.options.Providers[0].Collectors, b.estate.partsCollector())
	b.options.ScheduleFor = func(collector string) string {
		if collector == "fake.things" {
			return "0 3 * * *"
		}
		return "0 9 * * *"
	}
	told := 0
	b.options.OnTask = func(Result) { told++; disk.full.Store(told == 2) } // from the first looks to the slot of 03:00
	a := b.open()
	b.until(a, "2026-07-01T16:00:00Z")
	b.close(a)
	for _, m := range of[evidence.Missed](t, b.dir) {
		if m.At.After(at("2026-07-01T10:00:00Z")) {
			t.Errorf("it was paid at %s, not with the run of 09:00", m.At)
		}
	}
	b.wantStory("fake.things", "1 run initial now complete", "2 missed fault 1 01T03:00:00..01T03:00:00")
	b.wantStory("fake.parts", "1 run initial now complete", "2 run schedule 01T09:00:00 complete")
	b.verified()
}

// When the agent stops, what it owes is its last word.
func TestOwedAtTheEnd(t *testing.T) {
	t.Parallel()
	disk := &smallDisk{}
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	b.options.Files, b.options.OnTask = disk, func(Result) { disk.full.Store(true) }
	a := b.open()
	b.until(a, "2026-07-02T12:00:00Z")
	b.close(a)
	b.wantStory("fake.things", "1 run initial now complete", "2 missed fault 2 01T06:17:00..02T06:17:00")
	b.verified()
}

// refuse makes the ledger refuse the records that pick chooses.
func refuse(a *Agent, published bool, err error, pick func(n int) bool) {
	add, n := a.add, 0
	a.add = func(ctx context.Context, data []byte) (func(context.Context) (uint64, error), error) {
		if n++; !pick(n) {
			return add(ctx, data)
		}
		if !published {
			return nil, err
		}
		return func(context.Context) (uint64, error) { return 0, err }, nil
	}
}

func TestLedgerThatTakesNothing(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late ", late), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
			a := b.open()
			b.until(a, "2026-07-01T01:00:00Z")
			refuse(a, late, errors.New("write tile: no space left on device"), func(n int) bool { return n <= 2 })
			b.until(a, "2026-07-03T12:00:00Z")
			b.close(a)
			b.wantStory("fake.things", "1 run initial now complete", "2 missed fault 2 01T06:17:00..02T06:17:00", "3 run schedule 03T06:17:00 complete")
			if m := of[evidence.Missed](t, b.dir)[0]; m.At.Before(at("2026-07-03T00:00:00Z")) {
				t.Errorf("the record has the time %s of an attempt that failed", m.At)
			}
			b.verified()
		})
	}
}

func TestRecordInDoubtIsFatal(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	a := b.open()
	b.until(a, "2026-07-01T01:00:00Z")
	refuse(a, true, fmt.Errorf("append record 7: %w: no checkpoint", ledger.ErrUnpublished), func(int) bool { return true })
	err := a.RunUntil(t.Context(), at("2026-07-10T00:00:00Z"))
	if !errors.Is(err, ledger.ErrUnpublished) || !strings.Contains(err.Error(), b.dir) {
		t.Fatalf("got %v, want ErrUnpublished and the directory", err)
	}
	b.wantMetric(1, "runs_total", "collector=fake.things")
	if err := a.Close(t.Context(), "fatal"); err != nil {
		t.Errorf("Close: %v", err)
	}
	b.wantStory("fake.things", "1 run initial now complete")
	b.verified()
}

func TestDirectoryRemoved(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		do   func(dir string) error
		want string
	}{
		{"removed", os.RemoveAll, " was removed while the agent used it: put it back"},
		{"replaced", func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o750))
		}, "while the agent used it: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
			b.dir = filepath.Join(b.dir, "evidence")
			b.options.Dir = b.dir
			a := b.open()
			b.until(a, "2026-07-01T01:00:00Z")
			if err := test.do(b.dir); err != nil {
				t.Fatal(err)
			}
			err := a.RunUntil(t.Context(), at("2026-07-10T00:00:00Z"))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), b.dir) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err := a.Close(t.Context(), "lost"); err == nil || !strings.Contains(err.Error(), "stays locked") {
				t.Errorf("Close: %v", err)
			}
			if got := metric(t, b.registry, "runs_total", "collector=fake.things"); got != 1 {
				t.Errorf("%v runs were told, want the one from before", got)
			}
		})
	}
}
