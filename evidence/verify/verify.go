// Package verify checks a data directory without trusting whoever wrote it.
//
// It promises: when a Report is OK, the records in the directory are exactly
// those that the checkpoint, signed with the key, commits to; each was signed
// with that key; each payload that they name is there with the bytes that they
// name; no stream has a hole in its sequence; and each slot that the recorded
// schedules made due is accounted for, up to the open tail. Every problem
// names its place.
//
// It does not judge the evidence, does not use the network, writes nothing,
// and shares no code with the package that writes ledgers. It cannot tell
// that a whole directory was replaced by an older copy, or written anew by the
// holder of the key: compare against a checkpoint kept by someone else
// (Options.Checkpoint), and a key handed over at the start (Options.Key).
//
// A directory in which an agent is at work can be verified: what it adds
// meanwhile is not looked at.
//
// Limits: memory grows by about 300 bytes a record and 100 a payload. Nothing
// binds the name of the lock's holder in the lock file.
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
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// Options are the choices of Dir. The zero value checks the directory against
// itself.
type Options struct {
	// Key is the verifier key that the auditor was given. When it is empty the
	// key is taken from the directory, which then only proves that the
	// directory agrees with itself; the report says so.
	Key string

	// Checkpoint is a signed checkpoint that the auditor kept from earlier.
	// The ledger must be an extension of it.
	Checkpoint []byte

	// Now ends the open tail, unless the last record is later or the records
	// were made under a simulated clock.
	Now time.Time

	// Progress is told, from one goroutine at a time, how many records and
	// payloads are done.
	Progress func(done, total uint64)

	patience time.Duration // for an agent at work; publishPatience unless a test sets it
}

// Where the key came from.
const (
	KeyGiven     = "given"
	KeyDirectory = "directory" // nobody outside vouches for it
)

// Report is what was found.
type Report struct {
	OK       bool      `json:"ok"`
	Records  uint64    `json:"records"` // that the checkpoint covers
	Root     string    `json:"root"`    // computed from the records; base64, as in the checkpoint; empty when it could not be
	Problems []Problem `json:"problems"`
	Omitted  int       `json:"problems_omitted,omitempty"` // beyond the first thousand

	Origin    string `json:"origin"`
	Key       string `json:"key"`
	KeyFrom   string `json:"key_from"`  // KeyGiven or KeyDirectory
	Simulated bool   `json:"simulated"` // some record was made under a simulated clock: this is not evidence

	Types    map[string]uint64 `json:"types"` // records by the short name of their type
	Payloads struct {
		Checked uint64 `json:"checked"`
		Bytes   uint64 `json:"bytes"`   // before compression
		Orphans uint64 `json:"orphans"` // named by no record: a crash leaves some
	} `json:"payloads"`
	// Unfinished counts temporary files: of an agent at work, or of a crash.
	Unfinished int `json:"unfinished"`

	// Tail are the slots that are due and that no record covers yet. They are
	// not problems: the agent may be running them, or is not running.
	Tail []Tail `json:"open_tail"`
}

// Problem is something that must not be.
type Problem struct {
	Kind   string `json:"kind"`
	Place  string `json:"place"` // "record 17", "payload abcd…", or a path inside the directory
	Detail string `json:"detail"`
}

// String gives one line for people.
func (p Problem) String() string { return p.Kind + ": " + p.Place + ": " + p.Detail }

