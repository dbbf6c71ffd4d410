package telemetry_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/internal/telemetry"
)

// summer is a clock in a zone two hours ahead of UTC.
type summer struct{}

func (summer) Now() time.Time {
	return time.Date(2026, 7, 1, 8, 17, 0, 250e6, time.FixedZone("CEST", 2*60*60))
}

func (summer) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func TestLogger(t *testing.T) {
	const jsonLine = `{"level":"info","time":"2026-07-01T06:17:00.250Z","message":"task finished","task_id":"t1","took":1.5}` + "\n"
	tests := []struct {
		name, format, level string
		terminal            bool
		want                string
	}{
		{"auto in a container", "auto", "info", false, jsonLine},
		{"json on a terminal", "json", "info", true, jsonLine},
		{"auto on a terminal", "auto", "info", true, "06:17:00Z  \x1b[34mINFO\x1b[0m  task finished  {\"task_id\": \"t1\", \"took\": \"1.5s\"}\n"},
		{"console in a file has no colour", "console", "info", false, "06:17:00Z  INFO  task finished  {\"task_id\": \"t1\", \"took\": \"1.5s\"}\n"},
		{"below the level", "json", "warn", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			log, err := telemetry.NewLogger(tt.format, tt.level, &out, tt.terminal)
			if err != nil {
				t.Fatal(err)
			}
			log = log.WithOptions(zap.WithClock(summer{}))
			log.Info("task finished", zap.String("task_id", "t1"), zap.Duration("took", 1500*time.Millisecond))
			if out.String() != tt.want {
				t.Errorf("line %q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestLoggerHasNoStackTraces(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger("json", "debug", &out, false)
	if err != nil {
		t.Fatal(err)
	}
	log.Named("agent").Error("task failed", zap.String("error", "line one\nline two"))
	var line map[string]string
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON object: %v: %q", err, out.String())
	}
	delete(line, "time")
	for k := range line {
		if !strings.Contains(" level logger message error ", " "+k+" ") {
			t.Errorf("unexpected key %q", k)
		}
	}
}

func TestLoggerErrors(t *testing.T) {
	tests := []struct{ format, level, want string }{
		{"xml", "info", `log format "xml": not known; use auto, json or console`},
		{"json", "loud", `log level "loud": not known; use debug, info, warn or error`},
		{"json", "", `log level "": not known; use debug, info, warn or error`},
	}
	for _, tt := range tests {
		_, err := telemetry.NewLogger(tt.format, tt.level, &bytes.Buffer{}, false)
		if err == nil || err.Error() != tt.want {
			t.Errorf("NewLogger(%q, %q): %v, want %q", tt.format, tt.level, err, tt.want)
		}
	}
}
