package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/tallystick/tallystick/evidence/bundle"
)

// TestExportEncrypted reads an encrypted bundle with the recipient's key, and
// with nobody else's.
func TestExportEncrypted(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	mine, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"demo"},
		{"export", "-c", "tallystick-demo/tallystick.yaml", "--to", "2026-07-01", "--recipient", mine.Recipient().String(), "--out", "b.tar.zst.age"},
	} {
		if code := run(t.Context(), args); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
	}
	sealed, err := os.ReadFile("b.tar.zst.age")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := age.Decrypt(bytes.NewReader(sealed), other); err == nil {
		t.Error("another key opens it")
	}
	if _, err := bundle.Open(t.Context(), "b.tar.zst.age", bundle.OpenOptions{}); err == nil || !bytes.Contains([]byte(err.Error()), []byte("age")) {
		t.Errorf("opened as it is: %v; must say to decrypt it first", err)
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), mine)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "b.tar.zst")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, plain); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(t.Context(), archive, bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range b.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Error("there is no record in it")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
