package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

const (
	hashSize = 32

	// maxTree bounds the size that a proof may claim: a trillion records.
	maxTree = 1 << 40

	// maxProofBytes bounds ProofFile: about 800,000 ranges and hashes.
	maxProofBytes = 64 << 20
)

// Range is a run of records that a bundle holds: those with index First to
// First+Count-1.
type Range struct {
	First uint64 `json:"first"`
	Count uint64 `json:"count"`
}

// AppendIndex adds one index to ranges, which must all lie below it.
func AppendIndex(ranges []Range, index uint64) []Range {
	if n := len(ranges); n > 0 && ranges[n-1].First+ranges[n-1].Count == index {
		ranges[n-1].Count++
		return ranges
	}
	return append(ranges, Range{First: index, Count: 1})
}

// Node is the hash of a perfect subtree: the one over the 2^Level records from
// index Index·2^Level on.
type Node struct {
	Level uint   `json:"level"`
	Index uint64 `json:"index"`
	Hash  string `json:"hash"` // base64
}

// Proof says which records of the tree over [0, Size) a bundle holds, and gives
// the hashes of all others, so that the root follows.
type Proof struct {
	Version int     `json:"version"`
	Size    uint64  `json:"size"`
	Root    string  `json:"root"`    // base64, as in a checkpoint
	Records []Range `json:"records"` // ascending, none touching the next
	Hashes  []Node  `json:"hashes"`  // from left to right: the largest perfect subtrees that hold none of Records
}

// hasher makes ranges of hashes that can be joined.
// Source: RFC 6962 section 2.1.
func hasher() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
}

// Prove makes the proof for the given records in the tree over [0, size). leaf
// gives the leaf hash of each record, RFC 6962's SHA-256(0x00 || record); it is
// called once for each index, in order.
func Prove(size uint64, leaf func(index uint64) []byte, records []Range) (Proof, error) {
	p := Proof{Version: Version, Size: size, Records: slices.Clone(records), Hashes: []Node{}}
	if p.Records == nil {
		p.Records = []Range{}
	}
	if err := p.checkRanges(); err != nil {
		return Proof{}, fmt.Errorf("prove records: %w", err)
	}
	f := hasher()
	tree := f.NewEmptyRange(0)
	for part := range p.parts {
		sub := f.NewEmptyRange(part.First)
		for i := range part.Count {
			if err := sub.Append(leaf(part.First+i), nil); err != nil {
				return Proof{}, fmt.Errorf("prove records: %w", err)
			}
		}
		if !part.held {
			ids := compact.RangeNodes(sub.Begin(), sub.End(), nil)
			for i, hash := range sub.Hashes() {
				p.Hashes = append(p.Hashes, Node{ids[i].Level, ids[i].Index, encodeHash(hash)})
			}
		}
		if err := tree.AppendRange(sub, nil); err != nil {
			return Proof{}, fmt.Errorf("prove records: %w", err)
		}
	}
	root, err := rootOf(tree)
	if err != nil {
		return Proof{}, fmt.Errorf("prove records: %w", err)
	}
	p.Root = encodeHash(root)
	return p, nil
}

// ComputeRoot gives the root that the records of a bundle and the hashes of the
// others make. leaf gives the leaf hash of each record that the bundle holds; it
// is called once for each of their indexes, in order, until it errs. It is an
// error if the proof is malformed in any way, or states another root: what the
// root is worth, a signed checkpoint says.
//
// Memory does not depend on what the proof claims.
func (p Proof) ComputeRoot(leaf func(index uint64) ([]byte, error)) ([]byte, error) {
	if p.Version != Version {
		return nil, fmt.Errorf("%s: %w", ProofFile, errVersion(p.Version))
	}
	root, err := p.computeRoot(leaf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ProofFile, err)
	}
	if got := encodeHash(root); got != p.Root {
		return nil, fmt.Errorf("%s: the records and hashes make the root %s, it states %q: one of them was changed", ProofFile, got, p.Root)
	}
	return root, nil
}

