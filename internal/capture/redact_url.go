package capture

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
)

// scanForm finds sensitive parameters of a form or a query string: those of
// which any dotted part of the name is sensitive.
func scanForm(b []byte, n *names) []splice {
	var splices []splice
	for start := 0; start <= len(b); {
		end := len(b)
		if i := bytes.IndexByte(b[start:], '&'); i >= 0 {
			end = start + i
		}
		raw, value, _ := bytes.Cut(b[start:end], []byte("="))
		if name, err := url.QueryUnescape(string(raw)); err == nil && len(value) > 0 {
			if rule, found := formRule(name, value, n); found {
				plain, err := url.QueryUnescape(string(value))
				if err != nil {
					plain = string(value)
				}
				splices = append(splices, splice{
					start: end - len(value), end: end, value: []byte(plain),
					with: "%", rule: rule, place: "/" + name,
				})
			}
		}
		start = end + 1
	}
	return splices
}

func formRule(name string, value []byte, n *names) (Rule, bool) {
	if presignedName.MatchString(name) {
		return RulePresigned, true
	}
	// Google's API keys go in a parameter whose name means other things elsewhere.
	if name == "key" && bytes.HasPrefix(value, []byte("AIza")) {
		return RuleCredential, true
	}
	for part := range strings.SplitSeq(name, ".") {
		switch n.class([]byte(part)) {
		case sensitive:
			return RuleSensitive, true
		case credential:
			return RuleCredential, true
		case plain, companion:
		}
	}
	return "", false
}

// The credential parameters of presigned URLs: AWS Signature Version 4 and 2,
// and Google's V4 signed URLs.
var (
	presignedName  = regexp.MustCompile(`(?i)^(X-(Amz|Goog)-(Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|GoogleAccessId)$`)
	presignedInURL = regexp.MustCompile(`(?i)(X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|GoogleAccessId)` +
		`(?:=|%3D|\\u003d)([^&"'<>\s\\]+)`)
)

// presigned finds the credential parameters of presigned URLs anywhere in a
// body, whatever its format: an answer that holds one would let its reader in.
func presigned(b []byte) []splice {
	if !bytes.Contains(b, []byte("ignature")) {
		return nil
	}
	var splices []splice
	for _, m := range presignedInURL.FindAllSubmatchIndex(b, -1) {
		splices = append(splices, splice{
			start: m[4], end: m[5], value: b[m[4]:m[5]],
			with: "%", rule: RulePresigned, place: "/…" + string(b[m[2]:m[3]]),
		})
	}
	return splices
}

// url gives the URL to keep: without user information and with credential
// parameters and sensitive parameters taken out of the query.
func (r *redactor) url(u *url.URL) (string, []Redaction) {
	kept := *u
	var redactions []Redaction
	if u.User != nil {
		redactions = append(redactions, Redaction{Place: "request.url/user", Rule: RuleCredential, Hash: r.hash([]byte(u.User.String()))})
		kept.User = nil
	}
	if u.RawQuery != "" {
		query, more := r.apply("request.url", []byte(u.RawQuery), scanForm([]byte(u.RawQuery), r.names))
		kept.RawQuery = string(query)
		redactions = append(redactions, more...)
	}
	kept.Fragment, kept.RawFragment = "", ""
	return kept.String(), redactions
}
