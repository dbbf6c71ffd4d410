package capture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// identity is what makes two requests the same request: method, host, path,
// query, X-Amz-Target and body, each in one canonical form, without anything
// that differs from one time of asking to the next.
type identity struct {
	method string
	url    string // host, path and sorted query
	target string // AWS JSON protocols name the operation here alone
	body   string
}

// volatile are the parameters that say when and by whom a request was signed,
// and the SDK's note of the operation, in lower case.
var volatile = []string{
	"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token",
	"x-amz-signature", "x-amz-signedheaders", "x-id",
	"x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-expires", "x-goog-signature", "x-goog-signedheaders",
	"signature", "awsaccesskeyid", "googleaccessid",
}

// identityOf gives the identity of a request as it is kept. Redactions made
// under different keys are alike.
func identityOf(method string, u *url.URL, target string, body []byte) identity {
	if method == "" {
		method = "GET"
	}
	host := strings.ToLower(u.Hostname())
	if p := u.Port(); p != "" && !(u.Scheme == "https" && p == "443") && !(u.Scheme == "http" && p == "80") {
		host += ":" + p
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	canonical := host + path
	if q := canonicalForm(u.RawQuery, volatile); q != "" {
		canonical += "?" + q
	}
	return identity{
		method: method,
		url:    string(neutral([]byte(canonical))),
		target: target,
		body:   string(canonicalBody(neutral(body))),
	}
}

// key is what a recorded request and a live one must have in common. The
// target is compared on its own, since a fixture may leave it out.
func (i identity) key() string {
	return i.method + "\x00" + i.url + "\x00" + i.body
}

// digest gives the first eight bytes of the SHA-256 over everything that
// identifies the request, NUL between.
func (i identity) digest(operation, region string) [8]byte {
	sum := sha256.Sum256([]byte(strings.Join([]string{operation, region, i.method, i.url, i.target, i.body}, "\x00")))
	return [8]byte(sum[:8])
}

func hexID(d [8]byte) string { return hex.EncodeToString(d[:]) }

// canonicalForm sorts the parameters of a form or query and leaves out those
// whose lower-case name is in without. What can not be parsed stays as it is.
func canonicalForm(raw string, without []string) string {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return raw
	}
	for name := range values {
		if slices.Contains(without, strings.ToLower(name)) {
			delete(values, name)
		}
	}
	return values.Encode()
}

// canonicalBody makes bodies that say the same the same: JSON compact with
// sorted members, forms with sorted parameters. Others stay as they are.
func canonicalBody(b []byte) []byte {
	switch formatOf(b) {
	case formatJSON:
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil || d.More() {
			return b
		}
		canonical, err := json.Marshal(v)
		if err != nil {
			return b
		}
		return canonical
	case formatForm:
		return []byte(canonicalForm(string(b), volatile))
	case formatXML, formatOther:
	}
	return b
}
