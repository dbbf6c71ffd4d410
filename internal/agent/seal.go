package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/seal"
)

const (
	// sealTimeout bounds how long a record may take to be covered by the
	// published checkpoint. It does not begin before the record exists, and it
	// does not end with the context of the task: a record on its way must not
	// be left in doubt because the agent is told to stop.
	sealTimeout = 30 * time.Second
	// publishPatience is less, so that it is the ledger that says why.
	publishPatience = 20 * time.Second
)

// sealed is a record in the ledger.
type sealed struct {
	index  uint64
	at     time.Time
	record []byte // its envelope
}

// seal signs a record, appends it, and returns once the published checkpoint
// covers it. The header of the predicate is filled in here; a time that is
// already set is kept. When whether the record is in the ledger is not known,
// the agent can not go on: another must not claim its place in the stream.
// After any other error it is known not to be there.
func (a *Agent) seal(ctx context.Context, predicateType string, predicate any, subjects []evidence.Subject) (sealed, error) {
	if err := a.failed(); err != nil {
		return sealed{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealTimeout)
	defer cancel()
	record, wait, err := a.enqueue(ctx, predicateType, predicate, subjects)
	if err != nil {
		return sealed{}, err
	}
	if record.index, err = wait(ctx); err != nil {
		err = fmt.Errorf("append record to the ledger in %s: %w", a.Dir, err)
		if errors.Is(err, ledger.ErrUnpublished) || errors.Is(err, ledger.ErrInconsistent) {
			return sealed{}, a.fail(err)
		}
		return sealed{}, err
	}
	if err := a.noteSealed(record.index, predicate, subjects); err != nil {
		return sealed{}, a.fail(err)
	}
	return record, nil
}

// enqueue gives the record its time and its place in the ledger, in the same
// order for all records. Its index is what wait gives.
func (a *Agent) enqueue(ctx context.Context, predicateType string, predicate any, subjects []evidence.Subject) (_ sealed, wait func(context.Context) (uint64, error), _ error) {
	a.seals.Lock()
	defer a.seals.Unlock()
	header := evidence.HeaderOf(predicate)
	if header.At.IsZero() {
		header.At = a.Clock.Now()
	}
	header.Clock, header.Agent = a.Clock.Kind(), a.Program
	envelope, err := envelope(a.Signer, predicateType, predicate, subjects) //nolint:contextcheck // a local key: nothing to wait for
	if err != nil {
		return sealed{}, nil, err
	}
	wait, err = a.add(ctx, envelope)
	if err != nil {
		err = fmt.Errorf("append record to the ledger in %s: %w", a.Dir, err)
		if errors.Is(err, ledger.ErrInconsistent) {
			return sealed{}, nil, a.fail(err)
		}
		return sealed{}, nil, err
	}
	return sealed{at: header.At, record: envelope}, wait, nil
}

// envelope signs a record whose header is filled in.
func envelope(signer *seal.Signer, predicateType string, predicate any, subjects []evidence.Subject) ([]byte, error) {
	raw, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	signed, err := signer.Seal(evidence.Statement{
		Type: evidence.StatementType, Subject: subjects, PredicateType: predicateType, Predicate: raw,
	})
	if err != nil {
		return nil, fmt.Errorf("sign record: %w", err)
	}
	return signed, nil
}

// noteSealed brings the state and the metrics of the ledger up to date with a
// record that was sealed. Records of different streams may come here in
// another order than that of the ledger.
func (a *Agent) noteSealed(index uint64, predicate any, subjects []evidence.Subject) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.state.take(index, predicate, subjects, a.store); err != nil {
		return fmt.Errorf("note record %d: %w", index, err)
	}
	a.Metrics.Checkpoint(a.state.Records, a.state.Last)
	return nil
}

// fail keeps the first fatal error and makes the agent end.
func (a *Agent) fail(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fatal == nil {
		a.fatal = err
		a.Log.Error("agent can not go on", zap.Error(err))
		if a.stop != nil {
			a.stop(err)
		}
	}
	return err
}

func (a *Agent) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fatal
}

// sealRun appends the record of a task, and before it those that its stream
// owes: once there is a run, every slot before it is accounted for.
func (a *Agent) sealRun(ctx context.Context, s *stream, run *evidence.Run, subjects []evidence.Subject) (sealed, error) {
	s.records.Lock()
	defer s.records.Unlock()
	if err := a.pay(ctx, s); err != nil {
		return sealed{}, err
	}
	run.Sequence = s.sequence + 1
	at, err := a.seal(ctx, evidence.TypeRun, run, subjects)
	if err != nil {
		return sealed{}, err
	}
	s.sequence++
	return at, nil
}

// sealMissed appends the record of missed slots. Called with s.records held.
func (a *Agent) sealMissed(ctx context.Context, s *stream, missed *evidence.Missed) error {
	missed.Header = evidence.Header{} // of an attempt that failed
	missed.Stream, missed.Sequence = s.Stream, s.sequence+1
	missed.Detail = shorten(missed.Detail)
	var subjects []evidence.Subject
	a.mu.Lock()
	if a.state.InForce != nil {
		subjects = append(subjects, evidence.SubjectOf(evidence.PayloadSchedule, a.state.InForce.Digest))
	}
	a.mu.Unlock()
	if _, err := a.seal(ctx, evidence.TypeMissed, missed, subjects); err != nil {
		return err
	}
	s.sequence++
	if s.collector != nil {
		a.Metrics.SlotsMissed(missed)
	}
	a.Log.Warn("slots missed", zap.Stringer("stream", s.Stream), zap.String("cause", string(missed.Cause)),
		zap.Int("slots", missed.Slots), zap.Time("first", missed.First), zap.Time("last", missed.Last), zap.String("detail", missed.Detail))
	return nil
}

// maxText bounds a text in a record, which has 64 KiB for everything.
const maxText = 2 << 10

func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
