package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
)

// maxDifferences bounds what is kept of one record. All are counted.
const maxDifferences = 200

// outcome gathers what comes of one record. It belongs to one goroutine.
type outcome struct {
	result
	base      Difference // what all differences of the record have in common
	explained int        // differences that a call without an exchange explains
	why       string     // what explains the first of them
}

func outcomeOf(e evidence.Entry, base Difference) *outcome {
	header := evidence.HeaderOf(e.Predicate)
	base.Record, base.RecordedBy = e.Index, header.Agent.Version
	return &outcome{result: result{index: e.Index, what: base.What, header: header}, base: base}
}

func (o *outcome) differ(d Difference) {
	if len(o.differences) >= maxDifferences {
		o.omitted++
		return
	}
	o.differences = append(o.differences, d)
}

// broke takes an error for which the record could not be performed to its end.
func (o *outcome) broke(payload string, err error) result {
	if missing, ok := errors.AsType[errAbsent](err); ok {
		o.notPerformed = missing.Error()
		return o.result
	}
	d := o.base
	d.Payload, d.Problem = payload, err.Error()
	o.differ(d)
	return o.result
}

// lines takes a pair of lines that differ; one side may be nil.
func (o *outcome) lines(payload string, sealed, replayed *line) {
	at := sealed
	if at == nil {
		at = replayed
	}
	d := o.base
	d.Payload, d.Check, d.Kind, d.Region = payload, at.Check, at.Kind, at.Region
	d.Resource = at.ID + at.Resource // a line has one of them
	switch {
	case sealed == nil:
		c := changeOf("", "", string(replayed.raw))
		d.Replayed = c.replayed
		o.differ(d)
	case replayed == nil:
		c := changeOf("", string(sealed.raw), "")
		d.Sealed = c.sealed
		o.differ(d)
	default:
		for _, c := range changes(sealed.raw, replayed.raw) {
			d.Field, d.Sealed, d.Replayed = c.field, c.sealed, c.replayed
			o.differ(d)
		}
	}
}

// run performs a run again.
func (p *performer) run(ctx context.Context, e evidence.Entry, r *evidence.Run) result {
	o := outcomeOf(e, Difference{What: OfRun, Where: r.Stream.String(), At: r.Slot})
	if r.Fault != "" {
		o.notPerformed = "the collector failed by a fault of the program, which no exchange shows"
		return o.result
	}
	if _, called := e.Statement.Payload(fmt.Sprintf(evidence.PayloadExchanges, 1)); !called {
		o.notPerformed = "no call left an exchange: there were no credentials to make one with"
		return o.result
	}
	leftOut := func() ([]string, error) { return p.leftOut(r) }
	made, err := p.Collector(ctx, Recording{Task: r.Task, Principal: r.Principal, LeftOut: leftOut})
	if err == nil && made.Collector != nil {
		var rec *recording
		rec, err = openRecording(p.store, r, e.Statement, made.Spec().Sensitive, made.Describe)
		if err != nil {
			return o.broke("exchanges", err)
		}
		rec.LeftOut = leftOut
		if rec.Regions, err = p.regions(r, e.Statement); err != nil {
			return o.broke(evidence.PayloadGaps, err)
		}
		if made, err = p.Collector(ctx, rec.Recording); err == nil {
			return p.recollect(ctx, o, e, r, rec, made)
		}
	}
	switch {
	case err != nil:
		o.notPerformed = err.Error()
	default:
		o.notPerformed = fmt.Sprintf("this version of the program has no collector %s", r.Collector)
	}
	return o.result
}

