package verify

import (
	"encoding/json"
	"slices"

	"github.com/tallystick/tallystick/evidence"
)

const maxCatalogue = 64 << 20 // bytes of a catalogue payload

// configured names what a Configuration put in force.
type configured struct {
	manual              bool
	schedule, catalogue evidence.Digest
}

// narrow is what names a payload of a bundle that is narrowed to controls.
type narrow struct {
	collectors []string // of the runs
	checks     []string // of the assessments
}

// optional says whether a payload that a record names may be absent from the
// bundle: what a Missed or Stop record repeats, and what is only evidence of
// another export. In a bundle that is narrowed to controls, demandConcerned
// decides about the payloads of runs and assessments.
func (x *extract) optional(key [hashSize]byte, predicate any) bool {
	if x == nil {
		return false
	}
	switch p := predicate.(type) {
	case *evidence.Configuration, *evidence.Sample:
		return false
	case *evidence.Run:
		if len(x.Controls) == 0 {
			return false
		}
		n := x.narrowed(key)
		if !slices.Contains(n.collectors, p.Collector) {
			n.collectors = append(n.collectors, p.Collector)
		}
	case *evidence.Assessment:
		if len(x.Controls) == 0 {
			return false
		}
		n := x.narrowed(key)
		for _, count := range p.Checks {
			if !slices.Contains(n.checks, count.Check) {
				n.checks = append(n.checks, count.Check)
			}
		}
	}
	return true
}

func (x *extract) narrowed(key [hashSize]byte) *narrow {
	n, ok := x.narrow[key]
	if !ok {
		n = &narrow{}
		x.narrow[key] = n
	}
	return n
}

// demandConcerned decides, in a bundle that is narrowed to controls, which
// payloads must be there: those of runs of a collector that supplies a kind
// that a check of the controls reads, and those of assessments that made such a
// check. What a collector supplies, its newest schedule says; what a check
// reads, the catalogues that were in force.
func (c *check) demandConcerned() {
	x := c.rules.extract
	if len(x.Controls) == 0 {
		return
	}
	reads, checks := map[string]bool{}, map[string]bool{}
	kinds := map[string][]string{}
	for i, of := range x.configs {
		var catalogue catalogue
		if (!of.manual || i == len(x.configs)-1) && c.readPayloadJSON(of.catalogue, maxCatalogue, &catalogue) {
			catalogue.concerns(x.Controls, reads, checks)
		}
		var schedule evidence.Schedule
		if c.readPayloadJSON(of.schedule, maxSchedule, &schedule) {
			for _, collector := range schedule.Collectors {
				kinds[collector.Collector] = collector.Kinds
			}
		}
	}
	x.concerned = map[string]bool{}
	for collector, supplied := range kinds {
		x.concerned[collector] = slices.ContainsFunc(supplied, func(kind string) bool { return reads[kind] })
	}
	for key, n := range x.narrow {
		if slices.ContainsFunc(n.collectors, func(name string) bool { return x.concerned[name] }) ||
			slices.ContainsFunc(n.checks, func(id string) bool { return checks[id] }) {
			named := c.named[key]
			named.optional = false
			c.named[key] = named
		}
	}
}

// catalogue is a PayloadCatalogue, as far as it is read here.
type catalogue struct {
	Controls []struct {
		ID     string `json:"id"`
		Checks []struct {
			ID    string   `json:"id"`
			Kinds []string `json:"kinds"`
			Joins []struct {
				Kind string `json:"kind"`
			} `json:"joins"`
		} `json:"checks"`
	} `json:"controls"`
}

// concerns adds the checks of the controls and the kinds that they read.
func (c catalogue) concerns(controls []string, reads, checks map[string]bool) {
	for _, control := range c.Controls {
		if !slices.Contains(controls, control.ID) {
			continue
		}
		for _, k := range control.Checks {
			checks[k.ID] = true
			for _, kind := range k.Kinds {
				reads[kind] = true
			}
			for _, join := range k.Joins {
				reads[join.Kind] = true
			}
		}
	}
}

// readPayloadJSON reads a payload of a configuration. That it is missing or
// corrupt is said elsewhere.
func (c *check) readPayloadJSON(d evidence.Digest, limit int64, v any) bool {
	raw, err := c.store.ReadAll(d, limit)
	if err != nil {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		c.problem(KindConfiguration, payloadPlace(d), "%v: what the controls are about cannot be told", err)
		return false
	}
	return true
}

// counts says whether the slots of a collector count for the report.
func (x *extract) counts(collector string) bool {
	return x == nil || x.concerned == nil || x.concerned[collector]
}
