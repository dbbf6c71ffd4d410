package capture

import (
	"slices"
	"testing"
)

// A path hides a member within the members that it names, and nowhere else.
func TestRedactPath(t *testing.T) {
	pairs := []string{"metadata.items.value"}
	tests := []struct {
		name      string
		sensitive []string
		body      string
		want      string // "%" stands for a tag
	}{
		{
			name: "there and not elsewhere", sensitive: pairs,
			body: `{"metadata":{"items":[{"key":"k","value":"s"},{"key":"l","value":7}]},"settings":{"databaseFlags":[{"name":"f","value":"on"}]},"value":"v"}`,
			want: `{"metadata":{"items":[{"key":"k","value":"%"},{"key":"l","value":null}]},"settings":{"databaseFlags":[{"name":"f","value":"on"}]},"value":"v"}`,
		},
		{
			name: "at any depth", sensitive: pairs,
			body: `[{"assets":[{"data":{"properties":{"metadata":{"items":{"value":"s"}}}}}]}]`,
			want: `[{"assets":[{"data":{"properties":{"metadata":{"items":{"value":"%"}}}}}]}]`,
		},
		{
			name: "arrays of arrays between", sensitive: pairs,
			body: `{"metadata":[[{"items":[[[{"value":["s",["t"]]}]]]}]]}`,
			want: `{"metadata":[[{"items":[[[{"value":["%",["%"]]}]]]}]]}`,
		},
		{
			name: "all that is in it", sensitive: pairs,
			body: `{"metadata":{"items":{"value":{"a":"s","b":{"value":true,"c":null}}}}}`,
			want: `{"metadata":{"items":{"value":{"a":"%","b":{"value":null,"c":null}}}}}`,
		},
		{
			name: "another member between", sensitive: pairs,
			body: `{"metadata":{"x":{"items":{"value":"v"}},"items":{"x":{"value":"v"}}},"items":{"metadata":{"value":"v"}}}`,
			want: `{"metadata":{"x":{"items":{"value":"v"}},"items":{"x":{"value":"v"}}},"items":{"metadata":{"value":"v"}}}`,
		},
		{
			name: "names that end or begin alike", sensitive: pairs,
			body: `{"instanceMetadata":{"items":{"value":"v"}},"metadata":{"item":{"value":"v"},"items":{"values":"v"}}}`,
			want: `{"instanceMetadata":{"items":{"value":"v"}},"metadata":{"item":{"value":"v"},"items":{"values":"v"}}}`,
		},
		{
			name: "a name with dots is one name", sensitive: pairs,
			body: `{"metadata.items":{"value":"v"},"metadata.items.value":"v"}`,
			want: `{"metadata.items":{"value":"v"},"metadata.items.value":"v"}`,
		},
		{
			name: "a name with dots, declared", sensitive: []string{`example\.com/key`, `notes.example\.com/x.value`},
			body: `{"example.com/key":"s","com/key":"v","example":{"com/key":"v"},"notes":{"example.com/x":{"value":"t"},"com/x":{"value":"v"}}}`,
			want: `{"example.com/key":"%","com/key":"v","example":{"com/key":"v"},"notes":{"example.com/x":{"value":"%"},"com/x":{"value":"v"}}}`,
		},
		{
			name: "escapes and letter case, of each name", sensitive: []string{"MetaData.items.VALUE"},
			body: `{"\u006detadata":{"\u0049tems":{"\u0076alue":"s","Value":"t"}}}`,
			want: `{"\u006detadata":{"\u0049tems":{"\u0076alue":"%","Value":"%"}}}`,
		},
		{
			name: "each of equal members", sensitive: pairs,
			body: `{"metadata":{"items":{"value":"s","value":"t"},"items":{"value":"u"}},"metadata":{"items":{"value":"w"}}}`,
			want: `{"metadata":{"items":{"value":"%","value":"%"},"items":{"value":"%"}},"metadata":{"items":{"value":"%"}}}`,
		},
		{
			name: "what enclosed an earlier member is forgotten", sensitive: pairs,
			body: `{"metadata":{"items":[]},"other":{"items":{"value":"v"}},"metadata":[],"items":{"value":"v"}}`,
			want: `{"metadata":{"items":[]},"other":{"items":{"value":"v"}},"metadata":[],"items":{"value":"v"}}`,
		},
		{
			name: "paths of which one ends in the other", sensitive: []string{"metadata.items.value", "items.value"},
			body: `{"metadata":{"items":{"value":"s"}},"other":{"items":{"value":"t"}},"value":"v"}`,
			want: `{"metadata":{"items":{"value":"%"}},"other":{"items":{"value":"%"}},"value":"v"}`,
		},
		{
			name: "several paths of a name", sensitive: []string{"a.value", "b.c.value"},
			body: `{"a":{"value":"s"},"b":{"value":"v","c":{"value":"t"}},"c":{"value":"v"}}`,
			want: `{"a":{"value":"%"},"b":{"value":"v","c":{"value":"%"}},"c":{"value":"v"}}`,
		},
		{
			name: "a path and its name alone", sensitive: []string{"value", "metadata.items.value"},
			body: `{"metadata":{"items":{"value":"s"}},"value":"t"}`,
			want: `{"metadata":{"items":{"value":"%"}},"value":"%"}`,
		},
		{
			name: "a name alone in a path of its own", sensitive: []string{"metadata", "x.metadata.value"},
			body: `{"metadata":{"value":"s","w":"t"},"value":"v"}`,
			want: `{"metadata":{"value":"%","w":"%"},"value":"v"}`,
		},
		{
			name: "a credential stays one, with the key id beside it", sensitive: []string{"x.SecretAccessKey", "x.Token"},
			body: `{"x":{"AccessKeyId":"i","SecretAccessKey":"s"},"y":{"AccessKeyId":"i","SecretAccessKey":"s"},"Token":"page-2"}`,
			want: `{"x":{"AccessKeyId":"%","SecretAccessKey":"%"},"y":{"AccessKeyId":"%","SecretAccessKey":"%"},"Token":"page-2"}`,
		},
		{
			name: "part of a credential by its path", sensitive: []string{"x.Token"},
			body: `{"x":{"Token":"s"},"y":{"Token":"page-2"},"z":{"Token":"t","SecretAccessKey":"s"}}`,
			want: `{"x":{"Token":"%"},"y":{"Token":"page-2"},"z":{"Token":"%","SecretAccessKey":"%"}}`,
		},
		{
			name: "empty names do not count", sensitive: []string{"", ".", ".a.", "b..c"},
			body: `{"":"v","a":"s","b":{"c":"t","":{"c":"v"}},"c":"v"}`,
			want: `{"":"v","a":"%","b":{"c":"%","":{"c":"v"}},"c":"v"}`,
		},
		{
			name: "the last name alone in XML", sensitive: pairs,
			body: `<R><metadata><items><member><value>s</value></member></items></metadata><x><Value n="t">u</Value></x><items>v</items></R>`,
			want: `<R><metadata><items><member><value>%</value></member></items></metadata><x><Value n="%">%</Value></x><items>v</items></R>`,
		},
		{
			name: "the last name alone in a form", sensitive: pairs,
			body: `Items.member.1.Value=s&Value=t&metadata=v&items.1.key=v`,
			want: `Items.member.1.Value=%&Value=%&metadata=v&items.1.key=v`,
		},
		{name: "cut JSON", sensitive: pairs, body: `{"metadata":{"items":{"value":"hunt`, want: `%`},
		{name: "cut XML", sensitive: pairs, body: `<R><value>hunt`, want: `%`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := newRedactor(testKey, tt.sensitive).body("", []byte(tt.body))
			if !matches(t, string(got), tt.want) {
				t.Errorf("kept\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	const body = `{"a":[{"metadata":{"items":[{},{"value":"s"}]}}]}`
	_, redactions := newRedactor(testKey, pairs).body("response.body", []byte(body))
	if len(redactions) != 1 || redactions[0].Place != "response.body/a/0/metadata/items/1/value" || redactions[0].Rule != RuleSensitive {
		t.Errorf("redactions %v", redactions)
	}
}

// The order in which names and paths are declared makes no difference.
func TestPathsInAnyOrder(t *testing.T) {
	declared := []string{"value", "a.value", "b.a.value"}
	const body = `{"b":{"a":{"value":"s"}},"a":{"value":"t"},"value":"u"}`
	want, _ := newRedactor(testKey, declared).body("", []byte(body))
	slices.Reverse(declared)
	if got, _ := newRedactor(testKey, declared).body("", []byte(body)); string(got) != string(want) {
		t.Errorf("kept %s, and in the other order %s", want, got)
	}
}
