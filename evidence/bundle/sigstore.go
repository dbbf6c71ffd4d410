package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/tallystick/tallystick/evidence/seal"
)

// sigstoreType is the media type of a sigstore bundle.
// Source: github.com/sigstore/protobuf-specs, protos/sigstore_bundle.proto.
const sigstoreType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Sigstore gives a sealed record as a sigstore bundle, which other programs than
// this one check, such as cosign verify-blob-attestation. The envelope is taken
// over as it is, with no keyid. There is no entry of a transparency log and no
// time stamp in it: both are the ledger's.
func Sigstore(envelope []byte, key *seal.Verifier) ([]byte, error) {
	if _, err := key.Unseal(envelope); err != nil {
		return nil, fmt.Errorf("make sigstore bundle: %w", err)
	}
	der, err := publicKeyInfo(key)
	if err != nil {
		return nil, fmt.Errorf("make sigstore bundle: %w", err)
	}
	type hint struct {
		Hint string `json:"hint"`
	}
	type material struct {
		PublicKey hint `json:"publicKey"`
	}
	// The hint is for finding the key; that of sigstore's own tools is the
	// SHA-256 of its SubjectPublicKeyInfo.
	sum := sha256.Sum256(der)
	data, err := json.Marshal(struct {
		MediaType string          `json:"mediaType"`
		Material  material        `json:"verificationMaterial"`
		Envelope  json.RawMessage `json:"dsseEnvelope"`
	}{sigstoreType, material{hint{base64.StdEncoding.EncodeToString(sum[:])}}, envelope})
	if err != nil {
		return nil, fmt.Errorf("make sigstore bundle: %w", err)
	}
	return append(data, '\n'), nil
}

// PEM gives a verifier key as other programs read it: the Ed25519 key as
// SubjectPublicKeyInfo in PEM. Source: RFC 8410, RFC 7468.
func PEM(key *seal.Verifier) ([]byte, error) {
	der, err := publicKeyInfo(key)
	if err != nil {
		return nil, fmt.Errorf("write key as PEM: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// publicKeyInfo takes the Ed25519 key out of a verifier key and gives it as
// SubjectPublicKeyInfo in DER, which for this algorithm is a fixed head and the
// key (RFC 8410 section 4; crypto/x509 would bring the network along). A
// verifier key is name+hash+base64 of an algorithm byte, 1 for Ed25519, and the
// key. Source: c2sp.org/signed-note.
func publicKeyInfo(key *seal.Verifier) ([]byte, error) {
	const (
		algEd25519 = 1
		head       = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
	)
	parts := strings.SplitN(key.Key(), "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algEd25519 {
		return nil, fmt.Errorf("verifier key %s: not an Ed25519 key", key.Key())
	}
	return append([]byte(head), raw[1:]...), nil
}
