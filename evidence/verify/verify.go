// Package verify checks a data directory or a bundle without trusting whoever
// made it.
//
// It promises: when a Report is OK, the records in the directory are exactly
// those that the checkpoint, signed with the key, commits to; each was signed
// with that key; each payload that they name is there with the bytes that they
// name; no stream has a hole in its sequence; and each slot that the recorded
// schedules made due is accounted for, up to the open tail. Of a bundle it
// promises the same within its window, and that every file is the one that the
// signed statement is about, that nothing is in it that does not belong to the
// window, and that its tables are what the records give. Every problem names its
// place, and the report says what was shown and what cannot be shown.
//
// It does not judge the evidence, does not use the network, writes nothing but
// temporary files that it removes, and shares no code with the package that
// writes ledgers. It cannot tell that a whole directory was replaced by an older
// copy, or that the past was written anew by the holder of the key: compare
// against checkpoints kept by someone else (Options.Checkpoints), and a key
// handed over at the start (Options.Key). Samples and exports are
// not numbered, so that one of them that is left out of a bundle leaves no hole.
//
// A directory in which an agent is at work can be verified: what it adds
// meanwhile is not looked at. A bundle must not change meanwhile.
//
// Limits: memory grows by about 300 bytes a record, 100 a payload and 200 a file
// of a bundle. Nothing binds the name of the lock's holder in the lock file.
package verify

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Options are the choices of Dir and Bundle. The zero value checks what is
// there against itself.
type Options struct {
	// Key is the verifier key that the auditor was given. When it is empty the
	// key is taken from the directory or bundle, which then only proves that it
	// agrees with itself; the report says so.
	Key string

	// Checkpoints are signed checkpoints that the auditor kept from earlier.
	// The ledger must be an extension of each.
	Checkpoints [][]byte

	// Now ends the open tail of a data directory, unless the last record is
	// later or the records were made under a simulated clock.
	Now time.Time

	// MaxPayload bounds the bytes of one payload before compression;
	// DefaultMaxPayload when 0.
	MaxPayload uint64

	// Scratch and MaxBytes are for unpacking an archived bundle: see
	// bundle.OpenOptions.
	Scratch  string
	MaxBytes int64

	// Progress is told, from one goroutine at a time, how many records,
	// payloads and files are done.
	Progress func(done, total uint64)

	patience time.Duration // for an agent at work; publishPatience unless a test sets it
}

// DefaultMaxPayload is the size above which a payload is taken for a bomb.
const DefaultMaxPayload = 16 << 30

// maxProblems bounds the report.
const maxProblems = 1000

// Dir checks the data directory dir. The error is for what kept it from
// looking (no such directory, an unusable option, an unreadable disk, an ended
// ctx), never for what it found: that is in the report, whose OK is false then.
func Dir(ctx context.Context, dir string, opts Options) (Report, error) {
	if info, err := os.Stat(filepath.Join(dir, evidence.LedgerDir)); err != nil || !info.IsDir() {
		return Report{}, fmt.Errorf("verify %s: not a data directory: there is no directory %s in it", dir, evidence.LedgerDir)
	}
	c := newCheck(dir, opts)
	c.What = WhatDirectory
	if err := c.run(ctx); err != nil {
		return Report{}, fmt.Errorf("verify %s: %w", dir, err)
	}
	return c.finish(), nil
}

func newCheck(dir string, opts Options) *check {
	c := &check{dir: dir, opts: opts, store: payload.OpenRead(dir), named: make(map[[hashSize]byte]named), rules: newRules()}
	c.rules.check = c
	if c.opts.patience == 0 {
		c.opts.patience = publishPatience
	}
	if c.opts.MaxPayload == 0 {
		c.opts.MaxPayload = DefaultMaxPayload
	}
	c.Problems, c.Types, c.Tail = []Problem{}, map[string]uint64{}, []Tail{}
	c.ByKind, c.Proven, c.NotProven = map[string]int{}, []string{}, []string{}
	return c
}

// finish closes the report.
func (c *check) finish() Report {
	c.OK = len(c.Problems) == 0
	c.say()
	return c.Report
}

