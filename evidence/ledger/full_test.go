package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/tallystick/tallystick/evidence/seal"
)

// appendUntilFull lowers the largest file that this process may write, so that
// writes fail as they do on a full disk, then appends; it lifts the limit, and
// appends again.
func appendUntilFull(dir string) int {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := seal.ParseKey(os.Getenv(keyVar))
	if err != nil {
		return 1
	}
	l, err := Open(context.Background(), dir, s, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	try := func(name string) {
		index, err := l.Append(context.Background(), []byte(name+strings.Repeat("x", 4<<10)))
		fmt.Println(name, index, errors.Is(err, ErrUnpublished), err)
	}
	try("before")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return 1
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 5 << 10, Max: limit.Max}); err != nil {
		return 1
	}
	try("full")
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return 1
	}
	try("after")
	if err := l.Close(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	skey, _, err := seal.NewKey("ledger.test")
	if err != nil {
		t.Fatal(err)
	}
	out, err := other(t, asFull, dir, skey).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 {
		t.Fatalf("want three lines:\n%s", out)
	}
	for i, want := range []string{"before 0 false <nil>", "full 0 false append record: ", "after 1 false <nil>"} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("got %q, want %q", lines[i], want)
		}
	}
	if !strings.Contains(lines[1], "file too large") {
		t.Errorf("the error does not name the cause: %s", lines[1])
	}
	if got := read(t, dir); len(got) != 2 || !strings.HasPrefix(got[1], "after") {
		t.Errorf("read %d records", len(got))
	}
}
