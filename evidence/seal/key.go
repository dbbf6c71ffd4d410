// Package seal signs records and checkpoints, and checks those signatures.
//
// It promises: what Seal returned, Unseal with the same key gives back, and no
// byte of it can be changed without an error. One Ed25519 key signs both
// records and checkpoints. The two cannot be taken for one another: what is
// signed of a record is its DSSE pre-authentication encoding, whose first line
// begins "DSSEv1 28 ", while a checkpoint's first line is the name of the key,
// which holds no space (golang.org/x/mod/sumdb/note refuses one that does).
//
// It does not keep anything, does not say when something was signed, and
// cannot tell a thief of the key from its owner.
package seal

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/tallystick/tallystick/internal/durable"
)

// algEd25519 is the algorithm byte of a note key.
// Source: golang.org/x/mod/sumdb/note, "Generating Keys"; c2sp.org/signed-note.
const algEd25519 = 1

// maxKeyBytes bounds a key file: a key is one line.
const maxKeyBytes = 4 << 10

// NewKey makes a signing key and the verifier key that goes with it, both as
// one line of text in the format of golang.org/x/mod/sumdb/note. The name
// becomes the origin of the ledger; it must not hold a space or a plus sign.
// The verifier key is what the auditor is given.
func NewKey(name string) (skey, vkey string, err error) {
	skey, vkey, err = note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", fmt.Errorf("make key named %q: %w", name, err)
	}
	if _, err := note.NewVerifier(vkey); err != nil {
		return "", "", fmt.Errorf("make key named %q: the name must not be empty or hold a space or a plus sign", name)
	}
	return skey, vkey, nil
}

// WriteKey keeps a signing key in a new file that only its owner can read. It
// never overwrites: the error is fs.ErrExist when path exists.
func WriteKey(path, skey string) error {
	if err := durable.WriteNew(durable.Disk{}, path, []byte(skey+"\n"), 0o600); err != nil {
		return fmt.Errorf("write signing key: %w", err)
	}
	return nil
}

// LoadKey reads a signing key from a file. It refuses a file that others than
// its owner can read or write. Symbolic links are followed, as Kubernetes
// mounts secrets through them.
func LoadKey(path string) (*Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	switch perm := info.Mode().Perm(); {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("load signing key %s: not a regular file", path)
	case info.Size() > maxKeyBytes:
		return nil, fmt.Errorf("load signing key %s: %d bytes are too many for a key", path, info.Size())
	case perm&0o077 != 0 && runtime.GOOS != "windows":
		return nil, fmt.Errorf("load signing key %s: its mode is %#o and others could use the key: run chmod 600 %[1]s", path, perm)
	}
	data, err := os.ReadFile(path) //nolint:gosec // G304: the operator's own choice.
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	s, err := ParseKey(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, fmt.Errorf("load signing key %s: %w", path, err)
	}
	return s, nil
}

// Signer signs records and checkpoints. Its methods may be called from several
// goroutines at once.
type Signer struct {
	note note.Signer
	vkey string
}

// ParseKey reads a signing key as NewKey made it. The error never repeats the key.
func ParseKey(skey string) (*Signer, error) {
	const want = "not a signing key: it begins with PRIVATE+KEY+ and is made by tallystick init"
	s, err := note.NewSigner(skey)
	if err != nil {
		return nil, errors.New(want)
	}
	// note.NewSigner has checked the form PRIVATE+KEY+name+hash+base64, in
	// which only the base64 may hold a plus sign.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(skey, "+", 5)[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != algEd25519 {
		return nil, errors.New(want)
	}
	pub, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New(want)
	}
	vkey, err := note.NewEd25519VerifierKey(s.Name(), pub)
	if err != nil {
		return nil, fmt.Errorf("derive verifier key: %w", err)
	}
	return &Signer{note: s, vkey: vkey}, nil
}

// Name gives the name of the key, which is the origin of the ledger.
func (s *Signer) Name() string { return s.note.Name() }

// VerifierKey gives the line of text for the auditor.
func (s *Signer) VerifierKey() string { return s.vkey }

// Note gives the signer of checkpoints.
func (s *Signer) Note() note.Signer { return s.note }

// Sign signs a message with the bare key; with KeyID it makes Signer a
// dsse.Signer of go-securesystemslib.
func (s *Signer) Sign(_ context.Context, msg []byte) ([]byte, error) { return s.note.Sign(msg) }

// KeyID gives nothing: cosign refuses a signature that names its key.
func (s *Signer) KeyID() (string, error) { return "", nil }
