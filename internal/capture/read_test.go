package capture_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/internal/capture"
)

func TestReadIsStrict(t *testing.T) {
	const entry = `{"request":{"method":"GET","url":"https://example.com/"},"response":{"status":200}}`
	tests := []struct{ name, har, err string }{
		{"good", `{"log":{"version":"1.2","creator":{"name":"x"},"comment":"c","entries":[` + entry + `]}}`, ""},
		{"no entries", `{"log":{"version":"1.2","entries":[]}}`, ""},
		{"empty", ``, "unexpected EOF"},
		{"cut", `{"log":{"version":"1.2","entries":[` + entry, "EOF"},
		{"cut after the entries", `{"log":{"version":"1.2","entries":[` + entry + `]`, "EOF"},
		{"more after the end", `{"log":{"version":"1.2","entries":[]}} {}`, "more after the end"},
		{"another version", `{"log":{"version":"1.1","entries":[]}}`, `"1.1"`},
		{"no version", `{"log":{"entries":[]}}`, "version is missing"},
		{"no list", `{"log":{"version":"1.2"}}`, "entries"},
		{"two lists", `{"log":{"version":"1.2","entries":[],"entries":[]}}`, "entries"},
		{"another field", `{"log":{"version":"1.2","entires":[]}}`, "entires"},
		{"no log", `{}`, "0 logs"},
		{"not an object", `[]`, "found ["},
		{"misspelt field", `{"log":{"version":"1.2","entries":[` + strings.Replace(entry, `{"request"`, `{"_opration":"x","request"`, 1) + `]}}`, `entry 1: json: unknown field "_opration"`},
		{"no method", `{"log":{"version":"1.2","entries":[{"request":{"url":"https://example.com/"},"response":{"status":200}}]}}`, "request.method"},
		{"relative url", `{"log":{"version":"1.2","entries":[` + entry + `,{"request":{"method":"GET","url":"/x"},"response":{"status":200}}]}}`, `entry 2: request.url "/x"`},
		{"no status", `{"log":{"version":"1.2","entries":[` + strings.Replace(entry, "200", "0", 1) + `]}}`, "response.status"},
		{"impossible status", `{"log":{"version":"1.2","entries":[` + strings.Replace(entry, "200", "1200", 1) + `]}}`, "1200"},
		{"unknown failure", `{"log":{"version":"1.2","entries":[` + strings.Replace(entry, `{"request"`, `{"_error":{"sort":"reset","message":"m"},"request"`, 1) + `]}}`, `_error.sort "reset"`},
		{"moving without a start", `{"log":{"version":"1.2","entries":[` + strings.Replace(entry, `{"request"`, `{"_moving":["x"],"request"`, 1) + `]}}`, "startedDateTime"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got error
			for _, err := range capture.Read(strings.NewReader(tt.har)) {
				got = err
			}
			if tt.err == "" && got != nil || tt.err != "" && (got == nil || !strings.Contains(got.Error(), tt.err)) {
				t.Errorf("error is %v, want %q", got, tt.err)
			}
		})
	}
	two := `{"log":{"version":"1.2","entries":[` + entry + `,` + entry + `]}}`
	n := 0
	for _, err := range capture.Read(strings.NewReader(two)) {
		if err != nil {
			t.Error(err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d entries after a break", n)
	}
	twoBodies := strings.Replace(entry, `"status":200`, `"status":200,"content":{"text":"a","_json":{}}`, 1)
	if _, err := capture.OpenReplay(capture.ReplayOptions{}, strings.NewReader(`{"log":{"version":"1.2","entries":[`+twoBodies+`]}}`)); err == nil || !strings.Contains(err.Error(), "only one") {
		t.Errorf("two bodies give %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"log":{"version":"1.2","entries":[` + fixture + `]}}`))
	f.Add([]byte(`{"log":{"version":"1.2","entries":[{"request":{"method":"GET","url":"https://e/"},"response":{"status":200,"content":{"encoding":"base64","text":"//4A"}}}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := capture.OpenReplay(capture.ReplayOptions{RepeatLast: true, Now: time.Now}, bytes.NewReader(b))
		if err != nil {
			return
		}
		// What can be opened can be asked for each of its requests.
		for e, err := range capture.Read(bytes.NewReader(b)) {
			if err != nil {
				t.Fatalf("opened, then %v", err)
			}
			body, err := e.Request.Body()
			if err != nil {
				t.Fatalf("opened, then %v", err)
			}
			req, err := http.NewRequestWithContext(t.Context(), e.Request.Method, e.Request.URL, bytes.NewReader(body))
			if err != nil {
				continue
			}
			var missing *capture.NoAnswerError
			if _, err := r.RoundTrip(req); errors.As(err, &missing) {
				t.Fatalf("%s %s: %v", e.Request.Method, e.Request.URL, err)
			}
		}
	})
}
