package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The accounts that the tests read. What moto keeps belongs to an account, so
// tests with accounts of their own can run beside each other.
const (
	ambient  = "123456789012" // moto's account for credentials that it does not know
	member   = "222222222222"
	watched  = "333333333333" // of the daemon
	refusing = "444444444444" // read through the refusing proxy
	homeless = "555555555555" // of the tests of full and read-only disks
	deployed = "666666666666" // in which the role is made
	managing = "777777777777" // of an organisation
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
		t.Run("delegated", w.delegated)
		t.Run("daemon", w.daemon)
		t.Run("denied", w.denied)
		t.Run("preflight", w.preflight)
		t.Run("throttled", w.throttled)
		t.Run("unreachable", w.unreachable)
		t.Run("wrong account", w.wrongAccount)
		t.Run("no credentials", w.noCredentials)
		t.Run("full disk", w.fullDisk)
		t.Run("file size limit", w.fileSizeLimit)
		t.Run("read-only directory", w.readOnly)
		t.Run("no directory", w.noDirectory)
		t.Run("role", w.role)
		t.Run("organization", w.organization)
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
	// Without them nobody can be given a policy that AWS manages.
	cmd.Env = append(os.Environ(), "MOTO_IAM_LOAD_MANAGED_POLICIES=true")
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
	eventually(t, "moto answers", func() error {
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
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
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

// soon bounds waits for what takes a second or two on an idle machine, and far
// longer on a busy one.
const soon = time.Minute

// eventually waits for try to succeed.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s: %v", soon, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tail gives the last lines of s.
func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
