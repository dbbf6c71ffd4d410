package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/evidence"
)

// SetSchedule declares a stream: the longest time between two neighbouring
// slots of its schedule, and the next slot. A zero next slot means that none
// is known, and has no series. The counters of the stream exist from here on.
func (m *Metrics) SetSchedule(s evidence.Stream, period time.Duration, next time.Time) {
	m.schedulePeriod.WithLabelValues(labels(s)...).Set(period.Seconds())
	m.SetNextSlot(s, next)
	for _, o := range outcomes() {
		m.runs.WithLabelValues(labels(s, string(o))...)
	}
	for _, c := range causes() {
		m.slotsMissed.WithLabelValues(labels(s, string(c))...)
	}
}

// SetNextSlot gives the next slot of a stream. Zero means that none is known.
func (m *Metrics) SetNextSlot(s evidence.Stream, next time.Time) {
	if next.IsZero() {
		m.nextSlot.DeleteLabelValues(labels(s)...)
		return
	}
	m.nextSlot.WithLabelValues(labels(s)...).Set(seconds(next))
}

// RunFinished counts a run that the published checkpoint covers and shows it
// as the newest of its stream.
func (m *Metrics) RunFinished(r *evidence.Run) {
	m.runs.WithLabelValues(labels(r.Stream, string(r.Outcome))...).Inc()
	m.RestoreRun(r)
}

// RestoreRun shows a run as the newest of its stream without counting it. The
// agent calls it at start with the runs that it found in the ledger, in the
// order of the ledger.
func (m *Metrics) RestoreRun(r *evidence.Run) {
	l := labels(r.Stream)
	m.runDuration.WithLabelValues(l...).Set(r.Finished.Sub(r.Started).Seconds())
	if r.Outcome != evidence.Failed {
		m.lastCompleted.WithLabelValues(l...).Set(seconds(r.Finished))
	}
	counts := map[evidence.Class]int{}
	for _, g := range r.Gaps {
		counts[g.Class] += g.Count
	}
	m.SetGaps(r.Stream, counts)
}

// SetGaps gives the gaps of the newest run of a stream, in place of those
// before. A class that is not in counts has none.
func (m *Metrics) SetGaps(s evidence.Stream, counts map[evidence.Class]int) {
	for _, c := range classes() {
		m.gaps.WithLabelValues(labels(s, string(c))...).Set(float64(counts[c]))
	}
}

// SlotsMissed counts the slots of a record of missed slots.
func (m *Metrics) SlotsMissed(r *evidence.Missed) {
	m.slotsMissed.WithLabelValues(labels(r.Stream, string(r.Cause))...).Add(float64(r.Slots))
}

// ForgetStream removes every series of a stream that is no longer configured.
func (m *Metrics) ForgetStream(s evidence.Stream) {
	match := prometheus.Labels{"collector": s.Collector, "provider": s.Provider, "account": s.Account}
	for _, v := range m.partials() {
		v.DeletePartialMatch(match)
	}
}

// ForgetScope removes every series of a scope that is no longer configured.
func (m *Metrics) ForgetScope(s evidence.Scope) {
	match := prometheus.Labels{"provider": s.Provider, "account": s.Account}
	for _, v := range m.partials() {
		v.DeletePartialMatch(match)
	}
}

// ForgetCheck removes every series of a check that the catalogue no longer has.
func (m *Metrics) ForgetCheck(check string) {
	match := prometheus.Labels{"check": check}
	for _, v := range m.partials() {
		v.DeletePartialMatch(match)
	}
}

// partials are the metrics about a stream, a scope or a check. A metric that
// lacks a label of the match has nothing that matches it.
func (m *Metrics) partials() []interface {
	DeletePartialMatch(prometheus.Labels) int
} {
	return []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{
		m.checkResources, m.drift,
		m.lastCompleted, m.runDuration, m.schedulePeriod, m.nextSlot, m.gaps, m.runs, m.slotsMissed,
		m.periodSlots, m.deviationsOpen, m.deviationsOverdue,
	}
}

func labels(s evidence.Stream, more ...string) []string {
	return append([]string{s.Collector, s.Provider, s.Account}, more...)
}

func outcomes() []evidence.Outcome {
	return []evidence.Outcome{evidence.Complete, evidence.Partial, evidence.Failed}
}

func causes() []evidence.Cause {
	return []evidence.Cause{
		evidence.CauseAgentDown, evidence.CauseOverlap, evidence.CauseInterrupted, evidence.CauseFault,
	}
}

func classes() []evidence.Class {
	return []evidence.Class{
		evidence.Denied, evidence.Throttled, evidence.Disabled, evidence.Unavailable,
		evidence.Timeout, evidence.Malformed, evidence.Internal,
	}
}
