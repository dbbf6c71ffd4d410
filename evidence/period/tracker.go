package period

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// tracker follows every check on every resource from look to look.
type tracker struct {
	w          Window
	groups     map[judgeKey]*group
	deviations []Deviation // that ended
	unknowns   []Unknown   // that ended
	last       *force
}

func newTracker(w Window) *tracker { return &tracker{w: w, groups: map[judgeKey]*group{}} }

// group is one check in one scope.
type group struct {
	judgeKey
	control  string
	severity string
	verdicts evidence.Digest // of the newest assessment
	from, to time.Time       // its look
	round    uint64          // counts the assessments
	tracks   map[trackKey]*track
	odd      map[trackKey]*track // those of tracks that are not just good: failing, or not decided
	left     bool                // the account or the check is out of the configuration
}

type trackKey struct{ region, kind, resource string }

// track is one resource under one check.
type track struct {
	round      uint64    // in which it was seen last
	good       time.Time // begin of the last look at which it was good; zero: never in the window
	known      time.Time // begin of the last look that could decide
	occurrence int
	deviation  *Deviation
	unseen     *Span // within deviation
	unknown    *Unknown
}

func (g *group) track(key trackKey) *track {
	t, ok := g.tracks[key]
	if !ok {
		t = &track{}
		g.tracks[key] = t
	}
	return t
}

