package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X main.version=...) in a release.
var version string

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func buildRevision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show which program this is",
		Args:  noArguments,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p := program()
		value := struct {
			Version  string `json:"version"`
			Revision string `json:"revision"`
			Go       string `json:"go"`
			Binary   string `json:"binary_sha256"`
		}{p.Version, buildRevision(), runtime.Version(), string(p.Binary)}
		return listing{
			header: []string{"version", "revision", "go", "binary sha256"},
			rows:   [][]string{{value.Version, value.Revision, value.Go, value.Binary}},
			value:  value,
		}.write(cmd.OutOrStdout(), *output)
	}
	return cmd
}
