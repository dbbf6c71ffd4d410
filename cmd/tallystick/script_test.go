package main

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
)

// sample is a folder with configuration, key and evidence, made once by the
// real program parts: two collectors of each provider, the first look and two days of slots.
// early is the same ledger after the first day.
type sample struct{ dir, early string }

func makeSample(t *testing.T) sample {
	t.Helper()
	s := sample{dir: t.TempDir(), early: t.TempDir()}
	d := &demo{out: io.Discard, err: io.Discard, days: 2}
	if err := d.prepare(s.dir); err != nil {
		t.Fatal(err)
	}
	start := recordedAt().Add(2 * time.Minute)
	clock := agent.NewSimulatedClock(start)
	for day := 1; day <= 2; day++ {
		options, err := d.wire(t.Context(), clock, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		few := []string{"aws.ec2_ebs_defaults", "aws.ec2_volumes", "gcp.directory_users", "gcp.securitycentermanagement_services"}
		for i := range options.Providers {
			p := &options.Providers[i]
			p.Collectors = slices.DeleteFunc(p.Collectors, func(c collectors.Collector) bool { return !slices.Contains(few, c.Spec().Name) })
		}
		a, err := agent.Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.RunUntil(t.Context(), start.Add(time.Duration(day)*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(t.Context(), "done"); err != nil {
			t.Fatal(err)
		}
		if day == 1 {
			if err := os.CopyFS(filepath.Join(s.early, "demo"), os.DirFS(s.dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// scanPayloads demands that no payload of a data directory holds a credential.
func scanPayloads(t *testing.T, dir string) {
	t.Helper()
	store, seen := payload.OpenRead(dir), 0
	for digest, err := range store.List() {
		if err != nil {
			t.Fatal(err)
		}
		r, err := store.Open(digest)
		if err != nil {
			t.Fatal(err)
		}
		found, err := capture.ScanSecrets(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("payload %s holds a secret: %v", digest, f)
		}
		seen++
	}
	if seen == 0 {
		t.Errorf("%s holds no payloads", dir)
	}
}

// TestScripts runs the scripts of testdata/script: one promise each. They have,
// beside the usual commands:
//
//	sample [early]       copies the sample folder to demo, as it is or as it was a day
//	                     before, and sets N to the number of its records
//	code N COMMAND...    runs a command that must exit with N
//	flip FILE [OFFSET]   inverts the bits of one byte, by default of the middle one
//	cut FILE N           keeps the first N bytes
//	swap FILE I J        swaps two records of an entry bundle
//	payload NAME TYPE N  sets the variable NAME to the file of a payload called TYPE that record N names
func TestScripts(t *testing.T) {
	made := makeSample(t)
	scanPayloads(t, filepath.Join(made.dir, "evidence"))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sample": func(ts *testscript.TestScript, neg bool, args []string) {
				from := made.dir
				if len(args) == 1 && args[0] == "early" {
					from = filepath.Join(made.early, "demo")
				}
				ts.Check(os.CopyFS(ts.MkAbs("demo"), os.DirFS(from)))
				ts.Check(os.Chmod(ts.MkAbs("demo/tallystick.key"), 0o600))
				r, err := ledger.OpenReader(ts.MkAbs("demo/evidence"))
				ts.Check(err)
				ts.Setenv("N", strconv.FormatUint(r.Size(), 10))
			},
			"code": exitCode,
			"flip": flip,
			"cut": func(ts *testscript.TestScript, _ bool, args []string) {
				n, err := strconv.ParseInt(args[1], 10, 64)
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
			},
			"swap":    swap,
			"payload": payloadFile,
		},
	})
}

func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	at := len(data) / 2
	if len(args) == 2 {
		at, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	data[at] ^= 0xff
	ts.Check(os.WriteFile(name, data, 0o600))
}

// swap works on the entry bundles of C2SP tlog-tiles: each entry is preceded
// by its length, a big-endian uint16.
func swap(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	var entries [][]byte
	for rest := data; len(rest) > 0; {
		n := 2 + int(binary.BigEndian.Uint16(rest))
		entries, rest = append(entries, rest[:n]), rest[n:]
	}
	i, err := strconv.Atoi(args[1])
	ts.Check(err)
	j, err := strconv.Atoi(args[2])
	ts.Check(err)
	entries[i], entries[j] = entries[j], entries[i]
	ts.Check(os.WriteFile(name, slices.Concat(entries...), 0o600))
}

func payloadFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	digest, err := digestOf(ts.MkAbs("demo/evidence"), n, args[1])
	ts.Check(err)
	var found string
	ts.Check(filepath.WalkDir(ts.MkAbs("demo/evidence/payloads"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Base(path) == string(digest)+".zst" {
			found = path
		}
		return err
	}))
	if found == "" {
		ts.Fatalf("no file for payload %s", digest)
	}
	ts.Setenv(args[0], found)
	ts.Setenv(args[0]+"_digest", string(digest))
}

// digestOf finds the first payload of that name at or after a record.
func digestOf(dir string, from uint64, name string) (evidence.Digest, error) {
	for statement, err := range statements(dir, from) {
		if err != nil {
			return "", err
		}
		if d, ok := statement.Payload(name); ok {
			return d, nil
		}
	}
	return "", errors.New("no record names a payload called " + name)
}

// statements reads the records of a data directory from an index on.
func statements(dir string, from uint64) iter.Seq2[evidence.Statement, error] {
	return func(yield func(evidence.Statement, error) bool) {
		r, err := ledger.OpenReader(dir)
		if err != nil {
			yield(evidence.Statement{}, err)
			return
		}
		for entry, err := range r.Entries(from) {
			var s evidence.Statement
			if err == nil {
				s, err = seal.Peek(entry.Data)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}
