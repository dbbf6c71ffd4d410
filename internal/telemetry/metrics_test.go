package telemetry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/telemetry"
)

var (
	prod   = evidence.Scope{Provider: "aws", Account: "111122223333"}
	dev    = evidence.Scope{Provider: "aws", Account: "444455556666"}
	slot   = time.Date(2026, 7, 1, 6, 17, 0, 0, time.UTC) // Unix 1782886620
	stream = evidence.Stream{Collector: "aws.s3_buckets", Scope: prod}
)

func newMetrics(t *testing.T) (*telemetry.Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := telemetry.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// want compares the samples of the named metrics, without HELP and TYPE lines.
func want(t *testing.T, reg prometheus.Gatherer, name, samples string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var head string
	for _, f := range families {
		if f.GetName() == name {
			head = "# HELP " + name + " " + f.GetHelp() + "\n# TYPE " + name + " " + strings.ToLower(f.GetType().String()) + "\n"
		}
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(head+samples), name); err != nil {
		t.Error(err)
	}
}

func run(outcome evidence.Outcome, finished time.Time, gaps ...evidence.GapCount) *evidence.Run {
	return &evidence.Run{
		Task:    evidence.Task{Stream: stream, Slot: slot},
		Started: finished.Add(-1500 * time.Millisecond), Finished: finished,
		Outcome: outcome, Gaps: gaps,
	}
}

func TestNothingIsZeroBeforeItIsKnown(t *testing.T) {
	_, reg := newMetrics(t)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "tallystick_") {
			t.Errorf("%s has a series before anything was said about it", f.GetName())
		}
	}
}

func TestRegisterTwice(t *testing.T) {
	_, reg := newMetrics(t)
	if _, err := telemetry.New(reg); err == nil {
		t.Error("registering the same metrics twice gives no error")
	}
}

func TestVerdicts(t *testing.T) {
	m, reg := newMetrics(t)
	count := evidence.CheckCount{Check: "aws.s3.versioning", Pass: 4, Fail: 1, Unknown: 2, NotApplicable: 3}
	m.SetVerdicts(prod, "backup.versioning", count)
	want(t, reg, "tallystick_check_resources", `
tallystick_check_resources{account="111122223333",check="aws.s3.versioning",control="backup.versioning",provider="aws",status="fail"} 1
tallystick_check_resources{account="111122223333",check="aws.s3.versioning",control="backup.versioning",provider="aws",status="not_applicable"} 3
tallystick_check_resources{account="111122223333",check="aws.s3.versioning",control="backup.versioning",provider="aws",status="pass"} 4
tallystick_check_resources{account="111122223333",check="aws.s3.versioning",control="backup.versioning",provider="aws",status="unknown"} 2
`)
	// The counter stands at zero before the first drift, or increase() would
	// not see it.
	want(t, reg, "tallystick_drift_total", `
tallystick_drift_total{account="111122223333",check="aws.s3.versioning",control="backup.versioning",provider="aws"} 0
`)
	m.Drift(prod, "backup.versioning", "aws.s3.versioning", 2)
	m.SetVerdicts(prod, "backup.versioning", count)
	want(t, reg, "tallystick_drift_total", `
tallystick_drift_total{account="111122223333",check="aws.s3.versioning",control="backup.versioning",provider="aws"} 2
`)
}

