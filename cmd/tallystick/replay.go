package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/internal/replay"
)

func newReplay() *cobra.Command {
	var keep, workers int
	cmd := &cobra.Command{
		Use:   "replay PATH",
		Short: "Perform it all again, offline: collectors over the captured exchanges, checks over the result",
		Long: `Run each collector again over the exchanges that were captured, and each
judgement again over the observations that it used, by the catalogue of then;
compare observations, gaps and verdicts byte for byte with what was sealed.
PATH is a bundle (a directory or a .tar.zst file) or a data directory. Nothing
is called and nothing is written to PATH.

What could not be performed again is counted and says why. Signatures and
proofs are not looked at: that is verify's.

Exit code 2: something came out otherwise. Exit code 3: nothing did, and not
everything could be performed again.`,
		Args:              onePath("a bundle or a data directory"),
		ValidArgsFunction: completePath,
	}
	output := outputFlag(cmd)
	cmd.Flags().IntVar(&keep, "keep", 1000, "how many differences to list; all are counted")
	cmd.Flags().IntVar(&workers, "workers", 0, "records performed side by side (default: one a core)")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		from, records, done, err := openEvidence(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		bar := newBar(cmd.ErrOrStderr(), "replaying", 0)
		report, err := replay.Run(cmd.Context(), from, replay.Options{
			Collector: again, Scratch: os.TempDir(), Workers: workers, Keep: keep,
			Progress: func(n uint64) { bar.set(n, max(n, records)) },
		})
		bar.stop()
		if err != nil {
			return fmt.Errorf("replay %s: %w", args[0], err)
		}
		if err := printReplay(cmd.OutOrStdout(), *output, report); err != nil {
			return err
		}
		if *output == asTable && report.Simulated {
			warnSimulated(cmd.ErrOrStderr())
		}
		return replayExit(report)
	}
	return cmd
}

// replayExit gives the exit code: a difference outranks what is missing.
func replayExit(r *replay.Report) error {
	switch {
	case r.Runs.Different+r.Assessments.Different > 0:
		return exitError{code: exitUnverified}
	case r.Runs.NotPerformed+r.Assessments.NotPerformed > 0:
		return exitError{code: exitGaps}
	}
	return nil
}

func printReplay(w io.Writer, f format, r *replay.Report) error {
	if f == asJSON {
		return listing{value: struct {
			OK bool `json:"ok"`
			*replay.Report
		}{replayExit(r) == nil, r}}.write(w, f)
	}
	l := listing{header: []string{"record", "what", "where", "at", "payload", "check", "kind", "region", "resource", "field", "sealed", "replayed", "problem"}}
	for _, d := range r.Differences {
		l.rows = append(l.rows, []string{
			strconv.FormatUint(d.Record, 10), d.What, d.Where, when(d.At), d.Payload, d.Check, d.Kind, d.Region, d.Resource, d.Field, d.Sealed, d.Replayed, d.Problem,
		})
	}
	if f == asCSV {
		return l.write(w, f)
	}
	counts := listing{header: []string{"performed again", "records", "same", "different", "not performed"}}
	for _, c := range []struct {
		name string
		replay.Count
	}{{"runs", r.Runs}, {"assessments", r.Assessments}} {
		counts.rows = append(counts.rows, []string{c.name, strconv.Itoa(c.Total), strconv.Itoa(c.Same), strconv.Itoa(c.Different), strconv.Itoa(c.NotPerformed)})
	}
	if err := counts.write(w, f); err != nil {
		return err
	}
	p := &printer{w: w}
	for _, reason := range r.NotPerformed {
		p.printf("\nnot performed: %d of the %ss, from record %d on: %s\n", reason.Count, reason.What, reason.First, reason.Why)
	}
	if others := slices.DeleteFunc(slices.Clone(r.RecordedBy), func(v string) bool { return v == buildVersion() }); len(others) > 0 {
		p.printf("\nrecorded by version %s, replayed by %s: a difference may be one between the programs\n", strings.Join(others, ", "), buildVersion())
	}
	last := uint64(0)
	for i, d := range r.Differences {
		if i == 0 || d.Record != last {
			p.printf("\nDIFFERENT: record %d, %s of %s, %s\n", d.Record, d.What, d.Where, when(d.At))
			last = d.Record
		}
		p.difference(d)
	}
	if r.Omitted > 0 {
		p.printf("\nand %d differences more (--keep)\n", r.Omitted)
	}
	return p.err
}

// printer writes lines for people until one can not be written.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// difference names the place of a difference and shows both sides.
func (p *printer) difference(d replay.Difference) {
	var place []string
	for _, part := range []string{d.Payload, d.Check, d.Kind, d.Region, d.Resource, d.Field} {
		if part != "" {
			place = append(place, part)
		}
	}
	p.printf("  %s\n", strings.Join(place, "  "))
	if d.Problem != "" {
		p.printf("    %s\n", d.Problem)
	}
	if d.Sealed == "" && d.Replayed == "" {
		return
	}
	p.printf("    sealed:   %s\n    replayed: %s\n", sideOf(d.Sealed), sideOf(d.Replayed))
}

// sideOf shortens one side of a difference for people.
func sideOf(value string) string {
	const most = 300
	switch {
	case value == "":
		return "(nothing)"
	case len(value) > most:
		return strings.ToValidUTF8(value[:most], "") + "…"
	}
	return value
}

// onePath demands one argument.
func onePath(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s takes one argument, %s, got %d", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// completePath lets the shell complete the names of files.
func completePath(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// isBundle says whether a path is a bundle rather than a data directory. An
// error is met again by whoever opens it.
func isBundle(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return err == nil
	}
	_, err = os.Stat(filepath.Join(path, "bundle.json"))
	return !errors.Is(err, fs.ErrNotExist)
}

// openEvidence opens a bundle or a data directory for reading. Records is how
// many to expect, 0 when that is not known; done must be called in the end.
func openEvidence(ctx context.Context, path string) (from replay.Source, records uint64, done func() error, err error) {
	done = func() error { return nil }
	if isBundle(path) {
		b, err := bundle.Open(ctx, path, bundle.OpenOptions{})
		if err != nil {
			return from, 0, done, err
		}
		return replay.Source{Entries: b.Entries(), Payloads: b.Payloads()}, 0, b.Close, nil
	}
	from, records, err = replay.Directory(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: neither a bundle nor a data directory with a ledger", path)
	}
	return from, records, done, err
}
