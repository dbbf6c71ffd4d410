// Command tallystick-verify checks a bundle, or a data directory, for an
// auditor who does not trust whoever made it.
//
// It needs what is verified and, to say who made it, the key that was received
// at the start of the period. It has no network, runs no program, and writes
// nothing but what it extracts from an archive and removes again.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // schedules name time zones; the auditor's machine may not know them

	"github.com/tallystick/tallystick/evidence/verify"
)

const exitUsage = 1

// version is set by the linker for a release.
var version string

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(stderr, "tallystick-verify: "+err.Error())
		return exitUsage
	}
	a, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return verify.ExitOK
	case err != nil:
		return fail(fmt.Errorf("%w; see tallystick-verify --help", err))
	case a.tell:
		fmt.Fprintln(stdout, "tallystick-verify "+versionText())
		return verify.ExitOK
	}
	if err := a.options.Load(a.key, a.keyFile, a.checkpoints); err != nil {
		return fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	show := progress{w: stderr}
	if isTerminal(stderr) {
		a.options.Progress = show.set
	}
	a.options.Now = time.Now().UTC()
	report, err := verify.Path(ctx, a.path, a.options)
	show.clear()
	if err != nil {
		return fail(err)
	}
	if err := write(stdout, a.output, report); err != nil {
		return fail(fmt.Errorf("write report: %w", err))
	}
	return report.ExitCode(a.complete)
}

func write(w io.Writer, format string, r verify.Report) error {
	if format == "text" {
		return r.WriteText(w)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
