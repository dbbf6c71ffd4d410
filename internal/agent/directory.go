package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/durable"
)

// sweep removes what a crash left half-written. The ledger swept its own.
func (a *Agent) sweep() error {
	payloads, err := a.store.SweepTemp()
	if err != nil {
		return err
	}
	spools, err := durable.SweepTemp(durable.Disk{}, a.Dir)
	if n := payloads + spools; n > 0 {
		a.Log.Info("swept temporary files of an interrupted run", zap.Int("files", n))
	}
	return err
}

// hold remembers which directories are ours.
func (a *Agent) hold() error {
	a.held = make(map[string]os.FileInfo)
	for _, dir := range []string{a.Dir, filepath.Join(a.Dir, evidence.LedgerDir), filepath.Join(a.Dir, evidence.PayloadDir)} {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at the data directory: %w", err)
		}
		a.held[dir] = info
	}
	return nil
}

// lost gives an error when the directories are no longer those that are ours:
// whatever is there now is not under our lock, and must not be written to.
func (a *Agent) lost() error {
	for dir, ours := range a.held {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("directory %s was removed while the agent used it: put it back, or choose another data directory, and start the agent again", dir)
		case err == nil && !os.SameFile(info, ours):
			return fmt.Errorf("directory %s was replaced while the agent used it: start the agent again once the right one is in place", dir)
		}
	}
	return nil
}
