package capture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

// xmlScanner walks an XML document token by token, as the AWS SDK's decoder
// does, and notes the content that must not be kept by its byte offsets.
type xmlScanner struct {
	b       []byte
	names   *names
	open    []xmlElement
	splices []splice
	text    splice // the content being gathered; empty when start == end
}

// xmlElement is an element that is open.
type xmlElement struct {
	name       xml.Name
	class      class
	secret     bool     // a credential was among its children
	companions []splice // parts of a credential, if it was
}

// scanXML finds the content to take out of an XML document: all character
// data and attribute values within an element of a sensitive name. Namespace
// declarations and xsi:type stay, since readers need them. XML knows no types,
// so everything becomes a tag, and a client that expects a number there fails.
func scanXML(b []byte, n *names) ([]splice, error) {
	s := xmlScanner{b: b, names: n}
	d := xml.NewDecoder(bytes.NewReader(b))
	elements := 0
	for {
		start := int(d.InputOffset())
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errUnscannable
		}
		end := int(d.InputOffset())
		switch t := t.(type) {
		case xml.StartElement:
			elements++
			s.flush()
			if len(s.open) > maxDepth {
				return nil, errUnscannable
			}
			s.open = append(s.open, xmlElement{name: t.Name, class: s.classOf(t.Name.Local)})
			s.attributes(start, end)
		case xml.EndElement:
			s.flush()
			if len(s.open) == 0 || s.open[len(s.open)-1].name != t.Name {
				return nil, errUnscannable
			}
			s.close()
		case xml.CharData:
			s.gather(start, end, t)
		default: // comments, instructions and directives
			s.gather(start, end, b[start:end])
		}
	}
	if len(s.open) > 0 || elements == 0 {
		return nil, errUnscannable
	}
	return s.splices, nil
}

// classOf classifies a new element: what is within a sensitive one is too.
func (s *xmlScanner) classOf(local string) class {
	if c := s.within(); c == credential || c == sensitive {
		return c
	}
	return s.names.class([]byte(local))
}

// within gives the class of the innermost open element.
func (s *xmlScanner) within() class {
	if len(s.open) == 0 {
		return plain
	}
	return s.open[len(s.open)-1].class
}

// gather adds content to the text of a sensitive element.
func (s *xmlScanner) gather(start, end int, value []byte) {
	if s.within() == plain || start == end {
		return
	}
	if s.text.start == s.text.end {
		s.text = splice{start: start}
	}
	s.text.end = end
	s.text.value = append(s.text.value, value...)
}

// flush notes the gathered text, unless it is only the space between elements.
func (s *xmlScanner) flush() {
	t := s.text
	s.text = splice{}
	if len(bytes.TrimSpace(t.value)) > 0 {
		s.note(t)
	}
}

func (s *xmlScanner) note(t splice) {
	t.with, t.rule, t.place = "%", RuleCredential, s.place()
	switch s.within() {
	case sensitive:
		t.rule = RuleSensitive
	case companion:
		e := &s.open[len(s.open)-1]
		e.companions = append(e.companions, t)
		return
	case plain, credential:
	}
	s.splices = append(s.splices, t)
}

// close ends the innermost element and tells its parent what was in it.
func (s *xmlScanner) close() {
	e := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	if e.secret {
		s.splices = append(s.splices, e.companions...)
		e.companions = nil
	}
	if len(s.open) == 0 {
		return
	}
	parent := &s.open[len(s.open)-1]
	switch e.class {
	case credential:
		parent.secret = true
	case companion:
		parent.companions = append(parent.companions, e.companions...)
	case plain, sensitive:
	}
}

// attributes notes the attribute values of the start tag in b[start:end], whose
// element is open. The decoder has accepted the tag, so values are quoted.
func (s *xmlScanner) attributes(start, end int) {
	if s.within() == plain {
		return
	}
	for i := start; i < end; {
		eq := bytes.IndexByte(s.b[i:end], '=')
		if eq < 0 {
			return
		}
		name := s.b[i : i+eq]
		if j := bytes.LastIndexAny(bytes.TrimRight(name, " \t\r\n"), " \t\r\n"); j >= 0 {
			name = name[j+1:]
		}
		i += eq + 1
		open := bytes.IndexAny(s.b[i:end], `"'`)
		if open < 0 {
			return
		}
		from := i + open + 1
		length := bytes.IndexByte(s.b[from:end], s.b[from-1])
		if length < 0 {
			return
		}
		i = from + length + 1
		key := string(bytes.TrimSpace(name))
		if length > 0 && key != "xmlns" && !strings.HasPrefix(key, "xmlns:") && key != "xsi:type" {
			s.note(splice{start: from, end: from + length, value: s.b[from : from+length]})
		}
	}
}

// place gives the path of the open elements.
func (s *xmlScanner) place() string {
	var b strings.Builder
	for _, e := range s.open {
		b.WriteString("/" + e.name.Local)
	}
	return b.String()
}

// mentionsElement says whether any start tag may have a sensitive name. It
// looks at bytes alone, in comments too, and so errs to the safe side: in UTF-8
// there is no other way to write a name, well-formed or not, so that a document
// without a mention holds nothing to take out.
func mentionsElement(b []byte, n *names) bool {
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return false
		}
		b = b[i+1:]
		local := b[:nameLength(b)]
		if j := bytes.LastIndexByte(local, ':'); j >= 0 {
			local = local[j+1:]
		}
		if c := n.class(local); c == credential || c == sensitive {
			return true
		}
	}
}

// nameLength says how many bytes at the start of b may be an XML name.
func nameLength(b []byte) int {
	for i, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n', '/', '>', '<':
			return i
		}
	}
	return len(b)
}

var xmlEncoding = regexp.MustCompile(`(?i)\sencoding\s*=\s*["']([^"']*)["']`)

// isUTF8XML says whether a document is in UTF-8 as far as it says itself.
func isUTF8XML(b []byte) bool {
	declaration, _, found := bytes.Cut(b, []byte("?>"))
	if found && bytes.Contains(declaration, []byte("encoding")) {
		m := xmlEncoding.FindSubmatch(declaration)
		if m == nil || !strings.EqualFold(string(m[1]), "utf-8") {
			return false
		}
	}
	return bytes.IndexByte(b, 0) < 0
}
