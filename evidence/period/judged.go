package period

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// dayCount is the newest count of a check in a scope and the day it was counted
// on.
type dayCount struct {
	day     int
	control string
	count   evidence.CheckCount
}

// assessment takes in an assessment of the window.
func (f *Fold) assessment(e evidence.Entry, p *evidence.Assessment) error {
	digest, _ := e.Statement.Payload(evidence.PayloadCatalogue)
	rules, err := f.readCatalogue(digest)
	if err != nil {
		return err
	}
	verdicts, _ := e.Statement.Payload(evidence.PayloadVerdicts)
	batch := judged{record: e.Index, scope: p.Scope, checks: map[string]*judgedCheck{}}
	for _, count := range p.Checks {
		check, known := rules.checks[count.Check]
		if !known { // the window is about other controls
			continue
		}
		control := rules.byCheck[check.ID]
		f.countDay(p, control.ID, count)
		f.judgements[judgeKey{p.Scope, check.ID}] = &Judgement{
			Scope: p.Scope, Check: check.ID, Control: control.ID, Record: e.Index,
			Evaluated: p.Evaluated, Verdicts: verdicts, Count: count,
		}
		of := &judgedCheck{control: control, check: check, lists: map[string][]string{}}
		if err := f.lookOf(p, of); err != nil {
			return err
		}
		batch.checks[check.ID] = of
	}
	if len(batch.checks) == 0 {
		return nil
	}
	return f.tracker.take(f.o.Payloads, verdicts, batch)
}

// lookOf fills in when and where a check looked: from the begin of the earliest
// run that it read to the end of the latest.
func (f *Fold) lookOf(p *evidence.Assessment, c *judgedCheck) error {
	for _, u := range p.Used {
		at, in, ok := f.looks.of(u.Record)
		if !ok {
			return fmt.Errorf("it used record %d, which is no run before it", u.Record)
		}
		supplied := f.kinds[in.collector]
		if !overlap(supplied, c.check.Reads) {
			continue
		}
		if from := at.from.time(); c.from.IsZero() || from.Before(c.from) {
			c.from = from
		}
		c.to = max2(c.to, at.to.time())
		if u.Organization {
			continue // another account's lists are not what was judged
		}
		for _, kind := range supplied {
			if slices.Contains(c.check.Kinds, kind) {
				c.lists[kind] = in.regions
			}
		}
	}
	if c.from.IsZero() {
		c.from, c.to = p.Evaluated, p.Evaluated // it read no run at all: nothing was there to read
	}
	return nil
}

// countDay counts the verdicts of a check on the day of the assessment; a later
// one of the same day takes its place.
func (f *Fold) countDay(p *evidence.Assessment, control string, count evidence.CheckCount) {
	key := judgeKey{p.Scope, count.Check}
	day := dayOf(f.days, p.Evaluated)
	cell := f.cell(control, day)
	if before, ok := f.dayCounts[key]; ok && before.day == day {
		f.cell(before.control, day).count(before.count, -1)
	}
	f.dayCounts[key] = dayCount{day, control, count}
	cell.count(count, 1)
	cell.Judged = true
	cell.FailSeen = cell.FailSeen || count.Fail > 0
}

func (c *Cell) count(n evidence.CheckCount, sign int) {
	c.Pass += sign * n.Pass
	c.Fail += sign * n.Fail
	c.Unknown += sign * n.Unknown
	c.NotApplicable += sign * n.NotApplicable
}

func (f *Fold) cell(control string, day int) *Cell {
	days, ok := f.cells[control]
	if !ok {
		days = make([]Cell, len(f.days))
		f.cells[control] = days
	}
	return &days[day]
}

// judged is one assessment on its way into the tracker.
type judged struct {
	record uint64
	scope  evidence.Scope
	checks map[string]*judgedCheck
}

// judgedCheck is one check of it.
type judgedCheck struct {
	control  *Control
	check    Check
	from, to time.Time
	lists    map[string][]string // the regions that were looked at, by kind that it judges; none: everywhere
	group    *group
	blind    map[listKey]evidence.Verdict // lists that could not be read
}

// sight says in words where it looked.
func (c *judgedCheck) sight() string {
	var b strings.Builder
	for _, kind := range c.check.Kinds {
		if regions, ok := c.lists[kind]; ok {
			b.WriteString(kind + " " + strings.Join(regions, " ") + "\n")
		}
	}
	return b.String()
}

// unread notes the lists that a verdict on a population says could not be read.
func (c *judgedCheck) unread(v evidence.Verdict) {
	if c.blind == nil {
		c.blind = map[listKey]evidence.Verdict{}
	}
	told := false
	for _, kind := range c.check.Kinds {
		_, collected := c.lists[kind]
		listed := !slices.ContainsFunc(v.Gaps, func(g evidence.Gap) bool { return g.Kind == kind && g.Resource == "" && g.Field == "" })
		if !collected || !listed {
			c.blind[listKey{kind, v.Region}], told = v, true
		}
	}
	for _, kind := range c.check.Kinds {
		if !told { // it does not say which
			c.blind[listKey{kind, v.Region}] = v
		}
	}
}

// hides gives the verdict on a list that could not be read, in which the
// resource may be.
func (c *judgedCheck) hides(key trackKey) (evidence.Verdict, bool) {
	if v, ok := c.blind[listKey{key.kind, key.region}]; ok {
		return v, true
	}
	v, ok := c.blind[listKey{key.kind, ""}]
	return v, ok
}

// away says whether the resource is in a region that was not looked at.
func (c *judgedCheck) away(key trackKey) bool {
	regions := c.lists[key.kind]
	return key.region != "" && len(regions) > 0 && !slices.Contains(regions, key.region)
}

// whole gives the lists that were read to their end.
func (c *judgedCheck) whole() []listKey {
	var out []listKey
	for kind, regions := range c.lists {
		if len(regions) == 0 {
			regions = []string{""}
		}
		for _, region := range regions {
			if !c.holed(listKey{kind, region}) {
				out = append(out, listKey{kind, region})
			}
		}
	}
	return out
}

func (c *judgedCheck) holed(list listKey) bool {
	for at := range c.blind {
		if at.kind == list.kind && (at.region == list.region || at.region == "" || list.region == "") {
			return true
		}
	}
	return false
}
