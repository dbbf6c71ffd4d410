// Package export hands evidence out: it makes a bundle of the records of a
// window, their payloads and proofs, and the views of them that people read.
//
// It promises that a bundle holds the evidence of its window, what that rests
// on, and nothing else of the ledger but hashes; that the same window gives the
// same bytes, the statement aside; that what is handed out is recorded in the
// ledger with its digest before the bundle gets its name; and that a bundle is
// there whole or not at all. It takes no lock: an agent may be at work.
//
// It does not verify what it copies: package verify does, on either side.
package export

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/bundle"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
)

// Options are what a bundle is made of.
type Options struct {
	Dir    string // the data directory
	Out    string // what to write: see bundle.Create
	Kind   string // evidence.ExportPeriod, ExportAsOf or ExportReadiness
	Window period.Window

	Signer  *seal.Signer
	Program evidence.Agent

	// Encrypt, when set, wraps the archive, as age.Encrypt does.
	Encrypt func(io.Writer) (io.WriteCloser, error)
	// Progress, when set, is told how much is done, in bytes of payloads.
	Progress func(done, total uint64)
}

// Summary is what was handed out.
type Summary struct {
	Out      string          `json:"out"`
	Kind     string          `json:"kind"`
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Records  int             `json:"records"`
	Files    uint64          `json:"files"`
	Bytes    uint64          `json:"bytes"` // of the files, before the archive's compression
	Manifest evidence.Digest `json:"manifest"`
	Record   uint64          `json:"record"` // of the Export record
	Report   *period.Report  `json:"-"`
}

// ErrNoEvidence is returned when the ledger holds no record of the window.
var ErrNoEvidence = errors.New("the ledger holds no evidence of that time")

// Write makes a bundle.
func Write(ctx context.Context, o Options) (_ *Summary, err error) {
	l, err := readLedger(ctx, o.Dir, o.Window)
	if err != nil {
		return nil, err
	}
	if len(l.chosen) == 0 {
		return nil, fmt.Errorf("export %s: %w", o.Window, ErrNoEvidence)
	}
	w, err := bundle.Create(o.Out, bundle.CreateOptions{Encrypt: o.Encrypt, Modified: o.Window.From})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	e := &exporter{Options: o, ctx: ctx, ledger: l, out: w, store: payload.OpenRead(o.Dir)}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, step := range []func() error{e.meta, e.trust, e.records, e.payloads, e.views} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("export %s: %w", o.Window, err)
		}
	}
	summary, err := e.state()
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", o.Window, err)
	}
	if err := w.Commit(); err != nil {
		return nil, err
	}
	return summary, nil
}

// exporter is one export under way. It belongs to one goroutine.
type exporter struct {
	Options
	ctx     context.Context //nolint:containedctx // of Write, which the exporter does not outlive
	ledger  *chosenLedger
	out     *bundle.Writer
	store   *payload.Store
	proof   bundle.Proof
	fold    *period.Fold
	report  *period.Report
	rules   *checks.Catalogue
	changes *period.ChangeFile
}

func (e *exporter) close() error {
	if e.changes == nil {
		return nil
	}
	return e.changes.Close()
}

