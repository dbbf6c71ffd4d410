package preflight_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/internal/capture"
)

// restXML are the services that answer a plain HTTP request in XML.
func restXML() []string { return []string{"s3", "s3control", "route53", "cloudfront"} }

// refuse answers with an error, as the protocol of the request has it.
// Source: the Smithy specifications of the AWS protocols.
func refuse(req *http.Request, service string, status int, code, message string) *http.Response {
	target := req.Header.Get("X-Amz-Target")
	form := strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	answer := func(contentType, body string) *http.Response { return capture.Respond(req, status, contentType, body) }
	inner := fmt.Sprintf(`<Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
	switch {
	case target != "":
		return answer("application/x-amz-json-1.1", fmt.Sprintf(`{"__type":%q,"message":%q}`, code, message))
	case form && service == "ec2":
		return answer("text/xml", `<Response><Errors>`+inner+`</Errors><RequestID>r</RequestID></Response>`)
	case service == "s3":
		return answer("application/xml", inner)
	case form || slices.Contains(restXML(), service):
		return answer("text/xml", `<ErrorResponse>`+inner+`<RequestId>r</RequestId></ErrorResponse>`)
	default:
		resp := answer("application/json", fmt.Sprintf(`{"message":%q}`, message))
		resp.Header.Set("X-Amzn-Errortype", code)
		return resp
	}
}
