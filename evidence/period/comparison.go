package period

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// baseline is a list and when it was looked at.
type baseline struct {
	observations evidence.Digest
	from         time.Time
}

// comparison is of some lists between two payloads of observations.
type comparison struct {
	*differ
	before  *seenBefore
	record  uint64
	stream  evidence.Stream
	old     baseline
	now     evidence.Digest
	run     *evidence.Run
	lists   map[listKey]bool
	missing *unread
	met     map[resourceKey]bool // resources that were gone behind a gap and are there again
}

// side is one of the two payloads, at a line of it.
type side struct {
	next func() ([]byte, error, bool)
	line []byte
	key  resourceKey
	ok   bool
}

func (s *side) step() error {
	line, err, ok := s.next()
	if s.ok = ok; !ok || err != nil {
		return err
	}
	s.line = line
	s.key, err = keyOf(line)
	return err
}

// compare walks both payloads, which are sorted alike, side by side.
func (c *comparison) compare() error {
	next, stop := iter.Pull2(payload.RawLines(c.fold.o.Payloads, c.old.observations))
	defer stop()
	old := side{next: next}
	next, stop = iter.Pull2(payload.RawLines(c.fold.o.Payloads, c.now))
	defer stop()
	now := side{next: next}
	err := errors.Join(old.step(), now.step())
	for err == nil && (old.ok || now.ok) {
		order := old.key.compare(now.key)
		switch {
		case !old.ok:
			order = 1
		case !now.ok:
			order = -1
		}
		switch {
		case order < 0:
			err = c.gone(&old)
		case order > 0:
			err = c.come(&now)
		default:
			err = c.both(&old, &now)
		}
		if order <= 0 && err == nil {
			err = old.step()
		}
		if order >= 0 && err == nil {
			err = now.step()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an extract may lack it
	}
	if err != nil {
		return fmt.Errorf("compare observations: %w", err)
	}
	return c.stillGone()
}

// looked says whether the list of a resource is one that is compared.
func (c *comparison) looked(key resourceKey) bool { return c.lists[listKey{key.kind, key.region}] }

// gone takes a resource that is not there any more. When a gap names it, it is
// there, and was not seen.
func (c *comparison) gone(old *side) error {
	if !c.looked(old.key) {
		return nil
	}
	if fields, all := c.missing.of(old.key); len(fields) > 0 || all {
		return c.hold(old)
	}
	delete(c.before.pending, old.key)
	return c.tell(ResourceVanished, old.key, c.old.from)
}

// come takes a resource that was not there before.
func (c *comparison) come(now *side) error {
	if !c.looked(now.key) {
		return nil
	}
	if held := c.before.pending[now.key]; held != nil && !held.seen.IsZero() {
		if c.met == nil {
			c.met = map[resourceKey]bool{}
		}
		c.met[now.key] = true
		_, is, err := bodies(now.key, nil, now.line)
		if err != nil {
			return err
		}
		return c.body(now.key, map[string]raw{}, is)
	}
	return c.tell(ResourceAppeared, now.key, c.old.from)
}

// both takes a resource that is in both payloads.
func (c *comparison) both(old, now *side) error {
	plain := len(c.before.pending) == 0 && len(c.missing.resources) == 0
	if plain && (bytes.Equal(old.line, now.line) || bytes.Equal(withoutSources(old.line), withoutSources(now.line))) || !c.looked(now.key) {
		return nil
	}
	if !plain && c.before.pending[now.key] == nil && bytes.Equal(withoutSources(old.line), withoutSources(now.line)) {
		if fields, all := c.missing.of(now.key); len(fields) == 0 && !all {
			return nil
		}
	}
	was, is, err := bodies(now.key, old.line, now.line)
	if err != nil {
		return err
	}
	return c.body(now.key, was, is)
}

// stillGone tells of the resources that a gap hid and that are gone now.
func (c *comparison) stillGone() error {
	keys := slices.SortedFunc(maps.Keys(c.before.pending), resourceKey.compare)
	for _, key := range keys {
		held := c.before.pending[key]
		if held.seen.IsZero() || held.seen.Equal(c.run.Started) || c.met[key] || !c.looked(key) {
			continue
		}
		if fields, all := c.missing.of(key); len(fields) > 0 || all {
			continue
		}
		delete(c.before.pending, key)
		if err := c.tell(ResourceVanished, key, held.seen); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) change(what string, key resourceKey, after time.Time) Change {
	return Change{
		What: what, At: c.run.Finished, After: &after, Provider: c.stream.Provider, Account: c.stream.Account, Collector: c.stream.Collector,
		Region: key.region, Kind: key.kind, Subject: key.id, Record: c.record,
	}
}

func (c *comparison) tell(what string, key resourceKey, after time.Time) error {
	return c.emit(c.change(what, key, after))
}

func (k resourceKey) compare(o resourceKey) int {
	return cmp.Or(strings.Compare(k.kind, o.kind), strings.Compare(k.region, o.region), strings.Compare(k.id, o.id))
}

// keyOf reads which resource a line is about. What is written as usual is not
// decoded.
func keyOf(line []byte) (resourceKey, error) {
	if rest, ok := bytes.CutPrefix(line, []byte(`{"kind":"`)); ok {
		kind, rest, _ := bytes.Cut(rest, []byte(`","id":"`))
		id, rest, ok := bytes.Cut(rest, []byte(`"`))
		var region []byte
		if after, has := bytes.CutPrefix(rest, []byte(`,"region":"`)); has {
			region, rest, ok = bytes.Cut(after, []byte(`"`))
		}
		next := bytes.HasPrefix(rest, []byte(`,"body":`)) || bytes.HasPrefix(rest, []byte(`,"as_of":`))
		if ok && next && plainText(kind) && plainText(id) && plainText(region) {
			return resourceKey{string(kind), string(region), string(id)}, nil
		}
	}
	var o struct {
		Kind   string `json:"kind"`
		ID     string `json:"id"`
		Region string `json:"region"`
	}
	if err := json.Unmarshal(line, &o); err != nil {
		return resourceKey{}, err
	}
	return resourceKey{o.Kind, o.Region, o.ID}, nil
}

// plainText says whether what stands between quotes in JSON is the text itself.
func plainText(text []byte) bool { return !bytes.ContainsAny(text, `\"`) }

// withoutSources gives a line up to the exchanges that it came from, which are
// not of the resource; or all of it when it is not written as usual.
func withoutSources(line []byte) []byte {
	at := bytes.LastIndex(line, []byte(`,"sources":[`))
	if at < 0 || bytes.IndexByte(line[at:], '}') != len(line)-at-1 {
		return line
	}
	return line[:at]
}

// bodies decodes two lines about one resource, field by field.
func bodies(key resourceKey, old, now []byte) (was, is map[string]raw, err error) {
	for _, side := range []struct {
		line []byte
		into *map[string]raw
	}{{old, &was}, {now, &is}} {
		*side.into = map[string]raw{}
		if side.line == nil {
			continue
		}
		var o struct {
			Body map[string]raw `json:"body"`
		}
		if err := json.Unmarshal(side.line, &o); err != nil {
			return nil, nil, fmt.Errorf("read the body of %s: %w", key.id, err)
		}
		if o.Body != nil {
			*side.into = o.Body
		}
	}
	return was, is, nil
}
