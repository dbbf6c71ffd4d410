package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/seal"
)

// slot is how often the daemon of the tests looks at buckets.
const slot = 2 * time.Second

// soon bounds waits for what takes a slot and a collection on an idle machine,
// and far longer on a busy one.
const soon = time.Minute

// background is a program that runs beside the test.
type background struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs the daemon. It is killed at the end of the test if it still runs.
func (b *bench) start(t *testing.T) *background {
	t.Helper()
	d := &background{cmd: b.command(t.Context(), b.program, "run"), done: make(chan struct{}), log: new(lockedBuffer)}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		_ = d.cmd.Wait() // its exit code is looked at in stop
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // most have ended already
		<-d.done
		if t.Failed() {
			t.Logf("the end of the daemon's log:\n%s", tail(d.log.String(), 25))
		}
	})
	return d
}

// stop asks the daemon to end and demands that it does, in good order.
func (d *background) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(soon):
		t.Fatal("the daemon does not stop on SIGTERM")
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	if s := d.log.String(); strings.Contains(s, "panic") || strings.Contains(s, "goroutine ") {
		t.Errorf("the daemon's log holds a stack trace:\n%s", s)
	}
}

// get reads a page of the daemon.
func get(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := client().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// ready waits until the daemon is.
func (d *background) ready(t *testing.T, url string) {
	t.Helper()
	eventually(t, soon, "/readyz", func() error {
		select {
		case <-d.done:
			t.Fatalf("the daemon ended:\n%s", d.log)
		default:
		}
		status, body, err := get(t, url+"/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
}

// metric finds the one series of a scrape that has the labels, given as k="v".
func metric(scrape, name string, labels ...string) (float64, error) {
	lines := bufio.NewScanner(strings.NewReader(scrape))
	var found []string
next:
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), " ")
		base, _, _ := strings.Cut(series, "{")
		if base != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue next
			}
		}
		found = append(found, value)
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%d series %s with %v", len(found), name, labels)
	}
	return strconv.ParseFloat(found[0], 64)
}

// wantMetric waits until a series has a value.
func wantMetric(t *testing.T, url string, want float64, name string, labels ...string) {
	t.Helper()
	eventually(t, soon, fmt.Sprintf("%s%v is %v", name, labels, want), func() error {
		_, scrape, err := get(t, url+"/metrics")
		if err != nil {
			return err
		}
		got, err := metric(scrape, name, labels...)
		if err == nil && got != want {
			err = fmt.Errorf("it is %v", got)
		}
		return err
	})
}

