package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/seal"
)

// listed is the manifest that the sealed record names.
const listed = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  README.txt\n"

func sealed(t testing.TB) ([]byte, *seal.Verifier) {
	t.Helper()
	sum := sha256.Sum256([]byte(listed))
	skey, vkey, err := seal.NewKey("example.com/evidence")
	if err != nil {
		t.Fatal(err)
	}
	envelope := must(must(seal.ParseKey(skey)).Seal(evidence.Statement{
		Type:          evidence.StatementType,
		Subject:       []evidence.Subject{evidence.SubjectOf(evidence.PayloadManifest, evidence.Digest(hex.EncodeToString(sum[:])))},
		PredicateType: evidence.TypeExport,
		Predicate:     json.RawMessage(`{"kind":"period"}`),
	}))
	return envelope, must(seal.NewVerifier(vkey))
}

// TestSigstore checks the signature as another program does: with the key from
// the PEM file and the envelope from the sigstore bundle.
func TestSigstore(t *testing.T) {
	envelope, key := sealed(t)
	block, rest := pem.Decode(must(PEM(key)))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
		t.Fatalf("PEM block %+v", block)
	}
	public := must(x509.ParsePKIXPublicKey(block.Bytes)).(ed25519.PublicKey)

	data := must(Sigstore(envelope, key))
	var b struct {
		MediaType            string
		VerificationMaterial map[string]map[string]string
		DSSEEnvelope         struct {
			Payload     []byte
			PayloadType string
			Signatures  []map[string][]byte
		}
	}
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	e := b.DSSEEnvelope
	pae := "DSSEv1 28 application/vnd.in-toto+json " + string(must(json.Marshal(len(e.Payload)))) + " " + string(e.Payload)
	if e.PayloadType != evidence.PayloadType || len(e.Signatures) != 1 || len(e.Signatures[0]) != 1 || !ed25519.Verify(public, []byte(pae), e.Signatures[0]["sig"]) {
		t.Errorf("envelope %+v", e)
	}
	if b.MediaType != "application/vnd.dev.sigstore.bundle.v0.3+json" {
		t.Errorf("media type %q", b.MediaType)
	}
	if hint, err := base64.StdEncoding.DecodeString(b.VerificationMaterial["publicKey"]["hint"]); err != nil || len(hint) != 32 {
		t.Errorf("hint %q, %v", hint, err)
	}
	if !strings.Contains(string(data), string(envelope)) {
		t.Error("the envelope is not in it as it is")
	}
	_, stranger := sealed(t)
	if _, err := Sigstore(envelope, stranger); err == nil {
		t.Error("with another key: no error")
	}
}

// TestCosign runs cosign where it is installed.
func TestCosign(t *testing.T) {
	cosign, err := exec.LookPath("cosign")
	if err != nil {
		t.Skip("cosign is not installed")
	}
	dir := t.TempDir()
	write := func(name string, data []byte) { must(0, os.WriteFile(filepath.Join(dir, name), data, 0o600)) }
	envelope, key := sealed(t)
	write("ledger.pem", must(PEM(key)))
	write("export.sigstore.json", must(Sigstore(envelope, key)))
	for manifest, want := range map[string]bool{listed: true, listed + " ": false} {
		write("manifest-sha256.txt", []byte(manifest))
		cmd := exec.CommandContext(t.Context(), cosign, "verify-blob-attestation", "--key", "ledger.pem", "--bundle", "export.sigstore.json",
			"--insecure-ignore-tlog", "--type", evidence.TypeExport, "manifest-sha256.txt")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
		if text, err := cmd.CombinedOutput(); (err == nil) != want {
			t.Errorf("manifest %q: %v\n%s", manifest, err, text)
		}
	}
}
