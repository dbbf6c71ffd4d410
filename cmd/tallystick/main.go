// Command tallystick records how cloud accounts are configured, over a whole
// observation period, as evidence that an auditor can verify.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones; a container has no database of them
)

// The exit codes. They are part of the interface.
const (
	exitUsage      = 1 // usage or configuration
	exitUnverified = 2 // verification failed
	exitGaps       = 3 // evidence is incomplete
	exitFailing    = 4 // asked to fail on failing checks, and some fail
)

// exitError ends the program with a code. Without an error it is silent: what
// there is to say was printed.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

// run is main without the process around it.
func run(ctx context.Context, args []string) int {
	// The ledger's library logs through the default logger of the process. Its
	// errors reach us as errors too; the rest is noise between lines of JSON.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot() //nolint:contextcheck // cobra hands the context to the command that runs
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(root.ErrOrStderr(), "tallystick: "+exit.err.Error())
		}
		return exit.code
	default:
		fmt.Fprintln(root.ErrOrStderr(), "tallystick: "+err.Error())
		return exitUsage
	}
}
