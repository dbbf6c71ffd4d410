package config

import _ "embed"

//go:embed example.yaml
var example string

//go:embed schema.json
var schema string

// Example gives the commented example file, which is the reference
// documentation and loads as it is.
func Example() []byte { return []byte(example) }

// Schema gives the JSON Schema, draft 2020-12, of the file for editors. It
// holds what can be said of a key by itself; Load says the rest.
func Schema() []byte { return []byte(schema) }
