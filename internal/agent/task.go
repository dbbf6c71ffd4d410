package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// Result is how a task ended.
type Result struct {
	evidence.Task
	Trigger  evidence.Trigger
	Run      *evidence.Run // nil when the task could not be sealed
	Record   uint64        // its index in the ledger
	Err      error         // why it could not be sealed
	Unjudged error         // why what it saw could not be judged; the verdicts are those of before
	Took     time.Duration

	// Drifted are the verdicts that went from pass to fail because of this run.
	Drifted []evidence.Verdict
}

// errInterrupted is the error of a task that was told to end.
var errInterrupted = errors.New("the agent was told to stop")

// interrupted gives errInterrupted with why ctx ended.
func interrupted(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, errInterrupted) && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: %w", errInterrupted, cause)
	}
	return errInterrupted
}

// do runs one task to its end: collect, seal, judge.
func (a *Agent) do(ctx context.Context, s *stream, slot time.Time, trigger evidence.Trigger) Result {
	result := Result{Task: evidence.Task{Stream: s.Stream, Slot: slot}, Trigger: trigger}
	began := time.Now()
	run := &evidence.Run{
		Task: result.Task, Trigger: trigger, Started: a.Clock.Now(),
		ConfigurationDigest: a.scheduleDigest, CatalogueDigest: a.catalogueDigest,
	}
	subjects, err := a.collect(ctx, s, run)
	var at sealed
	if err == nil {
		at, err = a.sealRun(ctx, s, run, subjects)
	}
	if err == nil {
		result.Run, result.Record = run, at.index
		result.Drifted, result.Unjudged = a.sealedRun(ctx, s, run, at)
	} else {
		result.Err = err
		a.notSealed(ctx, s, slot, trigger, err)
	}
	result.Took = time.Since(began)
	a.log(result)
	if a.OnTask != nil {
		a.told.Lock()
		a.OnTask(result)
		a.told.Unlock()
	}
	return result
}

// collect runs the collector and writes the payloads. The error is for a task
// of which no record can be made: it was interrupted, or its evidence could
// not be written.
func (a *Agent) collect(ctx context.Context, s *stream, run *evidence.Run) ([]evidence.Subject, error) {
	spec := s.collector.Spec()
	recorder := capture.NewRecorder(capture.Options{
		Create:    func() (capture.Sink, error) { return newSink(a.store) },
		Describe:  s.provider.Describe,
		Sensitive: spec.Sensitive,
		Key:       a.RedactionKey,
		Now:       a.Clock.Now,
		Version:   a.Program.Version,
	})
	got := newCollected(spec, a.Dir)
	// From the collector down: wait for the budget, keep the exchange, bound
	// the attempt. Waiting is neither kept nor bounded.
	transport := a.limiter.transport(s.Scope, s.provider, recorder.Transport(bounded(s.provider.Transport)))
	failure := collectSafely(ctx, s.collector, collectors.Input{
		Scope: s.Scope, Captured: transport, InFlight: max(1, a.Limits.InFlight), Wait: a.Clock.Wait,
	}, got, a.Log)
	run.Finished = a.Clock.Now()

	if ctx.Err() != nil {
		recorder.Abort()
		return nil, errors.Join(interrupted(ctx), got.discard())
	}
	// A collector may have taken an exchange that could not be kept for a gap
	// of the provider's: Close gives that error again.
	summary, err := recorder.Close()
	if err != nil {
		return nil, errors.Join(err, got.discard())
	}
	subjects := make([]evidence.Subject, 0, len(summary.Files)+2)
	for _, f := range summary.Files {
		subjects = append(subjects, evidence.SubjectOf(f.Name, f.Digest))
	}
	more, err := got.finish(failure, a.create, run)
	if err != nil {
		return nil, err
	}
	run.Calls, run.ClockOffset = summary.Calls, summary.ClockOffset
	return append(subjects, more...), nil
}

// collectSafely turns a panic of a collector into the failure of its task.
func collectSafely(ctx context.Context, c collectors.Collector, in collectors.Input, emit collectors.Emit, log *zap.Logger) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("collector %s panicked: %v", c.Spec().Name, p)
			log.Error("collector panicked", zap.String("collector", c.Spec().Name), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	return c.Collect(ctx, in, emit)
}

// sealedRun tells of a run, now that it is sealed, and judges what it saw. The
// error is of the judgement alone: the evidence is sealed, and the next run or
// a later reassessment makes good what is missing.
func (a *Agent) sealedRun(ctx context.Context, s *stream, run *evidence.Run, at sealed) ([]evidence.Verdict, error) {
	a.Metrics.RunFinished(run)
	a.tellCalls(s, run)
	if run.ClockOffset != nil {
		a.Metrics.ClockOffset(time.Duration(run.ClockOffset.MedianMS) * time.Millisecond)
	}
	a.payAll(ctx)
	ctx, cancel := outlive(ctx, judgeTimeout)
	defer cancel()
	drifted, err := a.judge(ctx, s.Scope, s.collector.Spec().Kinds)
	err = errors.Join(err, a.judgeWaiting(ctx, s))
	if err != nil {
		a.Log.Error("assessment failed", zap.Stringer("stream", s.Stream), zap.Uint64("record", at.index), zap.Error(err))
	}
	return drifted, err
}

