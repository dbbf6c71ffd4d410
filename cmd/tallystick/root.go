package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// newRoot gives the command with all its subcommands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tallystick",
		Short: "Evidence of how cloud accounts are configured, for SOC 2 auditors to verify",
		Long: `tallystick reads how AWS accounts are configured on a schedule and keeps what
the providers answered as hashed, signed evidence, judged by a published
catalogue of checks. What could not be read is a recorded gap, never a verdict.

Try it without an account:    tallystick demo
Start for real:               tallystick init

Exit codes: 0 done · 1 usage or configuration · 2 verification failed ·
3 evidence incomplete (gaps) · 4 asked to fail on failing checks and some fail`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(
		newDemo(), newInit(), newPreflight(), newRun(), newCollect(), newResults(), newStatus(), newExport(),
		newVerify(), newReplay(), newReassess(), newSample(), newCatalog(), newPermissions(), newConfig(), newVersion(),
	)
	return root
}

// noArguments refuses arguments with a sentence that says what to do.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return fmt.Errorf("%q is not a command of %s; see `%s --help`", args[0], cmd.CommandPath(), cmd.CommandPath())
	}
	return fmt.Errorf("%s takes no arguments, got %q; see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath())
}
