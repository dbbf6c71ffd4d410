package capture

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Headers are kept by name when they are evidence, or plainly harmless. Of all
// others the name and a hash stay. A header that authenticates anyone is on
// neither list.

// requestHeaders says what was asked, by which client, in which attempt.
var requestHeaders = []string{
	"Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Content-Encoding", "Content-Md5",
	"Date", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "Range", "User-Agent",
	// AWS: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonRequestHeaders.html and the SDK.
	"Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Smithy-Protocol", "X-Amzn-Query-Mode", "X-Amzn-Trace-Id",
	"X-Amz-Account-Id", "X-Amz-Checksum-Mode", "X-Amz-Content-Sha256", "X-Amz-Date",
	"X-Amz-Expected-Bucket-Owner", "X-Amz-Object-Attributes", "X-Amz-Optional-Object-Attributes",
	"X-Amz-Request-Payer", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Target", "X-Amz-User-Agent",
	// Google: https://cloud.google.com/apis/docs/system-parameters
	"X-Cloud-Trace-Context", "X-Goog-Api-Client", "X-Goog-Fieldmask", "X-Goog-Request-Params",
	"X-Goog-User-Project",
}

// responseHeaders says who answered, when, under which request id, and how to
// read the body.
var responseHeaders = []string{
	"Accept-Ranges", "Age", "Allow", "Alt-Svc", "Cache-Control", "Connection", "Content-Encoding",
	"Content-Language", "Content-Length", "Content-Md5", "Content-Range", "Content-Type", "Date", "Etag",
	"Expires", "Last-Modified", "Location", "Pragma", "Retry-After", "Server", "Server-Timing",
	"Strict-Transport-Security", "Vary", "Via", "X-Content-Type-Options", "X-Frame-Options", "X-Xss-Protection",
	// AWS: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html,
	// the Smithy protocols, and the bucket facts that S3 answers as headers.
	"Smithy-Protocol", "X-Amz-Access-Point-Alias", "X-Amz-Apigw-Id", "X-Amz-Bucket-Arn",
	"X-Amz-Bucket-Location-Name", "X-Amz-Bucket-Location-Type", "X-Amz-Bucket-Region", "X-Amz-Cf-Id",
	"X-Amz-Cf-Pop", "X-Amz-Checksum-Type", "X-Amz-Crc32", "X-Amz-Delete-Marker", "X-Amz-Expiration",
	"X-Amz-Id-2", "X-Amz-Mp-Parts-Count", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Mode",
	"X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Replication-Status", "X-Amz-Request-Charged",
	"X-Amz-Request-Id", "X-Amz-Requestid", "X-Amz-Retry-After", "X-Amz-Server-Side-Encryption",
	"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled",
	"X-Amz-Storage-Class", "X-Amz-Transition-Default-Minimum-Object-Size", "X-Amz-Version-Id",
	"X-Amzn-Errormessage", "X-Amzn-Errortype", "X-Amzn-Query-Error", "X-Amzn-Requestid", "X-Amzn-Trace-Id",
	// Google: https://cloud.google.com/storage/docs/xml-api/reference-headers
	"X-Cloud-Trace-Context", "X-Debug-Tracking-Id", "X-Goog-Generation", "X-Goog-Hash",
	"X-Goog-Metageneration", "X-Goog-Request-Id", "X-Goog-Storage-Class",
	"X-Goog-Stored-Content-Encoding", "X-Goog-Stored-Content-Length", "X-Guploader-Uploadid", "X-Request-Id",
}

// requestIDs are the headers in which providers name an exchange, best first.
var requestIDs = []string{
	"X-Amzn-Requestid", "X-Amz-Request-Id", "X-Amz-Requestid", "X-Goog-Request-Id",
	"X-Guploader-Uploadid", "X-Cloud-Trace-Context", "X-Request-Id",
}

// credentialHeaders are those that would let their reader in.
var credentialHeaders = []string{
	"Authorization", "Proxy-Authorization", "Proxy-Authenticate", "Cookie", "Set-Cookie",
	"X-Amz-Security-Token", "X-Amz-S3session-Token", "X-Goog-Iam-Authorization-Token", "X-Goog-Api-Key",
	"X-Amz-Server-Side-Encryption-Customer-Key", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",
}

// integrityPrefixes begin the headers that stop being true of a body once it
// was decoded or redacted.
var integrityPrefixes = []string{"X-Amz-Crc32", "X-Amz-Checksum-", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "X-Goog-Hash"}

func isIntegrity(name string) bool {
	return slices.ContainsFunc(integrityPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// headerSet makes a set of header names.
func headerSet(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[http.CanonicalHeaderKey(n)] = true
	}
	return set
}

// headers gives the headers to keep, sorted by name, and what was taken out.
// A header that is not kept stays with a tag for its value.
func (r *redactor) headers(place string, h http.Header, kept map[string]bool) ([]Pair, []Redaction) {
	var redactions []Redaction
	order := make([]string, 0, len(h))
	for name := range h {
		order = append(order, name)
	}
	slices.Sort(order)
	pairs := make([]Pair, 0, len(order))
	for _, name := range order {
		for _, value := range h[name] {
			switch {
			case kept[name] && (name == "Location" || name == "Content-Location"):
				safe, more := r.location(value)
				for _, m := range more {
					m.Place = place + "." + strings.ToLower(name) + strings.TrimPrefix(m.Place, "request.url")
					redactions = append(redactions, m)
				}
				value = safe
			case kept[name], strings.HasPrefix(name, "X-Amz-Checksum-"):
			default:
				rule := RuleHeader
				if slices.Contains(credentialHeaders, name) {
					rule = RuleCredential
				}
				hash := r.hash([]byte(value))
				redactions = append(redactions, Redaction{Place: place + "." + strings.ToLower(name), Rule: rule, Hash: hash})
				value = redactedPrefix + hash
			}
			pairs = append(pairs, Pair{Name: name, Value: value})
		}
	}
	return pairs, redactions
}

// location gives the URL of a redirect without credentials.
func (r *redactor) location(value string) (string, []Redaction) {
	u, err := url.Parse(value)
	if err != nil {
		hash := r.hash([]byte(value))
		return redactedPrefix + hash, []Redaction{{Rule: RuleUnscannable, Hash: hash}}
	}
	return r.url(u)
}

// requestID gives the provider's name for the exchange.
func requestID(pairs []Pair) string {
	for _, name := range requestIDs {
		if v := header(pairs, name); v != "" {
			return v
		}
	}
	return ""
}
