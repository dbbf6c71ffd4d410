package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
)

// checkManifest holds every file against its line of the manifest, and the
// manifest against the files.
func (c *check) checkManifest(ctx context.Context) error {
	b := c.bundle
	sum, _, err := b.hashFile(ctx, bundle.ManifestFile, make([]byte, 128<<10))
	if err != nil {
		c.problem(KindManifest, bundle.ManifestFile, "%s", reason(err))
		return ctx.Err()
	}
	b.manifest = sum
	for line, err := range b.Manifest() {
		if err != nil {
			c.problem(KindManifest, bundle.ManifestFile, "%v", err)
			return nil // what it lists is not known
		}
		b.files[line.Name] = line.Digest
	}
	c.total = uint64(len(b.files))
	left := maps.Clone(b.files)
	work, results := make(chan bundle.File), make(chan hashed)
	var listed error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(work)
		for f, err := range b.Files() {
			if listed = err; err != nil || ctx.Err() != nil {
				return
			}
			work <- f
		}
	})
	for range runtime.GOMAXPROCS(0) {
		reading.Go(func() {
			buf := make([]byte, 128<<10)
			for f := range work {
				h := hashed{name: f.Name}
				if _, ok := b.files[f.Name]; ok {
					h.digest, h.size, h.err = b.hashFile(ctx, f.Name, buf)
				}
				results <- h
			}
		})
	}
	go func() {
		reading.Wait()
		close(results)
	}()
	var found []hashed
	for h := range results {
		found = append(found, h)
		c.progress(1)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if listed != nil {
		return listed
	}
	slices.SortFunc(found, func(a, b hashed) int { return strings.Compare(a.name, b.name) })
	for _, h := range found {
		c.takeFile(h)
		delete(left, h.name)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		c.problem(KindFileMissing, name, "the manifest lists it and there is no such file")
	}
	for _, name := range requiredFiles() {
		if _, ok := b.files[name]; !ok {
			c.problem(KindManifest, name, "every bundle has this file, and the manifest does not list it")
		}
	}
	return nil
}

// requiredFiles are those that a bundle cannot be verified without, and that
// the manifest must bind.
func requiredFiles() []string {
	return []string{bundle.MetaFile, bundle.RecordsFile, bundle.ProofFile, bundle.KeyFile, bundle.PEMFile}
}

// beside says whether a file belongs to a bundle although the manifest does not
// list it.
func beside(name string) bool {
	switch name {
	case bundle.ManifestFile, bundle.StatementFile, bundle.SigstoreFile, bundle.CheckpointFile, bundle.StatementProofFile:
		return true
	}
	return false
}

// hashed is a file as it was found.
type hashed struct {
	name   string
	digest evidence.Digest // empty when the manifest does not list it
	size   uint64
	err    error
}

func (c *check) takeFile(h hashed) {
	want, ok := c.bundle.files[h.name]
	c.bundle.bytes += h.size
	switch {
	case !ok && !beside(h.name):
		c.problem(KindUnexpectedFile, h.name, "the manifest does not list it")
	case !ok:
	case h.err != nil:
		c.problem(KindFileMissing, h.name, "%s", reason(h.err))
	case h.digest != want:
		c.problem(KindFileChanged, h.name, "its SHA-256 is %s, the manifest says %s", h.digest, want)
	}
}

// hashFile gives the SHA-256 of a file's bytes and their number.
func (b *bundleCheck) hashFile(ctx context.Context, name string, buf []byte) (evidence.Digest, uint64, error) {
	f, err := b.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	sum := sha256.New()
	n, err := io.CopyBuffer(sum, stoppable{ctx, f}, buf)
	if err != nil {
		return "", 0, err
	}
	return evidence.Digest(hex.EncodeToString(sum.Sum(nil))), uint64(n), nil //nolint:gosec // G115: never negative
}

// stoppable reads until ctx ends. It hides a file's own way of being copied, so
// that the caller's buffer is used.
type stoppable struct {
	ctx context.Context //nolint:containedctx // io.Reader takes none
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// refused tells what keeps from looking at a bundle from what is wrong with it.
func refused(path string, err error) (Report, error) {
	_, system := errors.AsType[*fs.PathError](err)
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if system || ended || errors.Is(err, bundle.ErrTooLarge) || errors.Is(err, bundle.ErrNotBundle) && !looksLikeBundle(path) {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	c := newCheck(path, Options{})
	c.What, c.bundle = WhatBundle, &bundleCheck{}
	c.problem(KindBundle, path, "%v", err)
	return c.finish(), nil
}
