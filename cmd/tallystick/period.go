package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/schedule"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
)

// periodStatus is how the observation period stands, as `status` shows it.
type periodStatus struct {
	From       time.Time    `json:"from"`
	To         time.Time    `json:"to"` // exclusive: now, or the end of the period
	Slots      period.Tally `json:"slots"`
	Deviations int          `json:"deviations"` // in the period so far
	Failing    int          `json:"failing"`    // of them, those that last
	Overdue    int          `json:"overdue"`    // of those, longer than the limit for their severity
	Undecided  int          `json:"undecided"`  // check and resource pairs that could not be decided at the last look
}

// String sums it up for people.
func (p *periodStatus) String() string {
	s := p.Slots
	return fmt.Sprintf("period so far (%s to %s): %d slots due; %d complete, %d of them late; %d with gaps; %d missed; %d not accounted for\n"+
		"%d deviations; %d last, %d of them longer than their limit; %d results are unknown",
		when(p.From), when(p.To), s.Due, s.Sealed+s.Late, s.Late, s.Partial+s.Failed, s.Missed, s.Open,
		p.Deviations, p.Failing, p.Overdue, p.Undecided)
}

// periodOf reads the ledger over the period of its newest configuration. It
// gives nil before that begins.
func periodOf(ctx context.Context, dir string, state *agent.State, store *payload.Store, now time.Time, progress func(done, total uint64)) (*periodStatus, error) {
	if state.InForce == nil {
		return nil, nil
	}
	zone, err := time.LoadLocation(state.InForce.Schedule.TimeZone)
	if err != nil {
		return nil, err
	}
	from, _, err := schedule.Date(state.PeriodStart, zone)
	if err != nil {
		return nil, fmt.Errorf("period of the newest configuration: %w", err)
	}
	_, to, err := schedule.Date(state.PeriodEnd, zone)
	if err != nil {
		return nil, fmt.Errorf("period of the newest configuration: %w", err)
	}
	if !now.After(from) {
		return nil, nil
	}
	if now.Before(to) {
		to = now
	}
	fold := period.New(period.Options{Window: period.Window{From: from, To: to, Zone: zone}, Payloads: store})
	reader, err := ledger.OpenReader(dir)
	if err != nil {
		return nil, err
	}
	for raw, err := range reader.Entries(0) {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		e, err := seal.PeekEntry(raw.Index, raw.Data)
		if err != nil {
			return nil, err
		}
		if err := fold.Take(e); err != nil {
			return nil, err
		}
		progress(raw.Index+1, reader.Size())
	}
	r, err := fold.Report(to)
	if err != nil {
		return nil, err
	}
	p := &periodStatus{From: from, To: to, Slots: r.Total(), Deviations: len(r.Deviations)}
	for _, d := range r.Deviations {
		if d.End == period.EndOpen {
			p.Failing++
			if d.Overdue == period.OverdueYes {
				p.Overdue++
			}
		}
	}
	for _, u := range r.Unknowns {
		if u.Open {
			p.Undecided++
		}
	}
	return p, nil
}
