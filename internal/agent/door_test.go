package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

func exportRequest(files uint64) AppendRequest {
	return AppendRequest{
		Type:      evidence.TypeExport,
		Predicate: &evidence.Export{Kind: evidence.ExportPeriod, TimeZone: "UTC", Files: files},
		Payloads:  []AppendPayload{{evidence.PayloadManifest, fmt.Appendf(nil, "manifest %d\n", files)}},
	}
}

func sampleRequest() AppendRequest {
	return AppendRequest{
		Type:      evidence.TypeSample,
		Predicate: &evidence.Sample{Seed: "7", Population: "resources"},
		Payloads:  []AppendPayload{{evidence.PayloadPopulation, []byte("x\n")}, {evidence.PayloadSample, []byte("{}\n")}},
	}
}

func (b *bench) append(req AppendRequest) AppendResult {
	b.t.Helper()
	result, err := Append(b.t.Context(), b.dir, b.signer, evidence.Agent{Version: "command"}, req)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// wantRecord demands that the ledger holds the result at its index.
func (b *bench) wantRecord(result AppendResult, clock evidence.Clock, version string) {
	b.t.Helper()
	r, err := ledger.OpenReader(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for e, err := range r.Entries(result.Index) {
		if err != nil || !bytes.Equal(e.Data, result.Record) {
			b.t.Fatalf("record %d is %s (%v), not what Append gave", result.Index, e.Data, err)
		}
		break
	}
	statement, err := verifierOf(b.t, b.signer).Unseal(result.Record)
	if err != nil {
		b.t.Fatal(err)
	}
	record, err := evidence.Decode(statement)
	if err != nil {
		b.t.Fatal(err)
	}
	h := evidence.HeaderOf(record)
	if h.Clock != clock || h.Agent.Version != version || h.At.IsZero() {
		b.t.Errorf("record %d has the header %+v, want clock %s, version %s", result.Index, h, clock, version)
	}
	for _, s := range statement.Subject {
		if ok, err := payload.OpenRead(b.dir).Has(evidence.Digest(s.Digest["sha256"])); err != nil || !ok {
			b.t.Errorf("payload %s of record %d is not there (%v)", s.Name, result.Index, err)
		}
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	clock := &leaping{now: at("2026-07-01T00:00:00Z")}
	b := newBench(t, clock)
	socket := filepath.Join(b.dir, evidence.SocketFile)

	a := b.open()
	b.until(a, "2026-07-01T07:00:00Z")
	b.wantRecord(b.append(exportRequest(1)), evidence.ClockSimulated, "test")
	info, err := os.Lstat(socket)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v (%v)", info.Mode(), err)
	}
	b.verified()
	b.until(a, "2026-07-02T07:00:00Z") // the schedule goes on
	b.close(a)
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close the socket is still there: %v", err)
	}
	b.wantRecord(b.append(sampleRequest()), evidence.ClockSystem, "command")
	b.verified()

	// The state of the next start takes both. They are no sign of life: the
	// slots since the agent's own last record were missed because it was down.
	clock.now = at("2026-07-04T00:00:00Z")
	a = b.open()
	if missed := of[evidence.Missed](t, b.dir); len(missed) != 1 || missed[0].Slots != 1 || missed[0].Cause != evidence.CauseAgentDown || !missed[0].From.Equal(at("2026-07-02T07:00:00Z")) {
		t.Errorf("missed: %+v", missed)
	}
	b.wantRecord(b.append(exportRequest(2)), evidence.ClockSimulated, "test")

	kill(t, a)
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("a killed agent leaves its socket: %v", err)
	}
	b.wantRecord(b.append(exportRequest(3)), evidence.ClockSystem, "command")
	b.verified()
	a = b.open() // replaces the socket
	b.wantRecord(b.append(exportRequest(4)), evidence.ClockSimulated, "test")
	b.close(a)
	b.verified()
}

