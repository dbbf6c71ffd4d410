package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

func newSigner(t testing.TB) *seal.Signer {
	t.Helper()
	skey, _, err := seal.NewKey("ledger.test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.ParseKey(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, dir string, s *seal.Signer) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), dir, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

func shut(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// fill appends n records at the same time and gives them by index.
func fill(t testing.TB, l *Ledger, n int, name string) map[uint64]string {
	t.Helper()
	var (
		mu  sync.Mutex
		got = map[uint64]string{}
		wg  sync.WaitGroup
	)
	for i := range n {
		wg.Go(func() {
			data := fmt.Sprintf("%s-%d", name, i)
			index, err := l.Append(t.Context(), []byte(data))
			if err != nil {
				t.Errorf("append %s: %v", data, err)
				return
			}
			if size := l.Size(); size <= index {
				t.Errorf("append %s gave index %d, but the checkpoint covers %d records", data, index, size)
			}
			mu.Lock()
			defer mu.Unlock()
			if other, ok := got[index]; ok {
				t.Errorf("index %d was given to %s and %s", index, other, data)
			}
			got[index] = data
		})
	}
	wg.Wait()
	return got
}

func read(t testing.TB, dir string) []string {
	t.Helper()
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e, err := range r.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Index != uint64(len(got)) {
			t.Fatalf("entry %d came at place %d", e.Index, len(got))
		}
		got = append(got, string(e.Data))
	}
	return got
}

func TestAppendConcurrently(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	l := open(t, dir, s)
	const n = 600 // two full bundles and a partial one
	want := fill(t, l, n, "record")
	if len(want) != n {
		t.Fatalf("%d indexes for %d records", len(want), n)
	}
	got := read(t, dir)
	if len(got) != n {
		t.Fatalf("read %d records, want %d", len(got), n)
	}
	for i, data := range got {
		if want[uint64(i)] != data {
			t.Errorf("record %d is %q, Append said %q", i, data, want[uint64(i)])
		}
	}
	if _, err := note.Open(l.Checkpoint(), note.VerifierList(must(note.NewVerifier(s.VerifierKey())))); err != nil {
		t.Errorf("checkpoint: %v", err)
	}
	vkey, err := os.ReadFile(filepath.Join(dir, evidence.VerifierKeyFile))
	if err != nil || strings.TrimSpace(string(vkey)) != s.VerifierKey() {
		t.Errorf("verifier key file: %q, %v", vkey, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestReopenContinues(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	var want []string
	for round := range 4 {
		l := open(t, dir, s)
		if got := l.Size(); got != uint64(len(want)) {
			t.Fatalf("round %d: size %d, want %d", round, got, len(want))
		}
		for i := range 3 {
			data := fmt.Sprintf("%d.%d", round, i)
			if _, err := l.Append(t.Context(), []byte(data)); err != nil {
				t.Fatal(err)
			}
			want = append(want, data)
		}
		shut(t, l)
	}
	if got := read(t, dir); !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestAppendRefusals(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), newSigner(t))
	if _, err := l.Append(t.Context(), make([]byte, evidence.MaxRecordBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long a record: %v", err)
	}
	if i, err := l.Append(t.Context(), make([]byte, evidence.MaxRecordBytes)); err != nil || i != 0 {
		t.Errorf("the longest record: %d, %v", i, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ended, []byte("x")); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnpublished) {
		t.Errorf("ended context before the start: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Append(short, []byte("y")); !errors.Is(err, ErrUnpublished) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended context on the way: %v", err)
	}
	shut(t, l)
	if _, err := l.Append(t.Context(), []byte("z")); !errors.Is(err, ErrClosed) {
		t.Errorf("closed ledger: %v", err)
	}
	if size := l.Size(); size != 2 {
		t.Errorf("Close left the record of the ended context unpublished: size %d, want 2", size)
	}
}

func TestSecondHolderInThisProcess(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), newSigner(t)
	l := open(t, dir, s)
	_, err := Open(t.Context(), dir, s, Options{})
	locked, ok := errors.AsType[*LockedError](err)
	if !ok {
		t.Fatalf("two ledgers in one directory: %v", err)
	}
	if locked.Holder.PID != os.Getpid() || time.Since(locked.Holder.Since) > time.Minute {
		t.Errorf("holder %+v, want this process", locked.Holder)
	}
	for _, want := range []string{dir, fmt.Sprint(os.Getpid()), locked.Holder.Host, "stop"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
	fill(t, l, 3, "still works")
	shut(t, l)
	shut(t, open(t, dir, s))
}

// The environment by which the test binary knows that it is the other process.
const (
	asHolder = "TALLYSTICK_TEST_HOLD"
	asFull   = "TALLYSTICK_TEST_FULL"
	keyVar   = "TALLYSTICK_TEST_KEY"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asHolder) != "":
		hold(os.Getenv(asHolder))
		os.Exit(1)
	case os.Getenv(asFull) != "":
		os.Exit(appendUntilFull(os.Getenv(asFull)))
	}
	os.Exit(m.Run())
}

// hold opens the ledger, says so, appends until it is killed, and reports each index.
func hold(dir string) {
	s, err := seal.ParseKey(os.Getenv(keyVar))
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := Open(context.Background(), dir, s, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("open")
	for i := 0; ; i++ {
		data := fmt.Sprintf("%d.%d", os.Getpid(), i)
		if index, err := l.Append(context.Background(), []byte(data)); err == nil {
			fmt.Println(index, data)
		}
	}
}

func other(t *testing.T, env, dir, skey string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), env+"="+dir, keyVar+"="+skey)
	return cmd
}

// TestKilledHolder kills a process that appends, several times, and demands
// that every record which it reported is there and that the lock is free.
func TestKilledHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	skey, _, err := seal.NewKey("ledger.test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.ParseKey(skey)
	if err != nil {
		t.Fatal(err)
	}
	sealed := map[uint64]string{}
	for round := range 4 {
		cmd := other(t, asHolder, dir, skey)
		out := &output{ready: make(chan struct{})}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-out.ready
		if round == 0 {
			_, err := Open(t.Context(), dir, s, Options{})
			if locked, ok := errors.AsType[*LockedError](err); !ok || locked.Holder.PID != cmd.Process.Pid {
				t.Errorf("directory held by process %d: %v", cmd.Process.Pid, err)
			}
		}
		time.Sleep(time.Duration(150+37*round) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as asked
		for line := range strings.Lines(out.String()) {
			var index uint64
			var data string
			if n, _ := fmt.Sscanf(line, "%d %s\n", &index, &data); n == 2 {
				sealed[index] = data
			}
		}
	}
	if len(sealed) == 0 {
		t.Fatal("no record was sealed: the test shows nothing")
	}
	l := open(t, dir, s)
	got := read(t, dir)
	if uint64(len(got)) != l.Size() {
		t.Errorf("%d records, size %d", len(got), l.Size())
	}
	for index, data := range sealed {
		if index >= uint64(len(got)) || got[index] != data {
			t.Errorf("record %d, reported as sealed, is lost: %s", index, data)
		}
	}
}

// output is a buffer that says when the first line has come.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ready chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() == 0 {
		close(o.ready)
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func BenchmarkAppend(b *testing.B) {
	l := open(b, b.TempDir(), newSigner(b))
	b.SetParallelism(256)
	data := bytes.Repeat([]byte("x"), 2<<10)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Append(b.Context(), data); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func TestAddKeepsOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, newSigner(t))
	const n = 700
	var waits []func(context.Context) (uint64, error)
	for i := range n {
		wait, err := l.Add(t.Context(), fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, wait)
	}
	for i, wait := range waits {
		if index, err := wait(t.Context()); index != uint64(i) || err != nil {
			t.Fatalf("record %d has index %d, %v", i, index, err)
		}
	}
	for i, data := range read(t, dir) {
		if data != fmt.Sprint(i) {
			t.Fatalf("record %d is %q", i, data)
		}
	}
}
