package period

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/evidence"
)

// catalogue is what this package needs of a sealed catalogue of checks.
type catalogue struct {
	digest   evidence.Digest
	controls []Control // sorted by id; only those that the window is about
	byCheck  map[string]*Control
	checks   map[string]Check
	kinds    map[string]map[string]bool // by control: every kind that it reads
	raw      map[string]map[string]any  // every control without its checks, and every check, by "control ID" and "check ID"; for the change log
}

// document is the sealed form of a catalogue, as far as it is read here.
type document struct {
	Controls []struct {
		ID        string `json:"id"`
		Title     string `json:"title"`
		Severity  string `json:"severity"`
		Frequency string `json:"frequency"`
		Criteria  []struct {
			ID string `json:"id"`
		} `json:"criteria"`
		Checks []struct {
			ID       string   `json:"id"`
			Title    string   `json:"title"`
			Provider string   `json:"provider"`
			Kinds    []string `json:"kinds"`
			Joins    []struct {
				Kind string `json:"kind"`
			} `json:"joins"`
		} `json:"checks"`
	} `json:"controls"`
}

// decodeCatalogue reads the bytes of a PayloadCatalogue. With only, it keeps
// those controls.
func decodeCatalogue(digest evidence.Digest, data []byte, only []string) (*catalogue, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read catalogue %s: %w", digest, err)
	}
	c := &catalogue{digest: digest, byCheck: map[string]*Control{}, checks: map[string]Check{}, kinds: map[string]map[string]bool{}}
	for _, d := range doc.Controls {
		if len(only) > 0 && !slices.Contains(only, d.ID) {
			continue
		}
		control := Control{ID: d.ID, Title: d.Title, Severity: d.Severity, Frequency: d.Frequency, Criteria: []string{}, Checks: []Check{}}
		for _, criterion := range d.Criteria {
			control.Criteria = append(control.Criteria, criterion.ID)
		}
		kinds := map[string]bool{}
		for _, k := range d.Checks {
			check := Check{ID: k.ID, Title: k.Title, Provider: k.Provider, Kinds: slices.Clone(k.Kinds), Reads: slices.Clone(k.Kinds)}
			for _, j := range k.Joins {
				check.Reads = append(check.Reads, j.Kind)
			}
			slices.Sort(check.Reads)
			check.Reads = slices.Compact(check.Reads)
			for _, kind := range check.Reads {
				kinds[kind] = true
			}
			control.Checks = append(control.Checks, check)
			c.checks[check.ID] = check
		}
		slices.SortFunc(control.Checks, func(a, b Check) int { return strings.Compare(a.ID, b.ID) })
		c.kinds[d.ID] = kinds
		c.controls = append(c.controls, control)
	}
	slices.SortFunc(c.controls, func(a, b Control) int { return cmp.Compare(a.ID, b.ID) })
	for i := range c.controls {
		for _, check := range c.controls[i].Checks {
			c.byCheck[check.ID] = &c.controls[i]
		}
	}
	var err error
	if c.raw, err = flattenCatalogue(data, only); err != nil {
		return nil, fmt.Errorf("read catalogue %s: %w", digest, err)
	}
	return c, nil
}

// flattenCatalogue gives the parts of a catalogue that change on their own.
func flattenCatalogue(data []byte, only []string) (map[string]map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc struct {
		Controls []map[string]any `json:"controls"`
	}
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	out := map[string]map[string]any{}
	for _, control := range doc.Controls {
		id, _ := control["id"].(string)
		if len(only) > 0 && !slices.Contains(only, id) {
			continue
		}
		checks, _ := control["checks"].([]any)
		delete(control, "checks")
		out["control "+id] = control
		for _, c := range checks {
			if check, ok := c.(map[string]any); ok {
				name, _ := check["id"].(string)
				delete(check, "examples") // documentation of the rule, not part of it
				out["check "+name] = check
			}
		}
	}
	return out, nil
}

// reads says whether a control reads one of the kinds.
func (c *catalogue) reads(control string, kinds []string) bool {
	of := c.kinds[control]
	return slices.ContainsFunc(kinds, func(kind string) bool { return of[kind] })
}
