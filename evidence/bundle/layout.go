// Package bundle is the form in which evidence is handed to an auditor: a
// directory, or one archive of it.
//
// It promises of writing: the same calls give the same bytes; a bundle has its
// name only once it is whole and on disk; every file but the manifest and the
// statement is a line of the manifest. It promises of proving: the records that
// a bundle holds, with the hashes of those it does not, give the root of the
// ledger's Merkle tree, and no record can be changed, moved, taken out or added
// without another root. It promises of opening: whatever the bytes are, nothing
// is written outside the scratch directory, no link is followed, memory stays
// bounded, and what was refused is said with its place.
//
// It does not verify: it compares no digest with a file and checks no signature.
// Package verify does. It does not choose what goes into a bundle, and it does
// not encrypt: the writer is lent the function that does, so that a program
// that only reads carries no cipher.
//
// Limits: a writer holds the name and digest of each file, about 200 bytes, and
// an opener 16 bytes of each name. The bytes of an archive depend on the version
// of the compressor, those of the tar inside do not.
//
// docs/formats/bundle.md describes the format.
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// Version is that of the format, in Meta, Proof and StatementProof.
const Version = 1

// The names of what a bundle holds. Payloads lie as in a data directory, below
// evidence.PayloadDir.
const (
	MetaFile     = "bundle.json"
	ManifestFile = "manifest-sha256.txt"

	RecordsFile = "ledger/records.jsonl"
	ProofFile   = "ledger/proof.json"

	KeyFile = "trust/ledger.vkey"
	PEMFile = "trust/ledger.pem"

	TablesDir = "tables"

	StatementDir       = "statement"
	StatementFile      = "statement/export.dsse.json"
	SigstoreFile       = "statement/export.sigstore.json"
	CheckpointFile     = "statement/checkpoint"
	StatementProofFile = "statement/proof.json"
)

// maxMetaBytes bounds MetaFile: it lists at most some hundred controls.
const maxMetaBytes = 256 << 10

// The errors that callers tell apart.
var (
	// ErrNotBundle is returned when what was to be opened is something else.
	ErrNotBundle = errors.New("not a bundle")
	// ErrTooLarge is returned when an archive holds more than the caller allows.
	ErrTooLarge = errors.New("larger than the limit")
)

// Meta says what a bundle is about.
type Meta struct {
	Version      int       `json:"version"`
	Kind         string    `json:"kind"` // evidence.ExportPeriod, ExportAsOf or ExportReadiness
	From         time.Time `json:"from"`
	To           time.Time `json:"to"` // exclusive
	TimeZone     string    `json:"time_zone"`
	Controls     []string  `json:"controls,omitempty"` // sorted; empty: all
	Ledger       string    `json:"ledger"`             // the checkpoint origin
	Organization string    `json:"organization"`
}

// Encode gives the content of MetaFile: the only spelling of m that DecodeMeta
// takes. Times are written in UTC.
func (m Meta) Encode() ([]byte, error) {
	m.From, m.To = m.From.UTC(), m.To.UTC()
	if len(m.Controls) == 0 {
		m.Controls = nil
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", MetaFile, err)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", MetaFile, err)
	}
	if len(data) >= maxMetaBytes {
		return nil, fmt.Errorf("encode %s: %d bytes, must be less than %d", MetaFile, len(data), maxMetaBytes)
	}
	return append(data, '\n'), nil
}

// DecodeMeta reads MetaFile. It takes only what Encode writes.
func DecodeMeta(data []byte) (m Meta, err error) {
	if len(data) > maxMetaBytes {
		return m, fmt.Errorf("read %s: %d bytes, must be at most %d", MetaFile, len(data), maxMetaBytes)
	}
	if err := decodeStrict(data, &m); err != nil {
		return Meta{}, fmt.Errorf("read %s: %w", MetaFile, err)
	}
	if err := m.check(); err != nil {
		return Meta{}, fmt.Errorf("read %s: %w", MetaFile, err)
	}
	again, err := m.Encode()
	if err != nil {
		return Meta{}, err
	}
	if !bytes.Equal(again, data) {
		return Meta{}, fmt.Errorf("read %s: it was not written by tallystick export, or was changed since: it is not laid out as that does", MetaFile)
	}
	return m, nil
}

func (m Meta) check() error {
	switch {
	case m.Version != Version:
		return errVersion(m.Version)
	case !slices.Contains([]string{evidence.ExportPeriod, evidence.ExportAsOf, evidence.ExportReadiness}, m.Kind):
		return fmt.Errorf("kind %q: must be period, as_of or readiness", m.Kind)
	case m.To.Before(m.From):
		return fmt.Errorf("to %s lies before from %s", m.To.Format(time.RFC3339Nano), m.From.Format(time.RFC3339Nano))
	case m.TimeZone == "":
		return errors.New("time_zone is empty: must be an IANA name such as UTC")
	case m.Ledger == "":
		return errors.New("ledger is empty: must be the origin of the checkpoint")
	}
	for i, c := range m.Controls {
		if c == "" || i > 0 && m.Controls[i-1] >= c {
			return fmt.Errorf("control %q: controls must be sorted, and each named once", c)
		}
	}
	return nil
}

// decodeStrict reads exactly one JSON value without fields that v does not have.
// Another version is named before anything else that is wrong about it.
func decodeStrict(data []byte, v any) error {
	var other struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(data, &other) == nil && other.Version > Version {
		return errVersion(other.Version)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if rest := bytes.TrimSpace(data[dec.InputOffset():]); len(rest) > 0 {
		return errors.New("bytes behind the JSON value")
	}
	return nil
}

func errVersion(v int) error {
	return fmt.Errorf("version %d: this program knows version %d; take a release that knows it", v, Version)
}
