package telemetry

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The formats of the log.
const (
	LogAuto    = "auto"    // console on a terminal, JSON elsewhere
	LogJSON    = "json"    // one JSON object a line
	LogConsole = "console" // for people
)

// NewLogger makes a logger that writes whole lines to w. The level is debug,
// info, warn or error. isTerminal says whether w is a terminal; it decides
// what "auto" means and whether levels are coloured.
//
// Messages are constant and everything variable is a field with a key in
// snake_case. Lines carry no stack traces: what a user can meet is told in
// words.
func NewLogger(format, level string, w io.Writer, isTerminal bool) (*zap.Logger, error) {
	var lvl zapcore.Level
	switch level {
	case "debug":
		lvl = zapcore.DebugLevel
	case "info":
		lvl = zapcore.InfoLevel
	case "warn":
		lvl = zapcore.WarnLevel
	case "error":
		lvl = zapcore.ErrorLevel
	default:
		return nil, fmt.Errorf("log level %q: not known; use debug, info, warn or error", level)
	}

	cfg := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "message",
		LineEnding:     zapcore.DefaultLineEnding,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeTime:     utc("2006-01-02T15:04:05.000Z07:00"),
		EncodeDuration: zapcore.SecondsDurationEncoder,
	}
	if format == LogAuto {
		format = LogJSON
		if isTerminal {
			format = LogConsole
		}
	}
	var enc zapcore.Encoder
	switch format {
	case LogJSON:
		enc = zapcore.NewJSONEncoder(cfg)
	case LogConsole:
		cfg.EncodeTime = utc("15:04:05Z07:00")
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		if isTerminal {
			cfg.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		cfg.EncodeDuration = zapcore.StringDurationEncoder
		cfg.ConsoleSeparator = "  "
		enc = zapcore.NewConsoleEncoder(cfg)
	default:
		return nil, fmt.Errorf("log format %q: not known; use auto, json or console", format)
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), lvl)), nil
}

// utc writes times in UTC, as the ledger does, so that a line can be found
// beside a record.
func utc(layout string) zapcore.TimeEncoder {
	return func(t time.Time, enc zapcore.PrimitiveArrayEncoder) { enc.AppendString(t.UTC().Format(layout)) }
}