// recollect runs the collector over the recording and compares.
func (p *performer) recollect(ctx context.Context, o *outcome, e evidence.Entry, r *evidence.Run, rec *recording, c Collector) result {
	recorder := capture.NewRecorder(capture.Options{
		Create:   func() (capture.Sink, error) { return nowhere{io.Discard}, nil },
		Describe: c.Describe, Sensitive: c.Spec().Sensitive,
	})
	t := newTransport(rec, recorder, c.Describe)
	create := func(name string) (agent.Blob, error) {
		var sealed io.ReadCloser
		if d, ok := e.Statement.Payload(name); ok {
			var err error
			if sealed, err = p.store.Open(d); err != nil {
				return nil, absent(name, err)
			}
		}
		return newComparison(name, sealed, func(sealed, replayed *line) {
			if t.explains(sealed, replayed) {
				if o.explained++; o.why == "" {
					o.why = fmt.Sprintf("a call left no exchange: %s %s", sealed.Operation, sealed.Class)
				}
				return
			}
			o.lines(name, sealed, replayed)
		}), nil
	}
	again := &evidence.Run{Task: r.Task}
	subjects, err := agent.Recollect(ctx, c, collectors.Input{
		Scope: r.Scope, Captured: t, InFlight: inFlight, Wait: waitNot,
	}, p.Scratch, create, again)
	if err == nil {
		subjects, err = p.noGaps(e.Statement, create, subjects)
	}
	if err != nil {
		recorder.Abort()
		return o.broke("", err)
	}
	summary, err := recorder.Close()
	if err != nil {
		return o.broke("exchanges", err)
	}
	again.Calls = summary.Calls
	if o.explained > 0 && len(o.differences) == 0 {
		o.notPerformed = o.why
		return o.result
	}
	for _, s := range subjects {
		o.sameBytes(e.Statement, s.Name, evidence.Digest(s.Digest["sha256"]))
	}
	o.record(said(r), said(again))
	return o.result
}

// inFlight is how many resources a collector reads at a time. There is nothing
// to wait for.
const inFlight = 2

// explains says whether a difference comes of a call that left no exchange
// then, such as one whose credentials could not be had: it was a gap then, and
// is one now, for want of an answer.
func (t *transport) explains(sealed, replayed *line) bool {
	if sealed == nil || replayed == nil || sealed.Class == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unrecorded[replayed.Message]
}

// noGaps compares the sealed gaps with none, when there are none now.
func (p *performer) noGaps(s evidence.Statement, create func(string) (agent.Blob, error), subjects []evidence.Subject) ([]evidence.Subject, error) {
	if _, sealed := s.Payload(evidence.PayloadGaps); !sealed || slices.ContainsFunc(subjects, func(s evidence.Subject) bool { return s.Name == evidence.PayloadGaps }) {
		return subjects, nil
	}
	none, err := create(evidence.PayloadGaps)
	if err != nil {
		return nil, err
	}
	d, _, err := none.Commit()
	return append(subjects, evidence.SubjectOf(evidence.PayloadGaps, d)), err
}

// sameBytes is the last word: no difference may remain unseen.
func (o *outcome) sameBytes(s evidence.Statement, name string, replayed evidence.Digest) {
	sealed, _ := s.Payload(name)
	if sealed != replayed && len(o.differences) == 0 && o.explained == 0 {
		d := o.base
		d.Payload, d.Sealed, d.Replayed = name, text(sealed), text(replayed)
		d.Problem = "the same lines in other bytes"
		o.differ(d)
	}
}

// record compares what two records say of themselves.
func (o *outcome) record(sealed, replayed any) {
	a, errA := json.Marshal(sealed)
	b, errB := json.Marshal(replayed)
	if err := errors.Join(errA, errB); err != nil {
		o.broke(PayloadRecord, err)
		return
	}
	if string(a) == string(b) {
		return
	}
	for _, c := range changes(a, b) {
		d := o.base
		d.Payload, d.Field, d.Sealed, d.Replayed = PayloadRecord, c.field, c.sealed, c.replayed
		o.differ(d)
	}
}

// said is what a run record says of what was collected.
func said(r *evidence.Run) any {
	return struct {
		Principal      string               `json:"principal"`
		Outcome        evidence.Outcome     `json:"outcome"`
		Regions        []string             `json:"regions,omitempty"`
		RegionsLeftOut []string             `json:"regions_left_out,omitempty"`
		Observations   []evidence.KindCount `json:"observations"`
		Vanished       int                  `json:"vanished,omitempty"`
		Gaps           []evidence.GapCount  `json:"gaps,omitempty"`
		Calls          []evidence.CallCount `json:"calls"`
	}{r.Principal, r.Outcome, r.Regions, r.RegionsLeftOut, r.Observations, r.Vanished, r.Gaps, r.Calls}
}

// nowhere is where the exchanges of a replay go: they are kept already.
type nowhere struct{ io.Writer }

func (nowhere) Commit() (evidence.Digest, int64, error) { return "", 0, nil }
func (nowhere) Abort()                                  {}
