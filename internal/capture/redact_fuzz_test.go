package capture

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hiding are a name and a path of which the fuzz tests say what they hide.
var hiding = []string{"Hidden", "Outer.Items.Deep"}

// hidden matches the place of a member that these hide, or of one that is named
// like the index of an array.
var hidden = regexp.MustCompile(`(?i)/Hidden(/|$)|/Outer(/\d+)*/Items(/\d+)*/Deep(/|$)`)

// FuzzRedactJSON plants a secret under a sensitive name and a sensitive path in
// any JSON there is and around it, and compares with what encoding/json sees.
func FuzzRedactJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":%}`, `[1,{"Hidden":%}]`, `{"Hidden":{"x":[%,null,true]}}`, `{"\u0048idden":%,"b":"\\"}`, `{"Hidden":`, "\xef\xbb\xbf[%]", `{"Token":{"SecretAccessKey":%}}`,
		`{"Deep":%,"outer":[[{"\u0069tems":[{"DEEP":{"x":%}},{"Deep":%,"Deep":[%]}]}]]}`, `{"Outer":{"x":{"Items":{"Deep":%}},"Items":{"x":{"Deep":%}}}}`,
	} {
		f.Add(s)
	}
	const secret = "pl4nted"
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, secret) {
			t.Skip()
		}
		body := []byte(`{"Hidden":"` + secret + `","Outer":[[{"Items":{"Deep":"` + secret + `"}}]],"rest":` + strings.ReplaceAll(s, "%", `"x"`) + `}`)
		kept, redactions := newRedactor(testKey, hiding).body("", body)
		if bytes.Contains(kept, []byte(secret)) {
			t.Fatalf("kept the secret: %q", kept)
		}
		splices, err := scanJSON(body, newNames(hiding))
		if (err == nil) != json.Valid(body) && !tooDeep(body) {
			t.Fatalf("scan says %v, encoding/json says valid=%v: %q", err, json.Valid(body), body)
		}
		if err != nil {
			return
		}
		if !json.Valid(kept) {
			t.Fatalf("redaction broke the document: %q", kept)
		}
		for _, sp := range splices {
			if sp.rule == RuleSensitive && !hidden.MatchString(sp.place) {
				t.Fatalf("%s is not kept in %q", sp.place, kept)
			}
		}
		checkSplices(t, body, kept, splices, len(redactions))
		var before, after any
		if json.Unmarshal(body, &before) == nil && json.Unmarshal(kept, &after) == nil {
			if path := leaked(before, after, nil); path != "" {
				t.Fatalf("%s is kept in %q", path, kept)
			}
		}
	})
}

func tooDeep(b []byte) bool {
	return bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > maxDepth
}

// leaked finds a leaf below a hidden member that is the same before and after.
// The names are those of the members that enclose it.
func leaked(before, after any, names []string) string {
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok {
			return ""
		}
		for k, v := range b {
			if p := leaked(v, a[k], append(slices.Clip(names), k)); p != "" {
				return "/" + k + p
			}
		}
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			return ""
		}
		for i := range b {
			if p := leaked(b[i], a[i], names); p != "" {
				return "/[]" + p
			}
		}
	case nil:
	default:
		if before == after && isHidden(names) {
			return "/"
		}
	}
	return ""
}

// isHidden says whether the names have a sensitive path in them.
func isHidden(names []string) bool {
	for i := range names {
		for _, path := range hiding {
			steps := strings.Split(path, ".")
			if len(names)-i >= len(steps) && slices.EqualFunc(steps, names[i:i+len(steps)], sameName) {
				return true
			}
		}
	}
	return false
}

func sameName(a, b string) bool { return isASCII(b) && strings.EqualFold(a, b) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}

