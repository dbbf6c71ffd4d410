package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/collectors"
)

// providers are those that there are collectors for.
func providers() []string { return []string{amazon, google} }

// providerTitle is what people call a provider.
func providerTitle(provider string) string {
	switch provider {
	case amazon:
		return "AWS"
	case google:
		return "Google Cloud"
	}
	return provider
}

// declaredBy gives what the collectors of one provider declare.
func declaredBy(provider string) []collectors.Spec {
	return ofSpecs(declared(), provider)
}

// providerFlag adds --provider to a command. isProvider says whether its value is
// one.
func providerFlag(cmd *cobra.Command, value *string, usage string) {
	cmd.Flags().StringVar(value, "provider", "", oneOf(providers())+": "+usage)
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(providers(), cobra.ShellCompDirectiveNoFileComp)))
}

func isProvider(value string) error {
	if value != "" && !slices.Contains(providers(), value) {
		return fmt.Errorf("--provider %q: use %s", value, oneOf(providers()))
	}
	return nil
}
