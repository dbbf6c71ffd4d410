package seal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/tallystick/tallystick/evidence"
)

// The sealed form of a record is a DSSE envelope, always laid out like this:
//
//	{"payloadType":"application/vnd.in-toto+json","payload":"…","signatures":[{"sig":"…"}]}
//
// with both values in standard base64, no white space, exactly one signature
// and no keyid. Any other layout of the same envelope is refused, so that a
// record has no byte that the signature does not bind.
// Source: github.com/secure-systems-lab/dsse, envelope.md.
const (
	envelopeHead  = `{"payloadType":"` + evidence.PayloadType + `","payload":"`
	envelopeMid   = `","signatures":[{"sig":"`
	envelopeTail  = `"}]}`
	signatureText = (ed25519.SignatureSize + 2) / 3 * 4
	suffixBytes   = len(envelopeMid) + signatureText + len(envelopeTail)
)

// The errors that callers tell apart.
var (
	// ErrMalformed is returned for bytes that Seal can not have written.
	ErrMalformed = errors.New("not a sealed record")
	// ErrSignature is returned for a signature that the key did not make.
	ErrSignature = errors.New("signature does not match")
)

// Seal serialises a record once, signs those bytes, and gives the envelope
// that the ledger keeps.
func (s *Signer) Seal(st evidence.Statement) ([]byte, error) {
	if st.Type != evidence.StatementType {
		return nil, fmt.Errorf("seal record: statement type %q, must be %q", st.Type, evidence.StatementType)
	}
	if st.Subject == nil {
		st.Subject = []evidence.Subject{} // in-toto: the field is an array, never null
	}
	body, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	sig, err := s.Sign(context.Background(), preAuth(evidence.PayloadType, body))
	if err != nil {
		return nil, fmt.Errorf("seal record: %w", err)
	}
	out := make([]byte, 0, len(envelopeHead)+base64.StdEncoding.EncodedLen(len(body))+suffixBytes)
	out = append(out, envelopeHead...)
	out = base64.StdEncoding.AppendEncode(out, body)
	out = append(out, envelopeMid...)
	out = base64.StdEncoding.AppendEncode(out, sig)
	return append(out, envelopeTail...), nil
}

// preAuth gives what is signed of a record. The library that has it too reaches
// the network package of the standard library, by way of its other encodings of
// keys, and the auditor's verifier must not.
// Source: github.com/secure-systems-lab/dsse, protocol.md, "Signature Definition".
func preAuth(payloadType string, body []byte) []byte {
	out := make([]byte, 0, len("DSSEv1 ")+len(payloadType)+len(body)+2*20+3)
	out = append(out, "DSSEv1 "...)
	out = strconv.AppendInt(out, int64(len(payloadType)), 10)
	out = append(append(append(out, ' '), payloadType...), ' ')
	out = strconv.AppendInt(out, int64(len(body)), 10)
	return append(append(out, ' '), body...)
}

// Unseal checks the signature of a sealed record and gives the record. The
// error is ErrMalformed or ErrSignature.
func (v *Verifier) Unseal(envelope []byte) (evidence.Statement, error) {
	body, sig, err := open(envelope)
	if err != nil {
		return evidence.Statement{}, err
	}
	if !v.note.Verify(preAuth(evidence.PayloadType, body), sig) {
		return evidence.Statement{}, fmt.Errorf("%w: it was not signed with the key %s, or was changed since", ErrSignature, v.vkey)
	}
	return decode(body)
}

// Peek gives the record inside an envelope without checking its signature: for
// showing a record that failed to verify, never for trusting one.
func Peek(envelope []byte) (evidence.Statement, error) {
	body, _, err := open(envelope)
	if err != nil {
		return evidence.Statement{}, err
	}
	return decode(body)
}

// PeekEntry is Peek with the predicate decoded, for a record of the ledger: for
// reading what was, or will be, verified elsewhere.
func PeekEntry(index uint64, envelope []byte) (evidence.Entry, error) {
	statement, err := Peek(envelope)
	if err != nil {
		return evidence.Entry{}, fmt.Errorf("record %d: %w", index, err)
	}
	predicate, err := evidence.Decode(statement)
	if err != nil {
		return evidence.Entry{}, fmt.Errorf("record %d: %w", index, err)
	}
	return evidence.Entry{Index: index, Statement: statement, Predicate: predicate}, nil
}

func decode(body []byte) (st evidence.Statement, err error) {
	if err := json.Unmarshal(body, &st); err != nil {
		return st, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
	}
	if st.Type != evidence.StatementType {
		return st, fmt.Errorf("%w: statement type %q, must be %q", ErrMalformed, st.Type, evidence.StatementType)
	}
	return st, nil
}

func open(envelope []byte) (body, sig []byte, err error) {
	rest, ok := bytes.CutPrefix(envelope, []byte(envelopeHead))
	if !ok || len(rest) < suffixBytes {
		return nil, nil, fmt.Errorf("%w: not a DSSE envelope in this program's layout", ErrMalformed)
	}
	text, tail := rest[:len(rest)-suffixBytes], rest[len(rest)-suffixBytes:]
	tail, ok = bytes.CutPrefix(tail, []byte(envelopeMid))
	sigText, ok2 := bytes.CutSuffix(tail, []byte(envelopeTail))
	if !ok || !ok2 {
		return nil, nil, fmt.Errorf("%w: not a DSSE envelope in this program's layout", ErrMalformed)
	}
	if body, err = decodeBase64(text); err != nil {
		return nil, nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	if sig, err = decodeBase64(sigText); err != nil {
		return nil, nil, fmt.Errorf("%w: signature: %w", ErrMalformed, err)
	}
	return body, sig, nil
}

// decodeBase64 accepts only the one text that encodes to the same bytes. The
// standard decoder skips line ends, even a strict one.
func decodeBase64(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, errors.New("line end in base64")
	}
	return base64.StdEncoding.Strict().AppendDecode(nil, text)
}