// take takes in the verdicts of an assessment.
func (t *tracker) take(store *payload.Store, digest evidence.Digest, batch judged) error {
	same := true
	for id, c := range batch.checks {
		key := judgeKey{batch.scope, id}
		g, ok := t.groups[key]
		if !ok {
			g = &group{judgeKey: key, tracks: map[trackKey]*track{}, odd: map[trackKey]*track{}}
			t.groups[key] = g
		}
		same = same && ok && g.verdicts == digest
		g.control, g.severity = c.control.ID, c.control.Severity
		c.group = g
	}
	for _, c := range batch.checks {
		if same {
			c.group.again(c)
		} else {
			c.group.round++
		}
	}
	if same {
		return nil
	}
	err := verdictLines(store, digest, func(v evidence.Verdict) error {
		if c, ok := batch.checks[v.Check]; ok {
			t.verdict(c, batch.record, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range batch.checks {
		t.missing(c, batch.record)
		c.group.verdicts, c.group.from, c.group.to = digest, c.from, c.to
	}
	return nil
}

// again takes in the very verdicts of the last time.
func (g *group) again(c *judgedCheck) {
	for _, of := range g.odd {
		if of.deviation != nil && of.unseen == nil {
			of.deviation.LastBad = max2(of.deviation.LastBad, c.from)
			of.known = c.from
		}
		if of.unseen != nil {
			of.unseen.Looks++
		}
		if of.unknown != nil {
			of.unknown.Looks++
			of.unknown.Last = c.to
		}
	}
	// Those that are just good are brought up to date when they are looked at.
	g.from, g.to = c.from, c.to
}

// verdict takes in one verdict.
func (t *tracker) verdict(c *judgedCheck, record uint64, v evidence.Verdict) {
	g := c.group
	if v.Resource == evidence.Population && v.Status == evidence.Unknown {
		if c.blind == nil {
			c.blind = map[string]evidence.Verdict{}
		}
		c.blind[v.Region] = v
	}
	key := trackKey{v.Region, v.Kind, v.Resource}
	of := g.track(key)
	g.refresh(of)
	of.round = g.round
	switch v.Status {
	case evidence.Pass, evidence.NotApplicable:
		end := EndPassed
		if v.Status == evidence.NotApplicable {
			end = EndExempt
		}
		t.decided(of, c)
		t.close(of, c, record, end)
		of.good = c.from
		delete(g.odd, key)
	case evidence.Fail:
		t.decided(of, c)
		t.fails(g, key, of, c, record, v)
		g.odd[key] = of
	case evidence.Unknown:
		t.undecided(g, key, of, c, v)
		g.odd[key] = of
	}
}

// refresh brings a track that was just good up to the last look, over those
// that gave the very same verdicts.
func (g *group) refresh(of *track) {
	if of.round == g.round-1 && of.deviation == nil && of.unknown == nil && !of.good.IsZero() {
		of.good, of.known = g.from, g.from
	}
}

// decided ends what could not be said.
func (t *tracker) decided(of *track, c *judgedCheck) {
	if of.unseen != nil {
		of.unseen.To = c.to
		of.deviation.Unseen = append(of.deviation.Unseen, *of.unseen)
		of.unseen = nil
	}
	if of.unknown != nil {
		of.unknown.To = c.to
		t.unknowns = append(t.unknowns, *of.unknown)
		of.unknown = nil
	}
	of.known = c.from
}

func (t *tracker) fails(g *group, key trackKey, of *track, c *judgedCheck, record uint64, v evidence.Verdict) {
	if of.deviation != nil {
		of.deviation.LastBad = max2(of.deviation.LastBad, c.from)
		return
	}
	of.occurrence++
	d := &Deviation{
		Control: g.control, Check: g.check, Severity: g.severity, Scope: g.Scope,
		Region: key.region, Kind: key.kind, Resource: key.resource,
		FirstBad: c.to, LastBad: c.to, Occurrence: of.occurrence, Reason: v.Reason, OpenedBy: record,
	}
	if !of.good.IsZero() {
		good := of.good
		d.LastGood = &good
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		d.Check, d.Provider, d.Account, d.Region, d.Kind, d.Resource, d.FirstBad.UTC().Format(time.RFC3339Nano),
	}, "\x00")))
	d.ID = hex.EncodeToString(sum[:8])
	of.deviation = d
}

// close ends a deviation.
func (t *tracker) close(of *track, c *judgedCheck, record uint64, end string) {
	if of.deviation == nil {
		return
	}
	to := c.to
	of.deviation.FirstGood, of.deviation.End, of.deviation.ClosedBy = &to, end, record
	t.deviations = append(t.deviations, *of.deviation)
	of.deviation = nil
}

// undecided takes in a look that could not decide.
func (t *tracker) undecided(g *group, key trackKey, of *track, c *judgedCheck, v evidence.Verdict) {
	since := max2(of.known, t.w.From) // zero when it never could be decided
	if of.deviation != nil {
		if of.unseen == nil {
			of.unseen = &Span{From: since}
		}
		of.unseen.Looks++
	}
	if of.unknown == nil {
		of.unknown = &Unknown{
			Control: g.control, Check: g.check, Scope: g.Scope, Region: key.region, Kind: key.kind, Resource: key.resource,
			Span: Span{From: since}, First: c.to,
		}
	}
	u := of.unknown
	u.Looks++
	u.Last, u.Reason = c.to, v.Reason
	if len(v.Gaps) > 0 {
		u.Permission, u.Class = v.Gaps[0].Permission, string(v.Gaps[0].Class)
	}
}

// missing settles the resources that the assessment did not speak of: gone, or
// hidden behind a list that could not be read.
func (t *tracker) missing(c *judgedCheck, record uint64) {
	g := c.group
	for key, of := range g.tracks {
		if of.round == g.round {
			continue
		}
		if key.resource == evidence.Population { // the list can be read again, or there is something now
			t.decided(of, c)
			t.close(of, c, record, EndVanished)
			delete(g.tracks, key)
			delete(g.odd, key)
			continue
		}
		v, blind := c.blind[key.region]
		if !blind {
			v, blind = c.blind[""]
		}
		g.refresh(of)
		of.round = g.round
		if blind {
			t.undecided(g, key, of, c, v)
			g.odd[key] = of
			continue
		}
		t.decided(of, c)
		t.close(of, c, record, EndVanished)
		delete(g.tracks, key)
		delete(g.odd, key)
	}
}

// configured takes in a configuration that took force: what it leaves out is
// not looked at from then on.
func (t *tracker) configured(_ time.Time, of force) {
	t.last = &of
	for key, g := range t.groups {
		_, judged := of.catalogue.checks[key.check]
		g.left = !judged || !slices.Contains(of.schedule.Scopes, key.Scope)
		if !g.left {
			continue
		}
		for _, tr := range g.odd {
			if tr.deviation != nil && tr.unseen == nil {
				tr.unseen = &Span{From: tr.known}
			}
		}
	}
}

// finish gives every deviation and unknown, ended or not, sorted.
func (t *tracker) finish(end time.Time) ([]Deviation, []Unknown) {
	deviations, unknowns := slices.Clone(t.deviations), slices.Clone(t.unknowns)
	for _, g := range t.groups {
		for _, of := range g.odd {
			if of.deviation != nil {
				d := *of.deviation
				d.Unseen = slices.Clone(d.Unseen)
				if of.unseen != nil {
					open := *of.unseen
					open.To = end
					d.Unseen = append(d.Unseen, open)
				}
				if d.End = EndOpen; g.left {
					d.End = EndLeft
				}
				deviations = append(deviations, d)
			}
			if of.unknown != nil {
				u := *of.unknown
				u.To, u.Open = end, true
				unknowns = append(unknowns, u)
			}
		}
	}
	for i := range deviations {
		t.measure(&deviations[i], end)
	}
	slices.SortFunc(deviations, func(a, b Deviation) int {
		return cmp.Or(cmp.Compare(a.Control, b.Control), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account),
			cmp.Compare(a.Region, b.Region), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Resource, b.Resource), a.FirstBad.Compare(b.FirstBad))
	})
	slices.SortFunc(unknowns, func(a, b Unknown) int {
		return cmp.Or(cmp.Compare(a.Control, b.Control), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account),
			cmp.Compare(a.Region, b.Region), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Resource, b.Resource), a.First.Compare(b.First))
	})
	return deviations, unknowns
}

// measure fills in how long a deviation lasted, cut to the window.
func (t *tracker) measure(d *Deviation, end time.Time) {
	cut := func(at time.Time) time.Time { return min2(max2(at, t.w.From), end) }
	begin, over := t.w.From, end
	if d.LastGood != nil {
		begin = *d.LastGood
	}
	if d.FirstGood != nil {
		over = *d.FirstGood
	}
	d.AtMost = cut(over).Sub(cut(begin))
	d.AtLeast = max(0, cut(d.LastBad).Sub(cut(d.FirstBad)))
	for _, s := range d.Unseen {
		d.Unknown += cut(s.To).Sub(cut(s.From))
	}
	d.Overdue = OverdueNo
	if t.last == nil {
		return
	}
	d.LimitDays = t.last.limits[d.Severity]
	switch limit := time.Duration(d.LimitDays) * 24 * time.Hour; {
	case d.LimitDays == 0:
	case d.AtLeast > limit:
		d.Overdue = OverdueYes
	case d.AtMost > limit:
		d.Overdue = OverduePerhaps
	}
}
