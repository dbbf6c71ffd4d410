package period

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// differ compares what one run saw with what the run before it in its stream
// saw, and one configuration with the one before it.
type differ struct {
	fold    *Fold
	streams map[evidence.Stream]*seenBefore
}

// seenBefore is what a stream is compared with.
type seenBefore struct {
	run     *evidence.Run
	lists   map[listKey]baseline          // the last run that read the list to its end
	pending map[resourceKey]*heldResource // what a gap hides since
}

type listKey struct{ kind, region string }

type resourceKey struct{ kind, region, id string }

// baseline is a list and when it was looked at.
type baseline struct {
	observations evidence.Digest
	from         time.Time
}

// emit tells of a change.
func (d *differ) emit(c Change) error {
	d.fold.report.Changes[c.What]++
	if d.fold.o.Changed == nil {
		return nil
	}
	return d.fold.o.Changed(c)
}

// unread is what a run could not read.
type unread struct {
	lists  map[listKey]bool
	bodies map[resourceKey]bool            // the whole detail
	fields map[resourceKey]map[string]bool // some fields
}

func (u *unread) list(kind, region string) bool {
	return u.lists[listKey{kind, region}] || u.lists[listKey{kind, ""}]
}

func (d *differ) unread(digest evidence.Digest) (*unread, error) {
	u := &unread{lists: map[listKey]bool{}, bodies: map[resourceKey]bool{}, fields: map[resourceKey]map[string]bool{}}
	if digest == "" {
		return u, nil
	}
	for g, err := range payload.Lines[evidence.Gap](d.fold.o.Payloads, digest) {
		if err != nil {
			return nil, fmt.Errorf("read gaps: %w", err)
		}
		key := resourceKey{g.Kind, g.Region, g.Resource}
		switch {
		case g.Resource == "":
			u.lists[listKey{g.Kind, g.Region}] = true
		case g.Field == "":
			u.bodies[key] = true
		default:
			if u.fields[key] == nil {
				u.fields[key] = map[string]bool{}
			}
			u.fields[key][g.Field] = true
		}
	}
	return u, nil
}

// ran compares a run of the window with those before it.
func (d *differ) ran(index uint64, p *evidence.Run, run *Run) error {
	if d.streams == nil {
		d.streams = map[evidence.Stream]*seenBefore{}
	}
	before, ok := d.streams[p.Stream]
	if !ok {
		before = &seenBefore{lists: map[listKey]baseline{}, pending: map[resourceKey]*heldResource{}}
		d.streams[p.Stream] = before
	} else if err := d.ranElsewhere(index, before.run, p); err != nil {
		return err
	}
	before.run = p
	if d.fold.o.Changed == nil || run.Observations == "" {
		return nil
	}
	missing, err := d.unread(run.Gaps)
	if err != nil {
		return err
	}
	lists := map[listKey]bool{}
	for _, n := range run.Counts {
		lists[listKey{n.Kind, n.Region}] = true
	}
	for key := range before.lists {
		lists[key] = true
	}
	// Lists that were read to their end before, by the run that did.
	olds := map[baseline]map[listKey]bool{}
	for key := range lists {
		if missing.list(key.kind, key.region) {
			continue
		}
		if old, ok := before.lists[key]; ok && (old.observations != run.Observations || len(before.pending) > 0) {
			if olds[old] == nil {
				olds[old] = map[listKey]bool{}
			}
			olds[old][key] = true
		}
	}
	for _, old := range slices.SortedFunc(mapsKeys(olds), func(a, b baseline) int {
		return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.observations, b.observations))
	}) {
		c := comparison{differ: d, before: before, record: index, stream: p.Stream, old: old, run: p, lists: olds[old], missing: missing, now: run.Observations}
		if err := c.compare(); err != nil {
			return err
		}
	}
	before.hide(missing)
	for key := range lists {
		if !missing.list(key.kind, key.region) {
			before.lists[key] = baseline{run.Observations, p.Started}
		}
	}
	return nil
}

