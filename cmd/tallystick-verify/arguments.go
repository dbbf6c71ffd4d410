package main

import (
	"flag"
	"fmt"
	"io"

	"github.com/tallystick/tallystick/evidence/verify"
)

const usage = `Usage: tallystick-verify [flags] PATH

Verifies a bundle (a directory or a .tar.zst) or a data directory of tallystick:
nothing altered, removed, reordered, left out or missed without a trace. What was
proven, and what cannot be proven this way, is said in plain words.

  --key VKEY         the verifier key, as you received it at the start of the period
  --key-file FILE    the same, from a file
  --checkpoint FILE  a checkpoint that you kept from earlier; can be repeated
  --output FORMAT    text (default) or json
  --complete         also ask whether every slot that was due has a complete run
  --max-bytes N      most bytes to extract from an archive
                     (default: the larger of 1 GiB and 64 times its size)
  --scratch DIR      where to extract it (default: the system's temporary files)
  --version          print the version

Exit codes: 0 nothing is wrong · 1 usage, or it cannot be read · 2 something is
wrong · 3 with --complete: nothing is wrong, but a slot has no complete run
`

// arguments is the command line.
type arguments struct {
	options        verify.Options
	path           string
	key, keyFile   string
	checkpoints    []string
	output         string
	complete, tell bool // tell: the version
}

// parse reads the command line. Flags may stand behind the path too.
func parse(args []string) (a arguments, err error) {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&a.key, "key", "", "")
	f.StringVar(&a.keyFile, "key-file", "", "")
	f.Func("checkpoint", "", func(name string) error { a.checkpoints = append(a.checkpoints, name); return nil })
	f.StringVar(&a.output, "output", "text", "")
	f.BoolVar(&a.complete, "complete", false, "")
	f.Int64Var(&a.options.MaxBytes, "max-bytes", 0, "")
	f.StringVar(&a.options.Scratch, "scratch", "", "")
	f.BoolVar(&a.tell, "version", false, "")
	var paths []string
	for {
		if err := f.Parse(args); err != nil {
			return a, err
		}
		if f.NArg() == 0 {
			break
		}
		paths = append(paths, f.Arg(0))
		args = f.Args()[1:]
	}
	switch {
	case a.tell:
	case len(paths) != 1:
		return a, fmt.Errorf("it takes one argument, a bundle or a data directory, got %d", len(paths))
	case a.output != "text" && a.output != "json":
		return a, fmt.Errorf("output %q: use text or json", a.output)
	case a.options.MaxBytes < 0:
		return a, fmt.Errorf("max-bytes %d: must not be negative", a.options.MaxBytes)
	default:
		a.path = paths[0]
	}
	return a, nil
}
