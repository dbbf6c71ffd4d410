package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence/verify"
)

func newVerify() *cobra.Command {
	var key, checkpoint string
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Verify a data directory: nothing altered, removed, reordered or missed without a trace",
		Long: `Verify a data directory: the checkpoint's signature, every record's inclusion
and signature, every payload's digest, the numbering of each task stream, and
that each slot of the recorded schedules has a run or a recorded gap.

Without --key the verifier key is taken from the directory itself: that shows
that the parts fit together, not who made them. Give the key that you received
at the start of the period.

Exit code 2: something is wrong; each problem names its place.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s takes one argument, the data directory, got %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	output := outputFlag(cmd)
	cmd.Flags().StringVar(&key, "key", "", "verifier key, as received out of band")
	cmd.Flags().StringVar(&checkpoint, "checkpoint", "", "file with a checkpoint kept from earlier: the ledger must extend it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options := verify.Options{Key: key, Now: time.Now().UTC()}
		if checkpoint != "" {
			var err error
			if options.Checkpoint, err = os.ReadFile(checkpoint); err != nil { //nolint:gosec // the user names the file
				return fmt.Errorf("read the earlier checkpoint: %w", err)
			}
		}
		progress := newBar(cmd.ErrOrStderr(), "verifying", 0)
		options.Progress = progress.set
		report, err := verify.Dir(cmd.Context(), args[0], options)
		progress.stop()
		if err != nil {
			return err
		}
		if err := printReport(cmd.OutOrStdout(), *output, report); err != nil {
			return err
		}
		if report.Simulated {
			warnSimulated(cmd.ErrOrStderr())
		}
		if !report.OK {
			return exitError{code: exitUnverified}
		}
		return nil
	}
	return cmd
}

func printReport(w io.Writer, f format, r verify.Report) error {
	l := listing{header: []string{"kind", "place", "detail"}, value: r}
	for _, p := range r.Problems {
		l.rows = append(l.rows, []string{p.Kind, p.Place, p.Detail})
	}
	if f != asTable {
		return l.write(w, f)
	}
	verdict := "verified: nothing is wrong"
	if !r.OK {
		verdict = fmt.Sprintf("NOT VERIFIED: %d problems", len(r.Problems)+r.Omitted)
	}
	from := "the key that you gave"
	if r.KeyFrom != verify.KeyGiven {
		from = "the key in the directory itself: this shows that the parts fit together, not who made them (--key)"
	}
	if _, err := fmt.Fprintf(w, "%s\nledger %s, %d records, root %s\nchecked with %s\n%d payloads, %d bytes before compression\n",
		verdict, r.Origin, r.Records, r.Root, from, r.Payloads.Checked, r.Payloads.Bytes); err != nil {
		return err
	}
	if r.Payloads.Orphans > 0 {
		if _, err := fmt.Fprintf(w, "%d payloads are named by no record, as an interrupted task leaves them\n", r.Payloads.Orphans); err != nil {
			return err
		}
	}
	if len(r.Tail) > 0 && !r.Simulated {
		if _, err := fmt.Fprintf(w, "%d task streams have slots due by now that no record covers yet (see --output json)\n", len(r.Tail)); err != nil {
			return err
		}
	}
	if len(l.rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return l.write(w, f)
}
