package verify

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// The exit codes of the programs that verify.
const (
	ExitOK         = 0
	ExitUnverified = 2 // something is wrong
	ExitIncomplete = 3 // nothing is wrong, and asked whether every slot has a complete run: no
)

// ExitCode gives the exit code for a report. With complete, it also asks whether
// every slot that was due has a complete run.
func (r Report) ExitCode(complete bool) int {
	switch {
	case !r.OK:
		return ExitUnverified
	case complete && !r.Slots.AllComplete():
		return ExitIncomplete
	}
	return ExitOK
}

// Load reads what the auditor has in files: the key, unless key is it, and
// checkpoints kept from earlier.
func (o *Options) Load(key, keyFile string, checkpoints []string) error {
	o.Key = key
	if keyFile != "" {
		if key != "" {
			return fmt.Errorf("read key: it is given twice, as text and as the file %s", keyFile)
		}
		data, err := readFile(keyFile, maxSmallFile)
		if err != nil {
			return fmt.Errorf("read key %s: %w", keyFile, err)
		}
		if o.Key = strings.TrimSpace(string(data)); o.Key == "" {
			return fmt.Errorf("read key %s: the file is empty", keyFile)
		}
	}
	for _, name := range checkpoints {
		data, err := os.ReadFile(name) //nolint:gosec // G304: the auditor's own choice.
		if err != nil {
			return fmt.Errorf("read the earlier checkpoint: %w", err)
		}
		o.Checkpoints = append(o.Checkpoints, data)
	}
	return nil
}

// WriteText writes the report for people. Control characters, which could come
// from what is verified, are not written.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(strings.Map(func(c rune) rune {
			if unicode.IsControl(c) || unicode.In(c, unicode.Cf) {
				return '�'
			}
			return c
		}, fmt.Sprintf(format, args...)))
		b.WriteByte('\n')
	}
	if r.OK {
		line("verified: nothing is wrong")
	} else {
		line("NOT VERIFIED: %d problems", len(r.Problems)+r.Omitted)
	}
	if r.Simulated {
		line("SIMULATED CLOCK: this is a demonstration, not evidence")
	}
	r.what(line)
	for _, list := range []struct {
		title     string
		sentences []string
	}{{"Proven:", r.Proven}, {"Not proven:", r.NotProven}} {
		if len(list.sentences) > 0 {
			line("")
			line("%s", list.title)
		}
		for _, s := range list.sentences {
			line("  - %s", s)
		}
	}
	if len(r.Problems) > 0 {
		line("")
		line("Problems:")
	}
	for _, p := range r.Problems {
		line("  %s", p)
	}
	if r.Omitted > 0 {
		line("  and %d more", r.Omitted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// what says what was looked at.
func (r Report) what(line func(format string, args ...any)) {
	if b := r.Bundle; b != nil {
		controls := "all controls"
		if len(b.Controls) > 0 {
			controls = "only " + strings.Join(b.Controls, ", ")
		}
		line("bundle of %s: %s from %s to before %s (days in %s), %s", b.Organization, strings.ReplaceAll(b.Kind, "_", " "), stamp(b.From), stamp(b.To), b.TimeZone, controls)
	}
	if r.Origin == "" {
		return // nothing could be read
	}
	line("ledger %s, %d records, root %s", r.Origin, r.Records, r.Root)
	switch r.KeyFrom {
	case KeyGiven:
		line("checked with the key that you gave")
	default:
		line("checked with the key in the %s itself: this shows that the parts fit together, not who made them (--key)", map[string]string{KeyDirectory: "directory", KeyBundle: "bundle"}[r.KeyFrom])
	}
	line("%d payloads, %d bytes before compression", r.Payloads.Checked, r.Payloads.Bytes)
	if n := r.Slots; n.Due > 0 {
		line("%d slots were due: %d with a complete run, %d partial, %d failed, %d missed, %d without a record", n.Due, n.Complete, n.Partial, n.Failed, n.Missed, n.Open)
	}
	if r.Payloads.Orphans > 0 && r.What == WhatDirectory {
		line("%d payloads are named by no record, as an interrupted task leaves them", r.Payloads.Orphans)
	}
	if len(r.Tail) > 0 && !r.Simulated {
		line("%d task streams have slots that were due and that no record covers (see --output json)", len(r.Tail))
	}
}
