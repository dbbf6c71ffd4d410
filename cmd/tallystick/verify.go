package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence/verify"
)

func newVerify() *cobra.Command {
	var (
		options     verify.Options
		key, file   string
		checkpoints []string
		complete    bool
	)
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Verify a bundle or a data directory: nothing altered, removed, reordered or missed without a trace",
		Long: `Verify a bundle (a directory or a .tar.zst) or a data directory: the
checkpoint's signature, every record's inclusion and signature, every payload's
digest, the numbering of each task stream, and that each slot of the recorded
schedules has a run or a recorded gap. Of a bundle also every file, the signed
statement, that nothing outside of its window is in it, and that its tables are
what the records give. tallystick-verify does the same and is nothing else.

Without --key the verifier key is taken from what is verified: that shows that
the parts fit together, not who made them. Give the key that you received at the
start of the period. Only a checkpoint that you kept from earlier (--checkpoint)
shows that the holder of the key did not write the past anew.

Exit code 2: something is wrong; each problem names its place. With --complete,
3: nothing is wrong, but not every slot has a complete run.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s takes one argument, a bundle or a data directory, got %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	output := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&key, "key", "", "verifier key, as received out of band")
	flags.StringVar(&file, "key-file", "", "file with the verifier key")
	flags.StringArrayVar(&checkpoints, "checkpoint", nil, "file with a checkpoint kept from earlier: the ledger must extend it; can be repeated")
	flags.BoolVar(&complete, "complete", false, "also ask whether every slot that was due has a complete run")
	flags.Int64Var(&options.MaxBytes, "max-bytes", 0, "most bytes to extract from an archive; 0: the larger of 1 GiB and 64 times its size")
	flags.StringVar(&options.Scratch, "scratch", "", "directory to extract an archive in; default: that of the system for temporary files")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := options.Load(key, file, checkpoints); err != nil {
			return err
		}
		options.Now = time.Now().UTC()
		progress := newBar(cmd.ErrOrStderr(), "verifying", 0)
		options.Progress = progress.set
		report, err := verify.Path(cmd.Context(), args[0], options)
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
		if code := report.ExitCode(complete); code != verify.ExitOK {
			return exitError{code: code}
		}
		return nil
	}
	return cmd
}

func printReport(w io.Writer, f format, r verify.Report) error {
	if f == asTable {
		return r.WriteText(w)
	}
	l := listing{header: []string{"kind", "place", "detail"}, value: r}
	for _, p := range r.Problems {
		l.rows = append(l.rows, []string{p.Kind, p.Place, p.Detail})
	}
	return l.write(w, f)
}
