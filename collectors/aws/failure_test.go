package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// TestFailure tells why calls failed, wrapped as the SDK wraps.
func TestFailure(t *testing.T) {
	api := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "said so"} }
	tests := []struct {
		name   string
		status int
		err    error
		class  evidence.Class
		code   string
	}{
		{"IAM", 403, api("AccessDenied"), evidence.Denied, "AccessDenied"},
		{"JSON protocols", 400, api("AccessDeniedException"), evidence.Denied, "AccessDeniedException"},
		{"EC2", 403, api("UnauthorizedOperation"), evidence.Denied, "UnauthorizedOperation"},
		{"credentials that lapsed", 403, api("ExpiredToken"), evidence.Denied, "ExpiredToken"},
		{"a code that is not known, by its status", 403, api("SomethingForbidden"), evidence.Denied, "SomethingForbidden"},
		{"EC2's rate", 503, api("RequestLimitExceeded"), evidence.Throttled, "RequestLimitExceeded"},
		{"S3's rate", 503, api("SlowDown"), evidence.Throttled, "SlowDown"},
		{"IAM's rate", 409, api("LimitExceeded"), evidence.Throttled, "LimitExceeded"},
		{"a rate by its status", 429, api("Whatever"), evidence.Throttled, "Whatever"},
		{"a service without a subscription", 403, api("OptInRequired"), evidence.Disabled, "OptInRequired"},
		{"a region without the service", 400, api("RegionDisabledException"), evidence.Disabled, "RegionDisabledException"},
		{"a report that is not ready", 404, api("ReportInProgress"), evidence.Timeout, "ReportInProgress"},
		{"the service is slow", 504, api("GatewayTimeout"), evidence.Timeout, "GatewayTimeout"},
		{"the service is broken", 500, api("InternalFailure"), evidence.Unavailable, "InternalFailure"},
		{"a trail of another account", 400, api("TrailNotFoundException"), evidence.Unavailable, "TrailNotFoundException"},
		{"a page that comes again and again", 200, api("RepeatedPage"), evidence.Malformed, "RepeatedPage"},
		{"an answer that is not one", 200, &smithy.DeserializationError{Err: errors.New("invalid character")}, evidence.Malformed, ""},
		{"an answer that breaks off", 200, &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}, evidence.Unavailable, ""},
		{"time ran out", 0, context.DeadlineExceeded, evidence.Timeout, ""},
		{"the connection timed out", 0, &net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, evidence.Timeout, ""},
		{"the connection was reset", 0, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, evidence.Unavailable, ""},
		{"the exchange was cut short", 0, &capture.ExchangeError{Sort: capture.TruncatedBody, Err: io.ErrUnexpectedEOF}, evidence.Unavailable, ""},
		{"no such host", 0, &net.DNSError{Err: "no such host", IsNotFound: true}, evidence.Unavailable, ""},
		{"the report takes too long", 0, notReady{"STARTED", 180}, evidence.Timeout, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err
			if tt.status != 0 {
				err = &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: tt.status}}, Err: err}
			}
			err = &smithy.OperationError{ServiceID: "IAM", OperationName: "ListUsers", Err: fmt.Errorf("exceeded maximum number of attempts: %w", err)}
			class, code, message := failure(err)
			if class != tt.class || code != tt.code || message == "" {
				t.Errorf("got %s %q %q, want %s %q", class, code, message, tt.class, tt.code)
			}
			if got := operationOf(err); got != "iam:ListUsers" {
				t.Errorf("operation %q", got)
			}
		})
	}
}

// TestInnerOperation: where a call failed for want of credentials, the call
// for credentials counts.
func TestInnerOperation(t *testing.T) {
	inner := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: errors.New("no")}
	err := &smithy.OperationError{ServiceID: "CloudWatch Logs", OperationName: "DescribeLogGroups", Err: fmt.Errorf("get credentials: %w", inner)}
	if got := operationOf(err); got != "sts:AssumeRole" {
		t.Errorf("got %q, want sts:AssumeRole", got)
	}
	// The machine's metadata service is no call that a permission would open.
	err.Err = fmt.Errorf("get credentials: %w", &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: errors.New("no route")})
	if got := operationOf(err); got != "logs:DescribeLogGroups" {
		t.Errorf("got %q, want logs:DescribeLogGroups", got)
	}
	if _, _, message := failure(err); !strings.Contains(message, "no AWS credentials were found") || !strings.HasSuffix(message, "no route") {
		t.Errorf("got %q, want that there are no credentials, and why", message)
	}
	if got := operationOf(errors.New("of another making")); got != "" {
		t.Errorf("got %q, want none", got)
	}
}
