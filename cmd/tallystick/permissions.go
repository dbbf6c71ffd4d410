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
	var provider string
	var members bool
	cmd := &cobra.Command{
		Use:   "permissions",
		Short: "Print the exact permissions that the collectors need, and the role that has them",
		Long: `Print the permissions of the role that tallystick reads an AWS account or a
Google Cloud organisation with, made from what the collectors declare: every
call that they make, and nothing wider. A test holds the declarations against the
calls. Without a configuration file all collectors of AWS count, otherwise those
that it does not switch off, of the providers that it names. --provider chooses
one: what allows is never mixed.

For AWS, --output json is the policy document itself. --output terraform and
--output cloudformation are the whole role: the policy, the identity that may
assume it, an external id. See docs/aws-role.md.

For Google Cloud, --output json and yaml are the custom role itself. --output
terraform has who holds it and the APIs to enable beside it. What begins with
https:// is an OAuth scope, which is in no role. See docs/gcp-role.md.

The account that lists an organisation is asked for more than its members are.
--members leaves that out: it is for the role in every other account.`,
		Example: `  tallystick permissions
  tallystick permissions --collector aws.s3_buckets --output json
  tallystick permissions --output terraform > tallystick-reader.tf
  tallystick permissions --output cloudformation > tallystick-reader.yaml
  tallystick permissions --provider gcp --output yaml > role.yaml`,
		Args: noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd, asTerraform, asCloudFormation, asYAML)
	cmd.Flags().StringSliceVar(&only, "collector", nil, "only these collectors, switched off or not")
	providerFlag(cmd, &provider, "whose permissions (default: of the collectors, or of the configuration, named; otherwise aws)")
	cmd.Flags().BoolVar(&members, "members", false, "for AWS, without what only the account that lists the organisation needs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := isProvider(provider); err != nil {
			return err
		}
		file, err := optionalConfig(cmd, *path)
		if err != nil {
			return err
		}
		specs, err := chosenSpecs(file, provider, only)
		if err != nil {
			return err
		}
		if members {
			if slices.ContainsFunc(specs, func(s collectors.Spec) bool { return s.Provider != amazon }) {
				return errors.New("--members is about the accounts of an AWS organisation: say --provider aws")
			}
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
// for: those that are named, otherwise those that are not switched off, of one
// provider or of those that the configuration names.
func chosenSpecs(file *config.File, provider string, only []string) ([]collectors.Spec, error) {
	specs := declared()
	for _, name := range only {
		i := slices.IndexFunc(specs, func(s collectors.Spec) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--collector %q is not a collector; there are %v", name, known().Collectors)
		}
		if provider != "" && specs[i].Provider != provider {
			return nil, fmt.Errorf("--collector %q is not one of --provider %s", name, provider)
		}
	}
	wanted := []string{provider}
	if provider == "" {
		wanted = named(file)
	}
	specs = slices.DeleteFunc(specs, func(s collectors.Spec) bool {
		if len(only) > 0 {
			return !slices.Contains(only, s.Name)
		}
		if !slices.Contains(wanted, s.Provider) {
			return true
		}
		return file != nil && file.Config.ScheduleFor(s.Name) == ""
	})
	if len(specs) == 0 {
		return nil, errors.New("the configuration switches every collector off, so no permission is needed; name one with --collector")
	}
	return specs, nil
}

// named gives the providers that a configuration names; without one it is AWS.
func named(file *config.File) []string {
	if file == nil {
		return []string{amazon}
	}
	var names []string
	if a := file.Config.AWS; len(a.Accounts) > 0 || a.Organization.ManagementRole != "" {
		names = append(names, amazon)
	}
	if len(gcpAccounts(file.Config.GCP)) > 0 {
		names = append(names, google)
	}
	return names
}

func writePermissions(w io.Writer, as format, specs []collectors.Spec) error {
	ofAWS, ofGCP := ofSpecs(specs, amazon), ofSpecs(specs, google)
	switch {
	case len(ofGCP) == 0:
		return writeAmazonPermissions(w, as, ofAWS)
	case len(ofAWS) == 0:
		return writeGooglePermissions(w, as, ofGCP)
	case as != asTable && as != asCSV:
		return fmt.Errorf("permissions of AWS and of Google Cloud are never in one %s: say --provider aws or --provider gcp", as)
	}
	l := listing{header: []string{"provider", "what", "name", "collectors"}}
	actions, by := needs(ofAWS)
	for _, action := range actions {
		l.rows = append(l.rows, []string{amazon, "permission", action, allOr(by[action], ofAWS)})
	}
	for _, row := range googleRows(ofGCP) {
		l.rows = append(l.rows, append([]string{google}, row...))
	}
	return l.write(w, as)
}

// ofSpecs gives those of one provider.
func ofSpecs(specs []collectors.Spec, provider string) []collectors.Spec {
	return slices.DeleteFunc(slices.Clone(specs), func(s collectors.Spec) bool { return s.Provider != provider })
}

func writeAmazonPermissions(w io.Writer, as format, specs []collectors.Spec) error {
	actions, by := needs(specs)
	switch as {
	case asYAML:
		return errors.New("yaml is the custom role of Google Cloud: say --provider gcp, or for AWS --output json, terraform or cloudformation")
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
