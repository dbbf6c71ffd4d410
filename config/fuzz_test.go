package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"
)

// No file makes Parse panic; an error holds problems with places; and what is
// accepted survives Effective.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{"", "a", "[", "{", "- - -", "? :", "&a *a", "a: |\n  b", "%YAML 9", "\"\\u", "!!x y", "<<: {}", "a: ${", "\ufeffa: b", "a:\r\n  b: c"} {
		f.Add([]byte(seed))
	}
	env := func(name string) (string, bool) { return "v" + name, name != "NO" }
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("/etc/tallystick.yaml", data, known(), env)
		if err != nil {
			problems, ok := errors.AsType[Problems](err)
			if !ok || len(problems) == 0 || problems.Error() == "" {
				t.Fatalf("error of type %T: %v", err, err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" {
					t.Fatalf("problem without a place: %+v", p)
				}
			}
			return
		}
		effective, err := file.Config.Effective()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("/elsewhere/tallystick.yaml", effective, known(), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, effective)
		}
		twice, err := again.Config.Effective()
		if err != nil || string(twice) != string(effective) {
			t.Fatalf("%v: the effective configuration is\n%s\nthen\n%s", err, effective, twice)
		}
	})
}

// Whatever text stands in a configuration, Effective writes it so that it is
// read back unchanged.
func FuzzEffective(f *testing.F) {
	for _, seed := range []string{"", "Example, Inc.", "a: b # c", "- x", "${HOME}", "$${", "$$${x}", "\"'\\", "012", "true", "~", "a\u0085b\u2028\ufeff", "\x7f\x00\n", "{[*&!|>%@`", "\U0001f600"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, value, key string) {
		if !utf8.ValidString(value) || !utf8.ValidString(key) {
			return // a file can not hold it, nor a variable
		}
		c := Default()
		c.Organization, c.Evidence = "Example", Evidence{Dir: "/e", Key: "/k"}
		c.Period = Period{Start: "2026-07-01", End: "2026-12-31"}
		c.AWS.Accounts = []Account{{ID: "012345678901"}}
		c.Catalogue.Parameters = map[string]map[string]Parameter{key: {key: {
			Value: []any{value, int64(1), 1.0, true}, Owner: value + ".", Approver: "." + value, Reason: value + "." + value,
		}}}
		data, err := c.Effective()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse("/x.yaml", data, Known{}, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if !reflect.DeepEqual(got.Config, c) {
			t.Fatalf("read back as\n%+v, want\n%+v\n%s", got.Config, c, data)
		}
	})
}