// What many append at once, beside an agent that seals its own, is all there.
func TestAppendConcurrently(t *testing.T) {
	t.Parallel()
	b := newBench(t, &leaping{now: at("2026-07-01T00:00:00Z")})
	a := b.open()
	const many = 12
	results := make([]AppendResult, many)
	var work sync.WaitGroup
	for i := range many {
		work.Go(func() {
			var err error
			if results[i], err = Append(t.Context(), b.dir, b.signer, evidence.Agent{}, exportRequest(uint64(i)+1)); err != nil {
				t.Error(err)
			}
		})
	}
	b.until(a, "2026-07-03T07:00:00Z")
	work.Wait()
	b.close(a)
	seen := map[uint64]bool{}
	for _, r := range results {
		b.wantRecord(r, evidence.ClockSimulated, "test")
		seen[r.Index] = true
	}
	if len(seen) != many || len(of[evidence.Export](t, b.dir)) != many {
		t.Errorf("%d indexes, %d records, want %d", len(seen), len(of[evidence.Export](t, b.dir)), many)
	}
	b.verified()

	// Without an agent they take turns.
	for i := range 3 {
		work.Go(func() {
			if _, err := Append(t.Context(), b.dir, b.signer, evidence.Agent{}, exportRequest(100+uint64(i))); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if n := len(of[evidence.Export](t, b.dir)); n != many+3 {
		t.Errorf("%d exports, want %d", n, many+3)
	}
	b.verified()
}

// An agent that stops, starts or reloads is waited for.
func TestAppendWhileReloading(t *testing.T) {
	t.Parallel()
	b := newBench(t, SystemClock{})
	b.close(b.open())
	held, err := ledger.Open(t.Context(), b.dir, b.signer, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := Append(t.Context(), b.dir, b.signer, evidence.Agent{}, exportRequest(1))
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("appended beside the holder: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := held.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	b.verified()
}

func TestAppendRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t, SystemClock{})
	strange := newBench(t, SystemClock{}).signer
	run := AppendRequest{Type: evidence.TypeRun, Predicate: &evidence.Run{}}
	mixed, bare, extra := exportRequest(1), exportRequest(1), sampleRequest()
	mixed.Type = evidence.TypeSample
	bare.Payloads = nil
	extra.Payloads = append(extra.Payloads, AppendPayload{evidence.PayloadVerdicts, nil})
	try := func(when, want string, signer *seal.Signer, req AppendRequest) {
		t.Helper()
		_, err := appendWithin(t.Context(), b.dir, signer, evidence.Agent{}, req, 0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", when, err, want)
		}
	}
	try("no ledger", "no such file", b.signer, exportRequest(1))
	if _, err := os.Stat(filepath.Join(b.dir, evidence.LedgerDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Append made a ledger: %v", err)
	}
	a := b.open()
	for when, req := range map[string]AppendRequest{"a run": run, "mixed": mixed} {
		try(when, "not made by hand", b.signer, req)
	}
	try("no payload", "has the payloads manifest-sha256.txt, not", b.signer, bare)
	try("another payload", "has the payloads population.csv, sample.json, not", b.signer, extra)
	try("another key, running", "is not that of the ledger", strange, exportRequest(1))
	b.close(a)
	try("another key", "it belongs to the key", strange, exportRequest(1))

	held, err := ledger.Open(t.Context(), b.dir, b.signer, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	try("held, no door", fmt.Sprintf("in use by process %d", os.Getpid()), b.signer, exportRequest(1))
	if err := held.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(of[evidence.Export](t, b.dir)); n != 0 {
		t.Errorf("%d exports were recorded", n)
	}
	b.verified()
}

// TestDoor speaks to the socket as any program could.
func TestDoor(t *testing.T) {
	t.Parallel()
	b := newBench(t, SystemClock{})
	a := b.open()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(b.dir, evidence.SocketFile))
	}}}
	body := func(edit func(map[string]any)) string {
		raw, err := json.Marshal(exportRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		edit(m)
		if raw, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	predicate := func(key string, value any) func(map[string]any) {
		return func(m map[string]any) { m["predicate"].(map[string]any)[key] = value }
	}
	for _, test := range []struct {
		name, method, path, body, key, want string
		status                              int
	}{
		{"a run", "POST", "/records", body(func(m map[string]any) { m["type"] = evidence.TypeRun }), "", "not made by hand", 400},
		{"a stop", "POST", "/records", body(func(m map[string]any) { m["type"] = evidence.TypeStop }), "", "not made by hand", 400},
		{"an unknown field", "POST", "/records", body(predicate("more", 1)), "", "unknown field", 400},
		{"another kind of predicate", "POST", "/records", body(func(m map[string]any) { m["predicate"] = 7 }), "", "cannot unmarshal", 400},
		{"two values", "POST", "/records", body(func(map[string]any) {}) + "{}", "", "more than one", 400},
		{"no JSON", "POST", "/records", "records, please", "", "invalid character", 400},
		{"too long", "POST", "/records", `{"type":"` + strings.Repeat("x", maxDoorBody) + `"}`, "", "64 MiB", 413},
		{"a record too long", "POST", "/records", body(predicate("kind", strings.Repeat("x", evidence.MaxRecordBytes))), "", "too large", 500},
		{"no key", "POST", "/records", body(func(map[string]any) {}), "none", "is not that of the ledger", 409},
		{"GET", "GET", "/records", "", "", "Method Not Allowed", 405},
		{"elsewhere", "POST", "/", "", "", "not found", 404},
		{"a header of one's own", "POST", "/records", body(predicate("at", "2020-01-01T00:00:00Z")), "", `"index"`, 200},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "http://agent"+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(keyHeader, b.signer.VerifierKey())
		if test.key != "" {
			request.Header.Set(keyHeader, test.key)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		answer, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != test.status || !strings.Contains(string(answer), test.want) {
			t.Errorf("%s: %s %s, want %d with %q", test.name, response.Status, answer, test.status, test.want)
		}
	}
	b.close(a)
	if exports := of[evidence.Export](t, b.dir); len(exports) != 1 || time.Since(exports[0].At) > time.Minute {
		t.Errorf("recorded: %+v", exports)
	}
	b.verified()
}

// Where there can be no socket the agent says so and goes on.
func TestNoDoor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		prepare    func(b *bench)
	}{
		{"the path is too long", "the system takes 107", func(b *bench) {
			b.dir = filepath.Join(b.dir, strings.Repeat("long", 30))
		}},
		{"something else is there", "not a socket", func(b *bench) {
			if err := os.WriteFile(filepath.Join(b.dir, evidence.SocketFile), []byte("mine"), 0o600); err != nil {
				b.t.Fatal(err)
			}
		}},
	} {
		b := newBench(t, SystemClock{})
		test.prepare(b)
		core, logs := observer.New(zap.WarnLevel)
		b.options.Dir, b.options.Log = b.dir, zap.New(core)
		a := b.open()
		if _, err := appendWithin(t.Context(), b.dir, b.signer, evidence.Agent{}, exportRequest(1), 0); err == nil || !strings.Contains(err.Error(), "in use by") {
			t.Errorf("%s: Append gives %v", test.name, err)
		}
		b.close(a)
		b.append(exportRequest(1))
		var said []string
		for _, e := range logs.All() {
			said = append(said, e.Message+fmt.Sprint(e.ContextMap()))
		}
		if all := strings.Join(said, "\n"); len(said) != 1 || !strings.Contains(all, test.want) || !strings.Contains(all, "only while no agent runs") {
			t.Errorf("%s: the log says %s", test.name, all)
		}
	}
}
