package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Holder is the process that has a data directory.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"` // when it took the directory, by its clock, UTC
}

// LockedError is returned when another holder has the data directory.
type LockedError struct {
	Dir    string
	Holder Holder // zero when the lock file could not be read
}

// Error names the holder and says what to do.
func (e *LockedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by %s: only one agent may write to it; stop that one or choose another directory (the lock ends with its process, there is no file to remove)", e.Dir, e.Holder)
}

// String names the holder for people.
func (h Holder) String() string {
	if h.PID == 0 {
		return "another process, which did not say who it is"
	}
	return fmt.Sprintf("process %d on host %s since %s", h.PID, h.Host, h.Since.Format(time.RFC3339))
}

// HolderOf says who has the data directory dir now, if anyone has. The answer
// may be out of date as soon as it is given.
func HolderOf(dir string) (Holder, bool, error) {
	f, err := os.Open(filepath.Join(dir, evidence.LockFile)) //nolint:gosec // G304: the data directory is the operator's choice.
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, fmt.Errorf("look at the lock of %s: %w", dir, err)
	}
	defer func() { _ = f.Close() }() // which frees the lock, if we got it
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return Holder{}, false, err
	}
	var h Holder
	if data, err := io.ReadAll(io.LimitReader(f, 4<<10)); err == nil {
		_ = json.Unmarshal(data, &h) // an unreadable holder is an unnamed one
	}
	return h, true, nil
}

// lock takes DIR/lock with flock(2), which the kernel frees when the process
// ends in whatever way. Unlike the POSIX record locks inside tessera, a second
// flock fails in the same process too. The file stays when the lock is freed:
// removing it would let two processes hold two files of that name. Another
// holder is waited for as long as patience; 50 ms at least, which is how
// HolderOf may hold the lock to look.
func lock(dir string, patience time.Duration) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, evidence.LockFile), os.O_RDWR|os.O_CREATE, 0o640) //nolint:gosec // G304: the data directory is the operator's choice.
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	end := time.Now().Add(max(patience, 50*time.Millisecond))
	for errors.Is(err, syscall.EWOULDBLOCK) && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data directory %s: %w: its file system must support flock", dir, err)
		}
		locked := &LockedError{Dir: dir}
		if data, err := io.ReadAll(io.LimitReader(f, 4<<10)); err == nil {
			_ = json.Unmarshal(data, &locked.Holder) // an unreadable holder is an unnamed one
		}
		return nil, locked
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory: %w", err), f.Close())
	}
	return f, nil
}

// sign writes who holds the lock. It is information for people, so it is not
// flushed to disk.
func sign(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	data, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}
