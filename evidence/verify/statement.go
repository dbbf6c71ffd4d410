package verify

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
)

// loadStatement reads what the agent signed when it made the bundle.
func (c *check) loadStatement() {
	b := c.bundle
	signed, err := b.ReadFile(bundle.CheckpointFile, maxSmallFile)
	if err != nil {
		c.problem(KindCheckpoint, bundle.CheckpointFile, "%s", reason(err))
	} else if b.checkpoint, err = c.verifier.Checkpoint(signed); err != nil {
		c.problem(KindCheckpoint, bundle.CheckpointFile, "%v", err)
	}
	if b.envelope, err = b.ReadFile(bundle.StatementFile, evidence.MaxRecordBytes); err != nil {
		c.problem(KindStatement, bundle.StatementFile, "%s", reason(err))
		return
	}
	st, err := c.verifier.Unseal(b.envelope)
	if err != nil {
		c.problem(KindStatement, bundle.StatementFile, "%v", err)
		return
	}
	predicate, err := evidence.Decode(st)
	if err != nil {
		c.problem(KindStatement, bundle.StatementFile, "%v", err)
		return
	}
	export, ok := predicate.(*evidence.Export)
	if !ok {
		c.problem(KindStatement, bundle.StatementFile, "it is a record of type %s, must be the record of an export", st.PredicateType)
		return
	}
	b.export = export
	d, ok := st.Payload(evidence.PayloadManifest)
	if !ok || len(st.Subject) != 1 || len(st.Subject[0].Digest) != 1 {
		c.problem(KindStatement, bundle.StatementFile, "its one subject must be %s", evidence.PayloadManifest)
	} else if d != b.manifest {
		c.problem(KindManifest, bundle.ManifestFile, "its SHA-256 is %s, the signed statement is about %s: the manifest was changed, or the statement is of another bundle", b.manifest, d)
	}
	want, err := bundle.Sigstore(b.envelope, c.verifier)
	got, err2 := b.ReadFile(bundle.SigstoreFile, maxSmallFile*2)
	switch {
	case err2 != nil:
		c.problem(KindStatement, bundle.SigstoreFile, "%s", reason(err2))
	case err != nil:
		c.problem(KindStatement, bundle.SigstoreFile, "%v", err)
	case !bytes.Equal(got, want):
		c.problem(KindStatement, bundle.SigstoreFile, "it does not hold the envelope of %s, or is not laid out as it was written", bundle.StatementFile)
	}
}

// checkStatement compares what was signed with what the bundle says and holds.
func (c *check) checkStatement() {
	b, m := c.bundle, c.bundle.Meta
	if e := b.export; e != nil {
		differs := func(what string, signed, found any) {
			if fmt.Sprint(signed) != fmt.Sprint(found) {
				c.problem(KindStatement, bundle.StatementFile, "it was signed for %s %v, the bundle has %v", what, signed, found)
			}
		}
		differs("the kind", e.Kind, m.Kind)
		differs("the begin", e.From.UTC().Format(time.RFC3339Nano), m.From.UTC().Format(time.RFC3339Nano))
		differs("the end", e.To.UTC().Format(time.RFC3339Nano), m.To.UTC().Format(time.RFC3339Nano))
		differs("the time zone", e.TimeZone, m.TimeZone)
		if !slices.Equal(e.Controls, m.Controls) {
			c.problem(KindStatement, bundle.StatementFile, "it was signed for the controls %q, the bundle has %q (none: all)", e.Controls, m.Controls)
		}
		differs("so many records:", e.Records, len(b.leaves))
		differs("a tree of size", e.TreeSize, b.proof.Size)
		differs("the root", e.TreeRoot, b.proof.Root)
		differs("so many files:", e.Files, len(b.files))
		differs("so many bytes:", e.Bytes, b.bytes)
	}
	c.checkInclusion()
	if r := c.Report.Bundle; b.export != nil {
		r.Exported, r.Files, r.Bytes, r.TreeSize, r.Checkpoint = b.export.At, uint64(len(b.files)), b.bytes, b.proof.Size, b.checkpoint.Size
	}
}