func (p Proof) computeRoot(leaf func(index uint64) ([]byte, error)) ([]byte, error) {
	if err := p.checkRanges(); err != nil {
		return nil, err
	}
	f := hasher()
	tree := f.NewEmptyRange(0)
	rest := p.Hashes
	for part := range p.parts {
		if part.held {
			for i := range part.Count {
				hash, err := leaf(part.First + i)
				if err != nil {
					return nil, err
				}
				if err := tree.Append(hash, nil); err != nil {
					return nil, err
				}
			}
			continue
		}
		ids := compact.RangeNodes(part.First, part.First+part.Count, nil) // at most 2·40
		if len(rest) < len(ids) {
			return nil, fmt.Errorf("the hashes of records %d to %d are not all there", part.First, part.First+part.Count-1)
		}
		hashes := make([][]byte, len(ids))
		for i, id := range ids {
			n := rest[i]
			if n.Level != id.Level || n.Index != id.Index {
				return nil, fmt.Errorf("hash %d is of level %d, index %d, must be of level %d, index %d", len(p.Hashes)-len(rest)+i, n.Level, n.Index, id.Level, id.Index)
			}
			var err error
			if hashes[i], err = decodeHash(n.Hash); err != nil {
				return nil, fmt.Errorf("hash %d: %w", len(p.Hashes)-len(rest)+i, err)
			}
		}
		rest = rest[len(ids):]
		sub, err := f.NewRange(part.First, part.First+part.Count, hashes)
		if err != nil {
			return nil, err
		}
		if err := tree.AppendRange(sub, nil); err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d hashes too many", len(rest))
	}
	return rootOf(tree)
}

func (p Proof) checkRanges() error {
	if p.Size > maxTree {
		return fmt.Errorf("size %d: more than any ledger has", p.Size)
	}
	end := uint64(0)
	for i, r := range p.Records {
		switch {
		case r.Count == 0:
			return fmt.Errorf("range %d of records is empty", i)
		case r.First > p.Size || r.Count > p.Size-r.First:
			return fmt.Errorf("range %d of records, %d from %d on, goes beyond the size %d", i, r.Count, r.First, p.Size)
		case i > 0 && r.First <= end:
			return fmt.Errorf("range %d of records begins at %d, must begin above %d", i, r.First, end)
		}
		end = r.First + r.Count
	}
	return nil
}

type part struct {
	Range
	held bool // by the bundle
}

// parts cuts [0, Size) into what the bundle holds and what it does not, from
// left to right. The ranges must have been checked.
func (p Proof) parts(yield func(part) bool) {
	at := uint64(0)
	for _, r := range p.Records {
		if r.First > at && !yield(part{Range{at, r.First - at}, false}) {
			return
		}
		if !yield(part{r, true}) {
			return
		}
		at = r.First + r.Count
	}
	if p.Size > at {
		yield(part{Range{at, p.Size - at}, false})
	}
}

func rootOf(tree *compact.Range) ([]byte, error) {
	if tree.End() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return tree.GetRootHash(nil)
}

func encodeHash(hash []byte) string { return base64.StdEncoding.EncodeToString(hash) }

// decodeHash takes only the one spelling of 32 bytes: the standard decoder
// passes over line ends and, unless strict, over unused bits.
func decodeHash(text string) ([]byte, error) {
	hash, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(hash) != hashSize || len(text) != base64.StdEncoding.EncodedLen(hashSize) {
		return nil, fmt.Errorf("%q is not %d bytes in base64", text, hashSize)
	}
	return hash, nil
}

// EncodeProof gives the content of ProofFile: the only spelling of p that
// DecodeProof takes.
func EncodeProof(p Proof) ([]byte, error) { return encodeProof(ProofFile, p) }

// DecodeProof reads ProofFile. It takes only what EncodeProof writes, and leaves
// it to ComputeRoot to say whether the content holds together.
func DecodeProof(data []byte) (p Proof, err error) {
	if err := decodeProof(ProofFile, data, &p); err != nil {
		return Proof{}, err
	}
	return p, nil
}

func encodeProof(name string, p any) ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	if len(data) >= maxProofBytes {
		return nil, fmt.Errorf("encode %s: %d bytes, must be less than %d: export a shorter period", name, len(data), maxProofBytes)
	}
	return append(data, '\n'), nil
}

func decodeProof(name string, data []byte, p any) error {
	if len(data) > maxProofBytes {
		return fmt.Errorf("read %s: %d bytes, must be at most %d", name, len(data), maxProofBytes)
	}
	if err := decodeStrict(data, p); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	again, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if !bytes.Equal(append(again, '\n'), data) {
		return fmt.Errorf("read %s: %w", name, errors.New("it was not written by tallystick export, or was changed since: it is not laid out as that does"))
	}
	return nil
}
