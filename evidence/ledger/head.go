package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/durable"
)

// Names inside the ledger directory that tessera's POSIX storage chose.
const (
	stateDir      = ".state"
	treeStateFile = "treeState"
)

// checkVerifierKey demands that the directory belongs to our key, and writes
// the verifier key of a directory that has none yet.
func checkVerifierKey(dir string, v *seal.Verifier) error {
	name := filepath.Join(dir, evidence.VerifierKeyFile)
	data, err := os.ReadFile(name) //nolint:gosec // G304: the data directory is the operator's choice.
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return durable.WriteNew(durable.Disk{}, name, []byte(v.Key()+"\n"), 0o640)
	case err != nil:
		return err
	case strings.TrimSpace(string(data)) != v.Key():
		return fmt.Errorf("%w: it belongs to the key %s, ours is %s: use the key it was made with, or another directory",
			ErrInconsistent, strings.TrimSpace(string(data)), v.Key())
	}
	return nil
}

// head is what the files say of the size of the ledger.
type head struct {
	empty     bool   // there is no ledger yet
	published uint64 // by the checkpoint
	written   uint64 // by the tree state: at least published
}

// checkHead demands that checkpoint, tree state, tiles and the last entries
// fit together. It reads a handful of files, whatever the size of the ledger.
func checkHead(dir string, v *seal.Verifier) (head, error) {
	size, root, err := readTreeState(dir)
	noState := errors.Is(err, fs.ErrNotExist)
	if err != nil && !noState {
		return head{}, fmt.Errorf("%w: tree state: %w", ErrInconsistent, err)
	}
	signed, err := os.ReadFile(filepath.Join(dir, layout.CheckpointPath)) //nolint:gosec // G304: the data directory is the operator's choice.
	noCheckpoint := errors.Is(err, fs.ErrNotExist)
	if err != nil && !noCheckpoint {
		return head{}, err
	}
	_, err = os.Stat(filepath.Join(dir, "tile"))
	noTiles := errors.Is(err, fs.ErrNotExist)
	switch {
	case noState && noCheckpoint && noTiles:
		return head{empty: true}, nil
	case noState:
		return head{}, fmt.Errorf("%w: %s is missing beside a checkpoint or tiles: restore it from a backup", ErrInconsistent, filepath.Join(stateDir, treeStateFile))
	case noCheckpoint && size == 0:
		return head{}, nil // a crash while the ledger was made
	case noCheckpoint:
		return head{}, fmt.Errorf("%w: there are %d records and no checkpoint: restore it from a backup", ErrInconsistent, size)
	}
	c, err := v.Checkpoint(signed)
	if err != nil {
		return head{}, fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	if c.Size > size {
		return head{}, fmt.Errorf("%w: the checkpoint covers %d records, the tree has %d: some were lost or rolled back", ErrInconsistent, c.Size, size)
	}
	if err := checkRoot(dir, c.Size, c.Root[:], size); err != nil {
		return head{}, fmt.Errorf("%w: checkpoint: %w", ErrInconsistent, err)
	}
	if err := checkRoot(dir, size, root, size); err != nil {
		return head{}, fmt.Errorf("%w: tree state: %w", ErrInconsistent, err)
	}
	if err := checkLastBundle(dir, size); err != nil {
		return head{}, fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	return head{published: c.Size, written: size}, nil
}

func readTreeState(dir string) (size uint64, root []byte, err error) {
	data, err := os.ReadFile(filepath.Join(dir, stateDir, treeStateFile)) //nolint:gosec // G304: the data directory is the operator's choice.
	if err != nil {
		return 0, nil, err
	}
	var state struct {
		Size uint64 `json:"size"`
		Root []byte `json:"root"`
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return 0, nil, err
	}
	return state.Size, state.Root, nil
}

// checkRoot computes the root over the first size records from the tiles of a
// tree of written records.
func checkRoot(dir string, size uint64, want []byte, written uint64) error {
	root := rfc6962.DefaultHasher.EmptyRoot()
	if size > 0 {
		var hashes [][]byte
		for _, id := range compact.RangeNodes(0, size, nil) {
			h, err := node(dir, id, written)
			if err != nil {
				return err
			}
			hashes = append(hashes, h)
		}
		factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
		r, err := factory.NewRange(0, size, hashes)
		if err != nil {
			return err
		}
		if root, err = r.GetRootHash(nil); err != nil {
			return err
		}
	}
	if !bytes.Equal(root, want) {
		return fmt.Errorf("the tree over %d records has the root %x, not %x", size, root, want)
	}
	return nil
}

// node gives the hash of a complete subtree from the tile that holds it.
func node(dir string, id compact.NodeID, written uint64) ([]byte, error) {
	level := uint64(id.Level) / layout.TileHeight
	width := uint64(1) << (id.Level % layout.TileHeight) // leaves of the tile below the node
	first := id.Index * width
	index, offset := first/layout.TileWidth, first%layout.TileWidth
	name := layout.TilePath(level, index, layout.PartialTileSize(level, index, written))
	tile, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))) //nolint:gosec // G304: made from numbers.
	if err != nil {
		return nil, err
	}
	const hashSize = 32
	if uint64(len(tile)) < (offset+width)*hashSize {
		return nil, fmt.Errorf("%s is too short: %d bytes", name, len(tile))
	}
	tile = tile[offset*hashSize : (offset+width)*hashSize]
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := factory.NewEmptyRange(0)
	for ; len(tile) > 0; tile = tile[hashSize:] {
		if err := r.Append(tile[:hashSize], nil); err != nil {
			return nil, err
		}
	}
	return r.GetRootHash(nil)
}

// checkLastBundle demands that the last entries hash to the last leaves: the
// next append writes them again, with what it adds.
func checkLastBundle(dir string, size uint64) error {
	if size == 0 {
		return nil
	}
	first := (size - 1) / layout.EntryBundleWidth * layout.EntryBundleWidth
	r := &Reader{dir: dir, size: size}
	for e, err := range r.Entries(first) {
		if err != nil {
			return err
		}
		leaf, err := node(dir, compact.NewNodeID(0, e.Index), size)
		if err != nil {
			return err
		}
		if !bytes.Equal(leaf, rfc6962.DefaultHasher.HashLeaf(e.Data)) {
			return fmt.Errorf("record %d is not the one in the tree", e.Index)
		}
	}
	return nil
}
