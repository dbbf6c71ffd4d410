package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// AppendRequest is a record that a person's command makes.
type AppendRequest struct {
	// Type is evidence.TypeExport or evidence.TypeSample.
	Type string `json:"type"`
	// Predicate is the *evidence.Export or *evidence.Sample that goes with it.
	// Its header is filled in by whoever seals.
	Predicate any `json:"predicate"`
	// Payloads are the record's subjects, in order.
	Payloads []AppendPayload `json:"payloads"`
}

// AppendPayload is a payload of such a record.
type AppendPayload struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// AppendResult is the record as it is in the ledger.
type AppendResult struct {
	Index  uint64 `json:"index"`
	Record []byte `json:"record"` // the envelope
}

// appendPatience is how long Append waits for a holder of the directory that
// has no door: one that starts, stops or reloads.
const appendPatience = 15 * time.Second

// Append puts the payloads, and then one record, into the ledger of the data
// directory dir, whether or not an agent holds it: the agent that does seals
// the record; without one, the directory is taken for a moment and the record
// has the system's time and names program. It returns once the published
// checkpoint covers the record. The key of signer must be the ledger's.
//
// After an error the record is not in the ledger, unless that is
// ledger.ErrUnpublished: then it may be. A *ledger.LockedError names a holder
// that could not be asked.
func Append(ctx context.Context, dir string, signer *seal.Signer, program evidence.Agent, req AppendRequest) (AppendResult, error) {
	return appendWithin(ctx, dir, signer, program, req, appendPatience)
}

func appendWithin(ctx context.Context, dir string, signer *seal.Signer, program evidence.Agent, req AppendRequest, patience time.Duration) (AppendResult, error) {
	if err := req.check(); err != nil {
		return AppendResult{}, fmt.Errorf("append record: %w", err)
	}
	// Open would make a new ledger where there is none.
	if _, err := ledger.OpenReader(dir); err != nil {
		return AppendResult{}, fmt.Errorf("append record: %w", err)
	}
	for end := time.Now().Add(patience); ; {
		result, err := req.seal(ctx, dir, signer, program)
		locked, held := errors.AsType[*ledger.LockedError](err)
		if !held {
			return result, err
		}
		result, err = req.knock(ctx, dir, signer)
		if !errors.Is(err, errNoDoor) {
			return result, err
		}
		if time.Now().After(end) {
			return AppendResult{}, fmt.Errorf("append record: %w; it was asked to append the record itself, and can not: %w", locked, err)
		}
		select {
		case <-ctx.Done():
			return AppendResult{}, fmt.Errorf("append record: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// check refuses what the door refuses.
func (r AppendRequest) check() error {
	var want []string
	switch r.Predicate.(type) {
	case *evidence.Export:
		if r.Type == evidence.TypeExport {
			want = []string{evidence.PayloadManifest}
		}
	case *evidence.Sample:
		if r.Type == evidence.TypeSample {
			want = []string{evidence.PayloadPopulation, evidence.PayloadSample}
		}
	}
	if want == nil {
		return fmt.Errorf("a record of type %q with a predicate %T is not made by hand: only exports and samples are", r.Type, r.Predicate)
	}
	names := make(map[string]bool)
	for _, p := range r.Payloads {
		names[p.Name] = true
	}
	if got := slices.Sorted(maps.Keys(names)); len(r.Payloads) != len(want) || !slices.Equal(got, want) {
		return fmt.Errorf("a record of type %q has the payloads %s, not %s", r.Type, strings.Join(want, ", "), strings.Join(got, ", "))
	}
	return nil
}

// put keeps the payloads.
func (r AppendRequest) put(store *payload.Store) ([]evidence.Subject, error) {
	subjects := make([]evidence.Subject, 0, len(r.Payloads))
	for _, p := range r.Payloads {
		digest, err := store.Put(p.Data)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", p.Name, err)
		}
		subjects = append(subjects, evidence.SubjectOf(p.Name, digest))
	}
	return subjects, nil
}

// seal takes the directory, appends the record and lets go.
func (r AppendRequest) seal(ctx context.Context, dir string, signer *seal.Signer, program evidence.Agent) (_ AppendResult, err error) {
	l, err := ledger.Open(ctx, dir, signer, ledger.Options{Patience: publishPatience})
	if err != nil {
		return AppendResult{}, err
	}
	defer func() {
		// From here on the record is on its way, whatever becomes of ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealTimeout)
		defer cancel()
		err = errors.Join(err, l.Close(ctx))
	}()
	store, err := payload.Open(dir)
	if err != nil {
		return AppendResult{}, err
	}
	subjects, err := r.put(store)
	if err != nil {
		return AppendResult{}, err
	}
	*evidence.HeaderOf(r.Predicate) = evidence.Header{At: SystemClock{}.Now(), Clock: evidence.ClockSystem, Agent: program}
	record, err := envelope(signer, r.Type, r.Predicate, subjects) //nolint:contextcheck // a local key: nothing to wait for
	if err != nil {
		return AppendResult{}, err
	}
	if ctx.Err() != nil {
		return AppendResult{}, context.Cause(ctx)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealTimeout)
	defer cancel()
	index, err := l.Append(within, record)
	if err != nil {
		return AppendResult{}, fmt.Errorf("append record to the ledger in %s: %w", dir, err)
	}
	return AppendResult{Index: index, Record: record}, nil
}

// sealed checks what an agent says that it sealed.
func (r AppendRequest) sealed(result AppendResult, signer *seal.Signer) error {
	verifier, err := seal.NewVerifier(signer.VerifierKey())
	if err != nil {
		return err
	}
	statement, err := verifier.Unseal(result.Record)
	if err != nil {
		return err
	}
	record, err := evidence.Decode(statement)
	if err != nil {
		return err
	}
	*evidence.HeaderOf(r.Predicate) = *evidence.HeaderOf(record)
	want, err := json.Marshal(r.Predicate)
	if err != nil {
		return err
	}
	got, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) || len(statement.Subject) != len(r.Payloads) {
		return fmt.Errorf("record %d is not what was to be appended", result.Index)
	}
	return nil
}
