package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/config"
	"github.com/tallystick/tallystick/evidence/seal"
)

func newInit() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write an example configuration and a signing key",
		Long: `Write tallystick.yaml, a commented example configuration, and tallystick.key, a
signing key that only you can read, and print the verifier key for the auditor.

Nothing is overwritten. Give the verifier key to the auditor at the start of
the period, by a way that does not depend on this machine.`,
		Args: noArguments,
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "where to write both files")
	cmd.Flags().StringVar(&name, "name", "", "name of the key and of the ledger (default: a random one)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		configPath, keyPath := filepath.Join(dir, "tallystick.yaml"), filepath.Join(dir, "tallystick.key")
		for _, p := range []string{configPath, keyPath} {
			if _, err := os.Lstat(p); err == nil {
				return fmt.Errorf("%s exists already: nothing was written; move it away or choose another --dir", p)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if name == "" {
			var b [4]byte
			if _, err := rand.Read(b[:]); err != nil {
				return err
			}
			name = "tallystick/" + hex.EncodeToString(b[:])
		}
		skey, vkey, err := seal.NewKey(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
		if err := seal.WriteKey(keyPath, skey); err != nil {
			return err
		}
		if err := os.WriteFile(configPath, config.Example(), 0o644); err != nil { //nolint:gosec // it holds no secret
			return fmt.Errorf("write example configuration: %w", err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), `wrote %s  edit the organization, the period and the accounts
wrote %s   the signing key: keep it safe, back it up, never share it

Verifier key, for the auditor:

%s

Next: tallystick config validate --config %s
      tallystick collect --config %s
`, configPath, keyPath, vkey, configPath, configPath)
		return err
	}
	return cmd
}
