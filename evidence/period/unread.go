package period

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// unread is what a run could not read.
type unread struct {
	lists     map[listKey]bool
	regions   map[string]bool // kinds of which the list of some region could not be read
	resources map[[2]string][]evidence.Gap
}

// readUnread reads the gaps of a run.
func readUnread(store *payload.Store, digest evidence.Digest) (*unread, error) {
	u := &unread{lists: map[listKey]bool{}, regions: map[string]bool{}, resources: map[[2]string][]evidence.Gap{}}
	if digest == "" {
		return u, nil
	}
	for g, err := range payload.Lines[evidence.Gap](store, digest) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return u, nil // an extract may lack it, and the observations then too
		case err != nil:
			return nil, fmt.Errorf("read gaps: %w", err)
		case g.Resource != "":
			key := [2]string{g.Kind, g.Resource}
			u.resources[key] = append(u.resources[key], evidence.Gap{Region: g.Region, Field: g.Field})
		case g.Field == "":
			u.lists[listKey{g.Kind, g.Region}] = true
			u.regions[g.Kind] = true
		}
	}
	return u, nil
}

// list says whether some of a list could not be read.
func (u *unread) list(at listKey) bool {
	return u.lists[at] || u.lists[listKey{at.kind, ""}] || at.region == "" && u.regions[at.kind]
}

// of gives what could not be read of one resource: some fields, or all of its
// detail. A gap need not state the region.
func (u *unread) of(key resourceKey) (fields map[string]bool, all bool) {
	for _, g := range u.resources[[2]string{key.kind, key.id}] {
		switch {
		case g.Region != "" && key.region != "" && g.Region != key.region:
		case g.Field == "":
			all = true
		default:
			if fields == nil {
				fields = map[string]bool{}
			}
			fields[g.Field] = true
		}
	}
	return fields, all
}
