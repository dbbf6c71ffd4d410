package period

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tallystick/tallystick/evidence"
)

// differ compares what one run saw with what the run before it in its stream
// saw, and one configuration with the one before it.
type differ struct {
	fold    *Fold
	streams map[evidence.Stream]*seenBefore
}

func newDiffer(f *Fold) *differ {
	return &differ{fold: f, streams: map[evidence.Stream]*seenBefore{}}
}

// seenBefore is what a stream is compared with.
type seenBefore struct {
	who     *evidence.Run // the last that knew its principal
	where   *evidence.Run // the last that knew its regions
	gaps    evidence.Digest
	lists   map[listKey]baseline          // the last run that read the list to its end
	pending map[resourceKey]*heldResource // what a gap hides since
}

// listKey is a list: of a kind in a region. An empty region stands for all of
// them at once.
type listKey struct{ kind, region string }

type resourceKey struct{ kind, region, id string }

// emit tells of a change.
func (d *differ) emit(c Change) error {
	d.fold.report.Changes[c.What]++
	if d.fold.o.Changed == nil {
		return nil
	}
	return d.fold.o.Changed(c)
}

// ran compares a run of the window with those before it.
func (d *differ) ran(index uint64, p *evidence.Run, run *Run) error {
	before, ok := d.streams[p.Stream]
	if !ok {
		before = &seenBefore{lists: map[listKey]baseline{}, pending: map[resourceKey]*heldResource{}}
		d.streams[p.Stream] = before
	}
	if err := d.ranElsewhere(index, before, p); err != nil {
		return err
	}
	if d.fold.o.Changed == nil || run.Observations == "" {
		return nil
	}
	missing, err := readUnread(d.fold.o.Payloads, run.Gaps)
	if err != nil {
		return err
	}
	lists := before.read(p, d.fold.kinds[p.Collector], missing)
	olds := map[baseline]map[listKey]bool{}
	for list := range lists {
		old, ok := before.lists[list]
		if !ok && len(p.Regions) == 0 { // a region in which a list of all regions had nothing
			old, ok = before.lists[listKey{list.kind, ""}]
		}
		if ok && (old.observations != run.Observations || before.gaps != run.Gaps) {
			if olds[old] == nil {
				olds[old] = map[listKey]bool{}
			}
			olds[old][list] = true
		}
	}
	for _, old := range slices.SortedFunc(maps.Keys(olds), func(a, b baseline) int {
		return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.observations, b.observations))
	}) {
		c := comparison{differ: d, before: before, record: index, stream: p.Stream, old: old, run: p, lists: olds[old], missing: missing, now: run.Observations}
		if err := c.compare(); err != nil {
			return err
		}
	}
	before.hide(missing, lists)
	before.gaps = run.Gaps
	for list := range lists {
		before.lists[list] = baseline{run.Observations, p.Started}
	}
	return nil
}

// read gives the lists that a run read to their end.
func (s *seenBefore) read(p *evidence.Run, kinds []string, missing *unread) map[listKey]bool {
	out := map[listKey]bool{}
	add := func(list listKey) {
		looked := len(p.Regions) == 0 || list.region == "" || slices.Contains(p.Regions, list.region)
		if looked && slices.Contains(kinds, list.kind) && !missing.list(list) {
			out[list] = true
		}
	}
	for _, n := range p.Observations {
		add(listKey{n.Kind, n.Region})
	}
	for list := range s.lists {
		add(list)
	}
	if len(p.Regions) == 0 {
		for _, kind := range kinds {
			add(listKey{kind, ""})
		}
	}
	return out
}

// ranElsewhere compares where and as whom two runs of a stream looked. A run
// that got to know neither changes nothing.
func (d *differ) ranElsewhere(index uint64, before *seenBefore, now *evidence.Run) error {
	change := Change{At: now.Finished, Provider: now.Provider, Account: now.Account, Collector: now.Collector, Record: index}
	if old := before.where; old != nil && len(now.Regions)+len(now.RegionsLeftOut) > 0 {
		change.After = &old.Started
		if err := d.regions(change, ChangeScope, "regions", old.Regions, now.Regions); err != nil {
			return err
		}
		if err := d.regions(change, ChangeExclusion, "regions_left_out", old.RegionsLeftOut, now.RegionsLeftOut); err != nil {
			return err
		}
	}
	if len(now.Regions)+len(now.RegionsLeftOut) > 0 {
		before.where = now
	}
	if now.Principal == "" {
		return nil
	}
	old := before.who
	before.who = now
	if old == nil || old.Principal == now.Principal {
		return nil
	}
	change.What, change.Subject, change.Field, change.After = ChangeScope, "principal", "principal", &old.Started
	change.From, change.To = encoded(old.Principal), encoded(now.Principal)
	return d.emit(change)
}

// regions tells of the regions that are in one list and not in the other.
func (d *differ) regions(change Change, what, field string, old, now []string) error {
	change.What, change.Field = what, field
	for _, region := range now {
		if !slices.Contains(old, region) {
			c := change
			c.Subject, c.Region, c.To = region, region, encoded(region)
			if err := d.emit(c); err != nil {
				return err
			}
		}
	}
	for _, region := range old {
		if !slices.Contains(now, region) {
			c := change
			c.Subject, c.Region, c.From = region, region, encoded(region)
			if err := d.emit(c); err != nil {
				return err
			}
		}
	}
	return nil
}
