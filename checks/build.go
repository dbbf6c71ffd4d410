package checks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tallystick/tallystick/evidence"
)

// Decode reads a catalogue back from the bytes of Catalogue.JSON, as a ledger
// keeps them, so that an old judgement can be repeated by its own rules.
func Decode(data []byte) (*Catalogue, error) {
	controls, err := decodeControls(data)
	if err != nil {
		return nil, err
	}
	return build(controls)
}

// document is the form of the catalogue as JSON.
type document struct {
	Version  int       `json:"version"`
	Controls []Control `json:"controls"`
}

// documentVersion is the version of that form.
const documentVersion = 1

func decodeControls(data []byte) ([]Control, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	var doc document
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode catalogue: %w", err)
	}
	if doc.Version != documentVersion {
		return nil, fmt.Errorf("decode catalogue: version %d is not known to this program, which reads version %d", doc.Version, documentVersion)
	}
	return doc.Controls, nil
}

// build compiles controls that were checked before.
func build(controls []Control) (*Catalogue, error) {
	c, faults, err := compileAll(controls)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, f := range faults {
		problems = append(problems, fmt.Errorf("check %q: %s: %s", f.check, f.part, f.message))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return c, nil
}

// placed is a fault with the check it is in.
type placed struct {
	check string
	fault
}

// compileAll compiles every check and seals the result.
func compileAll(controls []Control) (*Catalogue, []placed, error) {
	env, err := newEnv()
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(controls, func(a, b Control) int { return compare(a.ID, b.ID) })
	c := &Catalogue{controls: controls}
	var faults []placed
	for _, control := range controls {
		slices.SortFunc(control.Checks, func(a, b Check) int { return compare(a.ID, b.ID) })
		for _, check := range control.Checks {
			r, wrong := compile(env, control.ID, check)
			for _, f := range wrong {
				faults = append(faults, placed{check: check.ID, fault: f})
			}
			c.rules = append(c.rules, r)
		}
	}
	slices.SortFunc(c.rules, func(a, b *rule) int { return compare(a.check.ID, b.check.ID) })
	if c.json, err = canonical(document{Version: documentVersion, Controls: controls}); err != nil {
		return nil, nil, fmt.Errorf("encode catalogue: %w", err)
	}
	sum := sha256.Sum256(c.json)
	c.digest = evidence.Digest(hex.EncodeToString(sum[:]))
	return c, faults, nil
}

// canonical encodes v with sorted keys and without escapes meant for HTML.
func canonical(v any) ([]byte, error) {
	first, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(first))
	dec.UseNumber()
	var generic any
	if err := dec.Decode(&generic); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(generic); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
