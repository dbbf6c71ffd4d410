package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// line is what tells one line of a payload from another, of whichever sort.
type line struct {
	Check    string `json:"check"`
	Kind     string `json:"kind"`
	Region   string `json:"region"`
	ID       string `json:"id"`       // of an observation
	Resource string `json:"resource"` // of a gap or a verdict

	Control string          `json:"control"` // of a verdict
	Status  evidence.Status `json:"status"`
	Reason  string          `json:"reason"`

	Field     string         `json:"field"` // of a gap, as is the rest
	Operation string         `json:"operation"`
	Class     evidence.Class `json:"class"`
	Code      string         `json:"code"`
	Message   string         `json:"message"`

	raw []byte
}

// order sorts lines as the payload of that name is sorted.
func order(payload string, a, b line) int {
	switch payload {
	case evidence.PayloadObservations:
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
	case evidence.PayloadGaps:
		// Not by operation, class or code, in which alike gaps may differ.
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Region, b.Region),
			strings.Compare(a.Resource, b.Resource), strings.Compare(a.Field, b.Field))
	default:
		return cmp.Or(strings.Compare(a.Check, b.Check), strings.Compare(a.Region, b.Region), strings.Compare(a.Resource, b.Resource))
	}
}

// maxLine bounds a line of a payload: an observation is made of answers that
// are bounded, too (capture.DefaultMaxBody), and is as long as several.
const maxLine = 256 << 20

// comparison takes the bytes of a payload as they come out and compares them
// with the payload as it was sealed, line by line. It is an agent.Blob that
// keeps nothing.
type comparison struct {
	name   string
	sealed *bufio.Reader // nil: there is no such payload
	close  func() error
	differ func(sealed, replayed *line) // told of each pair that is not the same bytes; one may be nil

	digest  hash.Hash
	size    int64
	pending []byte // of a line that is not whole yet
	ahead   *line  // of sealed, read and not yet compared
	err     error
}

func newComparison(name string, sealed io.ReadCloser, differ func(sealed, replayed *line)) *comparison {
	c := &comparison{name: name, differ: differ, digest: sha256.New(), close: func() error { return nil }}
	if sealed != nil {
		c.sealed, c.close = bufio.NewReaderSize(sealed, 64<<10), sealed.Close
	}
	return c
}

func (c *comparison) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.digest.Write(p)
	c.size += int64(len(p))
	for rest := p; len(rest) > 0; {
		head, tail, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			c.pending = append(c.pending, rest...)
			break
		}
		raw := head
		if len(c.pending) > 0 {
			raw = append(c.pending, head...)
			c.pending = c.pending[:0]
		}
		if c.err = c.take(raw); c.err != nil {
			return 0, c.err
		}
		rest = tail
	}
	return len(p), nil
}

// take compares one line that came out. It does not keep raw.
func (c *comparison) take(raw []byte) error {
	sealed, err := c.peek()
	if err != nil {
		return err
	}
	if sealed != nil && bytes.Equal(sealed.raw, raw) {
		c.ahead = nil
		return nil
	}
	replayed, err := parseLine(raw)
	if err != nil {
		return fmt.Errorf("read what came out for %s: %w", c.name, err)
	}
	for sealed != nil && order(c.name, *sealed, *replayed) < 0 {
		c.differ(sealed, nil)
		c.ahead = nil
		if sealed, err = c.peek(); err != nil {
			return err
		}
	}
	switch {
	case sealed != nil && bytes.Equal(sealed.raw, replayed.raw):
		c.ahead = nil
	case sealed != nil && order(c.name, *sealed, *replayed) == 0:
		c.ahead = nil
		c.differ(sealed, replayed)
	default:
		c.differ(nil, replayed)
	}
	return nil
}

// errSealed marks what is wrong with the sealed side.
type errSealed struct{ err error }

func (e errSealed) Error() string { return e.err.Error() }
func (e errSealed) Unwrap() error { return e.err }

// peek gives the next sealed line, nil at the end.
func (c *comparison) peek() (*line, error) {
	if c.ahead != nil || c.sealed == nil {
		return c.ahead, nil
	}
	var raw []byte
	for {
		part, err := c.sealed.ReadSlice('\n')
		raw = append(raw, part...)
		if errors.Is(err, bufio.ErrBufferFull) && len(raw) <= maxLine {
			continue
		}
		if errors.Is(err, io.EOF) && len(raw) == 0 {
			c.sealed = nil
			return nil, nil
		}
		if err != nil {
			return nil, errSealed{fmt.Errorf("read sealed %s: %w", c.name, err)}
		}
		break
	}
	l, err := parseLine(raw[:len(raw)-1])
	if err != nil {
		return nil, errSealed{fmt.Errorf("read sealed %s: %w", c.name, err)}
	}
	c.ahead = l
	return l, nil
}

func parseLine(raw []byte) (*line, error) {
	l := new(line)
	if err := json.Unmarshal(raw, l); err != nil {
		return nil, err
	}
	l.raw = bytes.Clone(raw)
	return l, nil
}

// Commit ends the payload: what is left on the sealed side did not come out.
func (c *comparison) Commit() (evidence.Digest, int64, error) {
	if c.err == nil && len(c.pending) > 0 {
		c.err = fmt.Errorf("what came out for %s does not end in a line break", c.name)
	}
	for c.err == nil {
		var sealed *line
		if sealed, c.err = c.peek(); sealed == nil {
			break
		}
		c.differ(sealed, nil)
		c.ahead = nil
	}
	if err := errors.Join(c.err, c.close()); err != nil {
		return "", 0, err
	}
	return evidence.Digest(hex.EncodeToString(c.digest.Sum(nil))), c.size, nil
}

// Abort lets go of the sealed side.
func (c *comparison) Abort() error { return c.close() }
