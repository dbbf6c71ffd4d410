package capture

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// Finding is a place that looks like a secret. It never holds the secret.
type Finding struct {
	Kind   string // "aws access key id", ...
	Offset int64  // of its first byte
}

// String gives "aws access key id at byte 12".
func (f Finding) String() string { return fmt.Sprintf("%s at byte %d", f.Kind, f.Offset) }

// valueOf is what may stand between a secret's name and its value in JSON (also within a string), in
// XML, in a header, in a HAR name-value pair, in a form and in a file of
// settings.
const valueOf = `(?:\\?["']|%22)?\s*(?:[:=>]|%3[dD]|,\s*\\?"value\\?"\s*:)\s*\\?["']?`

// secretPattern finds one kind of credential. What the group of its expression
// matches, where it has one, is no secret if it is what a redaction left
// behind.
type secretPattern struct {
	kind       string
	hints      []string // lower case; without one of them the expression can not match
	expression *regexp.Regexp
}

// secretPatterns are credentials of AWS and Google, and keys in general.
//
// Sources: IAM identifiers (AKIA, ASIA), AWS Signature Version 4, RFC 6750
// (bearer), RFC 7468 (PEM), RFC 7519 (JWT), RFC 7617 (basic).
func secretPatterns() []secretPattern {
	p := func(kind, expression string, hints ...string) secretPattern {
		return secretPattern{kind: kind, hints: hints, expression: regexp.MustCompile(expression)}
	}
	return []secretPattern{
		p("aws access key id", `\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`, "akia", "asia"),
		p("aws session token", `\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9+/=%]{20,}`, "iqojb3jpz2lu", "zxivyxdz"),
		p("secret value", `(?i)(?:secret_?access_?key|client_?secret|session_?token|security-token|refresh_?token|access_?token|id_?token|private_?key|password|passwd|api_?key)`+
			valueOf+`([A-Za-z0-9+/_.~%=$!@#^*-]{12,})`, "secret", "token", "private", "passw", "api"),
		p("signature", `(?i)\bsignature(?:=|%3d)([A-Za-z0-9+/%_-]{16,})`, "signature"),
		p("bearer token", `(?i)\bbearer\s+([A-Za-z0-9._~+/-]{16,})`, "bearer"),
		p("basic password", `(?i)\bauthorization`+valueOf+`basic\s+([A-Za-z0-9+/=]{8,})`, "basic"),
		p("google token", `\bya29\.[A-Za-z0-9_-]{20,}`, "ya29."),
		p("google api key", `\bAIza[A-Za-z0-9_-]{35}\b`, "aiza"),
		p("json web token", `\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`, ".eyj"),
		p("private key", `-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----`, "private key"),
		p("password in url", `\b[a-z][a-z0-9+.-]*://[^/\s:@"'<>]+:([^/\s:@"'<>]+)@`, "://"),
	}
}

// ScanSecrets finds what looks like a credential in any text, streaming. It is
// a net under the redaction rules for tests and error messages: it can miss
// secrets of unknown shape, and it can be wrong about what it finds. Findings
// come in order of offset.
func ScanSecrets(r io.Reader) ([]Finding, error) {
	const window, overlap = 64 << 10, 8 << 10
	patterns := secretPatterns()
	var findings []Finding
	buf := make([]byte, 0, window)
	var base int64
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		// What begins near the end is looked at again when all of it is there.
		settled := len(buf) - overlap
		if err != nil {
			settled = len(buf)
		}
		lower := bytes.ToLower(buf)
		for _, p := range patterns {
			if !slices.ContainsFunc(p.hints, func(h string) bool { return bytes.Contains(lower, []byte(h)) }) {
				continue
			}
			for _, m := range p.expression.FindAllSubmatchIndex(buf, -1) {
				if m[0] >= settled || len(m) > 2 && redactedTag.Match(buf[m[2]:m[3]]) {
					continue
				}
				findings = append(findings, Finding{Kind: p.kind, Offset: base + int64(m[0])})
			}
		}
		if err != nil {
			slices.SortFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Offset, b.Offset) })
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return findings, nil
			}
			return findings, fmt.Errorf("scan for secrets: %w", err)
		}
		base += int64(settled)
		buf = append(buf[:0], buf[settled:]...)
	}
}
