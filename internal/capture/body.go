package capture

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Body is the body of every answer that comes through a Recorder or a
// Replayer. Middleware that needs the kept bytes while the client reads them
// may ask for Bytes; Kept finds it.
type Body struct {
	*bytes.Reader
	kept []byte
}

// Bytes gives the whole body as kept, whatever was read of it. The caller must
// not change it.
func (b *Body) Bytes() []byte { return b.kept }

// Close implements io.Closer. It does nothing.
func (b *Body) Close() error { return nil }

// Kept gives the kept bytes of an answer that came through a Recorder or a
// Replayer, or false.
func Kept(resp *http.Response) ([]byte, bool) {
	b, ok := resp.Body.(interface{ Bytes() []byte })
	if !ok {
		return nil, false
	}
	return b.Bytes(), true
}

// answer is the body of a response as it arrived.
type answer struct {
	body    []byte // decoded of gzip
	wire    int64  // bytes as they arrived
	decoded bool   // gzip was undone, here or by the transport below
}

// readAnswer reads the body to its end. With an error, what had arrived is in
// the answer.
//
// A transport that asks for gzip by itself also undoes it, and takes the
// headers that speak of it away; when the client asked, it is undone here, so
// that a body can be scanned and kept as text.
func readAnswer(resp *http.Response, limit int64) (answer, error) {
	a := answer{decoded: resp.Uncompressed}
	if resp.Body == nil { // transports other than net/http's may do so
		return a, nil
	}
	defer resp.Body.Close()
	counted := &countingReader{r: resp.Body}
	var r io.Reader = counted
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		a.decoded = true
		z, err := gzip.NewReader(counted)
		if err != nil {
			a.wire = counted.n
			if errors.Is(err, io.EOF) && counted.n == 0 {
				return a, nil // an answer without a body, to HEAD for one
			}
			return a, malformed(err)
		}
		r = z
	}
	var err error
	a.body, err = readLimited(r, limit, resp.ContentLength)
	a.wire = counted.n
	if a.decoded && !resp.Uncompressed {
		err = malformed(err)
	}
	return a, err
}

// malformed marks the error of an answer that arrived and can not be
// decompressed, as against one that did not arrive.
func malformed(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return err
}

// readLimited reads to the end, or until more than limit bytes came.
func readLimited(r io.Reader, limit, hint int64) ([]byte, error) {
	var b bytes.Buffer
	if hint > 0 && hint <= limit {
		b.Grow(int(hint) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		b.Truncate(int(limit))
		err = fmt.Errorf("%w of %d bytes", errTooLarge, limit)
	}
	if room := b.Available(); room > b.Len()/4 {
		// It is held for as long as the client works on the answer.
		return bytes.Clone(b.Bytes()), err
	}
	return b.Bytes(), err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// requestBody reads and closes the body that is to be sent.
func requestBody(req *http.Request, limit int64) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	b, err := readLimited(req.Body, limit, req.ContentLength)
	if cerr := req.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("read body of %s %s%s: %w", req.Method, req.URL.Host, req.URL.Path, err)
	}
	return b, nil
}
