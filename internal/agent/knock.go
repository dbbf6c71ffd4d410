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

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/seal"
)

// errNoDoor is returned by knock when nothing listens.
var errNoDoor = errors.New("its socket does not answer")

// knock asks the agent that holds the directory. The error is errNoDoor when
// nothing was asked of anyone.
func (r AppendRequest) knock(ctx context.Context, dir string, signer *seal.Signer) (AppendResult, error) {
	path := filepath.Join(dir, evidence.SocketFile)
	body, err := json.Marshal(r)
	if err != nil {
		return AppendResult{}, fmt.Errorf("encode record: %w", err)
	}
	if len(body) > maxDoorBody {
		return AppendResult{}, fmt.Errorf("append record through %s: the record and its payloads take %d bytes, and the agent takes %d: stop it for as long as this takes", path, len(body), maxDoorBody)
	}
	ctx, cancel := context.WithTimeout(ctx, doorTimeout+sealTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+recordsPath, bytes.NewReader(body))
	if err != nil {
		return AppendResult{}, err
	}
	request.Header.Set(keyHeader, signer.VerifierKey())
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	response, err := client.Do(request)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		if errors.Is(err, os.ErrPermission) {
			return AppendResult{}, fmt.Errorf("append record through %s: %w: run this as the user of the agent", path, op)
		}
		return AppendResult{}, fmt.Errorf("%w: %w", errNoDoor, op)
	}
	if err != nil {
		return AppendResult{}, fmt.Errorf("append record through %s: %w: %w", path, ledger.ErrUnpublished, err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return AppendResult{}, fmt.Errorf("append record through %s: %w: %w", path, ledger.ErrUnpublished, err)
	}
	if response.StatusCode != http.StatusOK {
		return AppendResult{}, refused(path, response.Status, answer)
	}
	var result AppendResult
	if err := json.Unmarshal(answer, &result); err != nil {
		return AppendResult{}, fmt.Errorf("append record through %s: %w: read answer: %w", path, ledger.ErrUnpublished, err)
	}
	if err := r.sealed(result, signer); err != nil {
		return AppendResult{}, fmt.Errorf("append record through %s: %w", path, err)
	}
	return result, nil
}

func refused(path, status string, answer []byte) error {
	var why refusal
	if err := json.Unmarshal(answer, &why); err != nil || why.Error == "" {
		why.Error = status + " " + strings.TrimSpace(string(answer[:min(len(answer), maxText)]))
	}
	if why.Unpublished {
		return fmt.Errorf("append record through %s: %w: %s", path, ledger.ErrUnpublished, why.Error)
	}
	return fmt.Errorf("append record through %s: the agent refused: %s", path, why.Error)
}
