package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tallystick/tallystick/evidence"
)

const (
	hashSize     = 32
	maxBundle    = layout.EntryBundleWidth * (2 + evidence.MaxRecordBytes)
	maxTileBytes = layout.TileWidth * hashSize
)

// tree is the Merkle tree over the records, built from them alone: RFC 6962
// section 2.1. It gives each tile as it is completed.
type tree struct {
	ranges *compact.RangeFactory
	rng    *compact.Range
	rows   [][]byte // of each tile level: the hashes of its last, incomplete tile
	full   func(level, index uint64, tile []byte)
	err    error
}

func newTree(full func(level, index uint64, tile []byte)) *tree {
	ranges := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &tree{ranges: ranges, rng: ranges.NewEmptyRange(0), full: full}
}

func (t *tree) size() uint64 { return t.rng.End() }

func (t *tree) root() []byte {
	if t.size() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot()
	}
	root, err := t.rng.GetRootHash(nil)
	if err != nil {
		t.err = err
	}
	return root
}

func (t *tree) add(leaf []byte) {
	if err := t.rng.Append(leaf, t.node); err != nil {
		t.err = err
	}
}

// skip adds records up to end by the hashes of the largest perfect subtrees over
// them. Tiles are not given then.
func (t *tree) skip(end uint64, hashes [][]byte) bool {
	part, err := t.ranges.NewRange(t.size(), end, hashes)
	if err == nil {
		err = t.rng.AppendRange(part, nil)
	}
	if err != nil {
		t.err = err
	}
	return err == nil
}

// node takes in a complete subtree. Tiles hold those of every eighth level.
func (t *tree) node(id compact.NodeID, hash []byte) {
	if id.Level%layout.TileHeight != 0 {
		return
	}
	level := int(id.Level / layout.TileHeight)
	for len(t.rows) <= level {
		t.rows = append(t.rows, make([]byte, 0, maxTileBytes))
	}
	t.rows[level] = append(t.rows[level], hash...)
	if len(t.rows[level]) == maxTileBytes {
		t.full(uint64(level), id.Index/layout.TileWidth, t.rows[level]) //nolint:gosec // G115: a level is below 64
		t.rows[level] = t.rows[level][:0]
	}
}

// splitBundle cuts an entry bundle into its entries: each is 16 bits of length,
// big-endian, then the entry. Source: c2sp.org/tlog-tiles, "Log entries".
func splitBundle(bundle []byte) ([][]byte, error) {
	entries := make([][]byte, 0, layout.EntryBundleWidth)
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return entries, fmt.Errorf("it ends within entry %d", len(entries))
		}
		n := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:n:n])
		bundle = bundle[n:]
		if len(entries) > layout.EntryBundleWidth {
			return entries[:layout.EntryBundleWidth], fmt.Errorf("it holds more than %d entries", layout.EntryBundleWidth)
		}
	}
	return entries, nil
}

// readTile reads the tile or entry bundle of which width hashes or entries are
// wanted. A partial one may have given way to a wider one, as when an agent is
// at work; its beginning is the same, and what is beyond it is looked at by
// checkFiles. The name and the width are of the file that was read, or of the
// one that ought to be there.
func (c *check) readTile(pathOf func(partial uint8) string, width uint64, limit int64) (t tileFile, err error) {
	for w := width; w <= layout.TileWidth; w++ {
		t := tileFile{name: pathOf(uint8(w % layout.TileWidth)), width: int(w)}
		if t.data, err = c.readLedgerFile(t.name, limit); !missing(err) {
			return t, err
		}
	}
	return tileFile{name: pathOf(uint8(width % layout.TileWidth)), width: int(width)}, err //nolint:gosec // G115: at most 256
}

// tileFile is a tile or entry bundle as it is on disk.
type tileFile struct {
	data  []byte
	name  string
	width int // hashes or entries that it must hold, by its name
}

// compareTile demands that a tile on disk begins with the hashes that the
// records give.
func (c *check) compareTile(level, index uint64, want []byte) {
	pathOf := func(partial uint8) string { return layout.TilePath(level, index, partial) }
	t, err := c.readTile(pathOf, uint64(len(want)/hashSize), maxTileBytes)
	got := t.data
	switch place := ledgerPlace(t.name); {
	case err != nil:
		c.problem(KindTree, place, "%s", reason(err))
	case len(got) != t.width*hashSize:
		c.problem(KindTree, place, "it has %d bytes, must have %d", len(got), t.width*hashSize)
	case !bytes.Equal(got[:len(want)], want):
		at := 0
		for bytes.Equal(got[at:at+hashSize], want[at:at+hashSize]) {
			at += hashSize
		}
		n := index*layout.TileWidth + uint64(at/hashSize)
		if level == 0 {
			c.problem(KindTree, place, "its hash of record %d is not the hash of the record in %s: one of the two files was changed", n, ledgerPlace(layout.EntriesPath(index, layout.PartialTileSize(0, index, c.head.Size))))
			return
		}
		c.problem(KindTree, place, "its hash number %d is not the one that the records below it give", at/hashSize)
	}
}

// flushTiles compares the tiles at the right edge, which are incomplete.
func (c *check) flushTiles() {
	for level, row := range c.tree.rows {
		if len(row) > 0 {
			index := c.tree.size() >> (uint64(level+1) * layout.TileHeight)
			c.compareTile(uint64(level), index, row)
		}
	}
}
