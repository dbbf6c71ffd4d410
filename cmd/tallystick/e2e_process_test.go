package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// background is a program that runs beside the test.
type background struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs the daemon. It is killed at the end of the test if it still runs.
func (b *bench) start(t *testing.T) *background {
	t.Helper()
	d := &background{cmd: b.command(t.Context(), b.program, "run"), done: make(chan struct{}), log: new(lockedBuffer)}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		_ = d.cmd.Wait() // its exit code is looked at in stop
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // most have ended already
		<-d.done
		if t.Failed() {
			t.Logf("the end of the daemon's log:\n%s", tail(d.log.String(), 25))
		}
	})
	return d
}

// stop asks the daemon to end and demands that it does, in good order.
func (d *background) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(soon):
		t.Fatal("the daemon does not stop on SIGTERM")
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	if s := d.log.String(); strings.Contains(s, "panic") || strings.Contains(s, "goroutine ") {
		t.Errorf("the daemon's log holds a stack trace:\n%s", s)
	}
}

// get reads a page of the daemon.
func get(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := client().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// ready waits until the daemon is.
func (d *background) ready(t *testing.T, url string) {
	t.Helper()
	eventually(t, "/readyz", func() error {
		select {
		case <-d.done:
			t.Fatalf("the daemon ended:\n%s", d.log)
		default:
		}
		status, body, err := get(t, url+"/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
}

// metric finds the one series of a scrape that has the labels, given as k="v".
func metric(scrape, name string, labels ...string) (float64, error) {
	lines := bufio.NewScanner(strings.NewReader(scrape))
	var found []string
next:
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), " ")
		base, _, _ := strings.Cut(series, "{")
		if base != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue next
			}
		}
		found = append(found, value)
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%d series %s with %v", len(found), name, labels)
	}
	return strconv.ParseFloat(found[0], 64)
}

// wantMetric waits until a series has a value.
func wantMetric(t *testing.T, url string, want float64, name string, labels ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s%v is %v", name, labels, want), func() error {
		_, scrape, err := get(t, url+"/metrics")
		if err != nil {
			return err
		}
		got, err := metric(scrape, name, labels...)
		if err == nil && got != want {
			err = fmt.Errorf("it is %v", got)
		}
		return err
	})
}

func (d *background) hup(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
