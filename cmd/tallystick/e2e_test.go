package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/capture"
)

// The accounts that the tests read. What moto keeps belongs to an account, so
// tests with accounts of their own can run beside each other.
const (
	ambient  = "123456789012" // moto's account for credentials that it does not know
	member   = "222222222222"
	watched  = "333333333333" // of the daemon
	refusing = "444444444444" // read through the refusing proxy
	homeless = "555555555555" // of the tests of full and read-only disks
)

// The test credentials. Both have the shape of real ones, so that the scan for
// secrets would find them.
const (
	testKeyID     = "AKIAE2ETESTKEY000017"
	testSecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	testExternal  = "e2e-external-id"
)

// motoUserID is the UserId that moto answers for credentials that it does not
// know. AWS answers no key id there; this one is the example of its documentation.
const motoUserID = "AKIAIOSFODNN7EXAMPLE"

// TestEndToEnd runs the program as its users do, against moto: a server that
// answers as AWS does and that we did not write.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	w := world{moto: startMoto(t), program: build(t)}
	t.Run("tests", func(t *testing.T) { // ends when the parallel tests in it have
		t.Run("estate", w.estate)
		t.Run("daemon", w.daemon)
		t.Run("denied", w.denied)
		t.Run("throttled", w.throttled)
		t.Run("unreachable", w.unreachable)
		t.Run("wrong account", w.wrongAccount)
		t.Run("no credentials", w.noCredentials)
		t.Run("full disk", w.fullDisk)
		t.Run("file size limit", w.fileSizeLimit)
		t.Run("read-only directory", w.readOnly)
		t.Run("no directory", w.noDirectory)
	})
}

// world is what the tests share.
type world struct {
	moto    string // URL
	program string // path of tallystick
}

// need gives the path of a program, or skips the test, or fails it where the
// end-to-end tests are required.
func need(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("TALLYSTICK_E2E") == "required" {
		t.Fatalf("%s is not on the PATH and TALLYSTICK_E2E=required: install the %s", name, from)
	}
	t.Skipf("%s is not on the PATH: install the %s to run this test", name, from)
	return ""
}

// startMoto starts the one moto server of the tests and gives its URL.
func startMoto(t *testing.T) string {
	t.Helper()
	server := need(t, "moto_server", "Python package moto[server]")
	port := freePort(t)
	// The shell ends the server when its input does, so also when the tests
	// are killed.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `"$@" </dev/null & cat >/dev/null; kill $!; wait`, "sh",
		server, "-H", "127.0.0.1", "-p", port)
	output := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Cancel = func() error { return nil } // the end of the input is the way
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the end of moto's output:\n%s", tail(output.String(), 12))
		}
	})
	url := "http://127.0.0.1:" + port
	eventually(t, time.Minute, "moto answers", func() error {
		return post(t.Context(), url+"/moto-api/reset")
	})
	if err := post(t.Context(), url+"/moto-api/seed?a=42"); err != nil {
		t.Fatal(err)
	}
	return url
}

// build compiles the program under test.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tallystick")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

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
			"AWS_ENDPOINT_URL=" + endpoint, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
			"AWS_ACCESS_KEY_ID=" + testKeyID, "AWS_SECRET_ACCESS_KEY=" + testSecretKey,
			"AWS_CONFIG_FILE=" + filepath.Join(folder, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(folder, "none"),
		},
	}
	r := b.run(t, "init", "--name", "example.com/e2e")
	r.want(t, 0)
	for line := range strings.Lines(r.stdout) {
		if strings.HasPrefix(line, "example.com/e2e+") {
			b.key = strings.TrimSpace(line)
		}
	}
	if b.key == "" {
		t.Fatalf("init printed no verifier key:\n%s", r.stdout)
	}
	b.configure(t, config)
	t.Cleanup(func() { scan(t, b.dir) })
	return b
}

// configure writes the configuration: a head that all tests share, and more.
func (b *bench) configure(t *testing.T, more string) {
	t.Helper()
	head := `organization: Example, Inc.
period: {start: 2026-01-01, end: 2099-12-31}
evidence: {dir: ./evidence, key: ./tallystick.key}
limits: {rate: {default: 0, iam: 0}}
`
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

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// client has a bound on every request, so that no test can hang.
func client() *http.Client { return &http.Client{Timeout: 10 * time.Second} }

func post(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", url, resp.Status)
	}
	return nil
}

// eventually waits for try to succeed.
func eventually(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s: %v", within, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tail gives the last lines of s.
func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
