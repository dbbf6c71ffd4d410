package verify

import (
	"time"

	"github.com/tallystick/tallystick/evidence"
)

// now gives the last moment at which something can be due. A slot in a record
// is never called undue because the auditor's clock is behind; and a simulation
// ends with its last record.
func (c *check) now() time.Time {
	now, x := c.opts.Now, c.rules.extract
	if x != nil {
		now = c.bundle.exported()
	}
	if now.Before(c.rules.latest) || c.Simulated {
		now = c.rules.latest
	}
	if x == nil {
		return now
	}
	if last := x.To.Add(-1); !now.Before(last) {
		return last
	}
	c.Slots.Unscheduled = true
	return now
}

// cuts says whether a record covers slots on both sides of an end of the
// window. Only those within are counted.
func (x *extract) cuts(cov cover, end time.Time) bool {
	return x != nil && (cov.first.Before(x.From) || cov.last.After(end))
}

// checkNewest stands in for the slots in a report of one moment: each stream of
// the schedule in force then has a look that is not older than its last slot.
func (c *check) checkNewest() error {
	now := c.now()
	segments, order, ok := c.segments(now)
	if !ok {
		return nil
	}
	for _, key := range order {
		held := segments[key]
		if len(held) == 0 || !c.rules.extract.counts(key.Collector) {
			continue
		}
		seg, newest := held[len(held)-1], c.rules.stream(key).newest
		due := seg.Last(now)
		switch old := newest.first.Before(due) && due.After(c.rules.forces[len(c.rules.forces)-1].since); {
		case newest.run && !old:
			c.Slots.add(&newest)
		default:
			c.Slots.add(nil)
			c.Tail = append(c.Tail, Tail{Stream: key.String(), Slots: 1, First: due, Last: due})
		}
	}
	return nil
}

// count adds a due slot to the report; nil: no record accounts for it.
func (w *slotWalk) count(cov *cover) {
	if !w.counted {
		return
	}
	w.check.Slots.add(cov)
}

func (n *Slots) add(cov *cover) {
	n.Due++
	switch {
	case cov == nil:
		n.Open++
	case !cov.run:
		n.Missed++
	case cov.outcome == evidence.Complete:
		n.Complete++
	case cov.outcome == evidence.Partial:
		n.Partial++
	default:
		n.Failed++
	}
}
