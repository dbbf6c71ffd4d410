package capture

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// keep writes one exchange and counts it.
func (r *Recorder) keep(e *Entry, label string, wire int64, offset *time.Duration) error {
	buf := r.buffers.Get().(*entryBuffer)
	defer func() {
		if buf.Cap() <= 1<<20 { // one large answer must not make it large for good
			r.buffers.Put(buf)
		}
	}()
	if err := buf.encode(e); err != nil {
		return r.fail(fmt.Errorf("encode exchange %s: %w", e.ID, err))
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	if err := r.write(buf.Bytes()); err != nil {
		r.discard()
		r.broken = &WriteError{Err: fmt.Errorf("keep exchange %s: %w", e.ID, err)}
		return r.broken
	}
	c := r.counts[label]
	c.Operation = label
	c.Attempts++
	if e.Attempt <= 1 {
		c.Calls++
	}
	r.counts[label] = c
	r.received += wire
	if offset != nil {
		r.offsets[offset.Milliseconds()]++
	}
	return nil
}

// fail makes err the recorder's end.
func (r *Recorder) fail(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.discard()
		r.broken = &WriteError{Err: err}
	}
	return r.broken
}

// write appends an encoded entry, opening and rotating files as needed.
func (r *Recorder) write(entry []byte) error {
	separator := ",\n"
	if r.sink == nil {
		sink, err := r.options.Create()
		if err != nil {
			return fmt.Errorf("create file: %w", err)
		}
		r.sink, r.written = sink, 0
		separator = fileHead(r.options.Version)
	}
	for _, part := range [][]byte{[]byte(separator), entry} {
		n, err := r.sink.Write(part)
		r.written += int64(n)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if r.written >= r.options.RotateBytes {
		return r.finishFile()
	}
	return nil
}

// finishFile completes the file that is being written, if there is one.
func (r *Recorder) finishFile() error {
	if r.sink == nil {
		return nil
	}
	if _, err := io.WriteString(r.sink, fileTail); err != nil {
		r.discard()
		return fmt.Errorf("write: %w", err)
	}
	digest, size, err := r.sink.Commit()
	r.sink = nil
	if err != nil {
		return fmt.Errorf("commit file %d: %w", len(r.files)+1, err)
	}
	r.files = append(r.files, File{
		Name:   fmt.Sprintf(evidence.PayloadExchanges, len(r.files)+1),
		Digest: digest,
		Bytes:  size,
	})
	r.bytes += size
	return nil
}

func (r *Recorder) discard() {
	if r.sink != nil {
		r.sink.Abort()
		r.sink = nil
	}
}

// summarize gives the median and the largest of the clock offsets.
func summarize(offsets map[int64]int) *evidence.ClockOffset {
	var values []int64
	var c evidence.ClockOffset
	for v, n := range offsets {
		values = append(values, v)
		c.Samples += n
		c.MaxAbsMS = max(c.MaxAbsMS, v, -v)
	}
	if c.Samples == 0 {
		return nil
	}
	slices.Sort(values)
	below := 0
	for _, v := range values {
		below += offsets[v]
		if 2*below >= c.Samples {
			c.MedianMS = v
			break
		}
	}
	return &c
}
