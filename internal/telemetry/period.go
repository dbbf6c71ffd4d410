package telemetry

import "github.com/tallystick/tallystick/evidence"

// SetPeriodSlots says how many slots of the observation period ended in a
// state, for one stream.
func (m *Metrics) SetPeriodSlots(s evidence.Stream, state string, n int) {
	m.periodSlots.WithLabelValues(labels(s, state)...).Set(float64(n))
}

// SetDeviations says how many resources fail a check now in one scope, and how
// many of them for longer than is allowed.
func (m *Metrics) SetDeviations(scope evidence.Scope, control, check string, open, overdue int) {
	m.deviationsOpen.WithLabelValues(check, control, scope.Provider, scope.Account).Set(float64(open))
	m.deviationsOverdue.WithLabelValues(check, control, scope.Provider, scope.Account).Set(float64(overdue))
}
