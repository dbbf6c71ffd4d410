package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Source of the format: HTTP Archive (HAR) 1.2,
// https://w3c.github.io/web-performance/specs/HAR/Overview.html. Fields that
// begin with an underscore are ours, as the specification provides for.
const harVersion = "1.2"

// A file is one line of head, one line for each entry, and one line of tail.
const fileTail = "\n]}}\n"

func fileHead(version string) string {
	quoted, _ := json.Marshal(version) // a string always encodes
	return `{"log":{"version":"` + harVersion + `","creator":{"name":"tallystick","version":` + string(quoted) + `},"entries":[` + "\n"
}

// Entry is one exchange.
type Entry struct {
	// ID names the exchange within its task: 16 hexadecimal digits that
	// depend on the request alone, ".", and which occurrence of that request
	// it is, from 1.
	ID         string      `json:"_id,omitempty"`
	Service    string      `json:"_service,omitempty"`
	Operation  string      `json:"_operation,omitempty"`
	Region     string      `json:"_region,omitempty"`
	RequestID  string      `json:"_request_id,omitempty"`
	Attempt    int         `json:"_attempt,omitempty"`
	SHA256     string      `json:"_sha256,omitempty"` // of the answer's body as kept
	Redactions []Redaction `json:"_redactions,omitempty"`
	Error      *Failure    `json:"_error,omitempty"` // there was no whole answer

	// Moving lists timestamps in the answer that move along with the clock of
	// a replay. Only fixtures written by hand have it. See Replayer.
	Moving []string `json:"_moving,omitempty"`

	Started  time.Time `json:"startedDateTime"`
	Time     float64   `json:"time"` // milliseconds
	Request  Request   `json:"request"`
	Response Response  `json:"response"`
	Cache    struct{}  `json:"cache"`
	Timings  Timings   `json:"timings"`
	Comment  string    `json:"comment,omitempty"`
}

// Request is what was sent, without credentials.
type Request struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	HTTPVersion string    `json:"httpVersion"`
	Cookies     []Pair    `json:"cookies"` // always empty: cookies are never kept
	Headers     []Pair    `json:"headers"`
	QueryString []Pair    `json:"queryString"`
	PostData    *PostData `json:"postData,omitempty"`
	HeadersSize int       `json:"headersSize"` // -1: not known
	BodySize    int64     `json:"bodySize"`
}

// Response is what was answered. Status 0 means that nothing was.
type Response struct {
	Status      int     `json:"status"`
	StatusText  string  `json:"statusText"`
	HTTPVersion string  `json:"httpVersion"`
	Cookies     []Pair  `json:"cookies"` // always empty
	Headers     []Pair  `json:"headers"`
	Content     Content `json:"content"`
	RedirectURL string  `json:"redirectURL"`
	HeadersSize int     `json:"headersSize"`
	BodySize    int64   `json:"bodySize"` // as it crossed the wire; -1: not known
}

// Pair is a header or a parameter.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PostData is the body of a request.
type PostData struct {
	MimeType string `json:"mimeType"`
	Text     string `json:"text"`
	Encoding string `json:"_encoding,omitempty"` // "base64" for bytes that are not UTF-8

	// JSON may stand in for Text in a fixture written by hand.
	JSON json.RawMessage `json:"_json,omitempty"`
}

// Content is the body of an answer, decoded of any compression.
type Content struct {
	Size     int64  `json:"size"`
	MimeType string `json:"mimeType"`
	Text     string `json:"text,omitempty"`
	Encoding string `json:"encoding,omitempty"` // "base64" for bytes that are not UTF-8

	// JSON and Lines may stand in for Text in a fixture written by hand: a
	// JSON value, served compact, or lines, served with newlines between.
	JSON  json.RawMessage `json:"_json,omitempty"`
	Lines []string        `json:"_lines,omitempty"`
}

// Timings are in milliseconds. Sending is not told apart from waiting.
type Timings struct {
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// Redaction says that something was received or sent and not kept.
type Redaction struct {
	Place string `json:"place"`          // "response.body/Credentials/SecretAccessKey"
	Rule  Rule   `json:"rule"`           // why
	Hash  string `json:"hash,omitempty"` // 12 hexadecimal digits of an HMAC-SHA256 of the value
}

// Failure says how an exchange ended without a whole answer.
type Failure struct {
	Sort    Sort   `json:"sort"`
	Message string `json:"message"`
}

// Body gives the bytes of the request's body.
func (r *Request) Body() ([]byte, error) {
	if r.PostData == nil {
		return nil, nil
	}
	p := r.PostData
	b, err := bodyOf(p.Text, p.Encoding, p.JSON, nil)
	if err != nil {
		return nil, fmt.Errorf("request.postData: %w", err)
	}
	return b, nil
}

// Body gives the bytes of the answer's body.
func (r *Response) Body() ([]byte, error) {
	c := r.Content
	b, err := bodyOf(c.Text, c.Encoding, c.JSON, c.Lines)
	if err != nil {
		return nil, fmt.Errorf("response.content: %w", err)
	}
	return b, nil
}

func bodyOf(text, encoding string, value json.RawMessage, lines []string) ([]byte, error) {
	forms := 0
	for _, given := range []bool{text != "", len(value) > 0, len(lines) > 0} {
		if given {
			forms++
		}
	}
	switch {
	case forms > 1:
		return nil, errors.New("only one of text, _json and _lines may be given")
	case encoding == "base64":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("decode text: %w", err)
		}
		return b, nil
	case encoding != "":
		return nil, fmt.Errorf("encoding %q: only base64 is known", encoding)
	case len(value) > 0:
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			return nil, fmt.Errorf("compact _json: %w", err)
		}
		return b.Bytes(), nil
	case len(lines) > 0:
		return []byte(strings.Join(lines, "\n")), nil
	}
	return []byte(text), nil
}

// textOf gives bytes as a text and its encoding.
func textOf(b []byte) (text, encoding string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return base64.StdEncoding.EncodeToString(b), "base64"
}

// header gives the first header of that name in any letter case.
func header(pairs []Pair, name string) string {
	for _, p := range pairs {
		if strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}

// entryBuffer holds one encoded entry. It is reused.
type entryBuffer struct{ bytes.Buffer }

// encode writes e on one line, without the newline.
func (b *entryBuffer) encode(e *Entry) error {
	b.Reset()
	enc := json.NewEncoder(&b.Buffer)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}
