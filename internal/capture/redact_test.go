package capture

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var testKey = []byte("a key for tests only")

// tag matches what a redaction leaves behind; tests write "%" for it.
func matches(t *testing.T, got, want string) bool {
	t.Helper()
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "%", `REDACTED-[0-9a-f]{12}`)
	return regexp.MustCompile("^(?s:" + pattern + ")$").MatchString(got)
}

func TestRedactBody(t *testing.T) {
	const all = "%" // the whole body is withheld
	tests := []struct {
		name      string
		sensitive []string
		body      string
		want      string   // "%" stands for a tag
		places    []string // "rule place", in order
	}{
		{
			name: "nothing to take out", sensitive: []string{"Password"},
			body: `{"Users": [ {"UserName":"ann","PasswordLastUsed":"2026-01-01T00:00:00Z"} ] }`,
			want: `{"Users": [ {"UserName":"ann","PasswordLastUsed":"2026-01-01T00:00:00Z"} ] }`,
		},
		{
			name: "string, any letter case, spaces kept", sensitive: []string{"MasterUserPassword"},
			body:   "{ \"masterUserPASSWORD\" :\t\"hunter-two\" , \"Engine\":\"postgres\"}\n",
			want:   "{ \"masterUserPASSWORD\" :\t\"%\" , \"Engine\":\"postgres\"}\n",
			places: []string{"sensitive response.body/masterUserPASSWORD"},
		},
		{
			name: "numbers and booleans become null, null stays", sensitive: []string{"pin"},
			body:   `{"pin":1234,"a":{"pin":true},"b":[{"pin":null},{"pin":-1.5e3}]}`,
			want:   `{"pin":null,"a":{"pin":null},"b":[{"pin":null},{"pin":null}]}`,
			places: []string{"sensitive response.body/pin", "sensitive response.body/a/pin", "sensitive response.body/b/1/pin"},
		},
		{
			name: "every leaf of an object and an array", sensitive: []string{"Variables"},
			body:   `{"Environment":{"Variables":{"DB":"x","N":[1,"y",{"Z/~":"z"}]},"Kept":"k"}}`,
			want:   `{"Environment":{"Variables":{"DB":"%","N":[null,"%",{"Z/~":"%"}]},"Kept":"k"}}`,
			places: []string{"sensitive response.body/Environment/Variables/DB", "sensitive response.body/Environment/Variables/N/0", "sensitive response.body/Environment/Variables/N/1", "sensitive response.body/Environment/Variables/N/2/Z~1~0"},
		},
		{
			name: "escaped name", sensitive: []string{"Secret"},
			body:   `{"\u0053ecret":"a\"b\\"}`,
			want:   `{"\u0053ecret":"%"}`,
			places: []string{"sensitive response.body/Secret"},
		},
		{
			name:   "credentials in JSON, with the key id beside them",
			body:   `{"Credentials":{"AccessKeyId":"key-id","Expiration":1.7e9,"SecretAccessKey":"s3cr3t","SessionToken":"t0k3n"},"Token":"page-2"}`,
			want:   `{"Credentials":{"AccessKeyId":"%","Expiration":1.7e9,"SecretAccessKey":"%","SessionToken":"%"},"Token":"page-2"}`,
			places: []string{"credential response.body/Credentials/AccessKeyId", "credential response.body/Credentials/SecretAccessKey", "credential response.body/Credentials/SessionToken"},
		},
		{
			name: "a key id by itself and paging tokens stay",
			body: `{"AccessKeyMetadata":[{"AccessKeyId":"key-id","Status":"Active"}],"NextToken":"n","Token":"t"}`,
			want: `{"AccessKeyMetadata":[{"AccessKeyId":"key-id","Status":"Active"}],"NextToken":"n","Token":"t"}`,
		},
		{
			name:   "credentials within what could have been part of one",
			body:   `{"Token":{"SecretAccessKey":"s3cr3t","Token":"x"}}`,
			want:   `{"Token":{"SecretAccessKey":"%","Token":"%"}}`,
			places: []string{"credential response.body/Token/SecretAccessKey", "credential response.body/Token/Token"},
		},
		{
			name:   "token answer of Google",
			body:   `{"access_token":"abc","expires_in":3599,"token_type":"Bearer","id_token":"def"}`,
			want:   `{"access_token":"%","expires_in":3599,"token_type":"Bearer","id_token":"%"}`,
			places: []string{"credential response.body/access_token", "credential response.body/id_token"},
		},
		{
			name: "credentials in XML",
			body: `<?xml version="1.0"?><AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>` +
				`<AccessKeyId>key-id</AccessKeyId><SecretAccessKey>s3/cr+3t</SecretAccessKey><SessionToken>t0k3n==</SessionToken>` +
				`<Expiration>2026-07-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			want: `<?xml version="1.0"?><AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>` +
				`<AccessKeyId>%</AccessKeyId><SecretAccessKey>%</SecretAccessKey><SessionToken>%</SessionToken>` +
				`<Expiration>2026-07-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			places: []string{
				"credential response.body/AssumeRoleResponse/AssumeRoleResult/Credentials/AccessKeyId",
				"credential response.body/AssumeRoleResponse/AssumeRoleResult/Credentials/SecretAccessKey",
				"credential response.body/AssumeRoleResponse/AssumeRoleResult/Credentials/SessionToken",
			},
		},
		{
			name: "a key id by itself in XML stays",
			body: `<R><member><AccessKeyId>key-id</AccessKeyId></member><Token>t</Token></R>`,
			want: `<R><member><AccessKeyId>key-id</AccessKeyId></member><Token>t</Token></R>`,
		},
		{
			name:   "XML credentials within what could have been part of one",
			body:   `<R><Token><SecretAccessKey>s3cr3t</SecretAccessKey></Token></R>`,
			want:   `<R><Token><SecretAccessKey>%</SecretAccessKey></Token></R>`,
			places: []string{"credential response.body/R/Token/SecretAccessKey"},
		},
		{
			name: "XML text, CDATA, entities, comments, prefixes", sensitive: []string{"secret"},
			body:   "<a:R xmlns:a='u'>\n <a:Secret>x&amp;<![CDATA[y<z]]><!-- w --></a:Secret>\n <Secret/>\n <Secret> </Secret><k>v</k></a:R>",
			want:   "<a:R xmlns:a='u'>\n <a:Secret>%</a:Secret>\n <Secret/>\n <Secret> </Secret><k>v</k></a:R>",
			places: []string{"sensitive response.body/R/Secret"},
		},
		{
			name: "XML children and attributes", sensitive: []string{"Grantee"},
			body: `<R><Grantee xmlns:xsi="http://x" xsi:type="User" id = 'i&gt;d' e=""><ID>a</ID> <L n="b"><M>c</M></L></Grantee><ID>d</ID></R>`,
			want: `<R><Grantee xmlns:xsi="http://x" xsi:type="User" id = '%' e=""><ID>%</ID> <L n="%"><M>%</M></L></Grantee><ID>d</ID></R>`,
			places: []string{
				"sensitive response.body/R/Grantee", "sensitive response.body/R/Grantee/ID",
				"sensitive response.body/R/Grantee/L", "sensitive response.body/R/Grantee/L/M",
			},
		},
		{
			name:   "presigned URL in JSON",
			body:   `{"Location":"https://b.s3.amazonaws.com/k?X-Amz-Date=20260701T000000Z&X-Amz-Credential=c%2Fs3&X-Amz-Signature=0a1b\u0026X-Amz-Security-Token=tok"}`,
			want:   `{"Location":"https://b.s3.amazonaws.com/k?X-Amz-Date=20260701T000000Z&X-Amz-Credential=%&X-Amz-Signature=%\u0026X-Amz-Security-Token=%"}`,
			places: []string{"presigned response.body/…X-Amz-Credential", "presigned response.body/…X-Amz-Signature", "presigned response.body/…X-Amz-Security-Token"},
		},
		{
			name:   "presigned URL in XML",
			body:   `<U>https://b/k?AWSAccessKeyId=kid&amp;Signature=vjbyPxybd%3D&amp;Expires=1</U>`,
			want:   `<U>https://b/k?AWSAccessKeyId=%&amp;Signature=%&amp;Expires=1</U>`,
			places: []string{"presigned response.body/…AWSAccessKeyId", "presigned response.body/…Signature"},
		},
		{
			name: "form", sensitive: []string{"MasterUserPassword"},
			body:   `Action=CreateDBInstance&MasterUserPassword=a%26b&Tags.member.1.MasterUserPassword=c&assertion=eyJ&Empty=`,
			want:   `Action=CreateDBInstance&MasterUserPassword=%&Tags.member.1.MasterUserPassword=%&assertion=%&Empty=`,
			places: []string{"sensitive response.body/MasterUserPassword", "sensitive response.body/Tags.member.1.MasterUserPassword", "credential response.body/assertion"},
		},
		{name: "cut JSON", sensitive: []string{"Password"}, body: `{"Password":"hunt`, want: all, places: []string{"unscannable response.body"}},
		{name: "cut JSON of a credential", body: `{"SecretAccessKey":"hunt`, want: all, places: []string{"unscannable response.body"}},
		{name: "cut JSON, nothing declared", body: `{"Users":[{"UserN`, want: `{"Users":[{"UserN`},
		{name: "cut XML", sensitive: []string{"Password"}, body: `<R><Password>hunt`, want: all, places: []string{"unscannable response.body"}},
		{name: "cut XML of a credential", body: `<R><SecretAccessKey>hunt`, want: all, places: []string{"unscannable response.body"}},
		{name: "cut XML without a mention", sensitive: []string{"Password"}, body: `<R><PasswordPolicy>hunt`, want: `<R><PasswordPolicy>hunt`},
		{name: "UTF-16 without a mark", sensitive: []string{"P"}, body: "<\x00P\x00>\x00x\x00", want: all, places: []string{"unscannable response.body"}},
		{name: "name in a letter case of its own", sensitive: []string{"École"}, body: `{"École":"x"}`, want: `{"École":"%"}`, places: []string{"sensitive response.body/École"}},
		{name: "wrong end tag", sensitive: []string{"Password"}, body: `<R><Password>hunt</R></Password>`, want: all, places: []string{"unscannable response.body"}},
		{name: "two documents", sensitive: []string{"Password"}, body: `{"a":1} {"Password":"x"}`, want: all, places: []string{"unscannable response.body"}},
		{name: "other text", sensitive: []string{"Password"}, body: `Password is hunter-two`, want: all, places: []string{"unscannable response.body"}},
		{name: "other text, nothing declared", body: `Service Unavailable`, want: `Service Unavailable`},
		{name: "HTML that is not XML", body: `<html><br><p>502`, want: `<html><br><p>502`},
		{name: "XML in another encoding", sensitive: []string{"P"}, body: `<?xml version="1.0" encoding="UTF-16"?><P>x</P>`, want: all, places: []string{"unscannable response.body"}},
		{
			name: "byte order mark", sensitive: []string{"P"},
			body: "\xef\xbb\xbf{\"P\":\"x\"}", want: "\xef\xbb\xbf{\"P\":\"%\"}", places: []string{"sensitive response.body/P"},
		},
		{name: "nested beyond reason", sensitive: []string{"P"}, body: strings.Repeat("[", 2000) + strings.Repeat("]", 2000), want: all, places: []string{"unscannable response.body"}},
		{name: "empty", sensitive: []string{"P"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, redactions := newRedactor(testKey, tt.sensitive).body("response.body", []byte(tt.body))
			if !matches(t, string(got), tt.want) {
				t.Errorf("kept\n%s\nwant\n%s", got, tt.want)
			}
			var places []string
			for _, r := range redactions {
				places = append(places, string(r.Rule)+" "+r.Place)
				if !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(r.Hash) {
					t.Errorf("redaction at %s has hash %q", r.Place, r.Hash)
				}
			}
			if !slices.Equal(places, tt.places) {
				t.Errorf("redactions\n%s\nwant\n%s", strings.Join(places, "\n"), strings.Join(tt.places, "\n"))
			}
		})
	}
}

