package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/note"

	"github.com/tallystick/tallystick/evidence"
)

func pair(t testing.TB) (*Signer, *Verifier) {
	t.Helper()
	skey, vkey, err := NewKey("example.com/evidence")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseKey(skey)
	if err != nil {
		t.Fatal(err)
	}
	if s.VerifierKey() != vkey {
		t.Fatalf("derived verifier key %s, made %s", s.VerifierKey(), vkey)
	}
	v, err := NewVerifier(vkey + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func statement() evidence.Statement {
	return evidence.Statement{
		Type:          evidence.StatementType,
		Subject:       []evidence.Subject{evidence.SubjectOf("a.jsonl", evidence.Digest(strings.Repeat("ab", 32)))},
		PredicateType: evidence.TypeStop,
		Predicate:     json.RawMessage(`{"reason":"done <&>"}`),
	}
}

func TestKeyFile(t *testing.T) {
	skey, vkey, err := NewKey("example.com/evidence")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := WriteKey(path, skey); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	s, err := LoadKey(path)
	if err != nil || s.VerifierKey() != vkey || s.Name() != "example.com/evidence" {
		t.Errorf("loaded %v, %v", s, err)
	}
	if err := WriteKey(path, "another"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("WriteKey over a key: %v", err)
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o660, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	for _, text := range []string{"", "key", vkey, skey[:len(skey)-4], strings.Repeat("x", 5<<10)} {
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKey(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("key %q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE+KEY+example") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	if _, err := LoadKey(t.TempDir()); err == nil {
		t.Error("a directory as key: no error")
	}
	if _, err := LoadKey(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
}

func TestNewKeyRefusesNames(t *testing.T) {
	for _, name := range []string{"", "two words", "a+b", "a\nb"} {
		if _, _, err := NewKey(name); err == nil {
			t.Errorf("NewKey(%q): no error", name)
		}
	}
}

func TestSealUnseal(t *testing.T) {
	s, v := pair(t)
	sealed, err := s.Seal(statement())
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Unseal(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got.PredicateType != evidence.TypeStop || string(got.Predicate) != `{"reason":"done \u003c\u0026\u003e"}` {
		t.Errorf("unsealed %+v", got)
	}
	if d, ok := got.Payload("a.jsonl"); !ok || d != evidence.Digest(strings.Repeat("ab", 32)) {
		t.Errorf("subject %q, %v", d, ok)
	}
}

// TestEnvelopeIsDSSE reads the envelope as any implementation of DSSE does:
// with a JSON parser and the protocol's own definition of what is signed.
// Source: github.com/secure-systems-lab/dsse, protocol.md.
func TestEnvelopeIsDSSE(t *testing.T) {
	s, _ := pair(t)
	st := statement()
	st.Subject = nil
	sealed, err := s.Seal(st)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		PayloadType string              `json:"payloadType"`
		Payload     []byte              `json:"payload"`
		Signatures  []map[string]string `json:"signatures"`
	}
	if err := json.Unmarshal(sealed, &e); err != nil {
		t.Fatal(err)
	}
	if e.PayloadType != "application/vnd.in-toto+json" || len(e.Signatures) != 1 || len(e.Signatures[0]) != 1 {
		t.Fatalf("envelope %s", sealed)
	}
	if !bytes.HasPrefix(e.Payload, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],`)) {
		t.Errorf("statement %s", e.Payload)
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0]["sig"])
	if err != nil {
		t.Fatal(err)
	}
	// The key bytes of a verifier key follow the algorithm byte.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(s.VerifierKey(), "+", 3)[2])
	if err != nil {
		t.Fatal(err)
	}
	pae := "DSSEv1 28 application/vnd.in-toto+json " + itoa(len(e.Payload)) + " " + string(e.Payload)
	if !ed25519.Verify(raw[1:], []byte(pae), sig) {
		t.Error("the signature is not over the pre-authentication encoding")
	}
}

// TestPreAuth compares with the reference implementation.
func TestPreAuth(t *testing.T) {
	for _, test := range []struct{ payloadType, body string }{
		{evidence.PayloadType, `{"a":1}`}, {"", ""}, {"http://example.com/HelloWorld", strings.Repeat("hello ", 20_000)},
	} {
		if got, want := preAuth(test.payloadType, []byte(test.body)), dsse.PAE(test.payloadType, []byte(test.body)); !bytes.Equal(got, want) {
			t.Errorf("%q and %d bytes give %.60q, want %.60q", test.payloadType, len(test.body), got, want)
		}
	}
}

func itoa(n int) string { return string(must(json.Marshal(n))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestEveryByteIsBound changes one bit of each byte of an envelope in turn.
func TestEveryByteIsBound(t *testing.T) {
	s, v := pair(t)
	sealed, err := s.Seal(statement())
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1 << (i % 8)
		if _, err := v.Unseal(changed); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSignature) {
			t.Fatalf("byte %d (%q): %v", i, sealed[i], err)
		}
	}
}

func TestUnsealRefusals(t *testing.T) {
	s, v := pair(t)
	stranger, _ := pair(t)
	sealed := must(s.Seal(statement()))
	wrongType := statement()
	wrongType.Type = "https://in-toto.io/Statement/v0.1"
	if _, err := s.Seal(wrongType); err == nil {
		t.Error("Seal of another statement type: no error")
	}
	edit := func(old, with string) []byte {
		if !bytes.Contains(sealed, []byte(old)) {
			t.Fatalf("no %q in the envelope", old)
		}
		return bytes.Replace(sealed, []byte(old), []byte(with), 1)
	}
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":           {nil, ErrMalformed},
		"head only":         {[]byte(envelopeHead), ErrMalformed},
		"other key":         {must(stranger.Seal(statement())), ErrSignature},
		"keyid":             {edit(`{"sig"`, `{"keyid":"","sig"`), ErrMalformed},
		"white space":       {edit(`,"payload"`, `, "payload"`), ErrMalformed},
		"line end in value": {edit(`"payload":"`, `"payload":"`+"\n"), ErrMalformed},
		"bytes behind":      {append(bytes.Clone(sealed), '\n'), ErrMalformed},
		"cut short":         {sealed[:len(sealed)-1], ErrMalformed},
	} {
		if _, err := v.Unseal(test.data); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if st, err := Peek(must(stranger.Seal(statement()))); err != nil || st.PredicateType != evidence.TypeStop {
		t.Errorf("Peek = %+v, %v", st, err)
	}
}

func TestCheckpoint(t *testing.T) {
	s, v := pair(t)
	_, stranger := pair(t)
	root := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	sign := func(text string) []byte { return must(note.Sign(&note.Note{Text: text}, s.Note())) }
	good := sign("example.com/evidence\n42\n" + root + "\n")
	c, err := v.Checkpoint(good)
	if err != nil || c.Size != 42 || c.Origin != "example.com/evidence" || c.Root != [32]byte(bytes.Repeat([]byte{7}, 32)) {
		t.Errorf("checkpoint %+v, %v", c, err)
	}
	if c, err := ParseCheckpoint(good); err != nil || c.Size != 42 {
		t.Errorf("unsigned reading: %+v, %v", c, err)
	}
	if _, err := stranger.Checkpoint(good); !errors.Is(err, ErrSignature) {
		t.Errorf("other key of the same name: %v", err)
	}
	for i := range good {
		for bit := range 8 {
			changed := bytes.Clone(good)
			changed[i] ^= 1 << bit
			if _, err := v.Checkpoint(changed); err == nil {
				t.Errorf("bit %d of byte %d (%q) changed: no error", bit, i, good[i])
			}
		}
	}
	for _, text := range []string{
		"another.origin\n42\n" + root + "\n",
		"example.com/evidence\n042\n" + root + "\n",
		"example.com/evidence\n-1\n" + root + "\n",
		"example.com/evidence\n18446744073709551615\n" + root + "\n",
		"example.com/evidence\n42\nshort\n",
		"example.com/evidence\n42\n",
		"example.com/evidence\n42\n" + root + "\nextension\n",
	} {
		if _, err := v.Checkpoint(sign(text)); err == nil {
			t.Errorf("checkpoint %q: no error", text)
		}
	}
}

func TestNewVerifierRefusals(t *testing.T) {
	_, v := pair(t)
	if _, err := NewVerifier(v.Key()[:len(v.Key())-1] + "!"); err == nil || !strings.Contains(err.Error(), "tallystick init") {
		t.Errorf("spoilt key: %v", err)
	}
}

func FuzzUnseal(f *testing.F) {
	s, v := pair(f)
	f.Add(must(s.Seal(statement())))
	f.Add([]byte(envelopeHead + "e30=" + envelopeMid + strings.Repeat("A", signatureText) + envelopeTail))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Peek(data); err == nil && !slices.Equal(data[:len(envelopeHead)], []byte(envelopeHead)) {
			t.Error("read an envelope of another layout")
		}
		_, _ = v.Unseal(data) // must not panic
	})
}

func FuzzCheckpoint(f *testing.F) {
	s, v := pair(f)
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.Add(must(note.Sign(&note.Note{Text: "example.com/evidence\n42\n" + root + "\n"}, s.Note())))
	f.Fuzz(func(t *testing.T, data []byte) {
		signed, err := v.Checkpoint(data)
		if err != nil {
			return
		}
		if plain, err := ParseCheckpoint(data); err != nil || plain != signed {
			t.Errorf("signed reading %+v, unsigned %+v, %v", signed, plain, err)
		}
	})
}
