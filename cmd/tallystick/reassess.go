package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/replay"
)

func newReassess() *cobra.Command {
	var from, to string
	var dirs, parameters []string
	cmd := &cobra.Command{
		Use:   "reassess [PATH]",
		Short: "Judge old evidence by another catalogue and show what would change",
		Long: `Judge recorded observations by the catalogue of this program, and show each
verdict that would be another. PATH is a bundle (a directory or a .tar.zst file)
or a data directory; without it, --dir or evidence.dir of the configuration is.

The catalogue is this program's; with --config, it has the checks and parameters
of that configuration; --catalogue and --parameter come on top. Without --from
and --to the newest verdicts are judged again, with them every assessment of
that span. Nothing is written: this asks "what if", and records no judgement.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one argument, a bundle or a data directory, got %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: completePath,
	}
	dir := dirFlags(cmd)
	output := outputFlag(cmd)
	cmd.Flags().StringVar(&from, "from", "", "only assessments from this day or time on (UTC)")
	cmd.Flags().StringVar(&to, "to", "", "only assessments up to the end of this day, or before this time (UTC)")
	cmd.Flags().StringArrayVar(&dirs, "catalogue", nil, "directory of more checks; may be given several times")
	cmd.Flags().StringArrayVar(&parameters, "parameter", nil, "CHECK.NAME=VALUE: another value of a parameter; may be given several times")
	cobra.CheckErr(cmd.MarkFlagDirname("catalogue"))
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		var o replay.ReassessOptions
		if o.From, o.To, err = spanOf(from, to); err != nil {
			return err
		}
		var path string
		if len(args) == 1 {
			path = args[0]
		} else if path, err = dir.path(); err != nil {
			return err
		}
		byConfig := cmd.Flags().Changed("config") || len(args) == 0 && *dir.dir == ""
		if o.Catalogue, err = reassessCatalogue(*dir.config, byConfig, dirs, parameters); err != nil {
			return err
		}
		source, records, done, err := openEvidence(cmd.Context(), path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		bar := newBar(cmd.ErrOrStderr(), "reassessing", 0)
		o.Progress = func(n uint64) { bar.set(n, max(n, records)) }
		r, err := replay.Reassess(cmd.Context(), source, o)
		bar.stop()
		if err != nil {
			return fmt.Errorf("reassess %s: %w", path, err)
		}
		if err := printReassessment(cmd.OutOrStdout(), *output, r); err != nil {
			return err
		}
		if *output == asTable && r.Simulated {
			warnSimulated(cmd.ErrOrStderr())
		}
		return nil
	}
	return cmd
}

// spanOf reads --from and --to. A day as the end is that day to its end.
func spanOf(from, to string) (begin, end time.Time, err error) {
	read := func(flag, text string, days int) (time.Time, error) {
		if text == "" {
			return time.Time{}, nil
		}
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC(), nil
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return time.Time{}, fmt.Errorf("--%s %q: use a day as in 2026-07-01, or a time as in 2026-07-01T06:17:00Z", flag, text)
		}
		return t.AddDate(0, 0, days), nil
	}
	begin, errFrom := read("from", from, 0)
	end, errTo := read("to", to, 1)
	if err := errors.Join(errFrom, errTo); err != nil {
		return begin, end, err
	}
	if !end.IsZero() && !begin.Before(end) {
		return begin, end, fmt.Errorf("--from %s is not before --to %s", from, to)
	}
	return begin, end, nil
}

// reassessCatalogue gives the catalogue to judge by.
func reassessCatalogue(path string, byConfig bool, dirs, parameters []string) (*checks.Catalogue, error) {
	file := new(config.File)
	if byConfig {
		var err error
		if file, err = readConfig(path); err != nil {
			return nil, err
		}
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("--catalogue: %w", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("--catalogue %s: not a directory", dir)
		}
	}
	file.Config.Catalogue.Dirs = append(file.Config.Catalogue.Dirs, dirs...)
	c, err := loadCatalogue(file)
	if err != nil || len(parameters) == 0 {
		return c, err
	}
	overrides := make(map[string]map[string]checks.Override)
	for _, text := range parameters {
		at, value, given := strings.Cut(text, "=")
		dot := strings.LastIndexByte(at, '.')
		if !given || dot < 0 {
			return nil, fmt.Errorf("--parameter %q: use CHECK.NAME=VALUE", text)
		}
		id, name := at[:dot], at[dot+1:]
		check, _, _ := c.Check(id)
		v, err := parameterValue(check.Parameters[name].Type, value)
		if err != nil {
			return nil, fmt.Errorf("--parameter %q: %w", text, err)
		}
		if overrides[id] == nil {
			overrides[id] = make(map[string]checks.Override)
		}
		overrides[id][name] = checks.Override{Value: v, Reason: "asked by tallystick reassess"}
	}
	if c, err = c.WithParameters(overrides); err != nil {
		return nil, fmt.Errorf("--parameter: %w", err)
	}
	return c, nil
}

// parameterValue reads a value of the type that the check declares. A list is
// separated by commas.
func parameterValue(declared, text string) (any, error) {
	switch declared {
	case "int":
		return strconv.ParseInt(text, 10, 64)
	case "bool":
		return strconv.ParseBool(text)
	case "strings":
		if text == "" {
			return []string{}, nil
		}
		return strings.Split(text, ","), nil
	default:
		return text, nil // a string, or a name that WithParameters refuses
	}
}

func printReassessment(w io.Writer, f format, r *replay.Reassessment) error {
	l := listing{
		header: []string{"change", "check", "control", "provider", "account", "region", "kind", "resource", "then", "now", "assessments", "first", "last", "reason"},
		value:  r,
	}
	type step struct{ then, now evidence.Status }
	steps := make(map[step]int)
	for _, v := range r.Changes {
		steps[step{v.Then, v.Now}]++
		l.rows = append(l.rows, []string{
			v.Change, v.Check, v.Control, v.Provider, v.Account, v.Region, v.Kind, v.Resource, string(v.Then), string(v.Now),
			strconv.Itoa(v.Assessments), when(v.First), when(v.Last), v.Reason,
		})
	}
	if f != asTable {
		return l.write(w, f)
	}
	p := &printer{w: w}
	p.printf("%d assessments judged again by catalogue %.12s: %d verdicts are the same, %d would change\n", r.Assessments, r.Catalogue, r.Same, r.Changed)
	for _, list := range []struct {
		what string
		ids  []string
	}{{"not in force then", r.NewChecks}, {"in force no more", r.GoneChecks}} {
		if len(list.ids) > 0 {
			p.printf("checks %s: %s\n", list.what, strings.Join(list.ids, ", "))
		}
	}
	for _, reason := range r.NotPerformed {
		p.printf("not judged again: %d assessments, from record %d on: %s\n", reason.Count, reason.First, reason.Why)
	}
	if p.err != nil || len(l.rows) == 0 {
		return p.err
	}
	counts := listing{header: []string{"then", "now", "verdicts"}}
	for _, then := range append(evidence.Statuses(), "") {
		for _, now := range append(evidence.Statuses(), "") {
			if n := steps[step{then, now}]; n > 0 {
				counts.rows = append(counts.rows, []string{dash(then), dash(now), strconv.Itoa(n)})
			}
		}
	}
	p.printf("\n")
	if err := counts.write(w, f); err != nil {
		return err
	}
	heading := ""
	for _, v := range r.Changes {
		if h := v.Check + "  " + v.Account; h != heading {
			heading = h
			p.printf("\n%s\n", h)
		}
		p.printf("    %s: %s -> %s%s: %s\n", short(evidence.Verdict{Region: v.Region, Kind: v.Kind, Resource: v.Resource}), dash(v.Then), dash(v.Now), times(v), v.Reason)
	}
	return p.err
}

// dash stands for no verdict.
func dash(s evidence.Status) string {
	if s == "" {
		return "-"
	}
	return string(s)
}

// times says in how many assessments a verdict changes, beyond one.
func times(v replay.Verdict) string {
	if v.Assessments == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d times, %s to %s)", v.Assessments, when(v.First), when(v.Last))
}
