package gcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/internal/capture"
)

// answer is what crossed the wire for one call: the document as received, field
// by field, with numbers as written.
type answer struct {
	exchange string
	document map[string]any
}

type (
	callKey    struct{}
	attemptKey struct{}
)

// call is one call under way. It belongs to the goroutine that makes it.
type call struct {
	operation string
	exchange  string // of the newest attempt
	body      []byte
	kept      bool // an answer came, and through capture
}

// maxRepeats bounds how often one and the same request may be made in a task. A
// provider that hands out a page token twice would otherwise be read for ever.
const maxRepeats = 100

// read makes a call by do, which must pass ctx on, and gives what was received.
// The client's own structs would drop a field that is newer than they are.
func (t *task) read(ctx context.Context, operation string, do func(ctx context.Context) error) (answer, error) {
	c := &call{operation: operation}
	if err := do(context.WithValue(ctx, callKey{}, c)); err != nil {
		return answer{}, &callError{operation: operation, exchange: c.exchange, err: err}
	}
	if !c.kept {
		return answer{}, errRunner{fmt.Errorf("the answer of %s did not come through capture", operation)}
	}
	if _, n, _ := strings.Cut(c.exchange, "."); n != "" {
		if times, err := strconv.Atoi(n); err == nil && times > maxRepeats {
			return answer{}, malformed(operation, "the same request was answered %d times in one task", times)
		}
	}
	a := answer{exchange: c.exchange}
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.UseNumber()
	if err := decoder.Decode(&a.document); err != nil {
		return answer{}, malformed(operation, "the answer is not a JSON object: %v", err)
	}
	return a, whole(operation, a.document)
}

// whole is an error when an answer says that it is a part: that some location
// did not answer. A part must not pass for the whole.
// Source: AIP-217, unreachable resources; Compute Engine and Cloud SQL API
// references, warning and warnings.
func whole(operation string, document map[string]any) error {
	for _, field := range []string{"unreachable", "missingZones", "warnings", "warning"} {
		said, there := document[field]
		if list, ok := said.([]any); !there || said == nil || ok && len(list) == 0 {
			continue
		}
		text, err := json.Marshal(said)
		if err != nil {
			return malformed(operation, "%s: %v", field, err)
		}
		return &callError{operation: operation, err: &partialError{fmt.Sprintf("the answer is partial: %s %s", field, text)}}
	}
	return nil
}

// partialError is an answer that leaves a part out and says so.
type partialError struct{ text string }

func (e *partialError) Error() string { return e.text }

// malformedError is an answer that can not be understood.
type malformedError struct{ text string }

func (e *malformedError) Error() string { return e.text }

func malformed(operation, format string, args ...any) error {
	return &callError{operation: operation, err: &malformedError{fmt.Sprintf(format, args...)}}
}

// callError names the call that failed.
type callError struct {
	operation string
	exchange  string // of its newest attempt; empty where none was answered
	err       error
}

func (e *callError) Error() string { return e.operation + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

func withAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, n)
}

// Describe labels a request for capture and for limits. For a request of another
// making it says what it can.
func Describe(req *http.Request) capture.Labels {
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return capture.Labels{Attempt: 1}
	}
	service, _ := collectors.Split(c.operation)
	l := capture.Labels{Service: service, Operation: c.operation, Attempt: 1}
	if n, ok := req.Context().Value(attemptKey{}).(int); ok {
		l.Attempt = n
	}
	return l
}

// keeping notes for the call under way what its newest attempt was answered.
type keeping struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (k keeping) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := k.base.RoundTrip(req)
	c, ok := req.Context().Value(callKey{}).(*call)
	if err != nil || !ok {
		return resp, err
	}
	c.exchange = resp.Header.Get(collectors.ExchangeHeader)
	c.body, c.kept = capture.Kept(resp)
	return resp, nil
}

// timeOf reads a timestamp of an answer; nil when there is none.
func timeOf(v any) *time.Time {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return nil
	}
	t = t.UTC()
	return &t
}

// errRunner marks an error of the runner, such as a full disk: it ends the task
// and is never a gap.
type errRunner struct{ err error }

func (e errRunner) Error() string { return e.err.Error() }
func (e errRunner) Unwrap() error { return e.err }

// operationOf gives the call that failed, empty when none did. A token that was
// not had is a call of its own.
func operationOf(err error) string {
	if token, ok := errors.AsType[*credentialError](err); ok && token.operation != "" {
		return token.operation
	}
	if c, ok := errors.AsType[*callError](err); ok {
		return c.operation
	}
	return ""
}