func TestStream(t *testing.T) {
	m, reg := newMetrics(t)
	m.SetSchedule(stream, time.Hour, slot.Add(500*time.Millisecond))
	want(t, reg, "tallystick_schedule_period_seconds", `
tallystick_schedule_period_seconds{account="111122223333",collector="aws.s3_buckets",provider="aws"} 3600
`)
	want(t, reg, "tallystick_next_slot_timestamp_seconds", `
tallystick_next_slot_timestamp_seconds{account="111122223333",collector="aws.s3_buckets",provider="aws"} 1.7828866205e+09
`)
	want(t, reg, "tallystick_runs_total", `
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="complete",provider="aws"} 0
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="failed",provider="aws"} 0
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="partial",provider="aws"} 0
`)

	m.RunFinished(run(evidence.Partial, slot,
		evidence.GapCount{Class: evidence.Denied, Operation: "s3:GetBucketVersioning", Count: 2},
		evidence.GapCount{Class: evidence.Denied, Operation: "s3:GetBucketEncryption", Count: 3},
		evidence.GapCount{Class: evidence.Throttled, Operation: "s3:GetBucketLogging", Count: 1}))
	want(t, reg, "tallystick_gaps", `
tallystick_gaps{account="111122223333",class="denied",collector="aws.s3_buckets",provider="aws"} 5
tallystick_gaps{account="111122223333",class="disabled",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="internal",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="malformed",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="throttled",collector="aws.s3_buckets",provider="aws"} 1
tallystick_gaps{account="111122223333",class="timeout",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="unavailable",collector="aws.s3_buckets",provider="aws"} 0
`)
	// A failed run read nothing: evidence is no newer than it was. Its gaps
	// take the place of those before.
	m.RunFinished(run(evidence.Failed, slot.Add(time.Hour),
		evidence.GapCount{Class: evidence.Denied, Operation: "s3:ListBuckets", Count: 1}))
	want(t, reg, "tallystick_run_last_completed_timestamp_seconds", `
tallystick_run_last_completed_timestamp_seconds{account="111122223333",collector="aws.s3_buckets",provider="aws"} 1.78288662e+09
`)
	want(t, reg, "tallystick_run_duration_seconds", `
tallystick_run_duration_seconds{account="111122223333",collector="aws.s3_buckets",provider="aws"} 1.5
`)
	want(t, reg, "tallystick_gaps", `
tallystick_gaps{account="111122223333",class="denied",collector="aws.s3_buckets",provider="aws"} 1
tallystick_gaps{account="111122223333",class="disabled",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="internal",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="malformed",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="throttled",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="timeout",collector="aws.s3_buckets",provider="aws"} 0
tallystick_gaps{account="111122223333",class="unavailable",collector="aws.s3_buckets",provider="aws"} 0
`)
	want(t, reg, "tallystick_runs_total", `
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="complete",provider="aws"} 0
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="failed",provider="aws"} 1
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="partial",provider="aws"} 1
`)

	m.SlotsMissed(&evidence.Missed{Stream: stream, Slots: 7, Cause: evidence.CauseAgentDown})
	want(t, reg, "tallystick_slots_missed_total", `
tallystick_slots_missed_total{account="111122223333",cause="agent_down",collector="aws.s3_buckets",provider="aws"} 7
tallystick_slots_missed_total{account="111122223333",cause="fault",collector="aws.s3_buckets",provider="aws"} 0
tallystick_slots_missed_total{account="111122223333",cause="interrupted",collector="aws.s3_buckets",provider="aws"} 0
tallystick_slots_missed_total{account="111122223333",cause="overlap",collector="aws.s3_buckets",provider="aws"} 0
`)

	m.SetNextSlot(stream, time.Time{})
	want(t, reg, "tallystick_next_slot_timestamp_seconds", "")
}

func TestRestoreDoesNotCount(t *testing.T) {
	m, reg := newMetrics(t)
	m.SetSchedule(stream, time.Hour, slot)
	m.RestoreRun(run(evidence.Complete, slot))
	want(t, reg, "tallystick_run_last_completed_timestamp_seconds", `
tallystick_run_last_completed_timestamp_seconds{account="111122223333",collector="aws.s3_buckets",provider="aws"} 1.78288662e+09
`)
	want(t, reg, "tallystick_runs_total", `
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="complete",provider="aws"} 0
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="failed",provider="aws"} 0
tallystick_runs_total{account="111122223333",collector="aws.s3_buckets",outcome="partial",provider="aws"} 0
`)
}

func TestAgent(t *testing.T) {
	m, reg := newMetrics(t)
	m.Checkpoint(42, slot)
	m.TimestampToken(slot)
	m.ClockOffset(-2500 * time.Millisecond)
	m.APICalls("aws", "s3", "GetBucketVersioning", telemetry.OutcomeOK, 3)
	m.ConfigReload(true)
	want(t, reg, "tallystick_ledger_records", "tallystick_ledger_records 42\n")
	want(t, reg, "tallystick_checkpoint_timestamp_seconds", "tallystick_checkpoint_timestamp_seconds 1.78288662e+09\n")
	want(t, reg, "tallystick_timestamp_token_timestamp_seconds", "tallystick_timestamp_token_timestamp_seconds 1.78288662e+09\n")
	want(t, reg, "tallystick_clock_offset_seconds", "tallystick_clock_offset_seconds -2.5\n")
	want(t, reg, "tallystick_api_calls_total",
		`tallystick_api_calls_total{operation="GetBucketVersioning",outcome="ok",provider="aws",service="s3"} 3`+"\n")
	want(t, reg, "tallystick_config_reload_success", "tallystick_config_reload_success 1\n")
	m.ConfigReload(false)
	want(t, reg, "tallystick_config_reload_success", "tallystick_config_reload_success 0\n")

	m.BuildInfo("v0.1.0", "")
	m.BuildInfo("v0.1.1", "0123abc")
	if n, err := testutil.GatherAndCount(reg, "tallystick_build_info"); err != nil || n != 1 {
		t.Errorf("build_info has %d series, want 1 (%v)", n, err)
	}
}

