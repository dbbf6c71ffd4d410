package capture

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

var (
	errClosed  = errors.New("recorder is closed")
	errAborted = errors.New("recorder was aborted")
)

// WriteError is returned when an exchange could not be kept. It ends the task:
// the recorder lets nothing through after it.
type WriteError struct{ Err error }

// Error implements error.
func (e *WriteError) Error() string { return "keep evidence of API call: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// CanceledError tells the AWS SDK's retryer (which looks for this method) that
// another attempt can not succeed.
func (e *WriteError) CanceledError() bool { return true }

// Sort is how an exchange failed when there was no whole answer.
type Sort string

// The sorts of failure.
const (
	ConnectionReset   Sort = "connection_reset"
	ConnectionRefused Sort = "connection_refused"
	NameResolution    Sort = "name_resolution"
	TLSFailure        Sort = "tls"
	TimedOut          Sort = "timeout"
	Canceled          Sort = "canceled"
	TruncatedBody     Sort = "truncated_body" // the connection ended before the body did
	MalformedBody     Sort = "malformed_body" // the body's compression could not be undone
	TooLarge          Sort = "too_large"      // the body is longer than Options.MaxBody
	OtherFailure      Sort = "other"
)

func sorts() []Sort {
	return []Sort{
		ConnectionReset, ConnectionRefused, NameResolution, TLSFailure, TimedOut, Canceled,
		TruncatedBody, MalformedBody, TooLarge, OtherFailure,
	}
}

// ExchangeError is returned when there was no whole answer. The exchange was
// kept under ID all the same.
type ExchangeError struct {
	ID   string
	Sort Sort
	Err  error
}

// Error implements error.
func (e *ExchangeError) Error() string {
	return fmt.Sprintf("exchange %s: %s: %v", e.ID, e.Sort, e.Err)
}

// Unwrap gives the cause.
func (e *ExchangeError) Unwrap() error { return e.Err }

// Timeout says whether time ran out; net.Error has the same method.
func (e *ExchangeError) Timeout() bool { return e.Sort == TimedOut }

// Temporary completes net.Error.
func (e *ExchangeError) Temporary() bool { return e.Sort == TimedOut || e.Sort == ConnectionReset }

var (
	errTooLarge  = errors.New("body is longer than the limit")
	errMalformed = errors.New("compressed body is damaged")
)

// sortOf names the sort of a transport's error. An EOF before any answer is a
// peer that closed the connection.
func sortOf(err error) Sort {
	var recorded *ExchangeError
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &recorded):
		return recorded.Sort
	case errors.Is(err, errTooLarge):
		return TooLarge
	case errors.Is(err, errMalformed):
		return MalformedBody
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.As(err, &dns):
		return NameResolution
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectionRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF):
		return ConnectionReset
	case errors.Is(err, io.ErrUnexpectedEOF):
		return TruncatedBody
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &alert):
		return TLSFailure
	}
	return OtherFailure
}

// failed gives what is kept of a transport's error, and the error that the
// client gets for it: the one that a replay of what is kept will give, so that
// a client does and tells the same then.
func failed(err error) (*Failure, error) {
	if recorded, ok := errors.AsType[*ExchangeError](err); ok {
		return &Failure{Sort: recorded.Sort, Message: safeMessage(recorded.Err)}, recorded.Err
	}
	f := &Failure{Sort: sortOf(err), Message: safeMessage(err)}
	if none, ok := errors.AsType[*NoAnswerError](err); ok {
		return f, none // not of a network: a replay has nothing that it could give
	}
	return f, errorOf(f)
}

// errorOf is the inverse of sortOf: an error as the network gives it.
func errorOf(f *Failure) error {
	switch f.Sort {
	case ConnectionReset:
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case ConnectionRefused:
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case NameResolution:
		return &net.OpError{Op: "dial", Net: "tcp", Err: lookupError(f.Message)}
	case TimedOut:
		return &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	case Canceled:
		return context.Canceled
	case TruncatedBody:
		return io.ErrUnexpectedEOF
	case TooLarge:
		return errTooLarge
	case MalformedBody:
		return errMalformed
	case TLSFailure, OtherFailure:
	}
	return errors.New(f.Message)
}

// lookupError reads the text of a failed name resolution back: "dial tcp:
// lookup HOST on SERVER: WHY". Only a name that does not exist is final.
// Source: package net, DNSError.Error.
func lookupError(message string) *net.DNSError {
	e := &net.DNSError{Err: message}
	if _, rest, ok := strings.Cut(message, "lookup "); ok {
		if at, why, ok := strings.Cut(rest, ": "); ok {
			e.Name, e.Server, _ = strings.Cut(at, " on ")
			e.Err = why
		}
	}
	e.IsNotFound = e.Err == "no such host"
	e.IsTemporary = !e.IsNotFound
	return e
}

// NoAnswerError is returned by a Replayer for a request that it has no answer
// to.
type NoAnswerError struct {
	Request string   // method, URL, action and body
	Served  int      // how many recorded answers the request has had; 0: it is not recorded at all
	Nearest []string // the recorded requests most like it
}

// Error implements error.
func (e *NoAnswerError) Error() string {
	var b strings.Builder
	if e.Served > 0 {
		fmt.Fprintf(&b, "replay %s: all %d recorded answers were served", e.Request, e.Served)
		return b.String()
	}
	fmt.Fprintf(&b, "replay %s: not recorded", e.Request)
	for i, n := range e.Nearest {
		if i == 0 {
			b.WriteString("; the nearest recorded:")
		}
		b.WriteString("\n\t" + n)
	}
	return b.String()
}

// CanceledError tells the AWS SDK's retryer that another attempt can not
// succeed.
func (e *NoAnswerError) CanceledError() bool { return true }
