package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const oneBucketAccount = `aws:
  accounts: [{id: "` + homeless + `", role: "arn:aws:iam::` + homeless + `:role/TallystickReader"}]
  regions: [us-east-1]
`

// mount makes a mount for the test, or skips it: not every machine lets us.
func mount(t *testing.T, at string, args ...string) {
	t.Helper()
	if err := os.MkdirAll(at, 0o750); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", append(args, at)...).CombinedOutput(); err != nil {
		t.Skipf("mount %s is not permitted on this machine: %v: %s", strings.Join(args, " "), err, out)
	}
	t.Cleanup(func() { unmount(t, at) })
}

func unmount(t *testing.T, at string) {
	t.Helper()
	if out, err := exec.Command("umount", "--lazy", at).CombinedOutput(); err != nil {
		t.Errorf("umount %s: %v: %s", at, err, out)
	}
}

func (w world) fullDisk(t *testing.T) {
	t.Parallel()
	b := w.bench(t, w.moto, oneBucketAccount)
	mount(t, b.dir, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
	// A first record, so that there is something to lose.
	b.run(t, "collect", "--collector", "aws.s3_buckets").want(t, 0)
	records := b.wantVerified(t).Records

	ballast := filepath.Join(b.dir, "ballast")
	for _, free := range []int{0, 24} { // KiB: full before anything is sealed, and in between
		fill(t, ballast, free<<10)
		r := b.run(t, "collect", "--collector", "aws.s3_buckets", "--collector", "aws.kms_keys")
		if r.code == 0 && free == 0 {
			t.Errorf("nothing is left and it says that all is well: %s", r)
		}
		if r.code != 0 {
			r.says(t, "no space left on device")
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		v := b.verify(t)
		for _, p := range v.Problems {
			if p.Kind != "checkpoint_behind" { // true where the disk was full before it was published; the next start makes it good
				t.Errorf("%d KiB left: verify finds fault: %+v", free, p)
			}
		}
		if v.Records < records || r.code == 0 && v.Records == records {
			t.Errorf("%d KiB left: %d records before and %d after: %s", free, records, v.Records, r)
		}
		records = v.Records
	}
	b.run(t, "collect", "--collector", "aws.s3_buckets").want(t, 0)
	if now := b.wantVerified(t).Records; now <= records {
		t.Errorf("nothing was sealed after space was back: %d records", now)
	}
	scan(t, b.dir) // before the file system goes
}

// fill takes the space of the file system of name but for some bytes.
func fill(t *testing.T, name string, free int) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4<<10)
	size := int64(0)
	for {
		n, err := f.Write(block)
		size += int64(n)
		if err != nil {
			break
		}
	}
	if err := f.Truncate(max(0, size-int64(free))); err != nil {
		t.Fatal(err)
	}
}

// fileSizeLimit runs where no file may grow beyond some blocks of 512 bytes.
func (w world) fileSizeLimit(t *testing.T) {
	t.Parallel()
	b := w.bench(t, w.moto, oneBucketAccount)
	for _, blocks := range []int{0, 1, 4, 8, 16} {
		limited := []string{"sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$@"`, blocks), "sh"}
		r := b.runAs(t, limited, "collect", "--collector", "aws.ec2_vpcs")
		if r.code == 0 {
			t.Logf("%d blocks are enough", blocks)
			continue
		}
		r.says(t, "file too large")
		if _, err := os.Stat(filepath.Join(b.dir, "ledger", "checkpoint")); err != nil {
			continue // it did not come so far
		}
		if v := b.verify(t); !v.OK {
			t.Errorf("%d blocks: verify finds fault: %+v", blocks, v.Problems)
		}
	}
	b.run(t, "collect", "--collector", "aws.ec2_vpcs").want(t, 0)
	b.wantVerified(t)
}

func (w world) readOnly(t *testing.T) {
	t.Parallel()
	b := w.bench(t, w.moto, oneBucketAccount)
	b.run(t, "collect", "--collector", "aws.s3_buckets").want(t, 0)
	before := b.wantVerified(t)

	mount(t, b.dir, "--bind", b.dir)
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,bind,ro", b.dir).CombinedOutput(); err != nil {
		t.Skipf("a read-only mount is not permitted on this machine: %v: %s", err, out)
	}
	r := b.run(t, "collect", "--collector", "aws.s3_buckets")
	r.want(t, 1)
	r.says(t, b.dir, "read-only file system")
	// Reading needs no writing.
	if after := b.wantVerified(t); after.Root != before.Root {
		t.Errorf("root %s before and %s after", before.Root, after.Root)
	}
	b.run(t, "status").want(t, 0)
	b.run(t, "results").want(t, 0)
}

// noDirectory has a file where the data directory should be.
func (w world) noDirectory(t *testing.T) {
	t.Parallel()
	b := w.bench(t, w.moto, oneBucketAccount)
	if err := os.WriteFile(b.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(b.dir) }) // it holds no payloads to scan
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"collect"}, "a file of that name is in the way"},
		{[]string{"run"}, "not a directory"},
		{[]string{"status"}, "not a directory"},
		{[]string{"results"}, "not a directory"},
		{[]string{"verify", b.dir}, "neither a data directory nor a bundle"},
	} {
		r := b.run(t, c.args...)
		r.want(t, 1)
		r.says(t, b.dir, c.says)
	}
}
