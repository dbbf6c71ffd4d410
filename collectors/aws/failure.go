package aws

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tallystick/tallystick/evidence"
)

// failure says why a call failed: its class, and the provider's own code and
// text where an answer came.
func failure(err error) (class evidence.Class, code, message string) {
	if agent, ok := errors.AsType[agentError](err); ok {
		return evidence.Unavailable, agent.ErrorCode(), "no AWS credentials were had from the container's agent: " + strings.TrimSpace(agent.ErrorMessage())
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code, message = api.ErrorCode(), api.ErrorMessage()
		return classOf(code, statusOf(err)), code, message
	}
	var netErr net.Error
	var decode *smithy.DeserializationError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		class = evidence.Timeout
	case errors.As(err, &decode) && !errors.Is(err, io.ErrUnexpectedEOF):
		class = evidence.Malformed
	default:
		class = evidence.Unavailable
	}
	message = rootMessage(err)
	if isMetadata(err) {
		message = "no AWS credentials were found, neither in the environment nor in shared files nor on the machine: " + message
	}
	return class, "", message
}

// refusedBy gives the kind of policy that refused, where AWS says that it was
// another than the lack of a permission in the caller's own identity. A region
// that an organisation closed shows so, and no permission opens it.
//
// Source: IAM user guide, "Access denied error messages": "... with an explicit
// deny in a KIND", and "... because no KIND allows the ACTION action".
func refusedBy(message string) string {
	const implicit = "identity-based policy"
	text := strings.ToLower(message)
	for _, form := range []struct{ begin, end string }{
		{"with an explicit deny in a ", ""}, {"with an explicit deny in an ", ""}, {"because no ", " allows the "},
	} {
		_, rest, found := strings.Cut(text, form.begin)
		if !found {
			continue
		}
		for _, kind := range []string{
			"service control policy", "resource control policy", "vpc endpoint policy", "permissions boundary",
			"session policy", "resource-based policy", implicit,
		} {
			if !strings.HasPrefix(rest, kind+form.end) {
				continue
			}
			if kind == implicit && form.end != "" {
				return "" // nothing refuses: the permission is missing
			}
			return kind
		}
	}
	return ""
}

// agentError is what the agent answered from which a container has its
// credentials, such as that of EKS Pod Identity. It is no service of AWS: no
// permission opens it. The SDK keeps the type to itself; of all its errors this
// one alone knows its HTTP status beside its code.
type agentError interface {
	smithy.APIError
	HTTPStatusCode() int
}

// isMetadata says whether the error is, in the end, that of the machine's own
// metadata service: the last place in which the SDK looks for credentials.
func isMetadata(err error) bool {
	var op *smithy.OperationError
	for errors.As(err, &op) {
		if op.ServiceID == metadataService {
			return true
		}
		err = op.Err
	}
	return false
}

// metadataService is the name of the metadata service's client, which is no
// service of AWS: no permission opens it.
const metadataService = "ec2imds"

// classOf tells the classes apart by error code first, then by HTTP status.
// Source: the Common Errors pages of the AWS API references.
func classOf(code string, status int) evidence.Class {
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	switch {
	case throttled, code == "LimitExceeded", status == http.StatusTooManyRequests:
		return evidence.Throttled
	case slices.Contains([]string{"OptInRequired", "SubscriptionRequiredException", "InvalidAction", "RegionDisabledException"}, code):
		return evidence.Disabled
	case slices.Contains([]string{
		"AuthFailure", "UnauthorizedOperation", "AuthorizationError", "AuthorizationErrorException", "NotAuthorized",
		"UnauthorizedException", "InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken",
		"ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden", "AllAccessDisabled",
	}, code), strings.HasPrefix(code, "AccessDenied"), strings.HasPrefix(code, "InsufficientDataPermissions"):
		return evidence.Denied
	case code == "RequestTimeout", code == "RequestTimeoutException", code == "ReportInProgress", status == http.StatusGatewayTimeout:
		return evidence.Timeout
	case code == "RepeatedPage":
		return evidence.Malformed
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return evidence.Denied
	default:
		return evidence.Unavailable
	}
}

// statusOf gives the HTTP status of the answer, 0 when none came.
func statusOf(err error) int {
	if re, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return re.HTTPStatusCode()
	}
	return 0
}

// rootMessage gives the innermost text, without the SDK's layers.
func rootMessage(err error) string {
	for {
		next := errors.Unwrap(err)
		// The SDK joins the cause with what kept it from trying again.
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			next = joined.Unwrap()[0]
		}
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// operationOf gives "s3:ListBuckets" for an error of the SDK; empty when the
// error did not come from an operation. Where a call failed because another
// did (assuming a role), it is the inner one that counts.
func operationOf(err error) string {
	name := ""
	var op *smithy.OperationError
	for errors.As(err, &op) && op.ServiceID != metadataService {
		name = prefix(op.ServiceID) + ":" + op.OperationName
		err = op.Err
	}
	return name
}
