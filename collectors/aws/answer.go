package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/internal/capture"
)

// answer is what crossed the wire for one call.
type answer struct {
	exchange  string
	service   string // as the SDK names it: "IAM"
	operation string // "ListUsers"
	body      []byte
}

type answerKey struct{}

// maxRepeats bounds how often one and the same request may be made in a task.
// Retries stay far below it; a provider that hands out a page token twice
// would otherwise be read for ever.
const maxRepeats = 100

// keepAnswer adds the bytes of the last answer, and the exchange that they are
// kept under, to the metadata of an operation.
func keepAnswer(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("tallystick.KeepAnswer",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
			middleware.DeserializeOutput, middleware.Metadata, error,
		) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			resp, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !ok || resp.Response == nil || resp.Body == nil {
				return out, metadata, err
			}
			id := resp.Header.Get(collectors.ExchangeHeader)
			if _, n, _ := strings.Cut(id, "."); n != "" {
				if times, convErr := strconv.Atoi(n); convErr == nil && times > maxRepeats {
					return out, metadata, &smithy.GenericAPIError{
						Code:    "RepeatedPage",
						Message: fmt.Sprintf("the same request was answered %d times in one task", times),
					}
				}
			}
			body, kept := capture.Kept(resp.Response)
			if !kept {
				return out, metadata, errRunner{fmt.Errorf("the answer of %s did not come through capture", awsmiddleware.GetOperationName(ctx))}
			}
			metadata.Set(answerKey{}, answer{
				exchange: id, service: awsmiddleware.GetServiceID(ctx), operation: awsmiddleware.GetOperationName(ctx), body: body,
			})
			return out, metadata, nil
		}), middleware.After)
}

// answerOf finds the answer behind an operation's output. It is empty when out
// did not come from a call.
func answerOf(out any) answer {
	v := reflect.ValueOf(out)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return answer{}
	}
	f := v.FieldByName("ResultMetadata")
	if !f.IsValid() {
		return answer{}
	}
	m, ok := reflect.TypeAssert[middleware.Metadata](f)
	if !ok {
		return answer{}
	}
	a, _ := m.Get(answerKey{}).(answer)
	return a
}

// exchangeOf finds the exchange behind a failed call; empty when no answer came.
func exchangeOf(err error) string {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) && re.Response != nil && re.Response.Response != nil {
		return re.Response.Header.Get(collectors.ExchangeHeader)
	}
	return ""
}

// Describe labels a request for capture and for limits. It knows only what the
// SDK and the protocol say; for a request of another making it says what it can.
func Describe(req *http.Request) capture.Labels {
	ctx := req.Context()
	l := capture.Labels{
		Service:   prefix(awsmiddleware.GetServiceID(ctx)),
		Operation: prefix(awsmiddleware.GetServiceID(ctx)) + ":" + awsmiddleware.GetOperationName(ctx),
		Region:    awsmiddleware.GetRegion(ctx),
		Attempt:   1,
	}
	// Source: AWS SDKs reference, "amz-sdk-request: attempt=1; max=3".
	for part := range strings.SplitSeq(req.Header.Get("Amz-Sdk-Request"), ";") {
		if n, ok := strings.CutPrefix(strings.TrimSpace(part), "attempt="); ok {
			if v, err := strconv.Atoi(n); err == nil {
				l.Attempt = v
			}
		}
	}
	return l
}

// prefix gives the IAM service prefix for an SDK service id, which is how
// operations are named in specs, gaps and policies.
// Source: AWS service authorization reference.
func prefix(serviceID string) string {
	switch s := strings.ToLower(strings.ReplaceAll(serviceID, " ", "")); s {
	case "cloudwatchlogs":
		return "logs"
	case "elasticloadbalancingv2":
		return "elasticloadbalancing"
	case "efs":
		return "elasticfilesystem"
	case "configservice":
		return "config"
	case "eventbridge":
		return "events"
	case "ssoadmin":
		return "sso"
	default:
		return s
	}
}
