package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/agent"
)

// dataDir is where a command that only reads looks: --dir, or evidence.dir of
// the configuration.
type dataDir struct{ dir, config *string }

func dirFlags(cmd *cobra.Command) dataDir {
	d := dataDir{config: configFlag(cmd)}
	d.dir = cmd.Flags().StringP("dir", "d", "", "data directory (default: evidence.dir of the configuration)")
	cobra.CheckErr(cmd.MarkFlagDirname("dir"))
	return d
}

func (d dataDir) path() (string, error) {
	if *d.dir != "" {
		return *d.dir, nil
	}
	file, err := readConfig(*d.config)
	if err != nil {
		return "", fmt.Errorf("find the data directory (or name it with --dir): %w", err)
	}
	return file.Config.Evidence.Dir, nil
}

// open rebuilds the state from a data directory. It takes no lock: a daemon
// may be writing.
func (d dataDir) open(ctx context.Context) (*agent.State, *payload.Store, string, error) {
	dir, err := d.path()
	if err != nil {
		return nil, nil, "", err
	}
	state, err := agent.ReadState(ctx, dir, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, "", fmt.Errorf("%s holds no ledger yet: run `tallystick collect` or `tallystick run`, or name another data directory with --dir", dir)
	}
	if err != nil {
		return nil, nil, "", fmt.Errorf("read %s: %w; `tallystick verify %s` says more", dir, err, dir)
	}
	return state, payload.OpenRead(dir), dir, nil
}
