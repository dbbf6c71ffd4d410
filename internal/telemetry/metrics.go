// Package telemetry tells operators what the agent does: one struct of
// Prometheus metrics and one way to build a logger.
//
// It promises that labels are bounded by the configuration and the catalogue,
// and that the series of a subject which vanished can be removed. It does not
// decide when something happened: the agent calls it after the ledger's
// published checkpoint covers the record in question. It is not evidence.
package telemetry

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tallystick/tallystick/evidence"
)

const namespace = "tallystick"

// Metrics holds every metric of the agent. Its methods may be called from
// several goroutines at once.
//
// A gauge that has not been set has no series, so that zero never stands for
// "not known". A counter exists at zero from the moment its subject is
// declared ([Metrics.SetSchedule], [Metrics.SetVerdicts], [Metrics.SetService]),
// so that rate() and increase() see its first step. Counters count since the
// process started.
type Metrics struct {
	checkResources *prometheus.GaugeVec
	drift          *prometheus.CounterVec

	lastCompleted  *prometheus.GaugeVec
	runDuration    *prometheus.GaugeVec
	schedulePeriod *prometheus.GaugeVec
	nextSlot       *prometheus.GaugeVec
	gaps           *prometheus.GaugeVec
	runs           *prometheus.CounterVec
	slotsMissed    *prometheus.CounterVec

	apiCalls     *prometheus.CounterVec
	apiThrottles *prometheus.CounterVec
	apiRetries   *prometheus.CounterVec
	apiWait      *prometheus.CounterVec

	periodSlots       *prometheus.GaugeVec
	deviationsOpen    *prometheus.GaugeVec
	deviationsOverdue *prometheus.GaugeVec

	ledgerRecords *prometheus.GaugeVec
	checkpoint    *prometheus.GaugeVec
	token         *prometheus.GaugeVec
	clockOffset   *prometheus.GaugeVec
	configReload  *prometheus.GaugeVec
	buildInfo     *prometheus.GaugeVec
}

// New makes the metrics and registers them on reg, together with the metrics
// of the Go runtime and of the process. The error is reg's: something of the
// same name is registered already.
func New(reg prometheus.Registerer) (*Metrics, error) {
	stream := []string{"collector", "provider", "account"}
	check := []string{"check", "control", "provider", "account"}
	service := []string{"provider", "service"}
	m := &Metrics{
		checkResources: gauge("check_resources",
			"Number of resources with this status in the newest assessment of the check.", with(check, "status")...),
		drift: counter("drift_total",
			"Number of times a resource came to fail the check that did not fail it in the assessment before; a first assessment counts none.", check...),

		lastCompleted: gauge("run_last_completed_timestamp_seconds",
			"Time at which the newest sealed run that read anything, complete or partial, finished.", stream...),
		runDuration: gauge("run_duration_seconds",
			"Time that the newest sealed run took, whatever its outcome.", stream...),
		schedulePeriod: gauge("schedule_period_seconds",
			"Longest time between two neighbouring slots of the schedule in force.", stream...),
		nextSlot: gauge("next_slot_timestamp_seconds",
			"Time of the next slot that is due, before jitter.", stream...),
		gaps: gauge("gaps",
			"Number of things that the newest sealed run could not read, by class of reason.", with(stream, "class")...),
		runs: counter("runs_total",
			"Number of runs that were sealed, by outcome.", with(stream, "outcome")...),
		slotsMissed: counter("slots_missed_total",
			"Number of slots that were due and had no run, by cause.", with(stream, "cause")...),

		apiCalls: counter("api_calls_total",
			"Number of calls to the provider's APIs, retries not counted apart; the outcome is ok or the class of the gap that the call left.",
			"provider", "service", "operation", "outcome"),
		apiThrottles: counter("api_throttles_total",
			"Number of answers of the provider's APIs that refused a call for there being too many, retries counted apart.", service...),
		apiRetries: counter("api_retries_total",
			"Number of times a call to the provider's APIs was made again because it had failed.", service...),
		apiWait: counter("api_wait_seconds_total",
			"Time that calls waited, before they were made, for the budget of their account, region and service or for another call to end; the time of calls that waited side by side is added up.", service...),

		periodSlots: gauge("period_slots",
			"Number of slots of the observation period that were due by now, by how they ended: sealed, late, partial, failed, missed, open.", with(stream, "state")...),
		deviationsOpen: gauge("deviations_open",
			"Number of resources that fail the check and did not pass since.", check...),
		deviationsOverdue: gauge("deviations_overdue",
			"Number of those that fail for longer than the limit for the severity of the control.", check...),

		ledgerRecords: gauge("ledger_records",
			"Number of records that the ledger's published checkpoint covers."),
		checkpoint: gauge("checkpoint_timestamp_seconds",
			"Time at which the ledger's newest checkpoint was published."),
		token: gauge("timestamp_token_timestamp_seconds",
			"Time stated by the newest RFC 3161 time-stamp token over a checkpoint."),
		clockOffset: gauge("clock_offset_seconds",
			"How far the agent's clock is ahead of the providers' Date headers in the newest run; they have a resolution of one second."),
		configReload: gauge("config_reload_success",
			"Whether the newest attempt to load the configuration succeeded: 1 if so, 0 if the one before it still runs."),
		buildInfo: gauge("build_info",
			"Always 1; the labels say which program this is.", "version", "goversion", "revision"),
	}
	for _, c := range append(m.vectors(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})) {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.checkResources, m.drift,
		m.lastCompleted, m.runDuration, m.schedulePeriod, m.nextSlot, m.gaps, m.runs, m.slotsMissed,
		m.apiCalls, m.apiThrottles, m.apiRetries, m.apiWait, m.periodSlots, m.deviationsOpen, m.deviationsOverdue,
		m.ledgerRecords, m.checkpoint, m.token, m.clockOffset, m.configReload, m.buildInfo,
	}
}

