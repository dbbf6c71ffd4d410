package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"github.com/tallystick/tallystick/internal/capture"
)

// bench is a place at which the program is run: a folder with a configuration,
// a key and a data directory.
type bench struct {
	program string
	folder  string
	config  string // path
	dir     string // path of the data directory
	key     string // verifier key
	env     []string
}

// bench makes a place whose calls go to endpoint. At the end of the test every
// payload in it is looked through for secrets.
func (w world) bench(t *testing.T, endpoint string, config string) *bench {
	t.Helper()
	folder := t.TempDir()
	b := &bench{
		program: w.program, folder: folder,
		config: filepath.Join(folder, "tallystick.yaml"), dir: filepath.Join(folder, "evidence"),
		env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + folder,
			// What is not on this machine meets a proxy that is not there.
			"HTTPS_PROXY=http://127.0.0.1:1",
			"AWS_ENDPOINT_URL=" + endpoint, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
			"AWS_ACCESS_KEY_ID=" + testKeyID, "AWS_SECRET_ACCESS_KEY=" + testSecretKey,
			"AWS_CONFIG_FILE=" + filepath.Join(folder, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(folder, "none"),
		},
	}
	b.key = b.init(t, folder)
	b.configure(t, config)
	t.Cleanup(func() { scan(t, b.dir) })
	return b
}

// init makes a key and an example in a folder, and gives the verifier key that
// is printed for the auditor.
func (b *bench) init(t *testing.T, folder string) string {
	t.Helper()
	r := b.run(t, "init", "--name", "example.com/e2e", "--dir", folder)
	r.want(t, 0)
	for line := range strings.Lines(r.stdout) {
		if strings.HasPrefix(line, "example.com/e2e+") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("init printed no verifier key: %s", r)
	return ""
}

// configure writes the configuration: a head that all tests share, and more.
func (b *bench) configure(t *testing.T, more string) {
	t.Helper()
	head := `organization: Example, Inc.
period: {start: 2026-01-01, end: 2099-12-31}
limits: {rate: {default: 0, account: 0, cloudasset: 0, cloudidentity: 0, gcp.iam: 0, iam: 0, logging: 0, organizations: 0, s3: 0}}
`
	if !strings.Contains(more, "evidence:") {
		head += "evidence: {dir: ./evidence, key: ./tallystick.key}\n"
	}
	if err := os.WriteFile(b.config, []byte(head+more), 0o600); err != nil {
		t.Fatal(err)
	}
}

// result is how one run of the program ended.
type result struct {
	args           []string
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("tallystick %s: exit code %d\nstdout:\n%s\nstderr:\n%s",
		strings.Join(r.args, " "), r.code, tail(r.stdout, 60), tail(r.stderr, 30))
}

func (r result) want(t *testing.T, code int) {
	t.Helper()
	if r.code != code {
		t.Fatalf("want exit code %d: %s", code, r)
	}
}

// says demands each of words in what a person reads.
func (r result) says(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("nothing says %q: %s", word, r)
		}
	}
	for _, trace := range []string{"panic:", "goroutine "} {
		if strings.Contains(r.stderr, trace) {
			t.Errorf("a stack trace: %s", r)
		}
	}
}

// json reads standard output, which must hold one JSON value and nothing else.
func (r result) json(t *testing.T, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(into); err != nil {
		t.Fatalf("standard output is not JSON: %v: %s", err, r)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("standard output goes on after the JSON: %s", r)
	}
}

// run runs the program to its end.
func (b *bench) run(t *testing.T, args ...string) result {
	t.Helper()
	return b.runAs(t, nil, args...)
}