// judgeTimeout bounds how long an assessment may go on once the agent was told
// to stop.
const judgeTimeout = 10 * time.Second

// outlive gives a context that ends some time after ctx does.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(by, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(out, func() { t.Stop() })
	})
	return out, func() {
		unwatch()
		cancel(nil)
	}
}

// tellCalls counts the calls of a run by outcome.
func (a *Agent) tellCalls(s *stream, run *evidence.Run) {
	gaps := make(map[string]map[evidence.Class]int)
	for _, g := range run.Gaps {
		if gaps[g.Operation] == nil {
			gaps[g.Operation] = make(map[evidence.Class]int)
		}
		gaps[g.Operation][g.Class] += g.Count
	}
	for _, c := range run.Calls {
		service, operation := collectors.Split(c.Operation)
		ok := c.Calls
		for class, n := range gaps[c.Operation] {
			n = min(n, ok) // one call may leave a gap for several kinds
			ok -= n
			a.Metrics.APICalls(s.Provider, service, operation, string(class), n)
		}
		a.Metrics.APICalls(s.Provider, service, operation, telemetry.OutcomeOK, ok)
	}
}

// notSealed accounts for a task without a run record. Only slots of the
// schedule are owed a record.
func (a *Agent) notSealed(ctx context.Context, s *stream, slot time.Time, trigger evidence.Trigger, err error) {
	if a.failed() != nil {
		return
	}
	if lost := a.lost(); lost != nil {
		_ = a.fail(lost) // kept there
		return
	}
	if trigger != evidence.TriggerSchedule {
		return
	}
	missed := evidence.Missed{
		First: slot, Last: slot, Slots: 1, Cause: evidence.CauseFault,
		From: slot, To: a.Clock.Now(), Detail: err.Error(),
	}
	if !errors.Is(err, errInterrupted) {
		// The disk: nothing is tried before something could be written again.
		s.owe(missed)
		a.owing.Store(true)
		return
	}
	missed.Cause = evidence.CauseInterrupted
	s.owe(missed)
	s.records.Lock()
	defer s.records.Unlock()
	if err := a.pay(ctx, s); err != nil {
		a.Log.Error("interrupted slot not recorded; the next start will", zap.Stringer("stream", s.Stream), zap.Error(err))
	}
}

// log writes one line for a task.
func (a *Agent) log(r Result) {
	fields := []zap.Field{
		zap.String("collector", r.Collector), zap.Stringer("scope", r.Scope),
		zap.Time("slot", r.Slot), zap.String("trigger", string(r.Trigger)), zap.Duration("took", r.Took),
	}
	switch {
	case errors.Is(r.Err, errInterrupted):
		a.Log.Info("task interrupted", fields...)
	case r.Err != nil:
		a.Log.Error("task not sealed", append(fields, zap.Error(r.Err))...)
	default:
		observations, gaps := Totals(r.Run)
		fields = append(fields, zap.Uint64("record", r.Record), zap.String("outcome", string(r.Run.Outcome)),
			zap.Int("observations", observations), zap.Int("gaps", gaps))
		if len(r.Run.Gaps) > 0 {
			fields = append(fields, zap.Stringer("first_gap", r.Run.Gaps[0]))
		}
		if r.Run.Fault != "" {
			fields = append(fields, zap.String("fault", r.Run.Fault))
		}
		if r.Run.Outcome == evidence.Complete {
			a.Log.Info("task sealed", fields...)
			return
		}
		a.Log.Warn("task sealed with gaps", fields...)
	}
}

// Totals gives the numbers of observations and gaps of a run.
func Totals(run *evidence.Run) (observations, gaps int) {
	for _, c := range run.Observations {
		observations += c.Count
	}
	for _, g := range run.Gaps {
		gaps += g.Count
	}
	return observations, gaps
}

// create begins a payload in the agent's store.
func (a *Agent) create(string) (Blob, error) {
	w, err := a.store.Create()
	if err != nil {
		return nil, err
	}
	return w, nil
}

// sink puts a file of exchanges into the payload store.
type sink struct{ *payload.Writer }

func newSink(store *payload.Store) (capture.Sink, error) {
	w, err := store.Create()
	if err != nil {
		return nil, err
	}
	return sink{w}, nil
}

// Abort lets go of the file. What can not be removed now is swept at the next
// start.
func (s sink) Abort() { _ = s.Writer.Abort() }
