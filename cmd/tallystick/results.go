package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence"
)

func newResults() *cobra.Command {
	var filter struct{ control, check, account, project, status []string }
	var all, failOnFail bool
	cmd := &cobra.Command{
		Use:   "results",
		Short: "Show the newest verdict of every check on every resource",
		Long: `Show the newest verdicts from the ledger. The table sums up each control and
lists what does not pass; --all lists every verdict. JSON and CSV always hold
every verdict that the filters leave.`,
		Args: noArguments,
	}
	dir := dirFlags(cmd)
	output := outputFlag(cmd)
	cmd.Flags().StringSliceVar(&filter.control, "control", nil, "only these controls")
	cmd.Flags().StringSliceVar(&filter.check, "check", nil, "only these checks")
	cmd.Flags().StringSliceVar(&filter.account, "account", nil, "only these accounts")
	cmd.Flags().StringSliceVar(&filter.project, "project", nil, "only these projects of Google Cloud, by number: 100000000001")
	cmd.Flags().StringSliceVar(&filter.status, "status", nil, "only these: pass, fail, unknown, not_applicable")
	cmd.Flags().BoolVar(&all, "all", false, "list passing and not applicable resources too")
	cmd.Flags().BoolVar(&failOnFail, "fail-on-fail", false, "exit with 4 when a check fails")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, s := range filter.status {
			if !slices.Contains(evidence.Statuses(), evidence.Status(s)) {
				return fmt.Errorf("--status %q is not a status; use pass, fail, unknown or not_applicable", s)
			}
		}
		for i, p := range filter.project {
			number := strings.TrimPrefix(p, "projects/")
			if _, err := strconv.ParseUint(number, 10, 64); err != nil {
				return fmt.Errorf("--project %q is not the number of a project, such as 100000000001; `gcloud projects describe ID` tells it", p)
			}
			filter.project[i] = "projects/" + number
		}
		state, store, _, err := dir.open(cmd.Context())
		if err != nil {
			return err
		}
		wants := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
		verdicts := []evidence.Verdict{}
		for v, err := range state.Verdicts(store) {
			if err != nil {
				return err
			}
			if wants(filter.control, v.Control) && wants(filter.check, v.Check) && wants(filter.account, v.Account) && wants(filter.project, v.Project) && wants(filter.status, string(v.Status)) {
				verdicts = append(verdicts, v)
			}
		}
		if err := printVerdicts(cmd.OutOrStdout(), *output, verdicts, all || len(filter.status) > 0); err != nil {
			return err
		}
		if *output == asTable && state.Simulated {
			warnSimulated(cmd.ErrOrStderr())
		}
		return failing(failOnFail, verdicts)
	}
	return cmd
}

// failing gives exit code 4 when asked to and some verdict is a fail.
func failing(asked bool, verdicts []evidence.Verdict) error {
	if asked && slices.ContainsFunc(verdicts, func(v evidence.Verdict) bool { return v.Status == evidence.Fail }) {
		return exitError{code: exitFailing}
	}
	return nil
}

func warnSimulated(w io.Writer) {
	fmt.Fprintln(w, "\nSIMULATED CLOCK: these records were made by a demo or a simulation. They are not evidence.")
}

func printVerdicts(w io.Writer, f format, verdicts []evidence.Verdict, all bool) error {
	slices.SortStableFunc(verdicts, func(a, b evidence.Verdict) int {
		return cmp.Or(cmp.Compare(a.Control, b.Control), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Account, b.Account),
			cmp.Compare(a.Region, b.Region), cmp.Compare(a.Resource, b.Resource))
	})
	if f != asTable {
		return verdictListing(verdicts).write(w, f)
	}
	if err := controlSummary(verdicts).write(w, f); err != nil {
		return err
	}
	shown := verdicts
	if !all {
		shown = nil
		for _, v := range verdicts {
			if v.Status == evidence.Fail || v.Status == evidence.Unknown {
				shown = append(shown, v)
			}
		}
	}
	if len(shown) == 0 {
		return nil
	}
	slices.SortStableFunc(shown, func(a, b evidence.Verdict) int {
		return cmp.Compare(slices.Index(evidence.Statuses(), a.Status), slices.Index(evidence.Statuses(), b.Status))
	})
	return printReasons(w, shown)
}

// printReasons lists verdicts with their reasons, those of one status, check
// and account together. Lines are as wide as the terminal.
func printReasons(w io.Writer, verdicts []evidence.Verdict) error {
	width := max(terminalWidth(w), 60)
	if terminalWidth(w) == 0 {
		width = 1000
	}
	heading := ""
	for _, v := range verdicts {
		if h := fmt.Sprintf("%-7s  %s  %s", v.Status, v.Check, v.Account); h != heading {
			heading = h
			if _, err := fmt.Fprintf(w, "\n%s\n", h); err != nil {
				return err
			}
		}
		line := text.WrapSoft(short(v)+": "+v.Reason, width-4)
		if _, err := fmt.Fprintln(w, "    "+strings.ReplaceAll(line, "\n", "\n      ")); err != nil {
			return err
		}
	}
	return nil
}

// short names the resource of a verdict under a heading that names the account:
// the region and the resource part of an ARN.
func short(v evidence.Verdict) string {
	parts := strings.SplitN(v.Resource, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return where(v)
	}
	return strings.TrimSpace(parts[3] + " " + parts[5])
}

// where names the resource of a verdict for people.
func where(v evidence.Verdict) string {
	if v.Resource != evidence.Population {
		return v.Resource
	}
	if v.Region == "" {
		return "every " + v.Kind
	}
	return "every " + v.Kind + " in " + v.Region
}

func verdictListing(verdicts []evidence.Verdict) listing {
	l := listing{
		header: []string{"check", "control", "provider", "account", "region", "kind", "resource", "status", "basis", "reason", "as_of", "project"},
		value:  verdicts,
	}
	for _, v := range verdicts {
		asOf := ""
		if v.AsOf != nil {
			asOf = v.AsOf.Format(time.RFC3339)
		}
		l.rows = append(l.rows, []string{
			v.Check, v.Control, v.Provider, v.Account, v.Region, v.Kind, v.Resource, string(v.Status), string(v.Basis), v.Reason, asOf, v.Project,
		})
	}
	return l
}

// controlSummary counts the verdicts of each control. Verdicts must be sorted.
func controlSummary(verdicts []evidence.Verdict) listing {
	l := listing{header: []string{"control", "checks", "fail", "unknown", "pass", "not applicable"}}
	for start := 0; start < len(verdicts); {
		control, seen := verdicts[start].Control, map[string]bool{}
		var n evidence.CheckCount
		end := start
		for ; end < len(verdicts) && verdicts[end].Control == control; end++ {
			n.Add(verdicts[end].Status)
			seen[verdicts[end].Check] = true
		}
		l.rows = append(l.rows, []string{
			control, strconv.Itoa(len(seen)), strconv.Itoa(n.Fail), strconv.Itoa(n.Unknown), strconv.Itoa(n.Pass), strconv.Itoa(n.NotApplicable),
		})
		start = end
	}
	return l
}
