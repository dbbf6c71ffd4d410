package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/checks"
)

func newCatalog() *cobra.Command {
	var controls []string
	var provider string
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "Show the controls, the checks, their rules and their parameters",
		Long: `Show the catalogue in force: ours, the checks of catalogue.dirs in the
configuration, and the parameters as changed there. Without a configuration
file, ours. JSON holds everything: rules, criteria with reasons, traps,
remediation, examples.

--output markdown is a reference: from each control to its checks, what they
read, by which calls of which collectors, with which permissions.
It is of one provider, AWS unless --provider says otherwise. docs/reference has
those of our catalogue.`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd, asMarkdown)
	cmd.Flags().StringSliceVar(&controls, "control", nil, "only these controls")
	providerFlag(cmd, &provider, "only checks of this provider (default: all; with --output markdown aws)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := isProvider(provider); err != nil {
			return err
		}
		file, err := optionalConfig(cmd, *path)
		if err != nil {
			return err
		}
		c, err := loadCatalogue(file)
		if err != nil {
			return err
		}
		list := c.Controls()
		for _, id := range controls {
			if !slices.ContainsFunc(list, func(c checks.Control) bool { return c.ID == id }) {
				return fmt.Errorf("--control %q is not in the catalogue", id)
			}
		}
		if *output == asMarkdown {
			r, err := newReference(c, cmp.Or(provider, amazon), controls)
			if err != nil {
				return err
			}
			if len(r.controls) == 0 {
				return fmt.Errorf("there is no check of %s: choose another --provider", providerTitle(r.provider))
			}
			_, err = io.WriteString(cmd.OutOrStdout(), r.markdown())
			return err
		}
		if provider != "" {
			list = ofProvider(list, provider)
		}
		chosen := []checks.Control{}
		l := listing{header: []string{"control", "check", "severity", "criteria", "parameters", "title"}}
		for _, control := range list {
			if len(controls) > 0 && !slices.Contains(controls, control.ID) {
				continue
			}
			chosen = append(chosen, control)
			var criteria []string
			for _, criterion := range control.Criteria {
				criteria = append(criteria, criterion.ID)
			}
			for _, check := range control.Checks {
				l.rows = append(l.rows, []string{
					control.ID, check.ID, control.Severity, strings.Join(criteria, " "), parameters(check), check.Title,
				})
			}
		}
		l.value = chosen
		return l.write(cmd.OutOrStdout(), *output)
	}
	return cmd
}

// parameters gives "max_days=90" for each parameter, sorted, with what is in force.
func parameters(check checks.Check) string {
	var out []string
	for name, p := range check.Parameters {
		value := p.Default
		if p.Override != nil {
			value = p.Override.Value
		}
		out = append(out, fmt.Sprintf("%s=%v", name, value))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
