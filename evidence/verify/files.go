package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/durable"
)

// temporary matches the names of files that the writer is about to give their
// final name: that name with a random number behind it.
var temporary = regexp.MustCompile(`^(checkpoint|\.state/(version|treeState)|tile/(entries|[0-9]+)/(x[0-9]{3}/)*[0-9]{3}(\.p/)?)[0-9]+$`)

// checkFiles looks at every file of the directory that the records do not
// account for.
func (c *check) checkFiles(ctx context.Context) error {
	behind := c.checkState()
	beyond := 0
	err := walk(filepath.Join(c.dir, evidence.LedgerDir), func(name string, e fs.DirEntry) {
		place := ledgerPlace(name)
		switch t, ok := parseTile(name); {
		case name == checkpointFile, name == treeStateFile, name == versionFile:
		case ok && e.Type().IsRegular():
			if !c.checkTileFile(name, t) {
				beyond++
			}
		case temporary.MatchString(name), strings.HasPrefix(e.Name(), durable.TempPrefix):
			c.Unfinished++
		case strings.HasPrefix(name, ".state/") && strings.HasSuffix(name, ".lock"):
			if info, err := e.Info(); err == nil && info.Size() != 0 {
				c.problem(KindState, place, "a lock file must be empty")
			}
		default:
			c.problem(KindUnexpectedFile, place, "a ledger has no such file")
		}
	})
	if err != nil {
		return err
	}
	if behind || beyond > 0 {
		moved, err := c.moved(ctx)
		if err != nil {
			return err
		}
		const why = "the agent was killed, or its disk was full, before it published (start it once), or the checkpoint was rolled back"
		if behind && !moved {
			c.problem(KindCheckpointBehind, ledgerPlace(treeStateFile), "it has more records than the %d that are published: %s", c.head.Size, why)
		}
		if beyond > 0 && !moved {
			c.problem(KindCheckpointBehind, ledgerPlace("tile"), "%d files belong to records beyond the %d that are published: %s", beyond, c.head.Size, why)
		}
	}
	top, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range top {
		if !e.IsDir() && !known(e.Name()) && !strings.HasPrefix(e.Name(), durable.TempPrefix) {
			c.problem(KindUnexpectedFile, e.Name(), "a data directory has no such file")
		}
	}
	return nil
}

// walk calls f for everything under root that is not a directory. What
// vanishes meanwhile is passed over.
func walk(root string, f func(name string, e fs.DirEntry)) error {
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir():
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err == nil {
			f(filepath.ToSlash(rel), e)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	return nil
}

// tilePlace is the place of a tile or entry bundle in the tree.
type tilePlace struct {
	entries bool
	level   uint64 // 0 for entries
	index   uint64
	width   uint8 // of a partial one; 0 when full
}

func (t tilePlace) path(width uint8) string {
	if t.entries {
		return layout.EntriesPath(t.index, width)
	}
	return layout.TilePath(t.level, t.index, width)
}

// parseTile reads the name of a tile inside the ledger directory. Only the one
// spelling that tlog-tiles gives is accepted.
func parseTile(name string) (tilePlace, bool) {
	rest, ok := strings.CutPrefix(name, "tile/")
	kind, index, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return tilePlace{}, false
	}
	t := tilePlace{entries: kind == "entries"}
	var err error
	if !t.entries {
		if t.level, err = layout.ParseTileLevel(kind); err != nil {
			return tilePlace{}, false
		}
	}
	t.index, t.width, err = layout.ParseTileIndexPartial(index)
	return t, err == nil && t.path(t.width) == name
}

// checkTileFile looks at a tile on disk. Those that the checkpoint implies were
// compared with the records before. A narrower one is left over from an
// earlier checkpoint and must be the beginning of what took its place. It
// gives false for one that the checkpoint does not cover.
func (c *check) checkTileFile(name string, t tilePlace) bool {
	row := c.head.Size >> (t.level * layout.TileHeight)
	width := uint64(0) // of this tile, by the checkpoint
	if first := t.index * layout.TileWidth; t.index <= row/layout.TileWidth {
		width = min(row-first, layout.TileWidth)
	}
	own := uint64(t.width)
	if t.width == 0 {
		own = layout.TileWidth
	}
	switch {
	case own > width:
		return false
	case own == width:
		return true
	}
	limit := int64(maxTileBytes)
	if t.entries {
		limit = maxBundle
	}
	old, err := c.readLedgerFile(name, limit)
	if missing(err) {
		return true
	}
	whole, err2 := c.readTile(t.path, width, limit)
	if missing(err2) {
		return true // said before
	}
	if err := errors.Join(err, err2); err != nil {
		c.problem(KindTree, ledgerPlace(name), "%s", reason(err))
		return true
	}
	want := len(old)
	if !t.entries {
		want = int(own) * hashSize
	} else if entries, err := splitBundle(old); err != nil || uint64(len(entries)) != own {
		want = -1
	}
	if len(old) != want || !bytes.HasPrefix(whole.data, old) {
		c.problem(KindTree, ledgerPlace(name), "it is not the beginning of %s", ledgerPlace(whole.name))
	}
	return true
}