// BuildInfo says which program this is. The revision is that of the source,
// empty when it is not known.
func (m *Metrics) BuildInfo(version, revision string) {
	m.buildInfo.Reset()
	m.buildInfo.WithLabelValues(version, runtime.Version(), revision).Set(1)
}

// ConfigReload says whether the newest attempt to load the configuration
// succeeded. The first load counts.
func (m *Metrics) ConfigReload(ok bool) {
	v := 0.0
	if ok {
		v = 1
	}
	m.configReload.WithLabelValues().Set(v)
}

// ClockOffset says how far the agent's clock is from the providers'. Positive:
// the agent is ahead.
func (m *Metrics) ClockOffset(d time.Duration) {
	m.clockOffset.WithLabelValues().Set(d.Seconds())
}

// Checkpoint says how many records the newest published checkpoint covers and
// when it was published.
func (m *Metrics) Checkpoint(records uint64, at time.Time) {
	m.ledgerRecords.WithLabelValues().Set(float64(records))
	m.checkpoint.WithLabelValues().Set(seconds(at))
}

// TimestampToken gives the time that the newest time-stamp token states.
func (m *Metrics) TimestampToken(at time.Time) {
	m.token.WithLabelValues().Set(seconds(at))
}

// APICalls counts n calls of one operation. The service and operation are
// those that collectors declare ("s3", "GetBucketEncryption"); the outcome is
// [OutcomeOK] or the class of the gap that the call left.
func (m *Metrics) APICalls(provider, service, operation, outcome string, n int) {
	m.apiCalls.WithLabelValues(provider, service, operation, outcome).Add(float64(n))
}

// OutcomeOK is the outcome of a call that was answered, which includes the
// answer that a thing does not exist.
const OutcomeOK = "ok"

// SetService declares a service that is called: its counters exist from here on.
func (m *Metrics) SetService(provider, service string) {
	m.apiThrottles.WithLabelValues(provider, service)
	m.apiRetries.WithLabelValues(provider, service)
	m.apiWait.WithLabelValues(provider, service)
}

// APIThrottled counts an answer that refused a call for there being too many.
func (m *Metrics) APIThrottled(provider, service string) {
	m.apiThrottles.WithLabelValues(provider, service).Inc()
}

// APIRetried counts a call that is made again.
func (m *Metrics) APIRetried(provider, service string) {
	m.apiRetries.WithLabelValues(provider, service).Inc()
}

// APIWaited adds the time that a call waited before it was made.
func (m *Metrics) APIWaited(provider, service string, d time.Duration) {
	m.apiWait.WithLabelValues(provider, service).Add(d.Seconds())
}

// SetVerdicts gives the counts of one check in one scope, in place of those
// before. It declares the drift counter of that check and scope.
func (m *Metrics) SetVerdicts(scope evidence.Scope, control string, c evidence.CheckCount) {
	for _, s := range []struct {
		status evidence.Status
		n      int
	}{
		{evidence.Pass, c.Pass},
		{evidence.Fail, c.Fail},
		{evidence.Unknown, c.Unknown},
		{evidence.NotApplicable, c.NotApplicable},
	} {
		m.checkResources.WithLabelValues(c.Check, control, scope.Provider, scope.Account, string(s.status)).Set(float64(s.n))
	}
	m.drift.WithLabelValues(c.Check, control, scope.Provider, scope.Account)
}

// Drift counts n resources that fail a check now and did not in the assessment
// before. The first assessment of a scope is no drift.
func (m *Metrics) Drift(scope evidence.Scope, control, check string, n int) {
	m.drift.WithLabelValues(check, control, scope.Provider, scope.Account).Add(float64(n))
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func with(labels []string, more string) []string {
	return append(slices.Clip(labels), more)
}

// seconds gives Unix time in seconds with what a float64 keeps of the fraction.
func seconds(t time.Time) float64 {
	return float64(t.Unix()) + float64(t.Nanosecond())/1e9
}
