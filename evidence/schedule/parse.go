package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Descriptors gives the names that stand for an expression, apart from
// "@every DURATION".
func Descriptors() []string {
	return []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
}

// The bounds of the period of @every.
const (
	minEvery = time.Second
	maxEvery = 366 * 24 * time.Hour
)

// Parse reads an expression whose times are meant in zone; nil is UTC. It takes
//
//   - five fields: minute (0-59), hour (0-23), day of month (1-31), month (1-12
//     or jan-dec), day of week (0-6 or sun-sat, 0 is Sunday). A field is "*" or
//     a list of numbers and ranges, each with an optional "/step". If both days
//     are restricted, a day that matches either of them matches;
//   - six fields: the same after a field of seconds (0-59);
//   - a descriptor: see Descriptors;
//   - "@every DURATION", a Go duration of whole seconds from 1s to 8784h. Its
//     slots are the multiples of the duration since 1970-01-01T00:00:00Z
//     whatever the zone, so that they do not depend on when the agent started.
//
// It refuses an expression that is never due ("0 0 30 2 *"), one that names a
// time zone, which belongs in the configuration, and a zone that only this
// machine knows (time.Local). The error says which field is wrong.
func Parse(expr string, zone *time.Location) (Schedule, error) {
	expr = strings.TrimSpace(expr)
	if zone == nil {
		zone = time.UTC
	}
	s := Schedule{expr: expr, zone: zone}
	var err error
	switch {
	case zone.String() == "Local":
		err = errors.New("the time zone Local means something else on each machine; name one, such as Europe/Berlin")
	case expr == "":
		err = errors.New("it is empty; write five fields such as 17 6 * * *, or @hourly")
	case strings.Contains(expr, "="):
		err = errors.New("a time zone does not belong in the expression; set schedule.timezone")
	case expr == "@every" || strings.HasPrefix(expr, "@every "):
		s.every, err = parseEvery(strings.TrimSpace(strings.TrimPrefix(expr, "@every")))
	default:
		s.spec, err = parseSpec(expr)
	}
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", expr, err)
	}
	return s, nil
}

func parseEvery(text string) (time.Duration, error) {
	every, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration; write @every 30m or @every 1h", text)
	case every < minEvery || every > maxEvery:
		return 0, fmt.Errorf("%s is outside of 1s to 8784h", text)
	case every%time.Second != 0:
		return 0, fmt.Errorf("%s is not a whole number of seconds", text)
	}
	return every, nil
}

// parseSpec reads fields or a descriptor.
func parseSpec(expr string) (*cron.SpecSchedule, error) {
	if strings.HasPrefix(expr, "@") {
		return parseLibrary(cron.Descriptor, expr,
			"unknown descriptor; there are "+strings.Join(Descriptors(), ", ")+" and @every DURATION")
	}
	texts := strings.Fields(expr)
	all := fields()
	switch len(texts) {
	case len(all):
	case len(all) - 1:
		texts = append([]string{"0"}, texts...)
	default:
		return nil, fmt.Errorf("it has %d fields; write five (minute, hour, day of month, month, day of week) or six (with seconds first)", len(texts))
	}
	spec := &cron.SpecSchedule{Location: time.UTC}
	for i, f := range all {
		if err := f.check(texts[i]); err != nil {
			return nil, fmt.Errorf("%s %q: %w", f.name, texts[i], err)
		}
		one, err := parseLibrary(f.option, texts[i], "")
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", f.name, texts[i], err)
		}
		*f.bits(spec) = *f.bits(one)
	}
	// Any date that exists is due within five years of a start that has a leap
	// year ahead.
	if spec.Next(time.Date(2023, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("there is no day %s in month %s: it would never be due", texts[3], texts[4])
	}
	return spec, nil
}

// parseLibrary asks the library for one field or a descriptor.
func parseLibrary(option cron.ParseOption, text, message string) (*cron.SpecSchedule, error) {
	parsed, err := cron.NewParser(option).Parse(text)
	if err != nil {
		if message != "" {
			err = errors.New(message)
		}
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q is not a calendar", text)
	}
	spec.Location = time.UTC
	return spec, nil
}

// field is one field of an expression.
type field struct {
	name     string
	option   cron.ParseOption
	min, max int
	bits     func(*cron.SpecSchedule) *uint64
}

// fields gives the fields in the order in which they are written.
func fields() []field {
	return []field{
		{"seconds", cron.Second, 0, 59, func(s *cron.SpecSchedule) *uint64 { return &s.Second }},
		{"minute", cron.Minute, 0, 59, func(s *cron.SpecSchedule) *uint64 { return &s.Minute }},
		{"hour", cron.Hour, 0, 23, func(s *cron.SpecSchedule) *uint64 { return &s.Hour }},
		{"day of month", cron.Dom, 1, 31, func(s *cron.SpecSchedule) *uint64 { return &s.Dom }},
		{"month", cron.Month, 1, 12, func(s *cron.SpecSchedule) *uint64 { return &s.Month }},
		{"day of week", cron.Dow, 0, 6, func(s *cron.SpecSchedule) *uint64 { return &s.Dow }},
	}
}

// check refuses what the library lets pass but cannot have been meant: empty
// items ("1,,2", which make a field that never matches when there is nothing
// else), a range from a star ("*-5"), signs, and a step that is longer than
// the field ("*/90" minutes).
func (f field) check(text string) error {
	item := regexp.MustCompile(`^(?:[*?]|(?:[0-9]+|[A-Za-z]{3})(?:-(?:[0-9]+|[A-Za-z]{3}))?)(?:/([0-9]+))?$`)
	for one := range strings.SplitSeq(text, ",") {
		m := item.FindStringSubmatch(one)
		if m == nil {
			return fmt.Errorf("%q is neither *, a number, a range such as 1-5, nor one of these with a /step", one)
		}
		if step, err := strconv.Atoi(m[1]); m[1] != "" && (err != nil || step > f.max-f.min+1) {
			return fmt.Errorf("the step %s is longer than the field (%d to %d)", m[1], f.min, f.max)
		}
	}
	return nil
}
