package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/internal/durable"
)

// tile is the place of a tile or entry bundle.
type tile struct {
	entries bool
	level   uint64 // 0 for entries
	index   uint64
	width   uint8 // of a partial one; 0 when full
}

func (t tile) path() string {
	if t.entries {
		return layout.EntriesPath(t.index, t.width)
	}
	return layout.TilePath(t.level, t.index, t.width)
}

// parseTile reads a path relative to the ledger directory, with forward
// slashes. Only the one spelling that path gives is accepted.
func parseTile(name string) (tile, bool) {
	kind, index, _ := strings.Cut(strings.TrimPrefix(name, "tile/"), "/")
	t := tile{entries: kind == "entries"}
	if !t.entries {
		var err error
		if t.level, err = layout.ParseTileLevel(kind); err != nil {
			return tile{}, false
		}
	}
	if index == "" {
		return tile{}, false
	}
	var err error
	t.index, t.width, err = layout.ParseTileIndexPartial(index)
	return t, err == nil && t.path() == name
}

// implied says whether a tree of size records needs the tile.
func (t tile) implied(size uint64) bool {
	row := size >> (t.level * layout.TileHeight)
	full := row / layout.TileWidth
	if t.width == 0 {
		return t.index < full
	}
	return t.index == full && uint64(t.width) == row%layout.TileWidth
}

// temporary matches the names that tessera gives to files which it is about to
// link or rename: the final name with a random number behind it.
var temporary = regexp.MustCompile(`^(checkpoint|\.state/(version|treeState|gcState)|tile/(entries|[0-9]+)/(x[0-9]{3}/)*[0-9]{3}(\.p/)?)[0-9]+$`)

// sweep removes what a crash left behind: temporary files, and tiles that
// belong to neither the published nor the written tree. Files that it does not
// know are left for verification to report.
func sweep(dir string, h head) error {
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		t, ok := parseTile(rel)
		stale := ok && !t.implied(h.published) && !t.implied(h.written)
		if stale || !ok && temporary.MatchString(rel) || strings.HasPrefix(path.Base(rel), durable.TempPrefix) {
			return os.Remove(name) //nolint:gosec // G122: the directory is locked, nothing else writes here.
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sweep files of an earlier crash: %w", err)
	}
	return nil
}

// prune removes the partial tiles and bundles that the step from one published
// size to a larger one made needless. Without it, 256 records appended one by
// one leave 255 copies of their bundle. It does its best: what it misses is
// harmless, and the next sweep finds it.
func prune(dir string, from, to uint64) {
	for level := uint64(0); to>>(level*layout.TileHeight) > 0; level++ {
		row := to >> (level * layout.TileHeight)
		first := (from >> (level * layout.TileHeight)) / layout.TileWidth
		last := row / layout.TileWidth
		for index := first; index <= last; index++ {
			keep := uint64(layout.TileWidth) // none
			if index == last {
				keep = row % layout.TileWidth
			}
			prunePartials(filepath.Join(dir, filepath.FromSlash(layout.TilePath(level, index, 0)))+".p", keep)
			if level == 0 {
				prunePartials(filepath.Join(dir, filepath.FromSlash(layout.EntriesPath(index, 0)))+".p", keep)
			}
		}
	}
}

// prunePartials removes the partials narrower than keep, and the directory
// when nothing will be written to it any more.
func prunePartials(dir string, keep uint64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		width, err := strconv.ParseUint(e.Name(), 10, 64)
		if err == nil && width > 0 && width < keep {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return
			}
		}
	}
	if keep == layout.TileWidth {
		_ = os.Remove(dir)
	}
}