// checkInclusion shows that the Export record is in the tree of the checkpoint,
// and that the tree of the records is its beginning.
func (c *check) checkInclusion() {
	b := c.bundle
	data, err := b.ReadFile(bundle.StatementProofFile, maxSmallFile)
	if err != nil {
		c.problem(KindProof, bundle.StatementProofFile, "%s", reason(err))
		return
	}
	p, err := bundle.DecodeStatementProof(data)
	if err != nil {
		c.problem(KindProof, bundle.StatementProofFile, "%v", err)
		return
	}
	c.Report.Bundle.Statement = p.Index
	switch {
	case b.root == nil || b.envelope == nil || b.checkpoint.Size == 0:
		return // said elsewhere
	case p.From != b.proof.Size:
		c.problem(KindProof, bundle.StatementProofFile, "it is about a tree of %d records, %s is of %d", p.From, bundle.ProofFile, b.proof.Size)
		return
	}
	if err := p.Check(rfc6962.DefaultHasher.HashLeaf(b.envelope), b.root, b.checkpoint.Size, b.checkpoint.Root[:]); err != nil {
		c.problem(KindProof, bundle.StatementProofFile, "%v", err)
		return
	}
	b.consistent = true
}

// computeRoot computes the root of the tree from the records and the hashes of
// those that are not in the bundle.
func (c *check) computeRoot() {
	b, at := c.bundle, 0
	root, err := b.proof.ComputeRoot(func(index uint64) ([]byte, error) {
		if at == len(b.leaves) {
			return nil, fmt.Errorf("record %d is missing", index)
		}
		at++
		return b.leaves[at-1], nil
	})
	switch {
	case err != nil:
		c.problem(KindRoot, bundle.ProofFile, "%v", err)
		return
	case at != len(b.leaves):
		c.problem(KindRoot, bundle.ProofFile, "the bundle holds %d records more than it proves", len(b.leaves)-at)
		return
	case len(b.leaves) > 0 && b.proof.Size != b.last+1:
		c.problem(KindProof, bundle.ProofFile, "its tree has %d records and must end with the last record of the bundle, which is %d", b.proof.Size, b.last)
	}
	b.root, c.Root = root, rootText(root)
}

// checkAnchors compares the auditor's earlier checkpoints with the trees that
// the bundle shows.
func (c *check) checkAnchors() {
	b := c.bundle
	for _, e := range c.earlierCheckpoints() {
		var root []byte
		place := bundle.ProofFile
		switch {
		case b.root == nil:
		case e.Size <= b.proof.Size:
			root = b.prefix(e.Size)
		case e.Size == b.checkpoint.Size && b.consistent:
			root, place = b.checkpoint.Root[:], bundle.CheckpointFile
		}
		if root == nil {
			b.unmet = append(b.unmet, e)
			continue
		}
		c.compareEarlier(e, root, place)
	}
	c.Report.Bundle.Anchored = len(c.met)
}

// prefix gives the root of the tree over the first records of the ledger, nil
// when the bundle does not hold the hashes for it. The proof must have given
// its root.
func (b *bundleCheck) prefix(size uint64) []byte {
	given := make(map[compact.NodeID][]byte, len(b.proof.Hashes))
	for _, n := range b.proof.Hashes {
		given[compact.NodeID{Level: n.Level, Index: n.Index}] = hashOf(n.Hash)
	}
	t := newTree(func(uint64, uint64, []byte) {})
	leaves := b.leaves
	gap := func(end uint64) bool {
		ids := compact.RangeNodes(t.size(), end, nil)
		hashes := make([][]byte, len(ids))
		for i, id := range ids {
			if hashes[i] = given[id]; hashes[i] == nil {
				return false
			}
		}
		return t.skip(end, hashes)
	}
	for _, r := range b.proof.Records {
		if first := min(r.First, size); t.size() < first && !gap(first) {
			return nil
		}
		for range min(r.Count, size-t.size()) {
			t.add(leaves[0])
			leaves = leaves[1:]
		}
	}
	if t.size() < size {
		return nil
	}
	root := t.root()
	if t.err != nil {
		return nil
	}
	return root
}