// The hash tells an auditor whether a secret changed, across formats and
// exchanges, and nothing without the key.
func TestHashIsOfTheValue(t *testing.T) {
	hash := func(key, body string) string {
		_, redactions := newRedactor([]byte(key), []string{"P"}).body("", []byte(body))
		if len(redactions) != 1 {
			t.Fatalf("%s: %d redactions", body, len(redactions))
		}
		return redactions[0].Hash
	}
	first := hash("k", `{"P":"a&b"}`)
	for _, same := range []string{`{"P":"a\u0026b"}`, `<R><P>a&amp;b</P></R>`, `<R><P><![CDATA[a&b]]></P></R>`, `P=a%26b`} {
		if got := hash("k", same); got != first {
			t.Errorf("hash of %s is %s, want %s", same, got, first)
		}
	}
	if hash("k", `{"P":"a&c"}`) == first {
		t.Error("another value has the same hash")
	}
	if hash("l", `{"P":"a&b"}`) == first {
		t.Error("another key gives the same hash")
	}
}

func TestRedactURL(t *testing.T) {
	tests := []struct{ url, want string }{
		{"https://s3.amazonaws.com/?prefix=a&x-id=ListBuckets", "https://s3.amazonaws.com/?prefix=a&x-id=ListBuckets"},
		{
			"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Security-Token=t&X-Amz-Signature=s",
			"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%&X-Amz-Security-Token=%&X-Amz-Signature=%",
		},
		{"https://user:pass@example.com/a#fragment", "https://example.com/a"},
		{"https://www.googleapis.com/x?key=AIzaSy000&access_token=abc", "https://www.googleapis.com/x?key=%&access_token=%"},
		{"https://example.com/tags?key=Name&Hidden=1", "https://example.com/tags?key=Name&Hidden=%"},
	}
	for _, tt := range tests {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := newRedactor(testKey, []string{"hidden"}).url(u); !matches(t, got, tt.want) {
			t.Errorf("url %s is kept as %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestRedactHeaders(t *testing.T) {
	h := http.Header{
		"Content-Type":         {"application/xml"},
		"Authorization":        {"AWS4-HMAC-SHA256 Credential=c"},
		"X-Amz-Security-Token": {"tok"},
		"Set-Cookie":           {"a=1", "b=2"},
		"X-Amz-Meta-Owner":     {"a customer"},
		"X-Amz-Bucket-Region":  {"eu-west-1"},
		"Location":             {"https://b/k?X-Amz-Signature=s"},
	}
	r := newRedactor(testKey, nil)
	pairs, redactions := r.headers("response.header", h, r.keptInResponses)
	var got []string
	for _, p := range pairs {
		got = append(got, p.Name+": "+p.Value)
	}
	want := strings.Join([]string{
		"Authorization: %", "Content-Type: application/xml", "Location: https://b/k?X-Amz-Signature=%",
		"Set-Cookie: %", "Set-Cookie: %", "X-Amz-Bucket-Region: eu-west-1", "X-Amz-Meta-Owner: %", "X-Amz-Security-Token: %",
	}, "\n")
	if !matches(t, strings.Join(got, "\n"), want) {
		t.Errorf("headers\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	got = nil
	for _, r := range redactions {
		got = append(got, string(r.Rule)+" "+r.Place)
	}
	if want := []string{
		"credential response.header.authorization", "presigned response.header.location/X-Amz-Signature",
		"credential response.header.set-cookie", "credential response.header.set-cookie",
		"header response.header.x-amz-meta-owner", "credential response.header.x-amz-security-token",
	}; !slices.Equal(got, want) {
		t.Errorf("redactions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// No header that authenticates may get onto a list of those kept.
func TestCredentialHeadersAreNotKept(t *testing.T) {
	r := newRedactor(testKey, nil)
	for _, name := range credentialHeaders {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not in canonical form and would never match", name)
		}
		if r.keptInRequests[name] || r.keptInResponses[name] {
			t.Errorf("%s is kept", name)
		}
	}
}
