package aws_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tallystick/tallystick/internal/capture"
)

// refusal is an error as the protocol of a service writes it.
// Source: the Smithy specifications of the AWS protocols, and "Error Responses"
// of the S3 API reference.
type refusal struct {
	denied    string // the code for a missing permission
	throttled string // the code for too many requests
	answer    func(req *http.Request, code string) *http.Response
}

// refusals gives the ways to refuse by service. A service that is missing here
// fails the tests that derive from declarations.
func refusals() map[string]refusal {
	query := refusal{"AccessDenied", "Throttling", func(req *http.Request, code string) *http.Response {
		return capture.Respond(req, statusFor(code, 400), "text/xml",
			fmt.Sprintf(`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>refused by the test</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code))
	}}
	ec2 := refusal{"UnauthorizedOperation", "RequestLimitExceeded", func(req *http.Request, code string) *http.Response {
		return capture.Respond(req, statusFor(code, 503), "text/xml;charset=UTF-8",
			fmt.Sprintf(`<Response><Errors><Error><Code>%s</Code><Message>refused by the test</Message></Error></Errors><RequestID>r</RequestID></Response>`, code))
	}}
	s3 := refusal{"AccessDenied", "SlowDown", func(req *http.Request, code string) *http.Response {
		return capture.Respond(req, statusFor(code, 503), "application/xml",
			fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>refused by the test</Message><RequestId>r</RequestId></Error>`, code))
	}}
	json := refusal{"AccessDeniedException", "ThrottlingException", func(req *http.Request, code string) *http.Response {
		return capture.Respond(req, 400, "application/x-amz-json-1.1",
			fmt.Sprintf(`{"__type":%q,"message":"refused by the test"}`, code))
	}}
	restJSON := refusal{"AccessDeniedException", "ThrottlingException", func(req *http.Request, code string) *http.Response {
		resp := capture.Respond(req, statusFor(code, 429), "application/json", `{"message":"refused by the test"}`)
		resp.Header.Set("X-Amzn-Errortype", code)
		return resp
	}}
	s3control := refusal{"AccessDenied", "SlowDown", func(req *http.Request, code string) *http.Response {
		return capture.Respond(req, statusFor(code, 503), "application/xml",
			fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><ErrorResponse><Error><Code>%s</Code><Message>refused by the test</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code))
	}}
	return map[string]refusal{
		"sts": query, "iam": query, "rds": query,
		"ec2": ec2,
		"s3":  s3,
		"kms": json, "cloudtrail": json, "dynamodb": json, "logs": json,
		"backup":  restJSON,
		"account": restJSON, "elasticfilesystem": restJSON, "guardduty": restJSON, "inspector2": restJSON, "dlm": restJSON,
		"acm": json, "config": json, "events": json, "identitystore": json, "organizations": json, "sso": json,
		"sns": query, "elasticloadbalancing": query, "s3control": s3control,
	}
}

// statusFor is 403 for a missing permission, otherwise what the service uses
// for too many requests.
func statusFor(code string, throttled int) int {
	if strings.HasPrefix(code, "AccessDenied") || code == "UnauthorizedOperation" {
		return http.StatusForbidden
	}
	return throttled
}
