package recordings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/tallystick/tallystick/internal/capture"
)

// Transport answers for the whole estate in place of the network. Accounts are
// told apart by the access key id that signed a request, which must be the
// account's id.
type Transport struct {
	accounts map[string]*capture.Replayer
	changes  []change
	now      func() time.Time
}

// change is an answer that takes the place of another from some time on.
type change struct {
	account  string
	from     time.Time
	replayer *capture.Replayer
}

// NewTransport reads every recording. The clock decides which changes are in
// force, and moves the timestamps that go with the time.
func NewTransport(describe func(*http.Request) capture.Labels, now func() time.Time) (*Transport, error) {
	t := &Transport{accounts: make(map[string]*capture.Replayer), now: now}
	options := capture.ReplayOptions{Describe: describe, RepeatLast: true, Now: now}
	for _, account := range Accounts() {
		names, err := fs.Glob(files, account+"/*.har")
		if err != nil {
			return nil, err
		}
		var readers []io.Reader
		for _, name := range names {
			f, err := files.Open(name)
			if err != nil {
				return nil, err
			}
			readers = append(readers, f)
		}
		if t.accounts[account], err = capture.OpenReplay(options, readers...); err != nil {
			return nil, fmt.Errorf("recordings of account %s: %w", account, err)
		}
	}
	return t, nil
}

// Change puts the answers of changes/NAME.har in the place of an account's own
// from some time on. It must not be called while requests are under way.
func (t *Transport) Change(account, name string, from time.Time) error {
	f, err := files.Open("changes/" + name + ".har")
	if err != nil {
		return err
	}
	replayer, err := capture.OpenReplay(capture.ReplayOptions{RepeatLast: true, Now: t.now}, f)
	if err != nil {
		return fmt.Errorf("change %s: %w", name, err)
	}
	t.changes = append(t.changes, change{account, from, replayer})
	return nil
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	account := signer(req)
	replayer, ok := t.accounts[account]
	if !ok {
		return nil, fmt.Errorf("the recorded estate has no account %q", account)
	}
	for _, c := range t.changes {
		if c.account != account || t.now().Before(c.from) {
			continue
		}
		asked, err := again(req)
		if err != nil {
			return nil, err
		}
		resp, err := c.replayer.RoundTrip(asked)
		if _, ok := errors.AsType[*capture.NoAnswerError](err); !ok {
			return resp, err
		}
	}
	return replayer.RoundTrip(req)
}

// again gives a request that can be sent beside req: a body is read only once.
func again(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	other := req.Clone(req.Context())
	other.Body = io.NopCloser(bytes.NewReader(body))
	return other, nil
}

// signer gives the access key id that signed a request.
// Source: AWS Signature Version 4, "Authorization: AWS4-HMAC-SHA256 Credential=ID/date/...".
func signer(req *http.Request) string {
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}
