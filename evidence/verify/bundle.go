package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
)

// The places of problems that no single file or record shows.
const recordsPlace = bundle.RecordsFile

// Path checks what is at a path: a bundle, as a directory or an archive, or a
// data directory.
func Path(ctx context.Context, path string, opts Options) (Report, error) {
	info, err := os.Stat(path)
	if missing(err) {
		return Report{}, fmt.Errorf("verify %s: neither a data directory nor a bundle: %w", path, err)
	} else if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	if !info.IsDir() || looksLikeBundle(path) {
		r, err := Bundle(ctx, path, opts)
		if errors.Is(err, bundle.ErrNotBundle) {
			err = fmt.Errorf("verify %s: neither a data directory nor a bundle: %w", path, err)
		}
		return r, err
	}
	return Dir(ctx, path, opts)
}

// looksLikeBundle says whether a directory holds any of what only a bundle has:
// one of which a part was taken away is a bundle too.
func looksLikeBundle(dir string) bool {
	for _, name := range []string{bundle.MetaFile, bundle.ManifestFile, bundle.RecordsFile, bundle.StatementFile} {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			return true
		}
	}
	return false
}

// bundleCheck is the part of a check that is about a bundle.
type bundleCheck struct {
	*bundle.Bundle
	files    map[string]evidence.Digest // by the manifest
	bytes    uint64                     // of those
	manifest evidence.Digest            // of the manifest itself

	proof  bundle.Proof
	leaves [][]byte // leaf hashes of the records, in order
	last   uint64   // index of the last record
	root   []byte   // computed; nil when it could not be

	envelope   []byte           // the statement
	export     *evidence.Export // nil when it could not be read
	checkpoint seal.Checkpoint
	consistent bool              // the statement's proof holds
	unmet      []seal.Checkpoint // earlier checkpoints that this bundle cannot be compared with
}

// Bundle checks the bundle at path, a directory or a .tar.zst. The error is as
// that of Dir.
func Bundle(ctx context.Context, path string, opts Options) (Report, error) {
	b, err := bundle.Open(ctx, path, bundle.OpenOptions{Scratch: opts.Scratch, MaxBytes: opts.MaxBytes})
	if err != nil {
		return refused(path, err)
	}
	report, err := openBundle(ctx, b, opts)
	if err := errors.Join(err, b.Close()); err != nil {
		return Report{}, fmt.Errorf("verify %s: %w", path, err)
	}
	return report, nil
}

func openBundle(ctx context.Context, b *bundle.Bundle, opts Options) (Report, error) {
	c := newCheck(b.Dir, opts)
	c.What, c.bundle = WhatBundle, &bundleCheck{Bundle: b, files: map[string]evidence.Digest{}}
	c.Report.Bundle = &BundleReport{
		Kind: b.Meta.Kind, From: b.Meta.From, To: b.Meta.To, TimeZone: b.Meta.TimeZone, Controls: b.Meta.Controls, Organization: b.Meta.Organization,
	}
	if err := c.runBundle(ctx); err != nil {
		return Report{}, err
	}
	return c.finish(), nil
}

func (c *check) runBundle(ctx context.Context) error {
	if ok, err := c.loadKey(); !ok || err != nil {
		return err
	}
	c.checkPEM()
	if err := c.checkManifest(ctx); err != nil {
		return err
	}
	if !c.loadWindow() {
		return nil
	}
	c.loadStatement()
	if err := c.readExtract(ctx); err != nil {
		return err
	}
	c.checkStatement()
	c.checkAnchors()
	c.checkWindow()
	c.demandConcerned()
	if err := c.checkPayloads(ctx); err != nil {
		return err
	}
	if err := c.checkSlots(ctx); err != nil {
		return err
	}
	return c.checkTables(ctx)
}

// loadWindow makes the rules those of an extract.
func (c *check) loadWindow() bool {
	m := c.bundle.Meta
	zone, err := time.LoadLocation(m.TimeZone)
	if err != nil {
		c.problem(KindBundle, bundle.MetaFile, "time zone %q: %v", m.TimeZone, err)
		return false
	}
	if m.Ledger != c.Origin {
		c.problem(KindBundle, bundle.MetaFile, "it is about the ledger %q, the key is for %q", m.Ledger, c.Origin)
	}
	c.rules.extract = newExtract(period.Window{
		From: m.From, To: m.To, Zone: zone, AsOf: m.Kind != evidence.ExportPeriod, Controls: m.Controls,
	})
	return true
}

// exported gives when the bundle was made, by the clock that its records were
// made with; the zero time when that is not known.
func (b *bundleCheck) exported() time.Time {
	if b.export == nil {
		return time.Time{}
	}
	return b.export.At
}

const batchSize = 256 // records

// readExtract goes through the records in order, once.
func (c *check) readExtract(ctx context.Context) error {
	b := c.bundle
	if p, err := b.Proof(); err == nil {
		b.proof = p
	} else {
		c.problem(KindProof, bundle.ProofFile, "%v", err)
		return ctx.Err()
	}
	var broken error
	err := c.openBatches(ctx, func(yield func(*batch) bool) { broken = b.batches(yield) }, func(part *batch) {
		for i := range part.records {
			r := &part.records[i]
			b.leaves = append(b.leaves, r.leaf)
			b.last = r.index
			c.takeRecord(r)
		}
		c.progress(uint64(len(part.records)))
	})
	if err != nil {
		return err
	}
	c.Records = uint64(len(b.leaves))
	if broken == nil {
		c.computeRoot()
	} else {
		c.problem(KindRecord, recordsPlace, "%v", broken)
	}
	return nil
}

// batches gives the records of the bundle in batches.
func (b *bundleCheck) batches(yield func(*batch) bool) error {
	fresh := func() *batch { return &batch{checked: make(chan struct{})} }
	next := fresh()
	for raw, err := range b.Records() {
		if err != nil {
			yield(next)
			return err
		}
		next.records = append(next.records, record{index: raw.Index, data: raw.Data})
		if len(next.records) == batchSize {
			if !yield(next) {
				return nil
			}
			next = fresh()
		}
	}
	yield(next)
	return nil
}

// checkPEM compares the two forms of the key in the bundle.
func (c *check) checkPEM() {
	data, err := c.bundle.ReadFile(bundle.PEMFile, maxSmallFile)
	if err != nil {
		c.problem(KindKey, bundle.PEMFile, "%s", reason(err))
		return
	}
	want, err := bundle.PEM(c.verifier)
	if err != nil {
		c.problem(KindKey, bundle.PEMFile, "%v", err)
		return
	}
	if strings.TrimSpace(string(data)) != strings.TrimSpace(string(want)) {
		c.problem(KindKey, bundle.PEMFile, "it is not the key %s", c.verifier.Key())
	}
}