// checkSplices proves that everything outside of the spliced ranges is as it
// was.
func checkSplices(t *testing.T, before, after []byte, splices []splice, redactions int) {
	t.Helper()
	splices = append(splices, presigned(before)...)
	slices.SortFunc(splices, func(a, b splice) int { return a.start - b.start })
	var pattern strings.Builder
	pattern.WriteString("^")
	last, n := 0, 0
	for _, s := range splices {
		if s.start < last {
			continue
		}
		pattern.WriteString(quoteBytes(before[last:s.start]))
		pattern.WriteString(strings.ReplaceAll(quoteBytes([]byte(s.with)), `%`, `REDACTED-[0-9a-f]{12}`))
		last = s.end
		n++
	}
	pattern.WriteString(quoteBytes(before[last:]) + "$")
	p, err := regexp.Compile(pattern.String())
	if err != nil {
		return // longer than regexp allows
	}
	if !p.MatchString(latin1(after)) {
		t.Fatalf("bytes outside of the redactions changed:\n%q\n%q", before, after)
	}
	if n != redactions {
		t.Fatalf("%d redactions noted, %d made", redactions, n)
	}
}

// quoteBytes and latin1 let regexp see bytes rather than UTF-8.
func quoteBytes(b []byte) string { return regexp.QuoteMeta(latin1(b)) }

func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// FuzzRedactXML does the same for XML, and compares with what encoding/xml
// sees.
func FuzzRedactXML(f *testing.F) {
	for _, s := range []string{"", "<a/>", "<Hidden>x<b c='d'>e</b></Hidden>", "<![CDATA[x]]>", "<!-- c -->", "<?p i?>", "<x:Hidden y = \"1\">&amp;</x:Hidden>", "</R>", "<Token><SecretAccessKey>k</SecretAccessKey></Token>", "<Items><member><Deep>k</Deep></member></Items>"} {
		f.Add(s)
	}
	const secret = "pl4nted"
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, secret) {
			t.Skip()
		}
		body := []byte("<R>" + s + "<Hidden>" + secret + "</Hidden><Deep>" + secret + "</Deep></R>")
		kept, redactions := newRedactor(testKey, hiding).body("", body)
		splices, err := scanXML(body, newNames(hiding))
		if err != nil {
			if bytes.Contains(kept, []byte(secret)) {
				t.Fatalf("kept the secret: %q", kept)
			}
			return
		}
		for _, hidden := range hiddenText(body) {
			if hidden != "" && slices.Contains(hiddenText(kept), hidden) && !strings.Contains(hidden, redactedPrefix) {
				t.Fatalf("%q is kept in %q", hidden, kept)
			}
		}
		checkSplices(t, body, kept, splices, len(redactions))
	})
}

// hiddenText gives the text of each element with a hidden name, or the last name
// of a hidden path, as encoding/xml reads it.
func hiddenText(b []byte) []string {
	d := xml.NewDecoder(bytes.NewReader(b))
	var texts []string
	depth := 0
	for {
		t, err := d.Token()
		if err != nil {
			if err != io.EOF { //nolint:errorlint // xml.Decoder returns io.EOF itself
				return nil
			}
			return texts
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth > 0 || sameName("Hidden", t.Name.Local) || sameName("Deep", t.Name.Local) {
				depth++
			}
		case xml.EndElement:
			if depth > 0 {
				depth--
			}
		case xml.CharData:
			if depth > 0 {
				texts = append(texts, strings.TrimSpace(string(t)))
			}
		}
	}
}

func FuzzRedactForm(f *testing.F) {
	f.Add("a=b&Hidden=%", "c=d")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "pl4nted"
		body := before + "&Hidden=" + secret + "&Items.1.Deep=" + secret + "&" + after
		if strings.Count(body, secret) > 2 {
			t.Skip()
		}
		kept, _ := newRedactor(testKey, hiding).body("", []byte(body))
		if bytes.Contains(kept, []byte(secret)) && formatOf([]byte(body)) != formatXML {
			t.Fatalf("kept the secret: %q", kept)
		}
	})
}
