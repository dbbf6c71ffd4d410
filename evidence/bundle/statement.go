package bundle

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// StatementProof says where in the ledger the Export record of a bundle is, and
// that the tree of the bundle's records is the beginning of that ledger.
// Source of both proofs: RFC 6962 sections 2.1.1 and 2.1.2.
type StatementProof struct {
	Version     int      `json:"version"`
	Index       uint64   `json:"index"`       // of the Export record
	TreeSize    uint64   `json:"tree_size"`   // of the checkpoint
	Inclusion   []string `json:"inclusion"`   // of the record under the checkpoint; base64
	From        uint64   `json:"from"`        // the size of the tree of the bundle's records
	Consistency []string `json:"consistency"` // of that tree with the checkpoint; base64
}

// ProveStatement makes the proof for the record at index in the tree over
// [0, size), and for the tree over [0, from). leaf is as in Prove.
func ProveStatement(size uint64, leaf func(index uint64) []byte, index, from uint64) (StatementProof, error) {
	p := StatementProof{Version: Version, Index: index, TreeSize: size, From: from}
	fail := func(err error) (StatementProof, error) {
		return StatementProof{}, fmt.Errorf("prove statement: %w", err)
	}
	if err := p.check(); err != nil {
		return fail(err)
	}
	inclusion, err := proof.Inclusion(index, size)
	if err != nil {
		return fail(err)
	}
	consistency, err := proof.Consistency(from, size)
	if err != nil {
		return fail(err)
	}
	hashes := map[compact.NodeID][]byte{}
	for _, id := range inclusion.IDs {
		hashes[id] = nil
	}
	for _, id := range consistency.IDs {
		hashes[id] = nil
	}
	tree := hasher().NewEmptyRange(0)
	for i := range size {
		if err := tree.Append(leaf(i), func(id compact.NodeID, hash []byte) {
			if _, ok := hashes[id]; ok {
				hashes[id] = hash
			}
		}); err != nil {
			return fail(err)
		}
	}
	if p.Inclusion, err = audit(inclusion, hashes); err != nil {
		return fail(err)
	}
	if p.Consistency, err = audit(consistency, hashes); err != nil {
		return fail(err)
	}
	return p, nil
}

func audit(nodes proof.Nodes, hashes map[compact.NodeID][]byte) ([]string, error) {
	raw := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		raw[i] = hashes[id]
	}
	raw, err := nodes.Rehash(raw, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(raw))
	for i, hash := range raw {
		out[i] = encodeHash(hash)
	}
	return out, nil
}

// Check holds the proof against a checkpoint, of which the caller has checked
// the signature. leafHash is that of the Export record, rootFrom the root of the
// tree of the bundle's records, as ComputeRoot gave it.
func (p StatementProof) Check(leafHash, rootFrom []byte, checkpointSize uint64, checkpointRoot []byte) error {
	if err := p.checkAgainst(leafHash, rootFrom, checkpointSize, checkpointRoot); err != nil {
		return fmt.Errorf("%s: %w", StatementProofFile, err)
	}
	return nil
}

func (p StatementProof) checkAgainst(leafHash, rootFrom []byte, size uint64, root []byte) error {
	if err := p.check(); err != nil {
		return err
	}
	if p.TreeSize != size {
		return fmt.Errorf("it is for a tree of %d records, the checkpoint is of %d", p.TreeSize, size)
	}
	if len(leafHash) != hashSize || len(rootFrom) != hashSize || len(root) != hashSize {
		return errors.New("a hash to compare with is not of 32 bytes")
	}
	inclusion, err := decodeHashes(p.Inclusion)
	if err != nil {
		return fmt.Errorf("inclusion: %w", err)
	}
	consistency, err := decodeHashes(p.Consistency)
	if err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, size, leafHash, inclusion, root); err != nil {
		return fmt.Errorf("the Export record is not record %d of the checkpoint's tree: %w", p.Index, err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, p.From, size, consistency, rootFrom, root); err != nil {
		return fmt.Errorf("the first %d records are not the beginning of the checkpoint's tree: %w", p.From, err)
	}
	return nil
}

// check refuses what can not be. A tree of no records is consistent with every
// other, which would prove nothing; and a record that vouches for the tree
// cannot lie within it.
func (p StatementProof) check() error {
	switch {
	case p.Version != Version:
		return errVersion(p.Version)
	case p.TreeSize > maxTree:
		return fmt.Errorf("tree_size %d: more than any ledger has", p.TreeSize)
	case p.From == 0:
		return errors.New("from is 0: a bundle without records proves nothing")
	case p.Index < p.From || p.Index >= p.TreeSize:
		return fmt.Errorf("index %d of the Export record: must lie from %d, where the bundle's records end, to below %d", p.Index, p.From, p.TreeSize)
	}
	return nil
}

func decodeHashes(text []string) ([][]byte, error) {
	if len(text) > 2*64 {
		return nil, fmt.Errorf("%d hashes are more than a proof has", len(text))
	}
	out := make([][]byte, len(text))
	for i, s := range text {
		var err error
		if out[i], err = decodeHash(s); err != nil {
			return nil, fmt.Errorf("hash %d: %w", i, err)
		}
	}
	return out, nil
}

// EncodeStatementProof gives the content of StatementProofFile: the only
// spelling of p that DecodeStatementProof takes.
func EncodeStatementProof(p StatementProof) ([]byte, error) {
	return encodeProof(StatementProofFile, p)
}

// DecodeStatementProof reads StatementProofFile. It takes only what
// EncodeStatementProof writes, and leaves it to Check to say whether it holds.
func DecodeStatementProof(data []byte) (p StatementProof, err error) {
	if err := decodeProof(StatementProofFile, data, &p); err != nil {
		return StatementProof{}, err
	}
	return p, nil
}