// runAs runs the program by another, such as a limiting one.
func (b *bench) runAs(t *testing.T, by []string, args ...string) result {
	t.Helper()
	cmd := b.command(t.Context(), append(by, append([]string{b.program}, args...)...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", cmd.Args, err)
	}
	return result{args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (b *bench) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = b.folder, b.env
	return cmd
}

// verify runs verify with the auditor's key and gives its report.
func (b *bench) verify(t *testing.T) report {
	t.Helper()
	r := b.run(t, "verify", "--output", "json", "--key", b.key, b.dir)
	var out report
	r.json(t, &out)
	if want := map[bool]int{true: 0, false: 2}[out.OK]; r.code != want {
		t.Errorf("verify says ok: %v and ends with %d", out.OK, r.code)
	}
	return out
}

// wantVerified demands that nothing is wrong.
func (b *bench) wantVerified(t *testing.T) report {
	t.Helper()
	out := b.verify(t)
	if !out.OK || len(out.Problems) > 0 {
		t.Errorf("verify finds fault: %+v", out.Problems)
	}
	if out.Records == 0 || out.Root == "" {
		t.Errorf("verify looked at nothing: %+v", out)
	}
	return out
}

// report is what is promised of `verify --output json`.
type report struct {
	OK       bool   `json:"ok"`
	Records  uint64 `json:"records"`
	Root     string `json:"root"`
	Problems []struct {
		Kind, Place, Detail string
	} `json:"problems"`
}

// tasks is what is promised of `collect --output json`, and the causes of gaps.
type tasks struct {
	Tasks []task `json:"tasks"`
}

type task struct {
	ID           string  `json:"id"`
	Collector    string  `json:"collector"`
	Provider     string  `json:"provider"`
	Account      string  `json:"account"`
	Outcome      string  `json:"outcome"`
	Observations int     `json:"observations"`
	Gaps         int     `json:"gaps"`
	Record       *uint64 `json:"record"`
	Causes       []struct {
		Class, Operation, Permission, Code string
		Count                              int
	} `json:"gap_causes"`
}

// one gives the only task.
func (ts tasks) one(t *testing.T) task {
	t.Helper()
	if len(ts.Tasks) != 1 {
		t.Fatalf("want one task, got %+v", ts.Tasks)
	}
	return ts.Tasks[0]
}

// verdict is what is promised of `results --output json`.
type verdict struct {
	Check    string `json:"check"`
	Control  string `json:"control"`
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Region   string `json:"region"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
	Status   string `json:"status"`
	Basis    string `json:"basis"`
	Reason   string `json:"reason"`

	AsOf *time.Time `json:"as_of"`
}

// verdicts gives the newest verdicts, filtered as args say.
func (b *bench) verdicts(t *testing.T, args ...string) []verdict {
	t.Helper()
	r := b.run(t, append([]string{"results", "--output", "json"}, args...)...)
	r.want(t, 0)
	var out []verdict
	r.json(t, &out)
	return out
}

// scan looks for secrets in every payload of a data directory.
func scan(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	store := payload.OpenRead(dir)
	for digest, err := range store.List() {
		if err != nil {
			t.Errorf("list payloads: %v", err)
			return
		}
		data, err := store.ReadAll(digest, 256<<20)
		if err != nil {
			t.Errorf("read payload %s: %v", digest, err)
			continue
		}
		data = bytes.ReplaceAll(data, []byte(motoUserID), []byte("AIDAMOTO"))
		found, err := capture.ScanSecrets(bytes.NewReader(data))
		if err != nil {
			t.Errorf("scan payload %s: %v", digest, err)
		}
		for _, f := range found {
			t.Errorf("payload %s holds a secret: %s: %q", digest, f, around(data, f.Offset))
		}
		for _, secret := range []string{testKeyID, testSecretKey} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("payload %s holds the test credentials", digest)
			}
		}
	}
}

// around gives what stands before and after a place.
func around(data []byte, at int64) []byte {
	return data[max(0, at-80):min(int64(len(data)), at+80)]
}

// records reads the ledger as the program's own reader does.
func records(t *testing.T, dir string) []any {
	t.Helper()
	var out []any
	for _, e := range entries(t, dir) {
		out = append(out, e.Predicate)
	}
	return out
}

func entries(t *testing.T, dir string) []evidence.Entry {
	t.Helper()
	r, err := ledger.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []evidence.Entry
	for raw, err := range r.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := seal.PeekEntry(raw.Index, raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry)
	}
	return out
}
