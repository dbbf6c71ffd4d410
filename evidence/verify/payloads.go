package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/durable"
)

// named is what records say of a payload.
type named struct {
	record   uint64 // the first that names it
	lines    int64  // that a record says it has; -1: none says
	byLine   uint64 // that record
	seen     bool   // on disk
	optional bool   // no record demands that it is there
}

// digestOf gives the digest of a subject that names exactly one.
func digestOf(subject evidence.Subject) (key [hashSize]byte, ok bool) {
	d := evidence.Digest(subject.Digest["sha256"])
	if !payload.Valid(d) || len(subject.Digest) != 1 {
		return key, false
	}
	_, _ = hex.Decode(key[:], []byte(d)) // it is valid
	return key, true
}

// name notes that a record names a payload.
func (c *check) name(index uint64, subject evidence.Subject, predicate any) {
	key, ok := digestOf(subject)
	if !ok {
		c.problem(KindRecord, recordPlace(index), "its subject %q does not have exactly one SHA-256", subject.Name)
		return
	}
	optional := c.rules.extract.optional(key, predicate)
	n, ok := c.named[key]
	if !ok {
		n = named{record: index, lines: -1, optional: optional}
	}
	n.optional = n.optional && optional
	c.named[key] = n
}

// expect notes how many lines a record says that a payload has. The same bytes
// can not have two counts.
func (c *check) expect(index uint64, key [hashSize]byte, what string, lines int64) {
	n := c.named[key]
	switch {
	case n.lines < 0:
		n.lines, n.byLine = lines, index
		c.named[key] = n
	case n.lines != lines:
		c.problem(KindCounts, recordPlace(index), "it counts %d lines in its %s, record %d counts %d in the same payload", lines, what, n.byLine, n.lines)
	}
}

// countWork finds out how much there is to do, for the progress.
func (c *check) countWork() error {
	c.total = c.head.Size
	return c.walkPayloads(func(string, fs.DirEntry) { c.total++ })
}

func (c *check) walkPayloads(f func(name string, e fs.DirEntry)) error {
	return walk(filepath.Join(c.dir, evidence.PayloadDir), f)
}

// result is what reading a payload gave.
type result struct {
	digest evidence.Digest
	size   uint64
	lines  int64
	err    error
}

// checkPayloads reads every payload in the directory, on all cores, and
// compares it with what the records say.
func (c *check) checkPayloads(ctx context.Context) error {
	work, results := make(chan evidence.Digest), make(chan result)
	strangers := make(chan string)
	var walked error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(work)
		walked = c.walkPayloads(func(name string, e fs.DirEntry) {
			d, ok := payload.Digest(name)
			if ctx.Err() != nil {
				return
			}
			if ok && e.Type().IsRegular() {
				work <- d
			} else {
				strangers <- name
			}
		})
	})
	for range runtime.GOMAXPROCS(0) {
		reading.Go(func() {
			buf := make([]byte, 128<<10)
			for d := range work {
				results <- c.readPayload(ctx, d, buf)
			}
		})
	}
	go func() {
		reading.Wait()
		close(results)
	}()
	for open := true; open; {
		select {
		case name := <-strangers:
			if strings.HasPrefix(path.Base(name), durable.TempPrefix) && c.bundle == nil {
				c.Unfinished++
			} else if c.bundle == nil { // else its manifest says so
				c.problem(KindUnexpectedFile, path.Join(evidence.PayloadDir, name), "its name is not that of a payload")
			}
		case r, ok := <-results:
			if open = ok; ok {
				c.takePayload(r)
				c.progress(1)
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.missingPayloads()
	return walked
}

// readPayload reads a payload to its end, which checks its digest.
func (c *check) readPayload(ctx context.Context, d evidence.Digest, buf []byte) (r result) {
	r.digest = d
	in, err := c.store.Open(d)
	if err != nil {
		r.err = err
		return r
	}
	defer func() { r.err = errors.Join(r.err, in.Close()) }()
	last := byte('\n')
	for {
		n, err := in.Read(buf)
		r.size += uint64(n) //nolint:gosec // G115: never negative
		r.lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		if got := buf[:n]; n > 0 {
			last = got[len(got)-1]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && r.size > c.opts.MaxPayload {
			err = fmt.Errorf("%w of %d bytes", payload.ErrTooLarge, c.opts.MaxPayload)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			r.err = err
			return r
		}
	}
	if last != '\n' {
		r.lines++
	}
	return r
}

func (c *check) takePayload(r result) {
	var key [hashSize]byte
	_, _ = hex.Decode(key[:], []byte(r.digest)) // from the name of a payload file: valid
	c.Payloads.Checked++
	c.Payloads.Bytes += r.size
	n, ok := c.named[key]
	if ok {
		n.seen = true
		c.named[key] = n
	} else {
		c.Payloads.Orphans++
		if c.bundle != nil {
			c.problem(KindUnexpectedPayload, payloadPlace(r.digest), "no record of the bundle names it")
		}
	}
	switch {
	case errors.Is(r.err, context.Canceled), errors.Is(r.err, context.DeadlineExceeded):
	case r.err != nil && ok:
		c.problem(KindPayloadCorrupt, payloadPlace(r.digest), "%s; record %d names it", payloadReason(r), n.record)
	case r.err != nil:
		c.problem(KindPayloadCorrupt, payloadPlace(r.digest), "%s; no record names it", payloadReason(r))
	case ok && n.lines >= 0 && n.lines != r.lines:
		c.problem(KindCounts, recordPlace(n.byLine), "it counts %d lines in payload %s, which has %d", n.lines, r.digest, r.lines)
	}
}

// payloadReason leaves out of an error what the place says already.
func payloadReason(r result) string {
	_, why, ok := strings.Cut(r.err.Error(), "payload "+string(r.digest)+": ")
	if !ok {
		return r.err.Error()
	}
	return why
}

// missingPayloads reports what records name and is not there, in order of record.
func (c *check) missingPayloads() {
	var gone [][hashSize]byte
	for key, n := range c.named {
		if !n.seen && !n.optional {
			gone = append(gone, key)
		}
	}
	slices.SortFunc(gone, func(a, b [hashSize]byte) int {
		return cmp.Or(cmp.Compare(c.named[a].record, c.named[b].record), bytes.Compare(a[:], b[:]))
	})
	for _, key := range gone {
		c.problem(KindPayloadMissing, payloadPlace(evidence.Digest(hex.EncodeToString(key[:]))),
			"record %d names it and there is no such file", c.named[key].record)
	}
}
