package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/collectors"
)

func newPermissions() *cobra.Command {
	var only []string
	cmd := &cobra.Command{
		Use:   "permissions",
		Short: "Print the exact permissions that the collectors need",
		Long: `Print the IAM policy for the role that tallystick reads with, made from what the
collectors declare: every call that they make, and nothing wider. A test holds
the declarations against the calls.

--output json is the policy document itself.`,
		Args: noArguments,
	}
	output := outputFlag(cmd)
	cmd.Flags().StringSliceVar(&only, "collector", nil, "only these collectors")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		specs := declared()
		for _, name := range only {
			if !slices.ContainsFunc(specs, func(s collectors.Spec) bool { return s.Name == name }) {
				return fmt.Errorf("--collector %q is not a collector; there are %v", name, known().Collectors)
			}
		}
		l := listing{header: []string{"permission", "collectors"}}
		needed := make(map[string][]string)
		var actions []string
		if len(only) > 0 {
			specs = slices.DeleteFunc(specs, func(s collectors.Spec) bool { return !slices.Contains(only, s.Name) })
		}
		for _, spec := range specs {
			for _, call := range spec.Calls {
				p := call.Needs()
				if !slices.Contains(actions, p) {
					actions = append(actions, p)
				}
				if !slices.Contains(needed[p], spec.Name) {
					needed[p] = append(needed[p], spec.Name)
				}
			}
		}
		slices.Sort(actions)
		for _, p := range actions {
			by := strings.Join(needed[p], " ")
			if len(specs) > 1 && len(needed[p]) == len(specs) {
				by = "all"
			}
			l.rows = append(l.rows, []string{p, by})
		}
		l.value = policyOf(actions)
		return l.write(cmd.OutOrStdout(), *output)
	}
	return cmd
}

// policy is an IAM policy document.
// Source: IAM user guide, grammar of the IAM JSON policy language.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource string
}

// policyOf allows the actions. Most of them list, and a list has no resource to
// name; those that read one resource must reach resources that do not exist yet.
func policyOf(actions []string) policy {
	return policy{Version: "2012-10-17", Statement: []statement{
		{Sid: "TallystickReadsConfiguration", Effect: "Allow", Action: actions, Resource: "*"},
	}}
}
