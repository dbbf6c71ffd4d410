package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/config"
)

func newPermissions() *cobra.Command {
	var only []string
	var members bool
	cmd := &cobra.Command{
		Use:   "permissions",
		Short: "Print the exact permissions that the collectors need, and the role that has them",
		Long: `Print the permissions of the role that tallystick reads an AWS account with,
made from what the collectors declare: every call that they make, and nothing
wider. A test holds the declarations against the calls. Without a configuration
file all collectors count, otherwise those that it does not switch off.

--output json is the policy document itself. --output terraform and --output
cloudformation are the whole role: the policy, the identity that may assume it,
an external id. See docs/aws-role.md.

The account that lists an organisation is asked for more than its members are.
--members leaves that out: it is for the role in every other account.`,
		Example: `  tallystick permissions
  tallystick permissions --collector aws.s3_buckets --output json
  tallystick permissions --output terraform > tallystick-reader.tf
  tallystick permissions --output cloudformation > tallystick-reader.yaml`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd, asTerraform, asCloudFormation)
	cmd.Flags().StringSliceVar(&only, "collector", nil, "only these collectors, switched off or not")
	cmd.Flags().BoolVar(&members, "members", false, "without what only the account that lists the organisation needs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, err := optionalConfig(cmd, *path)
		if err != nil {
			return err
		}
		specs, err := chosenSpecs(file, only)
		if err != nil {
			return err
		}
		if members {
			specs = slices.DeleteFunc(specs, func(s collectors.Spec) bool { return s.Reach == collectors.Organization })
			if len(specs) == 0 {
				return errors.New("--members leaves nothing: these collectors only run in the account that lists the organisation")
			}
		}
		return writePermissions(cmd.OutOrStdout(), *output, specs)
	}
	return cmd
}

// chosenSpecs gives what the collectors declare whose permissions are asked
// for: those that are named, otherwise those that are not switched off.
func chosenSpecs(file *config.File, only []string) ([]collectors.Spec, error) {
	specs := declared()
	for _, name := range only {
		if !slices.ContainsFunc(specs, func(s collectors.Spec) bool { return s.Name == name }) {
			return nil, fmt.Errorf("--collector %q is not a collector; there are %v", name, known().Collectors)
		}
	}
	specs = slices.DeleteFunc(specs, func(s collectors.Spec) bool {
		if len(only) > 0 {
			return !slices.Contains(only, s.Name)
		}
		return file != nil && file.Config.ScheduleFor(s.Name) == ""
	})
	if len(specs) == 0 {
		return nil, errors.New("the configuration switches every collector off, so no permission is needed; name one with --collector")
	}
	return specs, nil
}

func writePermissions(w io.Writer, as format, specs []collectors.Spec) error {
	actions, by := needs(specs)
	switch as {
	case asTerraform:
		return writeRole(w, terraformRole, actions)
	case asCloudFormation:
		return writeRole(w, cloudFormationRole, actions)
	default:
		l := listing{header: []string{"permission", "collectors"}, value: policyOf(actions)}
		for _, action := range actions {
			l.rows = append(l.rows, []string{action, allOr(by[action], specs)})
		}
		return l.write(w, as)
	}
}

// needs gives the permissions that collectors need, sorted, and for each the
// names of those that need it.
func needs(specs []collectors.Spec) (actions []string, by map[string][]string) {
	by = make(map[string][]string)
	for _, spec := range specs {
		for _, call := range spec.Calls {
			p := call.Needs()
			if !slices.Contains(actions, p) {
				actions = append(actions, p)
			}
			if !slices.Contains(by[p], spec.Name) {
				by[p] = append(by[p], spec.Name)
			}
		}
	}
	slices.Sort(actions)
	return actions, by
}

func allOr(names []string, specs []collectors.Spec) string {
	if len(specs) > 1 && len(names) == len(specs) {
		return "all"
	}
	return strings.Join(names, " ")
}
