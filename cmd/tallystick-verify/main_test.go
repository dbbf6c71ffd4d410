package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// directory gives a data directory with one configuration and one run, its
// verifier key, and its ledger's checkpoint.
func directory(t *testing.T) (dir, key, checkpoint string) {
	t.Helper()
	dir = t.TempDir()
	skey, key, err := seal.NewKey("verify.test")
	if err != nil {
		t.Fatal(err)
	}
	signer := must(seal.ParseKey(skey))
	store := must(payload.Open(dir))
	l := must(ledger.Open(t.Context(), dir, signer, ledger.Options{}))
	put := func(name, text string) evidence.Subject {
		return evidence.SubjectOf(name, must(store.Put([]byte(text))))
	}
	add := func(predicateType string, predicate any, subjects ...evidence.Subject) {
		st := evidence.Statement{
			Type: evidence.StatementType, PredicateType: predicateType, Predicate: must(json.Marshal(predicate)), Subject: subjects,
		}
		must(l.Append(t.Context(), must(signer.Seal(st))))
	}
	at := time.Date(2026, time.July, 1, 0, 30, 0, 0, time.UTC)
	stream := evidence.Stream{Collector: "aws.s3_buckets", Scope: evidence.Scope{Provider: "aws", Account: "111122223333"}}
	schedule := put(evidence.PayloadSchedule, `{"time_zone":"America/New_York","collectors":[{"provider":"aws","collector":"aws.s3_buckets","schedule":"@every 24h"}],"scopes":[{"provider":"aws","account":"111122223333"}]}`)
	catalogue := put(evidence.PayloadCatalogue, "{}")
	add(evidence.TypeConfiguration, evidence.Configuration{
		Header: evidence.Header{At: at, Clock: evidence.ClockSystem}, Sequence: 1, Event: evidence.EventStarted, Ledger: "verify.test",
	}, put(evidence.PayloadConfiguration, "x"), schedule, catalogue)
	slot := at.Truncate(24 * time.Hour).Add(24 * time.Hour)
	add(evidence.TypeRun, evidence.Run{
		Header: evidence.Header{At: slot.Add(time.Minute), Clock: evidence.ClockSimulated}, Task: evidence.Task{Stream: stream, Slot: slot},
		Sequence: 1, Trigger: evidence.TriggerSchedule, Outcome: evidence.Complete,
		ConfigurationDigest: evidence.Digest(schedule.Digest["sha256"]), CatalogueDigest: evidence.Digest(catalogue.Digest["sha256"]),
	})
	checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(checkpoint, l.Checkpoint(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return dir, key, checkpoint
}

func TestRun(t *testing.T) {
	dir, key, checkpoint := directory(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, other, err := seal.NewKey("verify.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		out  string // or in what is said on standard error
	}{
		{[]string{dir}, 0, "checked with the key in the directory itself"},
		{[]string{"--key", key, dir}, 0, "verified: nothing is wrong\n"},
		{[]string{dir, "--key-file", keyFile, "--checkpoint", checkpoint, "--checkpoint", checkpoint}, 0, "The first 2 records of the ledger are those of the checkpoint that you kept"},
		{[]string{"--complete", dir}, 0, "1 slots were due: 1 with a complete run"},
		{[]string{"--output", "json", dir}, 0, `"ok": true`},
		{[]string{"--key", other, dir}, 2, "NOT VERIFIED"},
		{[]string{"--key", other, "--complete", "--output=json", dir}, 2, `"kind": "key"`},
		{[]string{"--help"}, 0, "Usage: tallystick-verify"},
		{[]string{"--version"}, 0, "tallystick-verify "},
		{nil, 1, "it takes one argument"},
		{[]string{dir, dir}, 1, "it takes one argument"},
		{[]string{"--output", "xml", dir}, 1, "use text or json"},
		{[]string{"--max-bytes", "-1", dir}, 1, "must not be negative"},
		{[]string{"--none", dir}, 1, "flag provided but not defined"},
		{[]string{"--key", "x", dir}, 1, `verifier key "x"`},
		{[]string{"--key", key, "--key-file", keyFile, dir}, 1, "given twice"},
		{[]string{"--checkpoint", "nowhere", dir}, 1, "nowhere"},
		{[]string{filepath.Join(dir, "none")}, 1, "no such file"},
		{[]string{keyFile}, 1, "not a bundle"},
		{[]string{t.TempDir()}, 1, "not a data directory"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(test.args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stdout.String()+stderr.String(), test.out) {
			t.Errorf("%q: code %d, want %d and %q:\n%s%s", test.args, code, test.code, test.out, stdout.String(), stderr.String())
		}
		if code == 1 && (stdout.Len() > 0 || !strings.HasPrefix(stderr.String(), "tallystick-verify: ")) {
			t.Errorf("%q: standard output %q, standard error %q", test.args, stdout.String(), stderr.String())
		}
	}
}

// TestBuild builds the program twice, in different directories: the bytes are
// the same, they are few, and what they are made of cannot reach a network.
func TestBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the program twice")
	}
	elsewhere := filepath.Join(t.TempDir(), "a", "copy")
	for _, name := range []string{"evidence", "internal/durable", "cmd/tallystick-verify"} {
		if err := os.CopyFS(filepath.Join(elsewhere, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(elsewhere, name), must(os.ReadFile(filepath.Join("../..", name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := func(dir string) []byte {
		out := filepath.Join(t.TempDir(), "tallystick-verify")
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, "./cmd/tallystick-verify")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build in %s: %v\n%s", dir, err, text)
		}
		return must(os.ReadFile(out))
	}
	here, there := build("../.."), build(elsewhere)
	if !bytes.Equal(here, there) {
		t.Error("two builds in different directories differ")
	}
	if limit := 12_000_000; len(here) > limit {
		t.Errorf("the program has %d bytes, at most %d are allowed", len(here), limit)
	}
	if strings.Contains(string(here), "net/http.") {
		t.Error("net/http is in the program")
	}
}
