package period

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
)

// mark stands for a line of a payload. Two seeds that nobody knows make it as
// good as the line itself.
type mark [2]uint64

type marker [2]maphash.Seed

func newMarker() marker { return marker{maphash.MakeSeed(), maphash.MakeSeed()} }

func (m marker) of(line []byte) mark {
	return mark{maphash.Bytes(m[0], line), maphash.Bytes(m[1], line)}
}

// read reads the verdicts of a payload. A line that is the one that was read
// of the resource the last time is not decoded again.
func (t *tracker) read(store *payload.Store, digest evidence.Digest, batch judged) error {
	for line, err := range payload.RawLines(store, digest) {
		if err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
		id, plain := checkOf(line)
		c := batch.checks[string(id)]
		if plain && c == nil {
			continue // of another control
		}
		var at mark
		if plain && !t.plain {
			at = t.marks.of(line)
			if of, ok := c.group.lines[at]; ok {
				of.round = c.group.round
				t.repeat(of, c)
				continue
			}
		}
		var v evidence.Verdict
		if err := json.Unmarshal(line, &v); err != nil {
			return fmt.Errorf("read verdicts %s: %w", digest, err)
		}
		if c, ok := batch.checks[v.Check]; ok {
			t.verdict(c, batch.record, at, v)
		}
	}
	return nil
}

// checkOf gives the id of the check that the line of a verdict begins with, if
// it is written as usual.
func checkOf(line []byte) (id []byte, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"check":"`))
	if !ok {
		return nil, false
	}
	id, _, ok = bytes.Cut(rest, []byte(`"`))
	return id, ok && !bytes.ContainsRune(id, '\\')
}

// verdict takes in one verdict.
func (t *tracker) verdict(c *judgedCheck, record uint64, line mark, v evidence.Verdict) {
	g := c.group
	of := g.track(trackKey{v.Region, v.Kind, v.Resource})
	g.refresh(of)
	delete(g.lines, of.line)
	of.round, of.away, of.line = g.round, false, mark{}
	if v.Resource != evidence.Population && line != (mark{}) {
		of.line = line
		g.lines[line] = of
	}
	switch v.Status {
	case evidence.Pass, evidence.NotApplicable:
		end := EndPassed
		if v.Status == evidence.NotApplicable {
			end = EndExempt
		}
		t.decided(of, c)
		t.close(of, c, record, end)
		of.good, of.passed = c.from, true
		delete(g.odd, of.key)
	case evidence.Fail:
		t.decided(of, c)
		t.fails(g, of, c, record, v)
		g.odd[of.key] = of
	case evidence.Unknown:
		if v.Resource == evidence.Population {
			c.unread(v)
		}
		t.undecided(g, of, c, v)
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

func (t *tracker) fails(g *group, of *track, c *judgedCheck, record uint64, v evidence.Verdict) {
	if of.deviation != nil {
		of.deviation.LastBad = max2(of.deviation.LastBad, c.from)
		return
	}
	of.occurrence++
	d := &Deviation{
		Control: g.control, Check: g.check, Severity: g.severity, Scope: g.Scope,
		Region: of.key.region, Kind: of.key.kind, Resource: of.key.resource,
		Begin: BeginFirst, FirstBad: c.to, LastBad: c.to, Occurrence: of.occurrence, Reason: v.Reason, OpenedBy: record,
	}
	if t.last != nil {
		d.LimitDays = t.last.limits[d.Severity]
	}
	if !of.good.IsZero() {
		good := of.good
		if d.LastGood, d.Begin = &good, BeginAppeared; of.passed {
			d.Begin = BeginDrifted
		}
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
func (t *tracker) undecided(g *group, of *track, c *judgedCheck, v evidence.Verdict) {
	g.odd[of.key] = of
	t.leave(of)
	if of.unseen != nil {
		of.unseen.Looks++
	}
	if of.unknown == nil {
		of.unknown = &Unknown{
			Control: g.control, Check: g.check, Scope: g.Scope, Region: of.key.region, Kind: of.key.kind, Resource: of.key.resource,
			Span: Span{From: max2(of.known, t.w.From)}, First: c.to,
		}
	}
	u := of.unknown
	u.Looks++
	u.Last, u.Reason, u.Permission, u.Class = c.to, v.Reason, "", ""
	if len(v.Gaps) > 0 {
		u.Permission, u.Class = v.Gaps[0].Permission, string(v.Gaps[0].Class)
	}
}

// verdictsOf gives the verdicts of one check. Lines that are plainly of another
// are not decoded.
func verdictsOf(store *payload.Store, digest evidence.Digest, check string) iter.Seq2[evidence.Verdict, error] {
	return func(yield func(evidence.Verdict, error) bool) {
		for line, err := range payload.RawLines(store, digest) {
			var v evidence.Verdict
			if id, plain := checkOf(line); err == nil && plain && string(id) != check {
				continue
			}
			if err == nil {
				if err = json.Unmarshal(line, &v); err != nil {
					err = fmt.Errorf("read verdicts %s: %w", digest, err)
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
