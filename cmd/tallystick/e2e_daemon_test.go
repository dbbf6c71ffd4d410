package main_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tallystick/tallystick/evidence"
)

// slot is how often the daemon of the tests looks at buckets.
const slot = 2 * time.Second

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
	wantMetric(t, url, 1, "tallystick_check_resources", account, `check="aws-ebs-encryption-default"`, `status="fail"`) // for after the restart
	wantMetric(t, url, 0, "tallystick_drift_total", account, check)
	if err := versioning(s3types.BucketVersioningStatusSuspended)(t.Context(), c, bucketName); err != nil {
		t.Fatal(err)
	}
	suspended := time.Now()
	resources(1, "fail")
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
	wantHandedOut(t, b, url)

	wantRefused(t, b, d, url, config(port, every), config(freePort(t), every))

	// A valid one takes force.
	hourly := config(port, "@every 1h")
	b.configure(t, hourly)
	d.hup(t)
	wantMetric(t, url, 1, "tallystick_config_reload_success")
	resources(1, "not_applicable")
	wantMetric(t, url, 1, "tallystick_drift_total", account, check) // a reload takes no step of a counter away
	wantMetric(t, url, time.Hour.Seconds(), "tallystick_schedule_period_seconds", account, `collector="aws.s3_buckets"`)
	d.stop(t)
	wantRecords(t, b)
	wantDrift(t, b, suspended)
	w.wantRestored(t, b, hourly, url)
	b.wantVerified(t)
}

// wantHandedOut makes a bundle and draws a sample while the daemon holds the
// data directory, and demands that it shows the period.
func wantHandedOut(t *testing.T, b *bench, url string) {
	t.Helper()
	r := b.run(t, "export", "--out", "bundle", "--output", "json")
	r.want(t, 0)
	var made struct {
		Record uint64
		Slots  struct{ Due, Sealed int }
	}
	r.json(t, &made)
	if made.Record == 0 || made.Slots.Due == 0 || made.Slots.Sealed == 0 {
		t.Errorf("export says %+v", made)
	}
	b.run(t, "verify", "--key", b.key, "bundle").want(t, 0)
	b.run(t, "replay", "bundle").want(t, 0)
	today := time.Now().UTC().Format(time.DateOnly)
	b.run(t, "sample", "--kind", "aws.ec2.vpc", "--date", today, "--seed", "42", "--size", "1", "--incomplete", "--out", "sample").want(t, 0)
	b.wantVerified(t)

	status, page, err := get(t, url+"/")
	if err != nil || status != http.StatusOK || !strings.Contains(page, "Example, Inc.") {
		t.Errorf("the report: %d %v\n%.300s", status, err, page)
	}
	eventually(t, "the slots of the period are told", func() error {
		_, scrape, err := get(t, url+"/metrics")
		if err == nil {
			_, err = metric(scrape, "tallystick_period_slots", `collector="aws.s3_buckets"`, `state="sealed"`)
		}
		return err
	})
}

// wantRefused demands that a configuration which can not take force is refused
// with its reason, and that the good one goes on. Elsewhere is the good one
// with another listener.
func wantRefused(t *testing.T, b *bench, d *background, url, good, elsewhere string) {
	t.Helper()
	for _, bad := range []struct{ config, says string }{
		{strings.Replace(good, "regions:", "region:", 1), "region"},
		{good + "catalogue: {parameters: {aws-s3-versioning: {max_days: {value: 1, owner: o, approver: a, reason: r}}}}\n", "max_days"},
		{elsewhere, "can not change while the daemon runs"},
		{strings.Replace(good, "schedule:", "evidence: {dir: ./evidence, key: ./none.key}\nschedule:", 1), "none.key"},
	} {
		b.configure(t, bad.config)
		lines := len(d.log.String())
		d.hup(t)
		eventually(t, "the log says "+bad.says, func() error {
			if log := d.log.String()[lines:]; !strings.Contains(log, "not reloaded") || !strings.Contains(log, bad.says) {
				return fmt.Errorf("it says:\n%s", log)
			}
			return nil
		})
		wantMetric(t, url, 0, "tallystick_config_reload_success")
	}
	if log := d.log.String(); !strings.Contains(log, "tallystick.yaml:") {
		t.Errorf("the log does not say where the configuration is wrong:\n%s", tail(log, 5))
	}
	_, scrape, err := get(t, url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	const runs, collector, outcome = "tallystick_runs_total", `collector="aws.s3_buckets"`, `outcome="complete"`
	before, err := metric(scrape, runs, collector, outcome)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old schedule goes on", func() error {
		_, scrape, err := get(t, url+"/metrics")
		if err != nil {
			return err
		}
		now, err := metric(scrape, runs, collector, outcome)
		if err == nil && now <= before {
			err = fmt.Errorf("%v runs then and now", now)
		}
		return err
	})
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
	if !ok || !strings.Contains(last.Reason, "terminated") || stops != 2 {
		t.Errorf("the last of %d records is %+v, want that of a stop that names the signal", len(all), all[len(all)-1])
	}
}

// wantDrift demands that no look after a change fails to tell it. That no slot
// went by without a look, or a record that there was none, is for verify to say.
func wantDrift(t *testing.T, b *bench, changed time.Time) {
	t.Helper()
	late := map[uint64]bool{} // runs that began after the change
	told := 0
	for i, r := range records(t, b.dir) {
		switch r := r.(type) {
		case *evidence.Run:
			late[uint64(i)] = r.Collector == "aws.s3_buckets" && r.Started.After(changed)
		case *evidence.Assessment:
			if !slices.ContainsFunc(r.Used, func(u evidence.Used) bool { return late[u.Record] }) {
				continue
			}
			for _, c := range r.Checks {
				if c.Check != "aws-s3-versioning" {
					continue
				}
				told++
				if c.Pass != 0 {
					t.Errorf("record %d, of a look after the change: %+v", i, c)
				}
			}
		}
	}
	if told == 0 {
		t.Error("no look after the change was assessed")
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
		{2, "tallystick_gaps", []string{account, `collector="aws.ec2_ebs_defaults"`, `class="unavailable"`}},
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
