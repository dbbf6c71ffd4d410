package capture

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// maxDepth bounds how deep a document may be nested. A deeper one can not be
// scanned.
const maxDepth = 1000

// jsonScanner walks a JSON text (RFC 8259) by its bytes and notes the values
// that must not be kept. It accepts nothing that encoding/json refuses.
type jsonScanner struct {
	b       []byte
	i       int
	names   *names
	path    []jsonStep
	splices []splice
}

// jsonStep is a member's name, with its quotes, or an index.
type jsonStep struct {
	name  []byte
	index int
}

// scanJSON finds the values to take out of a JSON document. Strings are
// replaced by a tag; numbers and booleans by null, so that the document stays
// one that its reader can decode. A null says nothing and stays.
func scanJSON(b []byte, n *names) ([]splice, error) {
	s := jsonScanner{b: bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), names: n}
	shift := len(b) - len(s.b)
	s.space()
	if !s.value(plain) {
		return nil, errUnscannable
	}
	if s.space(); s.i != len(s.b) {
		return nil, errUnscannable
	}
	for i := range s.splices {
		s.splices[i].start += shift
		s.splices[i].end += shift
	}
	return s.splices, nil
}

func (s *jsonScanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// next skips space and consumes c if it comes next.
func (s *jsonScanner) next(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// value walks one value. Its leaves are noted if c says so.
func (s *jsonScanner) value(c class) bool {
	if s.i == len(s.b) || len(s.path) > maxDepth {
		return false
	}
	start := s.i
	switch s.b[s.i] {
	case '{':
		return s.object(c)
	case '[':
		return s.array(c)
	case '"':
		if !s.text() {
			return false
		}
	default:
		if !s.literal() {
			return false
		}
	}
	if c == credential || c == sensitive {
		s.take(start, c)
	}
	return true
}

// take notes the leaf from start to here.
func (s *jsonScanner) take(start int, c class) {
	raw := s.b[start:s.i]
	if string(raw) == "null" {
		return
	}
	sp := splice{start: start, end: s.i, value: raw, with: "null", rule: RuleCredential, place: s.place()}
	if c == sensitive {
		sp.rule = RuleSensitive
	}
	if raw[0] == '"' {
		sp.value, sp.with = []byte(unquote(raw)), `"%"`
	}
	s.splices = append(s.splices, sp)
}

func (s *jsonScanner) object(c class) bool {
	s.i++ // {
	s.path = append(s.path, jsonStep{})
	defer func() { s.path = s.path[:len(s.path)-1] }()
	if s.next('}') {
		return true
	}
	var companions []splice
	secret := false
	for {
		s.space()
		start := s.i
		if s.i == len(s.b) || s.b[s.i] != '"' || !s.text() {
			return false
		}
		name := s.b[start:s.i]
		s.path[len(s.path)-1].name = name
		if !s.next(':') {
			return false
		}
		s.space()
		member := c
		if c == plain {
			member = s.class()
		}
		if member == companion {
			// Only a string can be one. Whether it is shows when the object's
			// other members are known.
			member = plain
			if s.i < len(s.b) && s.b[s.i] == '"' {
				noted := len(s.splices)
				if !s.value(credential) {
					return false
				}
				companions = append(companions, s.splices[noted:]...)
				s.splices = s.splices[:noted]
				member = companion
			}
		}
		if member != companion && !s.value(member) {
			return false
		}
		secret = secret || member == credential
		if s.next(',') {
			continue
		}
		if !s.next('}') {
			return false
		}
		if secret {
			s.splices = append(s.splices, companions...)
		}
		return true
	}
}

func (s *jsonScanner) array(c class) bool {
	s.i++ // [
	s.path = append(s.path, jsonStep{})
	defer func() { s.path = s.path[:len(s.path)-1] }()
	if s.next(']') {
		return true
	}
	for i := 0; ; i++ {
		s.path[len(s.path)-1].index = i
		s.space()
		if !s.value(c) {
			return false
		}
		if s.next(',') {
			continue
		}
		return s.next(']')
	}
}

// text walks a string.
func (s *jsonScanner) text() bool {
	s.i++ // "
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return true
		case c < ' ':
			return false
		case c == '\\':
			if !s.escape() {
				return false
			}
		default:
			s.i++
		}
	}
	return false
}

func (s *jsonScanner) escape() bool {
	if s.i+1 >= len(s.b) {
		return false
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return true
	case 'u':
		if s.i+6 > len(s.b) {
			return false
		}
		for _, c := range s.b[s.i+2 : s.i+6] {
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return false
			}
		}
		s.i += 6
		return true
	}
	return false
}

// literal walks a number, true, false or null. Numbers other than plain
// integers are rare and short, so encoding/json may judge them.
func (s *jsonScanner) literal() bool {
	start := s.i
	for s.i < len(s.b) && !endsLiteral(s.b[s.i]) {
		s.i++
	}
	raw := s.b[start:s.i]
	switch string(raw) {
	case "":
		return false
	case "true", "false", "null":
		return true
	}
	for i, c := range raw {
		if c < '0' || c > '9' || i == 0 && c == '0' {
			return json.Valid(raw)
		}
	}
	return true
}

func endsLiteral(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ':', '[', ']', '{', '}', '"':
		return true
	}
	return false
}

// class classifies the member at the end of the path.
func (s *jsonScanner) class() class {
	return s.names.classUnder(plainName(s.path[len(s.path)-1].name), s.within)
}

// within says whether the innermost members that enclose the one at the end of
// the path have these names. Arrays between them do not count.
func (s *jsonScanner) within(enclosing []string) bool {
	for i := len(s.path) - 2; i >= 0 && len(enclosing) > 0; i-- {
		if s.path[i].name == nil {
			continue // an index
		}
		last := len(enclosing) - 1
		var short [maxName]byte
		if string(lower(append(short[:0], plainName(s.path[i].name)...))) != enclosing[last] {
			return false
		}
		enclosing = enclosing[:last]
	}
	return len(enclosing) == 0
}

// plainName gives a member's name without its quotes and escapes.
func plainName(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	return []byte(unquote(quoted))
}

// place gives where the scanner is, as a JSON pointer (RFC 6901).
func (s *jsonScanner) place() string {
	var b strings.Builder
	for _, step := range s.path {
		b.WriteByte('/')
		if step.name == nil {
			b.WriteString(strconv.Itoa(step.index))
			continue
		}
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(unquote(step.name)))
	}
	return b.String()
}

// unquote gives the value of a string that was walked.
func unquote(quoted []byte) string {
	var v string
	if err := json.Unmarshal(quoted, &v); err != nil {
		return string(quoted)
	}
	return v
}
