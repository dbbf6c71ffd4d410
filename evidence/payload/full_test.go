package payload

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/tallystick/tallystick/internal/durable"
)

// fullDisk fails every write once full is set.
type fullDisk struct {
	durable.Disk
	full bool
}

func (d *fullDisk) CreateTemp(dir string) (durable.Handle, error) {
	h, err := d.Disk.CreateTemp(dir)
	return fullHandle{h, d}, err
}

type fullHandle struct {
	durable.Handle
	disk *fullDisk
}

func (h fullHandle) Write(p []byte) (int, error) {
	if h.disk.full {
		return 0, syscall.ENOSPC
	}
	return h.Handle.Write(p)
}

func TestFullDisk(t *testing.T) {
	dir, disk := t.TempDir(), &fullDisk{full: true}
	s, err := OpenFS(dir, disk)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	for _, data := range [][]byte{[]byte("abc"), big} {
		if d, err := s.Put(data); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Put on a full disk = %s, %v", d, err)
		}
	}
	disk.full = false
	for d, err := range s.List() {
		t.Errorf("half-written payload %s, %v", d, err)
	}
	if n, err := s.SweepTemp(); n != 0 || err != nil {
		t.Errorf("%d temporary files left, %v", n, err)
	}
	if d := put(t, s, []byte("abc")); d != digestABC {
		t.Errorf("after space returned: %s", d)
	}
}