// Tail is the open end of one stream.
type Tail struct {
	Stream string    `json:"stream"`
	Slots  int       `json:"slots"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
}

// The kinds of problems.
const (
	KindKey              = "key"               // no usable verifier key, or another one than given
	KindCheckpoint       = "checkpoint"        // missing, malformed, or not signed with the key
	KindCheckpointBehind = "checkpoint_behind" // there are records that the checkpoint does not cover
	KindExtension        = "extension"         // not an extension of the auditor's earlier checkpoint
	KindRoot             = "root"              // the records do not give the root of the checkpoint
	KindTree             = "tree"              // a tile or entry bundle is missing or differs from the records
	KindState            = "state"             // a file of the writer's state differs from the records
	KindUnexpectedFile   = "unexpected_file"   // nothing of ours has this name
	KindRecord           = "record"            // not a record that this version can read
	KindSignature        = "signature"         // not signed with the key
	KindSequence         = "sequence"          // a stream does not count 1, 2, 3, …
	KindDuplicate        = "duplicate"         // a task or slot is sealed twice
	KindTime             = "time"              // a record is older than the one before it
	KindConfiguration    = "configuration"     // a record does not fit the configuration in force
	KindCounts           = "counts"            // a record counts something else than its payload holds
	KindPayloadMissing   = "payload_missing"   // a record names it and it is not there
	KindPayloadCorrupt   = "payload_corrupt"   // its bytes do not have the digest in its name
	KindSchedule         = "schedule"          // a schedule payload that cannot be used
	KindSlotMissing      = "slot_missing"      // a due slot has neither a run nor a missed record
	KindSlotNotDue       = "slot_not_due"      // a record covers a slot that no schedule made due
)

// maxProblems bounds the report.
const maxProblems = 1000

// Dir checks the data directory dir. The error is for what kept it from
// looking (no such directory, an unusable option, an unreadable disk, an ended
// ctx), never for what it found: that is in the report, whose OK is false then.
func Dir(ctx context.Context, dir string, opts Options) (Report, error) {
	c := &check{dir: dir, opts: opts, store: payload.OpenRead(dir), named: make(map[[32]byte]named), rules: newRules()}
	c.rules.check = c
	if c.opts.patience == 0 {
		c.opts.patience = publishPatience
	}
	c.Problems, c.Types, c.Tail = []Problem{}, map[string]uint64{}, []Tail{}
	if info, err := os.Stat(filepath.Join(dir, evidence.LedgerDir)); err != nil || !info.IsDir() {
		return Report{}, fmt.Errorf("verify %s: not a data directory: there is no directory %s in it", dir, evidence.LedgerDir)
	}
	if err := c.run(ctx); err != nil {
		return Report{}, fmt.Errorf("verify %s: %w", dir, err)
	}
	c.OK = len(c.Problems) == 0
	return c.Report, nil
}

// check is one verification under way. It is used by one goroutine.
type check struct {
	Report
	dir   string
	opts  Options
	store *payload.Store

	verifier *seal.Verifier
	head     seal.Checkpoint
	signed   []byte          // the checkpoint, as read
	earlier  seal.Checkpoint // the auditor's, when given
	tree     *tree
	rules    *rules             // over the records
	named    map[[32]byte]named // the payloads that records name

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
	data, err := readFile(filepath.Join(c.dir, evidence.VerifierKeyFile), maxSmallFile)
	inDir := strings.TrimSpace(string(data))
	if c.opts.Key != "" {
		if c.verifier, err = seal.NewVerifier(c.opts.Key); err != nil {
			return false, err
		}
		c.Key, c.KeyFrom, c.Origin = c.verifier.Key(), KeyGiven, c.verifier.Name()
		if inDir != "" && inDir != c.verifier.Key() {
			c.problem(KindKey, evidence.VerifierKeyFile, "the directory says that its key is %s, which is not the one given", inDir)
		}
		return true, nil
	}
	c.KeyFrom = KeyDirectory
	if err != nil {
		c.problem(KindKey, evidence.VerifierKeyFile, "%s, and no key was given: nothing can be checked", reason(err))
		return false, nil
	}
	if c.verifier, err = seal.NewVerifier(inDir); err != nil {
		c.problem(KindKey, evidence.VerifierKeyFile, "%v", err)
		return false, nil
	}
	c.Key, c.Origin = c.verifier.Key(), c.verifier.Name()
	return true, nil
}

func rootText(root []byte) string { return base64.StdEncoding.EncodeToString(root) }
