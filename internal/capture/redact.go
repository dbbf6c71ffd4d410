package capture

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Rule is why something was not kept.
type Rule string

// The rules.
const (
	RuleCredential  Rule = "credential"  // a credential by its name: Authorization, SecretAccessKey, access_token
	RulePresigned   Rule = "presigned"   // the credential parameters of a presigned URL
	RuleSensitive   Rule = "sensitive"   // a field that the collector declared
	RuleHeader      Rule = "header"      // a header that is not on the list of those kept
	RuleUnscannable Rule = "unscannable" // a body in which sensitive fields could not be told from others
	RuleIntegrity   Rule = "integrity"   // a length or checksum of the body before it was decoded or redacted
)

// redactedPrefix begins what stands in place of a string. Twelve hexadecimal
// digits follow.
const redactedPrefix = "REDACTED-"

var redactedTag = regexp.MustCompile(redactedPrefix + `[0-9a-f]{12}`)

// neutral makes redactions under different keys alike.
func neutral(b []byte) []byte {
	if !bytes.Contains(b, []byte(redactedPrefix)) {
		return b
	}
	return redactedTag.ReplaceAll(b, []byte("REDACTED"))
}

// redactor takes out what must not be kept. It is safe for concurrent use.
type redactor struct {
	names *names
	macs  sync.Pool // of hash.Hash, keyed
	// declared says that the collector declared sensitive fields, so that a
	// body which can not be scanned must be withheld.
	declared bool
	// The headers that are kept, by canonical name.
	keptInRequests, keptInResponses map[string]bool
}

func newRedactor(key []byte, declared []string) *redactor {
	return &redactor{
		names:    newNames(declared),
		macs:     sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		declared: len(declared) > 0,

		keptInRequests:  headerSet(requestHeaders),
		keptInResponses: headerSet(responseHeaders),
	}
}

// hash gives the salted hash of a value.
func (r *redactor) hash(value []byte) string {
	if h, ok := tagged(value); ok {
		return h
	}
	mac := r.macs.Get().(hash.Hash)
	defer r.macs.Put(mac)
	mac.Reset()
	mac.Write(value)
	var sum [sha256.Size]byte
	return hex.EncodeToString(mac.Sum(sum[:0])[:6])
}

// tagged gives the hash of a value that is nothing but what a redaction left
// behind: recording a replay must not redact it again.
func tagged(value []byte) (hash string, ok bool) {
	if len(value) != len(redactedPrefix)+12 || !redactedTag.Match(value) {
		return "", false
	}
	return string(value[len(redactedPrefix):]), true
}

// splice is one range of bytes that is replaced.
type splice struct {
	start, end int
	value      []byte // what is hashed: the value as its reader would see it
	with       string // the replacement; "%" stands for the tag
	rule       Rule
	place      string // below the body: "/Credentials/SecretAccessKey"
}

// body gives the bytes to keep of a body, and what was taken out of it. Every
// byte outside of the spliced ranges stays as it was. The result shares memory
// with b if nothing was taken out.
func (r *redactor) body(place string, b []byte) ([]byte, []Redaction) {
	if len(b) == 0 {
		return b, nil
	}
	splices, err := r.scan(b)
	if err != nil {
		hash := r.hash(b)
		return []byte(redactedPrefix + hash), []Redaction{{Place: place, Rule: RuleUnscannable, Hash: hash}}
	}
	return r.apply(place, b, append(splices, presigned(b)...))
}

var errUnscannable = errors.New("not a document that can be scanned")

// scan finds what must not be kept. An error means that the body must be
// withheld.
func (r *redactor) scan(b []byte) ([]splice, error) {
	var splices []splice
	var err error
	switch formatOf(b) {
	case formatJSON:
		splices, err = scanJSON(b, r.names)
	case formatXML:
		if isUTF8XML(b) && !mentionsElement(b, r.names) {
			return nil, nil
		}
		splices, err = scanXML(b, r.names)
	case formatForm:
		splices = scanForm(b, r.names)
	default:
		err = errUnscannable
	}
	if err != nil && !r.declared && !mentions(b, secretNames) {
		return nil, nil
	}
	return splices, err
}

// apply splices b. Where ranges overlap, the first and longest wins.
func (r *redactor) apply(place string, b []byte, splices []splice) ([]byte, []Redaction) {
	if len(splices) == 0 {
		return b, nil
	}
	slices.SortFunc(splices, func(x, y splice) int {
		if x.start != y.start {
			return x.start - y.start
		}
		return y.end - x.end
	})
	kept := make([]byte, 0, len(b)+len(splices)*len(redactedPrefix))
	redactions := make([]Redaction, 0, len(splices))
	last := 0
	for _, s := range splices {
		if s.start < last {
			continue
		}
		hash := r.hash(s.value)
		kept = append(kept, b[last:s.start]...)
		kept = append(kept, strings.Replace(s.with, "%", redactedPrefix+hash, 1)...)
		last = s.end
		redactions = append(redactions, Redaction{Place: place + s.place, Rule: s.rule, Hash: hash})
	}
	return append(kept, b[last:]...), redactions
}

type format int

const (
	formatOther format = iota
	formatJSON
	formatXML
	formatForm
)

// formatOf tells a body's format by its bytes: media types are declared by the
// sender and may be wrong or missing.
func formatOf(b []byte) format {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case len(b) == 0:
		return formatOther
	case b[0] == '{' || b[0] == '[':
		return formatJSON
	case b[0] == '<':
		return formatXML
	}
	name, _, found := bytes.Cut(b, []byte("="))
	if !found || bytes.ContainsFunc(b, func(c rune) bool { return c <= ' ' || c == '<' || c == '"' }) || len(name) == 0 {
		return formatOther
	}
	if _, err := url.ParseQuery(string(b)); err != nil {
		return formatOther
	}
	return formatForm
}

// mentions says whether any of the lower-case names occurs in any letter case.
func mentions(b []byte, names []string) bool {
	b = lower(bytes.Clone(b))
	return slices.ContainsFunc(names, func(n string) bool { return bytes.Contains(b, []byte(n)) })
}
