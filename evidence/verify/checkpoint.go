package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Names inside the ledger directory. Those under .state are of tessera's
// POSIX storage; they are not part of C2SP tlog-tiles and prove nothing, but a
// ledger in which they are wrong cannot be written to any more.
const (
	checkpointFile = "checkpoint"
	treeStateFile  = ".state/treeState"
	versionFile    = ".state/version"
)

// An agent at work publishes about a tenth of a second after it writes.
const (
	publishPatience = 2 * time.Second
	publishPoll     = 50 * time.Millisecond
)

// treeState is what the writer has written, published or not.
type treeState struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

// loadCheckpoints reads the checkpoint of the directory and the one that was
// given. It gives false when there is nothing to check the records against.
func (c *check) loadCheckpoints(ctx context.Context) (bool, error) {
	place := ledgerPlace(checkpointFile)
	for start := time.Now(); ; {
		state, stateErr := c.readState()
		signed, err := c.readLedgerFile(checkpointFile, maxSmallFile)
		if err != nil {
			c.problem(KindCheckpoint, place, "%s", reason(err))
			return false, nil
		}
		if c.head, err = c.verifier.Checkpoint(signed); err != nil {
			c.problem(KindCheckpoint, place, "%v", err)
			return false, nil
		}
		if stateErr != nil || state.Size <= c.head.Size || time.Since(start) > c.opts.patience {
			break
		}
		if err := sleep(ctx, publishPoll); err != nil {
			return false, err
		}
	}
	c.Records = c.head.Size
	for _, e := range c.earlierCheckpoints() {
		if e.Size > c.head.Size {
			c.problem(KindExtension, place, "it covers %d records, the earlier checkpoint covered %d: the ledger was cut or rolled back", c.head.Size, e.Size)
			continue
		}
		c.earlier = append(c.earlier, e)
	}
	return true, nil
}

// earlierCheckpoints gives the auditor's checkpoints that the key signed, by
// size. Another one cannot be of this ledger.
func (c *check) earlierCheckpoints() (all []seal.Checkpoint) {
	for _, signed := range c.opts.Checkpoints {
		e, err := c.verifier.Checkpoint(signed)
		if err != nil {
			c.problem(KindExtension, "earlier checkpoint", "%v", err)
			continue
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b seal.Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return all
}

func (c *check) readState() (s treeState, err error) {
	data, err := c.readLedgerFile(treeStateFile, maxSmallFile)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("not a tree state: %w", err)
	}
	// The names of JSON fields are matched loosely; every byte must be right.
	if canonical, err := json.Marshal(s); err != nil || !bytes.Equal(canonical, data) {
		return s, errors.New("not a tree state as it is written")
	}
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// moved says whether an agent publishes more than when the verification began,
// so that files beyond the checkpoint are in order. It waits for that a little.
func (c *check) moved(ctx context.Context) (bool, error) {
	for start := time.Now(); ; {
		signed, err := c.readLedgerFile(checkpointFile, maxSmallFile)
		if err == nil {
			now, err := c.verifier.Checkpoint(signed)
			if err == nil && now.Size > c.head.Size {
				return true, nil
			}
		}
		if time.Since(start) > c.opts.patience {
			return false, nil
		}
		if err := sleep(ctx, publishPoll); err != nil {
			return false, err
		}
	}
}

// checkState compares the writer's state with the records. It gives true when
// there is more in it than is published.
func (c *check) checkState() (behind bool) {
	place := ledgerPlace(treeStateFile)
	state, err := c.readState()
	switch {
	case err != nil:
		c.problem(KindState, place, "%s", reason(err))
	case state.Size > c.head.Size:
		behind = true
	case state.Size < c.head.Size:
		c.problem(KindState, place, "it says %d records, the checkpoint covers %d", state.Size, c.head.Size)
	case state.Size == c.head.Size && !bytes.Equal(state.Root, c.head.Root[:]):
		c.problem(KindState, place, "its root is not that of the checkpoint")
	}
	version, err := c.readLedgerFile(versionFile, maxSmallFile)
	switch {
	case err != nil:
		c.problem(KindState, ledgerPlace(versionFile), "%s", reason(err))
	case string(version) != "1":
		c.problem(KindState, ledgerPlace(versionFile), "it says %.20q, must be 1", version)
	}
	return behind
}

// An auditor's earlier checkpoint is met on the way through the records.
func (c *check) checkEarlier() {
	for len(c.earlier) > 0 && c.tree.size() == c.earlier[0].Size {
		c.compareEarlier(c.earlier[0], c.tree.root(), ledgerPlace(checkpointFile))
		c.earlier = c.earlier[1:]
	}
}

// compareEarlier compares an earlier checkpoint with the root of the first
// records.
func (c *check) compareEarlier(e seal.Checkpoint, root []byte, place string) {
	if bytes.Equal(root, e.Root[:]) {
		c.met = append(c.met, e.Size)
		return
	}
	c.problem(KindExtension, place, "the first %d records have the root %s, the earlier checkpoint said %s: what it covered was rewritten",
		e.Size, rootText(root), rootText(e.Root[:]))
}

// known are the files of a data directory beside ledger and payloads.
func known(name string) bool {
	return name == evidence.VerifierKeyFile || name == evidence.LockFile || name == evidence.SocketFile
}
