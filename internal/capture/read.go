package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strings"
)

// maxEntry bounds the bytes of one entry, so that a file of any size is read
// in bounded memory. The largest body that a Recorder keeps by default fits
// with room for its escapes.
const maxEntry = 256 << 20

var errEntryTooLong = errors.New("entry is longer than 256 MiB")

// Read gives the entries of a HAR file one by one, in memory bounded by the
// largest of them. It is strict: a field that is neither of HAR 1.2 nor ours
// is an error, since a misspelt field of a fixture would be a silent default.
// After an error there are no more entries.
func Read(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		limited := &limitedReader{r: r, left: maxEntry}
		d := json.NewDecoder(limited)
		d.DisallowUnknownFields()
		f := reader{d: d, limited: limited, yield: yield}
		if err := f.file(); err != nil && !errors.Is(err, errStopped) {
			yield(Entry{}, fmt.Errorf("read har: %w", err))
		}
	}
}

var errStopped = errors.New("stopped")

// reader walks one file.
type reader struct {
	d       *json.Decoder
	limited *limitedReader
	yield   func(Entry, error) bool
	entries int
}

func (f *reader) file() error {
	logs := 0
	err := f.object(func(name string) error {
		if name != "log" {
			return fmt.Errorf("field %q: a HAR file has only log", name)
		}
		logs++
		return f.log()
	})
	if err != nil {
		return err
	}
	if logs != 1 {
		return fmt.Errorf("%d logs: a HAR file has one", logs)
	}
	if _, err := f.d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the end")
	}
	return nil
}

func (f *reader) log() error {
	var version string
	lists := 0
	err := f.object(func(name string) error {
		var ignored json.RawMessage
		switch name {
		case "version":
			if err := f.d.Decode(&version); err != nil {
				return fmt.Errorf("log.version: %w", err)
			}
			if version != harVersion {
				return fmt.Errorf("log.version %q: only %s is known", version, harVersion)
			}
		case "creator", "browser", "pages", "comment":
			return f.d.Decode(&ignored)
		case "entries":
			lists++
			return f.list()
		default:
			return fmt.Errorf("log.%s: not a field of HAR %s", name, harVersion)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case version == "":
		return errors.New("log.version is missing")
	case lists != 1:
		return fmt.Errorf("%d log.entries: a log has one", lists)
	}
	return nil
}

func (f *reader) list() error {
	if err := f.delimiter('['); err != nil {
		return err
	}
	for f.d.More() {
		f.entries++
		f.limited.left = maxEntry
		var e Entry
		if err := f.d.Decode(&e); err != nil {
			return fmt.Errorf("entry %d: %w", f.entries, err)
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("entry %d: %w", f.entries, err)
		}
		if !f.yield(e, nil) {
			return errStopped
		}
	}
	f.limited.left = maxEntry
	return f.delimiter(']')
}

// object walks the members of an object.
func (f *reader) object(member func(name string) error) error {
	if err := f.delimiter('{'); err != nil {
		return err
	}
	for f.d.More() {
		t, err := f.d.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return fmt.Errorf("found %v where a name should be", t)
		}
		if err := member(name); err != nil {
			return err
		}
	}
	return f.delimiter('}')
}

func (f *reader) delimiter(want json.Delim) error {
	t, err := f.d.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("found %v where %v should be", t, want)
	}
	return nil
}

// check says what an entry must have to be replayed.
func (e *Entry) check() error {
	if e.Request.Method == "" {
		return errors.New("request.method is missing")
	}
	u, err := url.Parse(e.Request.URL)
	if err != nil {
		return fmt.Errorf("request.url: %w", err)
	}
	if u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("request.url %q: must begin with http:// or https:// and a host", e.Request.URL)
	}
	s := e.Response.Status
	switch {
	case e.Error != nil && !slices.Contains(sorts(), e.Error.Sort):
		return fmt.Errorf("_error.sort %q: must be one of %v", e.Error.Sort, sorts())
	case s == 0 && e.Error == nil:
		return errors.New("response.status is missing, and so is _error")
	case s != 0 && (s < 100 || s > 599):
		return fmt.Errorf("response.status %d: must be from 100 to 599", s)
	}
	if len(e.Moving) > 0 && e.Started.IsZero() {
		return errors.New("_moving needs startedDateTime")
	}
	for _, h := range e.Response.Headers {
		if h.Name == "" || strings.ContainsAny(h.Name+h.Value, "\r\n") {
			return fmt.Errorf("response.headers: %q is not a header", h.Name)
		}
	}
	return nil
}

// limitedReader fails once more than left bytes were read.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errEntryTooLong
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