func mapsKeys[K comparable, V any](m map[K]V) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// ranElsewhere compares where and as whom two runs of a stream looked.
func (d *differ) ranElsewhere(index uint64, old, now *evidence.Run) error {
	change := Change{At: now.Finished, After: &old.Started, Provider: now.Provider, Account: now.Account, Collector: now.Collector, Record: index}
	for _, set := range []struct {
		what, field string
		old, now    []string
	}{
		{ChangeScope, "regions", old.Regions, now.Regions},
		{ChangeExclusion, "regions_left_out", old.RegionsLeftOut, now.RegionsLeftOut},
	} {
		for _, region := range set.now {
			if !slices.Contains(set.old, region) {
				c := change
				c.What, c.Subject, c.Region, c.Field, c.To = set.what, region, region, set.field, quoted(region)
				if err := d.emit(c); err != nil {
					return err
				}
			}
		}
		for _, region := range set.old {
			if !slices.Contains(set.now, region) {
				c := change
				c.What, c.Subject, c.Region, c.Field, c.From = set.what, region, region, set.field, quoted(region)
				if err := d.emit(c); err != nil {
					return err
				}
			}
		}
	}
	if old.Principal != now.Principal && old.Principal != "" && now.Principal != "" {
		change.What, change.Subject, change.Field = ChangeScope, "principal", "principal"
		change.From, change.To = quoted(old.Principal), quoted(now.Principal)
		return d.emit(change)
	}
	return nil
}

func quoted(text string) string {
	raw, _ := json.Marshal(text) //nolint:errchkjson // a string can always be encoded
	return string(raw)
}

// comparison is of some lists between two payloads of observations.
type comparison struct {
	*differ
	before  *seenBefore
	record  uint64
	stream  evidence.Stream
	old     baseline
	now     evidence.Digest
	run     *evidence.Run
	lists   map[listKey]bool
	missing *unread
}

// compare walks both payloads, which are sorted alike, side by side.
func (c *comparison) compare() error {
	nextOld, stopOld := iter.Pull2(c.observations(c.old.observations))
	defer stopOld()
	nextNow, stopNow := iter.Pull2(c.observations(c.now))
	defer stopNow()
	old, errOld, okOld := nextOld()
	now, errNow, okNow := nextNow()
	for okOld || okNow {
		if err := errors.Join(errOld, errNow); errors.Is(err, fs.ErrNotExist) {
			return nil // an extract may lack it
		} else if err != nil {
			return fmt.Errorf("read observations: %w", err)
		}
		order := 0
		switch {
		case !okOld:
			order = 1
		case !okNow:
			order = -1
		default:
			order = old.key().compare(now.key())
		}
		var err error
		if order <= 0 && okOld && order != 0 {
			err = c.tell(ResourceVanished, old)
			delete(c.before.pending, old.key())
		}
		if order > 0 {
			err = c.tell(ResourceAppeared, now)
		}
		if order == 0 {
			err = c.body(old, now)
		}
		if err != nil {
			return err
		}
		if order <= 0 {
			old, errOld, okOld = nextOld()
		}
		if order >= 0 {
			now, errNow, okNow = nextNow()
		}
	}
	return nil
}

// observed is an observation, decoded as far as needed.
type observed struct {
	evidence.Observation
	line []byte
}

func (o *observed) key() resourceKey { return resourceKey{o.Kind, o.Region, o.ID} }

func (k resourceKey) compare(o resourceKey) int {
	return cmp.Or(strings.Compare(k.kind, o.kind), strings.Compare(k.region, o.region), strings.Compare(k.id, o.id))
}

// observations gives those of the lists that are compared.
func (c *comparison) observations(digest evidence.Digest) iter.Seq2[*observed, error] {
	return func(yield func(*observed, error) bool) {
		for line, err := range payload.RawLines(c.fold.o.Payloads, digest) {
			o := &observed{}
			if err == nil {
				o.line = bytes.Clone(line)
				err = json.Unmarshal(o.line, &o.Observation)
			}
			if err != nil {
				yield(o, err)
				return
			}
			if c.lists[listKey{o.Kind, o.Region}] && !yield(o, nil) {
				return
			}
		}
	}
}

func (c *comparison) change(what string, o *observed) Change {
	after := c.old.from
	return Change{
		What: what, At: c.run.Finished, After: &after, Provider: c.stream.Provider, Account: c.stream.Account, Collector: c.stream.Collector,
		Region: o.Region, Kind: o.Kind, Subject: o.ID, Record: c.record,
	}
}

func (c *comparison) tell(what string, o *observed) error { return c.emit(c.change(what, o)) }
