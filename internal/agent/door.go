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
	"time"

	"go.uber.org/zap"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/internal/durable"
)

// door is where the agent that holds a data directory takes records that a
// person's command makes: HTTP over a unix socket in the directory, for the
// user of the agent alone. It seals exports and samples, and nothing else.
type door struct {
	path   string
	server *http.Server
	done   chan struct{} // closed when the server ended
}

const (
	// maxDoorBody bounds a request, and with it the memory that one takes.
	maxDoorBody = 64 << 20
	// doorTimeout bounds how long a request may take to arrive.
	doorTimeout = 30 * time.Second
	recordsPath = "/records"
	keyHeader   = "Tallystick-Verifier-Key"
)

// openDoor opens the door, or says in the log what goes without it.
func (a *Agent) openDoor(ctx context.Context) {
	d := &door{path: filepath.Join(a.Dir, evidence.SocketFile), done: make(chan struct{})}
	listener, err := listenAt(ctx, d.path)
	if err != nil {
		a.Log.Warn("no socket in the data directory: `export` and `sample` can record what they did only while no agent runs", zap.Error(err))
		return
	}
	mux := http.NewServeMux()
	requests := make(chan struct{}, 2)
	mux.HandleFunc("POST "+recordsPath, func(w http.ResponseWriter, r *http.Request) {
		requests <- struct{}{}
		defer func() { <-requests }()
		a.answer(w, r)
	})
	d.server = &http.Server{
		Handler: mux, ReadTimeout: doorTimeout, ReadHeaderTimeout: doorTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: zap.NewStdLog(a.Log),
	}
	a.door = d
	go func() {
		defer close(d.done)
		if err := d.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.Log.Warn("the socket in the data directory does not work any more", zap.Error(err))
		}
	}()
}

// listenAt listens at a path that no one else may connect to. It is called
// with the lock held, so whatever socket is there is that of a process which
// was killed. The socket appears at its name when its mode is right.
func listenAt(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("listen at %s: there is something that is not a socket: remove it", path)
	}
	fresh := filepath.Join(filepath.Dir(path), durable.TempPrefix+"door")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", fresh)
	if err != nil {
		const most = 107 // of the path of a socket: unix(7), on Linux
		if len(path) > most {
			err = fmt.Errorf("%w: its path has %d bytes, and the system takes %d", err, len(path), most)
		}
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it will have another name
	}
	if err = os.Chmod(fresh, 0o600); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", path, err), l.Close(), os.Remove(fresh))
	}
	return l, nil
}

// close lets those who are inside finish. Called with the lock held: the
// socket is ours.
func (d *door) close(ctx context.Context) error {
	if d == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealTimeout)
	defer cancel()
	err := os.Remove(d.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if stopErr := d.server.Shutdown(ctx); stopErr != nil {
		err = errors.Join(err, stopErr, d.server.Close())
	}
	<-d.done
	if err != nil {
		return fmt.Errorf("close %s: %w", d.path, err)
	}
	return nil
}

// answer seals the record of a request.
func (a *Agent) answer(w http.ResponseWriter, r *http.Request) {
	result, status, err := a.take(http.MaxBytesReader(w, r.Body, maxDoorBody), r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err != nil {
		a.Log.Warn("record of a command not appended", zap.Error(err))
		_ = json.NewEncoder(w).Encode(refusal{Error: err.Error(), Unpublished: errors.Is(err, ledger.ErrUnpublished)})
		return
	}
	_ = json.NewEncoder(w).Encode(result) // a client that is gone has its record all the same
}

// refusal is the answer when there is no record.
type refusal struct {
	Error       string `json:"error"`
	Unpublished bool   `json:"unpublished,omitempty"` // it may be in the ledger
}

func (a *Agent) take(body io.Reader, r *http.Request) (AppendResult, int, error) {
	if key := r.Header.Get(keyHeader); key != a.Signer.VerifierKey() {
		return AppendResult{}, http.StatusConflict, fmt.Errorf("the key %q is not that of the ledger, %q", key, a.Signer.VerifierKey())
	}
	req, err := readRequest(body)
	if err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
			err = fmt.Errorf("the record and its payloads take more than %d MiB: %w", maxDoorBody>>20, err)
		}
		return AppendResult{}, status, err
	}
	if err := a.lost(); err != nil {
		return AppendResult{}, http.StatusInternalServerError, err
	}
	subjects, err := req.put(a.store)
	if err != nil {
		return AppendResult{}, http.StatusInternalServerError, err
	}
	record, err := a.seal(r.Context(), req.Type, req.Predicate, subjects)
	if err != nil {
		return AppendResult{}, http.StatusInternalServerError, err
	}
	a.Log.Info("record of a command sealed", zap.String("type", req.Type), zap.Uint64("record", record.index))
	return AppendResult{Index: record.index, Record: record.record}, http.StatusOK, nil
}

// readRequest reads a request strictly: a field that this version does not
// know would be left out of the record.
func readRequest(body io.Reader) (AppendRequest, error) {
	var raw struct {
		Type      string          `json:"type"`
		Predicate json.RawMessage `json:"predicate"`
		Payloads  []AppendPayload `json:"payloads"`
	}
	if err := strictly(body, &raw); err != nil {
		return AppendRequest{}, err
	}
	req := AppendRequest{Type: raw.Type, Payloads: raw.Payloads}
	switch raw.Type {
	case evidence.TypeExport:
		req.Predicate = new(evidence.Export)
	case evidence.TypeSample:
		req.Predicate = new(evidence.Sample)
	}
	if err := req.check(); err != nil {
		return AppendRequest{}, err
	}
	if err := strictly(bytes.NewReader(raw.Predicate), req.Predicate); err != nil {
		return AppendRequest{}, err
	}
	*evidence.HeaderOf(req.Predicate) = evidence.Header{} // ours to fill in
	return req, nil
}

func strictly(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read request: there is more than one value")
	}
	return nil
}