func TestServices(t *testing.T) {
	m, reg := newMetrics(t)
	m.SetService("aws", "s3")
	// The counters stand at zero before the first step, or increase() would not
	// see it.
	for _, name := range []string{"tallystick_api_throttles_total", "tallystick_api_retries_total", "tallystick_api_wait_seconds_total"} {
		want(t, reg, name, name+`{provider="aws",service="s3"} 0`+"\n")
	}
	m.APIThrottled("aws", "s3")
	m.APIThrottled("aws", "s3")
	m.APIRetried("aws", "s3")
	m.APIWaited("aws", "s3", 1500*time.Millisecond)
	m.APIWaited("aws", "s3", time.Minute)
	m.SetService("aws", "s3")
	want(t, reg, "tallystick_api_throttles_total", `tallystick_api_throttles_total{provider="aws",service="s3"} 2`+"\n")
	want(t, reg, "tallystick_api_retries_total", `tallystick_api_retries_total{provider="aws",service="s3"} 1`+"\n")
	want(t, reg, "tallystick_api_wait_seconds_total", `tallystick_api_wait_seconds_total{provider="aws",service="s3"} 61.5`+"\n")
}

func TestForget(t *testing.T) {
	other := evidence.Stream{Collector: "aws.kms_keys", Scope: prod}
	far := evidence.Stream{Collector: stream.Collector, Scope: dev}
	tests := []struct {
		name   string
		forget func(*telemetry.Metrics)
		// number of series that are left of each
		periods, missed, gaps, runs, verdicts, drift int
	}{
		{"nothing", func(*telemetry.Metrics) {}, 3, 12, 21, 9, 12, 3},
		{"stream", func(m *telemetry.Metrics) { m.ForgetStream(stream) }, 2, 8, 14, 6, 12, 3},
		{"scope", func(m *telemetry.Metrics) { m.ForgetScope(prod) }, 1, 4, 7, 3, 4, 1},
		{"check", func(m *telemetry.Metrics) { m.ForgetCheck("aws.s3.versioning") }, 3, 12, 21, 9, 4, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, reg := newMetrics(t)
			for _, s := range []evidence.Stream{stream, other, far} {
				m.SetSchedule(s, time.Hour, slot)
				m.SetGaps(s, nil)
			}
			for _, scope := range []evidence.Scope{prod, dev} {
				m.SetVerdicts(scope, "backup.versioning", evidence.CheckCount{Check: "aws.s3.versioning"})
			}
			m.SetVerdicts(prod, "encryption.kms", evidence.CheckCount{Check: "aws.kms.rotation"})
			tt.forget(m)
			for name, want := range map[string]int{
				"tallystick_schedule_period_seconds":     tt.periods,
				"tallystick_next_slot_timestamp_seconds": tt.periods,
				"tallystick_slots_missed_total":          tt.missed,
				"tallystick_gaps":                        tt.gaps,
				"tallystick_runs_total":                  tt.runs,
				"tallystick_check_resources":             tt.verdicts,
				"tallystick_drift_total":                 tt.drift,
			} {
				if got, err := testutil.GatherAndCount(reg, name); err != nil || got != want {
					t.Errorf("%s: %d series left, want %d (%v)", name, got, want, err)
				}
			}
		})
	}
}

func TestLint(t *testing.T) {
	m, reg := newMetrics(t)
	m.SetSchedule(stream, time.Hour, slot)
	m.RunFinished(run(evidence.Complete, slot))
	m.SetVerdicts(prod, "c", evidence.CheckCount{Check: "k"})
	m.Checkpoint(1, slot)
	m.TimestampToken(slot)
	m.ClockOffset(0)
	m.ConfigReload(true)
	m.BuildInfo("v0.1.0", "")
	m.APICalls("aws", "s3", "ListBuckets", telemetry.OutcomeOK, 1)
	m.SetService("aws", "s3")
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "tallystick_") && !strings.HasSuffix(f.GetHelp(), ".") {
			t.Errorf("%s: help is not a full sentence: %q", f.GetName(), f.GetHelp())
		}
	}
}
