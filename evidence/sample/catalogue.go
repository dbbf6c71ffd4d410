package sample

import (
	"encoding/json"
	"fmt"
	"slices"
)

// catalogue is what a PayloadCatalogue says of which kinds are read.
type catalogue struct {
	Controls []struct {
		ID     string `json:"id"`
		Checks []struct {
			ID       string   `json:"id"`
			Provider string   `json:"provider"`
			Kinds    []string `json:"kinds"`
			Joins    []struct {
				Kind string `json:"kind"`
			} `json:"joins"`
		} `json:"checks"`
	} `json:"controls"`
}

func (p *Population) catalogueOf(of *force) (*catalogue, error) {
	raw, err := p.past.payloads.ReadAll(of.catalogue, maxCatalogue)
	if err != nil {
		return nil, fmt.Errorf("read catalogue of record %d: %w", of.record, err)
	}
	c := new(catalogue)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("read catalogue %s: %w", of.catalogue, err)
	}
	return c, nil
}

// providerOf gives the provider that a check is about.
func (p *Population) providerOf(of *force, check string) (string, error) {
	c, err := p.catalogueOf(of)
	if err != nil {
		return "", err
	}
	for _, control := range c.Controls {
		for _, k := range control.Checks {
			if k.ID == check {
				return k.Provider, nil
			}
		}
	}
	return "", fmt.Errorf("check %q was not in the catalogue in force on %s", check, p.Definition.Date)
}

// reads gives the kinds that a control reads, by provider.
func (c *catalogue) reads(id string) (map[string][]string, bool) {
	out, found := map[string][]string{}, false
	for _, control := range c.Controls {
		if control.ID != id {
			continue
		}
		found = true
		for _, k := range control.Checks {
			out[k.Provider] = append(out[k.Provider], k.Kinds...)
			for _, j := range k.Joins {
				out[k.Provider] = append(out[k.Provider], j.Kind)
			}
		}
	}
	return out, found
}

// wants gives which collectors of a force the slots are of.
func (p *Population) wants(of *force) (func(collector string) bool, bool, error) {
	if name := p.Definition.Collector; name != "" {
		known := false
		for _, c := range of.schedule.Collectors {
			known = known || c.Collector == name
		}
		return func(collector string) bool { return collector == name }, known, nil
	}
	c, err := p.catalogueOf(of)
	if err != nil {
		return nil, false, err
	}
	kinds, known := c.reads(p.Definition.Control)
	wanted := map[string]bool{}
	for _, collector := range of.schedule.Collectors {
		wanted[collector.Collector] = slices.ContainsFunc(collector.Kinds, func(kind string) bool {
			return slices.Contains(kinds[collector.Provider], kind)
		})
	}
	return func(collector string) bool { return wanted[collector] }, known, nil
}
