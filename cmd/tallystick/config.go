package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/config"
)

// configFlag adds --config to a command.
func configFlag(cmd *cobra.Command) *string {
	path := cmd.Flags().StringP("config", "c", "tallystick.yaml", "configuration file")
	cobra.CheckErr(cmd.MarkFlagFilename("config", "yaml", "yml"))
	return path
}

// optionalConfig reads the file of --config for a command that can do without:
// nil when there is none and the user named none.
func optionalConfig(cmd *cobra.Command, path string) (*config.File, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readConfig(path)
}

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the configuration",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigValidate(), newConfigShow(), newConfigSchema())
	return cmd
}

func newConfigValidate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Report every problem of a configuration file, each with its place",
		Args:  noArguments,
	}
	path := configFlag(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := loadConfig(*path)
		var problems config.Problems
		var problem config.Problem
		switch {
		case errors.As(err, &problems):
		case errors.As(err, &problem):
			problems = config.Problems{problem}
		case err != nil:
			return err
		}
		if *output == asTable {
			if err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", *path)
			return err
		}
		type place struct {
			File    string `json:"file"`
			Line    int    `json:"line"`
			Column  int    `json:"column"`
			Key     string `json:"key"`
			Message string `json:"message"`
		}
		places := []place{}
		l := listing{header: []string{"file", "line", "column", "key", "message"}}
		for _, p := range problems {
			places = append(places, place{p.File, p.Line, p.Column, p.Key, p.Message})
			l.rows = append(l.rows, []string{p.File, fmt.Sprint(p.Line), fmt.Sprint(p.Column), p.Key, p.Message})
		}
		l.value = struct {
			OK       bool    `json:"ok"`
			Problems []place `json:"problems"`
		}{len(problems) == 0, places}
		if err := l.write(cmd.OutOrStdout(), *output); err != nil {
			return err
		}
		if len(problems) > 0 {
			return exitError{code: exitUsage}
		}
		return nil
	}
	return cmd
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, defaults included",
		Args:  noArguments,
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file, err := loadConfig(*path)
		if err != nil {
			return err
		}
		effective, err := file.Config.Effective()
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(effective)
		return err
	}
	return cmd
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		},
	}
}