// put writes a file of the bundle.
func (e *exporter) put(name string, data []byte) error {
	return e.write(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (e *exporter) write(name string, fill func(io.Writer) error) error {
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	f, err := e.out.Create(name)
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		_ = f.Close() // it would only say it again
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Close()
}

func (e *exporter) meta() error {
	meta := bundle.Meta{
		Version: 1, Kind: e.Kind, From: e.Window.From.UTC(), To: e.Window.To.UTC(), TimeZone: e.Window.Zone.String(),
		Controls: e.Window.Controls, Ledger: e.ledger.origin, Organization: e.ledger.organization,
	}
	raw, err := meta.Encode()
	if err != nil {
		return err
	}
	return e.put(bundle.MetaFile, raw)
}

func (e *exporter) trust() error {
	key, err := seal.NewVerifier(e.Signer.VerifierKey())
	if err != nil {
		return err
	}
	if key.Name() != e.ledger.origin {
		return fmt.Errorf("the key is of the ledger %q, and %s holds the ledger %q: name the key of that ledger in evidence.key", key.Name(), e.Dir, e.ledger.origin)
	}
	pem, err := bundle.PEM(key)
	if err != nil {
		return err
	}
	return errors.Join(e.put(bundle.KeyFile, []byte(key.Key()+"\n")), e.put(bundle.PEMFile, pem))
}

// records writes the chosen records and what proves that they are in the
// ledger, and folds them on the way.
func (e *exporter) records() error {
	last := e.ledger.chosen[len(e.ledger.chosen)-1]
	var err error
	if e.proof, err = bundle.Prove(last+1, e.ledger.leaf, ranges(e.ledger.chosen)); err != nil {
		return err
	}
	raw, err := bundle.EncodeProof(e.proof)
	if err != nil {
		return err
	}
	if err := e.put(bundle.ProofFile, raw); err != nil {
		return err
	}
	if e.changes, err = period.NewChangeFile(); err != nil {
		return err
	}
	e.fold = period.New(period.Options{Window: e.Window, Payloads: e.store, Changed: e.changes.Add})
	err = e.write(bundle.RecordsFile, func(w io.Writer) error {
		for entry, err := range e.ledger.records(e.ctx) {
			if err != nil {
				return err
			}
			if _, err := w.Write(append(entry.data, '\n')); err != nil {
				return err
			}
			if err := e.fold.Take(entry.Entry); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.report, err = e.fold.Report(e.Window.To)
	return err
}

func ranges(indexes []uint64) []bundle.Range {
	var out []bundle.Range
	for _, i := range indexes {
		out = bundle.AppendIndex(out, i)
	}
	return out
}

// payloads copies the payloads that the chosen records name, as they are. In a
// bundle about some controls, those of tasks that no such control reads stay
// behind.
func (e *exporter) payloads() error {
	wanted, total, err := e.wanted()
	if err != nil {
		return err
	}
	done := uint64(0)
	buffer := make([]byte, 256<<10) // holds most payloads whole: one read and one write each
	for _, p := range wanted {
		name, err := payload.Name(p.digest)
		if err != nil {
			return err
		}
		err = e.write(evidence.PayloadDir+"/"+name, func(w io.Writer) (err error) {
			f, err := os.Open(p.file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			// Without its other methods, the file leaves the buffer to us.
			_, err = io.CopyBuffer(w, struct{ io.Reader }{f}, buffer)
			return err
		})
		if err != nil {
			return err
		}
		if done += p.size; e.Progress != nil {
			e.Progress(done, total)
		}
	}
	return nil
}

// state closes the manifest, has the export recorded, and adds the statement.
func (e *exporter) state() (*Summary, error) {
	manifest, totals, err := e.out.Manifest()
	if err != nil {
		return nil, err
	}
	record := &evidence.Export{
		Kind: e.Kind, From: e.Window.From.UTC(), To: e.Window.To.UTC(), TimeZone: e.Window.Zone.String(), Controls: e.Window.Controls,
		Records: uint64(len(e.ledger.chosen)), TreeSize: e.proof.Size, TreeRoot: e.proof.Root, Files: totals.Files, Bytes: totals.Bytes,
	}
	sealed, err := agent.Append(e.ctx, e.Dir, e.Signer, e.Program, agent.AppendRequest{
		Type: evidence.TypeExport, Predicate: record,
		Payloads: []agent.AppendPayload{{Name: evidence.PayloadManifest, Data: manifest}},
	})
	if err != nil {
		return nil, err
	}
	grown, err := e.ledger.grown(e.ctx)
	if err != nil {
		return nil, err
	}
	proof, err := bundle.ProveStatement(grown.size, grown.leaf, sealed.Index, e.proof.Size)
	if err != nil {
		return nil, err
	}
	rawProof, err := bundle.EncodeStatementProof(proof)
	if err != nil {
		return nil, err
	}
	key, err := seal.NewVerifier(e.Signer.VerifierKey())
	if err != nil {
		return nil, err
	}
	sigstore, err := bundle.Sigstore(sealed.Record, key)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{bundle.StatementFile, sealed.Record},
		{bundle.SigstoreFile, sigstore},
		{bundle.CheckpointFile, grown.checkpoint},
		{bundle.StatementProofFile, rawProof},
	} {
		if err := e.out.Statement(f.name, f.data); err != nil {
			return nil, err
		}
	}
	return &Summary{
		Out: e.Out, Kind: e.Kind, From: record.From, To: record.To, Records: len(e.ledger.chosen), Files: totals.Files, Bytes: totals.Bytes,
		Manifest: digestOf(manifest), Record: sealed.Index, Report: e.report,
	}, nil
}

// wantedPayload is a payload and where it lies.
type wantedPayload struct {
	digest evidence.Digest
	file   string
	size   uint64
}

func sortWanted(all []wantedPayload) {
	slices.SortFunc(all, func(a, b wantedPayload) int { return cmp.Compare(a.digest, b.digest) })
}

// rootText spells a root as checkpoints do.
func rootText(root []byte) string { return base64.StdEncoding.EncodeToString(root) }