// check is one verification under way. It is used by one goroutine.
type check struct {
	Report
	dir   string
	opts  Options
	store *payload.Store

	verifier *seal.Verifier
	head     seal.Checkpoint
	earlier  []seal.Checkpoint // the auditor's, by size, that were not met yet
	met      []uint64          // sizes of those that were met and right
	tree     *tree
	rules    *rules                   // over the records
	named    map[[hashSize]byte]named // the payloads that records name
	bundle   *bundleCheck             // nil for a data directory
	end      time.Time                // of what can be due

	done, total uint64
}

func (c *check) run(ctx context.Context) error {
	if ok, err := c.loadKey(); !ok || err != nil {
		return err
	}
	if ok, err := c.loadCheckpoints(ctx); !ok || err != nil {
		return err
	}
	if err := c.countWork(); err != nil {
		return err
	}
	if err := c.readLedger(ctx); err != nil {
		return err
	}
	if err := c.checkFiles(ctx); err != nil {
		return err
	}
	if err := c.checkPayloads(ctx); err != nil {
		return err
	}
	return c.checkSlots(ctx)
}

func (c *check) problem(kind, place, format string, args ...any) {
	c.ByKind[kind]++
	if len(c.Problems) == maxProblems {
		c.Omitted++
		return
	}
	c.Problems = append(c.Problems, Problem{Kind: kind, Place: place, Detail: fmt.Sprintf(format, args...)})
}

func (c *check) progress(n uint64) {
	c.done += n
	c.total = max(c.total, c.done)
	if c.opts.Progress != nil {
		c.opts.Progress(c.done, c.total)
	}
}

func recordPlace(index uint64) string { return fmt.Sprintf("record %d", index) }

func payloadPlace(d evidence.Digest) string { return "payload " + string(d) }

// ledgerPlace gives the place of a file of the ledger.
func ledgerPlace(name string) string { return path.Join(evidence.LedgerDir, name) }

// maxSmallFile bounds the files that hold a key, a checkpoint or a state.
const maxSmallFile = 64 << 10

// readLedgerFile reads a file of the ledger, named with forward slashes. One
// that is larger than limit is an error.
func (c *check) readLedgerFile(name string, limit int64) ([]byte, error) {
	return readFile(filepath.Join(c.dir, evidence.LedgerDir, filepath.FromSlash(name)), limit)
}

func readFile(name string, limit int64) ([]byte, error) {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	case info.Size() > limit:
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, info.Size(), limit)
	}
	return os.ReadFile(name) //nolint:gosec // G304: the auditor's choice of directory, our choice of name.
}

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("file is too large for what it is")
)

// reason shortens the error of reading a file to what the place does not say.
func reason(err error) string {
	if missing(err) {
		return "the file is missing"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// loadKey finds the verifier key. It gives false when there is none.
func (c *check) loadKey() (bool, error) {
	name, from := evidence.VerifierKeyFile, KeyDirectory
	if c.bundle != nil {
		name, from = bundle.KeyFile, KeyBundle
	}
	data, err := readFile(filepath.Join(c.dir, filepath.FromSlash(name)), maxSmallFile)
	inDir := strings.TrimSpace(string(data))
	if c.opts.Key != "" {
		if c.verifier, err = seal.NewVerifier(c.opts.Key); err != nil {
			return false, err
		}
		c.Key, c.KeyFrom, c.Origin = c.verifier.Key(), KeyGiven, c.verifier.Name()
		if inDir != "" && inDir != c.verifier.Key() {
			c.problem(KindKey, name, "it says that the key is %s, which is not the one given", inDir)
		}
		return true, nil
	}
	c.KeyFrom = from
	if err != nil {
		c.problem(KindKey, name, "%s, and no key was given: nothing can be checked", reason(err))
		return false, nil
	}
	if c.verifier, err = seal.NewVerifier(inDir); err != nil {
		c.problem(KindKey, name, "%v", err)
		return false, nil
	}
	c.Key, c.Origin = c.verifier.Key(), c.verifier.Name()
	return true, nil
}

func rootText(root []byte) string { return base64.StdEncoding.EncodeToString(root) }

// hashOf reads what rootText gives; nil for anything else.
func hashOf(text string) []byte {
	hash, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(hash) != hashSize {
		return nil
	}
	return hash
}
