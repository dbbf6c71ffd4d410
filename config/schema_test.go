package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

type schemaNode struct {
	Type                 any                    `json:"type"`
	Properties           map[string]*schemaNode `json:"properties"`
	Items                *schemaNode            `json:"items"`
	AdditionalProperties json.RawMessage        `json:"additionalProperties"`
	Default              any                    `json:"default"`
	Ref                  string                 `json:"$ref"`
	Defs                 map[string]*schemaNode `json:"$defs"`
}

// Every key of the struct tree is in the schema, every key of the schema is in
// the struct tree, and the defaults are the same.
func TestSchemaAgreesWithConfig(t *testing.T) {
	var root schemaNode
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	root.resolve(root.Defs)
	agree(t, "", reflect.ValueOf(Default()), &root)
}

// resolve puts the properties of a definition in the place of a reference to it.
func (s *schemaNode) resolve(defs map[string]*schemaNode) {
	if s.Items != nil {
		s.Items.resolve(defs)
	}
	for _, p := range s.Properties {
		p.resolve(defs)
	}
	if def := defs[strings.TrimPrefix(s.Ref, "#/$defs/")]; def != nil && def.Properties != nil {
		s.Properties, s.AdditionalProperties = def.Properties, def.AdditionalProperties
	}
}

func agree(t *testing.T, path string, v reflect.Value, s *schemaNode) {
	t.Helper()
	if s.Default != nil {
		if want := defaultOf(t, v); !reflect.DeepEqual(s.Default, want) {
			t.Errorf("%s: the schema has the default %v, Default has %v", path, s.Default, want)
		}
	} else if path != "" && v.Kind() != reflect.Struct && !v.IsZero() {
		t.Errorf("%s: Default has %v, the schema no default", path, v)
	}
	if _, ok := reflect.TypeAssert[Regions](v); ok {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if string(s.AdditionalProperties) != "false" {
			t.Errorf("%s: the schema lets unknown keys pass", path)
		}
		seen := map[string]bool{}
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			seen[name] = true
			if s.Properties[name] == nil {
				t.Errorf("%s: not in the schema", join(path, name))
				continue
			}
			agree(t, join(path, name), v.Field(i), s.Properties[name])
		}
		for name := range s.Properties {
			if !seen[name] {
				t.Errorf("%s: in the schema only", join(path, name))
			}
		}
	case reflect.Slice:
		if s.Items == nil {
			t.Errorf("%s: the schema has no items", path)
			return
		}
		agree(t, path+"[]", reflect.Zero(v.Type().Elem()), s.Items)
	case reflect.Map:
		var values schemaNode
		if err := json.Unmarshal(s.AdditionalProperties, &values); err != nil {
			t.Errorf("%s: the schema does not say what the values are: %v", path, err)
			return
		}
		agree(t, path+".*", reflect.Zero(v.Type().Elem()), &values)
	default:
	}
}

// defaultOf gives a default as JSON has it.
func defaultOf(t *testing.T, v reflect.Value) any {
	t.Helper()
	if r, ok := reflect.TypeAssert[Regions](v); ok && r.Enabled() {
		return "enabled"
	}
	data, err := json.Marshal(v.Interface())
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
