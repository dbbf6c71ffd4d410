package aws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/restjson"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// Throttled says whether an answer that came through a recorder refuses the
// call for there being too many, and how long AWS asks to wait, 0 when it does
// not say. What it calls throttled is what a gap would be called.
func Throttled(resp *http.Response) (throttled bool, after time.Duration) {
	if resp.StatusCode < http.StatusBadRequest {
		return false, 0
	}
	body, _ := capture.Kept(resp)
	if classOf(errorCode(resp.Header, body), resp.StatusCode) != evidence.Throttled {
		return false, 0
	}
	return true, retryAfter(resp.Header)
}

// errorCode gives the code of an error in any protocol of AWS, or nothing.
// Source: Smithy 2.0, AWS protocols: "Operation error serialization" of each;
// Amazon S3 API reference, "REST error responses".
func errorCode(h http.Header, body []byte) string {
	if code := h.Get("X-Amzn-Errortype"); code != "" {
		return restjson.SanitizeErrorCode(code)
	}
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("<")) {
		return xmlCode(body)
	}
	// An answer that is not JSON has no code.
	code, _, _ := restjson.GetErrorInfo(json.NewDecoder(bytes.NewReader(body)))
	return code
}

// xmlCode gives the first element Code: however deep an error of AWS wraps it,
// there is no other before.
func xmlCode(body []byte) string {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "Code" {
			continue
		}
		var code string
		if d.DecodeElement(&code, &start) != nil {
			return ""
		}
		return code
	}
}

// retryAfter gives how long an answer asks to wait.
// Source: AWS SDKs reference, X-Amz-Retry-After in milliseconds.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.ParseUint(h.Get("X-Amz-Retry-After"), 10, 31); err == nil {
		return time.Duration(n) * time.Millisecond
	}
	return collectors.RetryAfter(h)
}