func (w world) daemon(t *testing.T) {
	t.Parallel()
	const bucketName = "e2e-watched"
	c := open(t, w.moto, place{watched, ""})
	if _, err := bucket(bucketName, versioning(s3types.BucketVersioningStatusEnabled))(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	url := "http://127.0.0.1:" + port
	config := func(port, buckets string) string {
		return `schedule:
  default: "@yearly"
  collectors: {aws.s3_buckets: "` + buckets + `"}
aws:
  accounts: [{id: "` + watched + `", role: "` + roleIn(watched) + `", external_id: ` + testExternal + `}]
  regions: [us-east-1]
http: {listen: "127.0.0.1:` + port + `"}
`
	}
	every := "@every " + slot.String()
	b := w.bench(t, w.moto, config(port, every))
	d := b.start(t)
	d.ready(t, url)
	if status, body, err := get(t, url+"/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("/healthz: %d %s %v", status, body, err)
	}

	// What is seen of a bucket whose versioning changes, and that goes.
	account, check := `account="`+watched+`"`, `check="aws-s3-versioning"`
	resources := func(want float64, status string) {
		t.Helper()
		wantMetric(t, url, want, "tallystick_check_resources", account, check, `control="backup-storage"`, `provider="aws"`, `status="`+status+`"`)
	}
	resources(1, "pass")
	resources(0, "fail")
	wantMetric(t, url, 0, "tallystick_drift_total", account, check)
	if err := versioning(s3types.BucketVersioningStatusSuspended)(t.Context(), c, bucketName); err != nil {
		t.Fatal(err)
	}
	suspended := time.Now()
	resources(1, "fail")
	t.Logf("the drift shows %v after the change; a slot is %v", time.Since(suspended).Round(100*time.Millisecond), slot)
	resources(0, "pass")
	wantMetric(t, url, 1, "tallystick_drift_total", account, check)
	if v := b.verdicts(t, "--check", "aws-s3-versioning"); len(v) != 1 || v[0].Status != "fail" || !strings.Contains(v[0].Reason, "Suspended") {
		t.Errorf("the verdict while versioning is suspended: %+v", v)
	}
	name := bucketName
	if _, err := c.s3().DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	resources(0, "fail")
	resources(1, "not_applicable")
	wantMetric(t, url, 1, "tallystick_drift_total", account, check) // that it is gone is no drift

	w.wantHeld(t, b, d, config(freePort(t), every))
	b.wantVerified(t) // while it runs

	// A configuration that is not valid leaves the old one running.
	b.configure(t, strings.Replace(config(port, every), "regions:", "region:", 1))
	d.hup(t)
	wantMetric(t, url, 0, "tallystick_config_reload_success")
	if log := d.log.String(); !strings.Contains(log, "tallystick.yaml:") || !strings.Contains(log, "region") {
		t.Errorf("the log does not say what is wrong with the configuration:\n%s", tail(log, 5))
	}
	_, scrape, err := get(t, url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	runs := []string{"tallystick_runs_total", account, `collector="aws.s3_buckets"`, `outcome="complete"`}
	before, err := metric(scrape, runs[0], runs[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "the old schedule goes on", func() error {
		_, scrape, err := get(t, url+"/metrics")
		if err != nil {
			return err
		}
		now, err := metric(scrape, runs[0], runs[1:]...)
		if err == nil && now <= before {
			err = fmt.Errorf("%v runs then and now", now)
		}
		return err
	})

	// A valid one takes force.
	b.configure(t, config(port, "@every 1h"))
	d.hup(t)
	wantMetric(t, url, 1, "tallystick_config_reload_success")
	resources(1, "not_applicable")
	wantMetric(t, url, time.Hour.Seconds(), "tallystick_schedule_period_seconds", account, `collector="aws.s3_buckets"`)
	d.stop(t)
	wantRecords(t, b)
	w.wantRestored(t, b, config(port, "@every 1h"), url)
	b.wantVerified(t)
}

func (d *background) hup(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// wantHeld shows that nobody else can write to a directory that a daemon has,
// and that everyone can see whose it is.
func (w world) wantHeld(t *testing.T, b *bench, d *background, other string) {
	t.Helper()
	process := "process " + strconv.Itoa(d.cmd.Process.Pid)
	second := *b
	second.config += ".second.yaml"
	second.configure(t, other)
	for _, command := range []string{"run", "collect"} {
		r := second.run(t, command, "--config", second.config)
		r.want(t, 1)
		r.says(t, "is in use by "+process, b.dir)
	}
	r := b.run(t, "status", "--output", "json")
	r.want(t, 0)
	var status struct{ Holder string }
	r.json(t, &status)
	if !strings.HasPrefix(status.Holder, process+" ") {
		t.Errorf("status names the holder %q, want %s", status.Holder, process)
	}
	b.run(t, "status").says(t, "held by "+process)
}

// records reads the ledger as the program's own reader does.
func records(t *testing.T, dir string) []any {
	t.Helper()
	r, err := ledger.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []any
	for entry, err := range r.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		statement, err := seal.Peek(entry.Data)
		if err != nil {
			t.Fatal(err)
		}
		record, err := evidence.Decode(statement)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, record)
	}
	return out
}

// wantRecords looks at what a daemon leaves that was started, reloaded and stopped.
func wantRecords(t *testing.T, b *bench) {
	t.Helper()
	all := records(t, b.dir)
	var events []string
	stops := 0
	for _, r := range all {
		switch r := r.(type) {
		case *evidence.Configuration:
			events = append(events, r.Event)
		case *evidence.Stop:
			stops++
		}
	}
	if got := strings.Join(events, " "); got != "started reloaded" {
		t.Errorf("configurations took force: %s, want started reloaded", got)
	}
	last, ok := all[len(all)-1].(*evidence.Stop)
	if !ok || last.Reason == "" || stops < 1 {
		t.Errorf("the last of %d records is %+v, want that of a stop with its reason", len(all), all[len(all)-1])
	}
}

// wantRestored starts the daemon again while the provider answers nothing: what
// its first scrape shows can only come from the ledger.
func (w world) wantRestored(t *testing.T, b *bench, config, url string) {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b.configure(t, config)
	again := *b
	again.env = append(append([]string(nil), b.env...), "AWS_ENDPOINT_URL=http://"+silent.Addr().String())
	d := again.start(t)
	d.ready(t, url)
	_, scrape, err := get(t, url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	account := `account="` + watched + `"`
	for _, want := range []struct {
		value  float64
		name   string
		labels []string
	}{
		{1, "tallystick_check_resources", []string{account, `check="aws-s3-versioning"`, `status="not_applicable"`}},
		{0, "tallystick_check_resources", []string{account, `check="aws-s3-versioning"`, `status="fail"`}},
		{1, "tallystick_check_resources", []string{account, `check="aws-ebs-encryption-default"`, `status="fail"`}},
		{0, "tallystick_drift_total", []string{account, `check="aws-s3-versioning"`}},
		{1, "tallystick_gaps", []string{account, `collector="aws.ec2_ebs_defaults"`, `class="unavailable"`}},
		{1, "tallystick_config_reload_success", nil},
	} {
		if got, err := metric(scrape, want.name, want.labels...); err != nil || got != want.value {
			t.Errorf("the first scrape after a restart: %s%v is %v (%v), want %v", want.name, want.labels, got, err, want.value)
		}
	}
	for _, name := range []string{"tallystick_run_last_completed_timestamp_seconds", "tallystick_ledger_records", "tallystick_checkpoint_timestamp_seconds"} {
		if !strings.Contains(scrape, "\n"+name) {
			t.Errorf("the first scrape after a restart has no %s", name)
		}
	}
	d.stop(t)
}
