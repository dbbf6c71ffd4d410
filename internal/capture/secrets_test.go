package capture_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tallystick/tallystick/internal/capture"
)

func TestScanSecrets(t *testing.T) {
	// Written in parts, so that this file does not hold what it looks for.
	const key, long = "AKIA" + "ABCDEFGHIJKLMNOP", "abcdefghij0123456789ABCDEFGHIJ"
	const tag = "REDACTED-0123456789ab"
	tests := []struct{ text, want string }{
		{key, "[aws access key id at byte 0]"},
		{`x "ASIA` + "ABCDEFGHIJKLMNOP" + `"`, "[aws access key id at byte 3]"},
		{"X" + key, "[]"},
		{"<SecretAccessKey>" + long + "</SecretAccessKey>", "[secret value at byte 1]"},
		{"<SecretAccessKey>" + tag + "</SecretAccessKey>", "[]"},
		{`{"SecretAccessKey" : "` + long + `"}`, "[secret value at byte 2]"},
		{`{"text":"{\"client_secret\":\"` + long + `\"}"}`, "[secret value at byte 12]"},
		{`{"text":"{\"client_secret\":\"` + tag + `\"}"}`, "[]"},
		{"aws_secret_access_key = " + long, "[secret value at byte 4]"},
		{"a=1&access_token=" + long, "[secret value at byte 4]"},
		{`{"name":"X-Amz-Security-Token","value":"` + long + `"}`, "[secret value at byte 15]"},
		{`{"name":"X-Amz-Security-Token","value":"` + tag + `"}`, "[]"},
		{`{"place":"request.header.x-amz-security-token","rule":"credential"}`, "[]"},
		{"https://b/k?X-Amz-Signature=" + long, "[signature at byte 18]"},
		{"https://b/k?X-Amz-Signature=" + tag, "[]"},
		{"Authorization: Bearer " + long, "[bearer token at byte 15]"},
		{"Authorization: Basic " + long, "[basic password at byte 0]"},
		{"IQoJb3JpZ2lu" + long, "[aws session token at byte 0]"},
		{"ya29" + "." + long, "[google token at byte 0]"},
		{"eyJ" + long + ".eyJ" + long + "." + long, "[json web token at byte 0]"},
		{"-----BEGIN EC PRIVATE " + "KEY-----", "[private key at byte 0]"},
		{"-----BEGIN PUBLIC KEY-----", "[]"},
		{"postgres://ann:" + long + "@db/x", "[password in url at byte 0]"},
		{`{"PasswordLastUsed":"2026-01-01T00:00:00Z","MinimumPasswordLength":14,"NextToken":"` + long + `"}`, "[]"},
		{"user,arn,password_enabled,password_last_used\nann,arn:aws:iam::111122223333:user/ann,true,2026-01-01T00:00:00+00:00", "[]"},
	}
	for _, tt := range tests {
		got, err := capture.ScanSecrets(strings.NewReader(tt.text))
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%s: found %v, %v, want %s", tt.text, got, err, tt.want)
		}
	}
	// Across the edge of a buffer, and once.
	pad := strings.Repeat(" ", 64<<10-10)
	got, err := capture.ScanSecrets(iotest.HalfReader(strings.NewReader(pad + key + pad)))
	if want := fmt.Sprintf("[aws access key id at byte %d]", len(pad)); err != nil || fmt.Sprint(got) != want {
		t.Errorf("found %v, %v, want %s", got, err, want)
	}
	for cut := range 3 { // a redaction across the edge is still one
		text := strings.Repeat(" ", 64<<10-15*cut) + "access_token=" + tag + " "
		if got, err := capture.ScanSecrets(strings.NewReader(text)); err != nil || len(got) > 0 {
			t.Errorf("cut %d: found %v, %v", cut, got, err)
		}
	}
	if _, err := capture.ScanSecrets(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error is %v", err)
	}
}
