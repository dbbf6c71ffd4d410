package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/tallystick/tallystick/evidence"
)

// told is what an error answer of Google's says.
// Source: AIP-193, errors; the older form with reasons is in the Admin SDK's
// "Handle API errors"; that of a server of tokens is of RFC 6749, error response.
type told struct {
	code       int    // HTTP
	status     string // "PERMISSION_DENIED"; of a server of tokens: "unauthorized_client"
	message    string
	reason     string // of ErrorInfo, else of the older form: "SERVICE_DISABLED", "quotaExceeded"
	consumer   string // whose API is off, as ErrorInfo has it: "projects/100000000001"
	retryDelay time.Duration
}

// parseFailure reads an error answer. Of one that is no JSON only the code is
// known.
func parseFailure(code int, body []byte) told {
	t := told{code: code}
	var doc struct {
		Error struct {
			Status  string
			Message string
			Errors  []struct{ Reason string }
			Details []struct {
				Type       string `json:"@type"`
				Reason     string
				Metadata   map[string]string
				RetryDelay string
			}
		}
	}
	if json.Unmarshal(body, &doc) != nil {
		var refused struct {
			Error       string
			Description string `json:"error_description"`
		}
		if json.Unmarshal(body, &refused) == nil {
			t.status, t.message = refused.Error, refused.Description
		}
		return t
	}
	t.status, t.message = doc.Error.Status, doc.Error.Message
	if len(doc.Error.Errors) > 0 {
		t.reason = doc.Error.Errors[0].Reason
	}
	for _, d := range doc.Error.Details {
		switch d.Type {
		case "type.googleapis.com/google.rpc.ErrorInfo":
			t.reason, t.consumer = d.Reason, d.Metadata["consumer"]
		case "type.googleapis.com/google.rpc.RetryInfo":
			if wait, err := time.ParseDuration(d.RetryDelay); err == nil {
				t.retryDelay = max(0, wait)
			}
		}
	}
	return t
}

// said gives the most telling code that was sent.
func (t told) said() string {
	switch {
	case t.reason != "":
		return t.reason
	case t.status != "":
		return t.status
	default:
		return "HTTP " + strconv.Itoa(t.code)
	}
}

// class tells the classes apart: by the reason first, since a quota and a
// disabled API are sent as 403 too.
func (t told) class() evidence.Class {
	limits := []string{"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "RATE_LIMIT_EXCEEDED", "QUOTA_EXCEEDED", "RESOURCE_QUOTA_EXCEEDED"}
	switch {
	case t.status == "RESOURCE_EXHAUSTED", t.code == http.StatusTooManyRequests, slices.Contains(limits, t.reason):
		return evidence.Throttled
	case t.reason == "SERVICE_DISABLED", t.reason == "accessNotConfigured":
		return evidence.Disabled
	case t.code == http.StatusForbidden, t.code == http.StatusUnauthorized:
		return evidence.Denied
	case t.status == "DEADLINE_EXCEEDED", t.code == http.StatusGatewayTimeout, t.code == http.StatusRequestTimeout:
		return evidence.Timeout
	default:
		return evidence.Unavailable
	}
}

// policy gives the kind of policy that refused, where it was another than the
// lack of a permission. Source: VPC Service Controls, troubleshooting: "Request
// is prohibited by organization's policy", reason SECURITY_POLICY_VIOLATED.
func (t told) policy() string {
	if t.reason == "SECURITY_POLICY_VIOLATED" || strings.Contains(t.message, "prohibited by organization's policy") {
		return "VPC Service Controls perimeter"
	}
	return ""
}

// failure says why a call failed, as a gap without its place.
func failure(err error) evidence.Gap {
	if api, ok := errors.AsType[*googleapi.Error](err); ok {
		t := parseFailure(api.Code, []byte(api.Body))
		g := evidence.Gap{Class: t.class(), Code: t.said(), Message: t.message, Policy: t.policy()}
		if g.Message == "" {
			g.Message = api.Message
		}
		if g.Message == "" {
			g.Message = "Google answered HTTP " + strconv.Itoa(api.Code) + " without a word"
		}
		return g
	}
	message := root(err)
	if token, ok := errors.AsType[*credentialError](err); ok {
		if token.told.code != 0 {
			return evidence.Gap{Class: token.class(), Code: token.told.said(), Message: token.Error(), Policy: token.told.policy()}
		}
		message = token.Error()
	}
	if strings.Contains(message, "x509: ") { // capture gives what failed as text
		message += "; where a proxy or a private endpoint has a certificate authority of its own, name its bundle by SSL_CERT_FILE"
	}
	var netErr net.Error
	var unreadable *malformedError
	var syntax *json.SyntaxError
	g := evidence.Gap{Class: evidence.Unavailable, Message: message}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		g.Class = evidence.Timeout
	case errors.As(err, &unreadable), errors.As(err, &syntax):
		g.Class = evidence.Malformed
	}
	return g
}

// root gives the innermost text, without the client's layers.
func root(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}
