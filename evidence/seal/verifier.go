package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Verifier checks records and checkpoints against a verifier key. Its methods
// may be called from several goroutines at once.
type Verifier struct {
	note note.Verifier
	vkey string
}

// NewVerifier reads a verifier key as NewKey made it.
func NewVerifier(vkey string) (*Verifier, error) {
	vkey = strings.TrimSpace(vkey)
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("verifier key %q: %w: it looks like name+1a2b3c4d+AW… and is printed by tallystick init", vkey, err)
	}
	return &Verifier{note: v, vkey: vkey}, nil
}

// Name gives the name of the key, which is the origin of its ledger.
func (v *Verifier) Name() string { return v.note.Name() }

// Key gives the verifier key.
func (v *Verifier) Key() string { return v.vkey }

// Checkpoint is the head of a ledger: how many records it has, and the root of
// the Merkle tree over them.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
}

// Checkpoint checks the signature of a checkpoint and reads it. Signatures of
// other keys, such as witnesses', are passed over.
func (v *Verifier) Checkpoint(signed []byte) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(v.note))
	if err != nil {
		if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
			return Checkpoint{}, fmt.Errorf("checkpoint: %w: no signature of the key %s on it", ErrSignature, v.vkey)
		}
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: %w", ErrSignature, err)
	}
	// The note package passes over the unused bits at the end of a base64 text,
	// so that one signature has several spellings; only one is ours.
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint: %w: %w", ErrSignature, err)
		}
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("checkpoint: its origin is %q, the key is for %q", c.Origin, v.Name())
	}
	return c, nil
}

// ParseCheckpoint reads a checkpoint without checking a signature.
// Source: c2sp.org/tlog-checkpoint. Extension lines are refused: this program
// writes none.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	body, _, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if len(lines) != 3 || lines[0] == "" {
		return Checkpoint{}, errors.New("checkpoint: must be three lines: origin, size, root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint: size %q is not a number", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(Checkpoint{}.Root) {
		return Checkpoint{}, fmt.Errorf("checkpoint: root %q is not 32 bytes in base64", lines[2])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: [32]byte(root)}, nil
}
