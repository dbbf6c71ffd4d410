package period

import (
	"slices"
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
	marks      marker
	plain      bool // read every verdict, also those that did not change: for tests
}

func newTracker(w Window) *tracker {
	return &tracker{w: w, groups: map[judgeKey]*group{}, marks: newMarker()}
}

// group is one check in one scope.
type group struct {
	judgeKey
	reads     []string
	control   string
	severity  string
	verdicts  evidence.Digest // of the newest assessment
	sight     string          // where it looked
	from      time.Time       // the begin of its look
	whole     []listKey       // lists that it read to their end
	round     uint64          // counts the assessments whose verdicts were read
	tracks    map[trackKey]*track
	odd       map[trackKey]*track // those of tracks that are not just good: failing, or not decided
	lines     map[mark]*track     // by the line of their newest verdict
	lists     map[listKey]time.Time
	recurring map[trackKey]int // deviations of resources that are gone
	left      bool             // the account, the check or its collectors are out of the configuration
}

type trackKey struct{ region, kind, resource string }

// track is one resource under one check.
type track struct {
	key        trackKey
	line       mark      // of its newest verdict; zero: none
	round      uint64    // in which it was seen last
	good       time.Time // begin of the last look at which it was good or not there; zero: never in the window
	known      time.Time // begin of the last look that could decide
	passed     bool      // it was good, not only absent
	away       bool      // its region is not looked at any more
	occurrence int
	deviation  *Deviation
	unseen     *Span // within deviation
	unknown    *Unknown
}

func (t *tracker) group(key judgeKey) *group {
	g, ok := t.groups[key]
	if !ok {
		g = &group{
			judgeKey: key, tracks: map[trackKey]*track{}, odd: map[trackKey]*track{}, lines: map[mark]*track{},
			lists: map[listKey]time.Time{}, recurring: map[trackKey]int{},
		}
		t.groups[key] = g
	}
	return g
}

// track gives the track of a resource. A new one was not there when its list
// was read the last time.
func (g *group) track(key trackKey) *track {
	of, ok := g.tracks[key]
	if !ok {
		of = &track{key: key, occurrence: g.recurring[key], known: g.listedAt(key)}
		if key.resource != evidence.Population {
			of.good = of.known
		}
		g.tracks[key] = of
	}
	return of
}

// listedAt gives the begin of the last look that read the list of a resource to
// its end, or zero.
func (g *group) listedAt(key trackKey) time.Time {
	at := max2(g.lists[listKey{key.kind, key.region}], g.lists[listKey{key.kind, ""}])
	if key.region == "" && at.IsZero() { // of every region
		for list, from := range g.lists {
			if list.kind == key.kind && (at.IsZero() || from.Before(at)) {
				at = from
			}
		}
	}
	return at
}

// drop forgets a resource that is gone.
func (g *group) drop(of *track) {
	if of.occurrence > 0 {
		g.recurring[of.key] = of.occurrence
	}
	delete(g.lines, of.line)
	delete(g.tracks, of.key)
	delete(g.odd, of.key)
}

// take takes in the verdicts of an assessment. Verdicts that are those of the
// last time, all or line by line, are not read again.
func (t *tracker) take(store *payload.Store, digest evidence.Digest, batch judged) error {
	same := !t.plain
	for id, c := range batch.checks {
		g := t.group(judgeKey{batch.scope, id})
		same = same && digest != "" && g.verdicts == digest && g.sight == c.sight()
		g.control, g.severity, g.reads = c.control.ID, c.control.Severity, c.check.Reads
		c.group = g
	}
	for _, c := range batch.checks {
		if same {
			t.again(c)
		} else {
			c.group.round++
		}
	}
	if same {
		return nil
	}
	if err := t.read(store, digest, batch); err != nil {
		return err
	}
	for _, c := range batch.checks {
		t.missing(c, batch.record)
		g := c.group
		g.verdicts, g.sight, g.from, g.whole = digest, c.sight(), c.from, c.whole()
		g.listed()
	}
	return nil
}

// listed notes when the lists were read to their end.
func (g *group) listed() {
	for _, list := range g.whole {
		g.lists[list] = g.from
	}
}

// again takes in the very verdicts of the last time. Tracks that are just good
// are brought up to date when they are looked at.
func (t *tracker) again(c *judgedCheck) {
	for _, of := range c.group.odd {
		t.repeat(of, c)
	}
	c.group.from = c.from
	c.group.listed()
}

// repeat takes in the verdict of the last time on one resource.
func (t *tracker) repeat(of *track, c *judgedCheck) {
	switch {
	case of.away:
	case of.unknown != nil:
		if of.unseen != nil {
			of.unseen.Looks++
		}
		of.unknown.Looks++
		of.unknown.Last = c.to
	case of.deviation != nil:
		t.decided(of, c)
		of.deviation.LastBad = max2(of.deviation.LastBad, c.from)
	default:
		of.good, of.known = c.from, c.from
	}
}

// refresh brings a track that was just good up to the last look, over those
// that gave the very same verdicts.
func (g *group) refresh(of *track) {
	if of.round == g.round-1 && of.deviation == nil && of.unknown == nil && of.passed {
		of.good, of.known = g.from, g.from
	}
}

// missing settles the resources that the assessment did not speak of: gone,
// hidden behind a list that could not be read, or not looked for.
func (t *tracker) missing(c *judgedCheck, record uint64) {
	g := c.group
	for key, of := range g.tracks {
		if of.round == g.round {
			continue
		}
		if key.resource == evidence.Population { // the list can be read again, or there is something now
			t.decided(of, c)
			g.drop(of)
			continue
		}
		g.refresh(of)
		delete(g.lines, of.line)
		of.line = mark{}
		if v, hidden := c.hides(key); hidden {
			of.round, of.away = g.round, false
			t.undecided(g, of, c, v)
			continue
		}
		if c.away(key) {
			of.away = true
			t.leave(of)
			continue
		}
		t.decided(of, c)
		t.close(of, c, record, EndVanished)
		g.drop(of)
	}
}

// leave notes that a resource is not looked at any more.
func (t *tracker) leave(of *track) {
	if of.deviation != nil && of.unseen == nil {
		of.unseen = &Span{From: max2(of.known, t.w.From)}
	}
}

// configured takes in a configuration that took force: what it leaves out is
// not looked at from then on.
func (t *tracker) configured(of force) {
	t.last = &of
	for key, g := range t.groups {
		_, judged := of.catalogue.checks[key.check]
		g.left = !judged || !slices.Contains(of.schedule.Scopes, key.Scope) || !of.supplies(key.Provider, g.reads)
		if !g.left {
			continue
		}
		for _, tr := range g.odd {
			t.leave(tr)
		}
	}
}
