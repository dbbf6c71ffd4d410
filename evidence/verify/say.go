package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/evidence/seal"
)

// say puts in words what the report shows and what it does not. The sentences
// are for someone who has not read any documentation.
func (c *check) say() {
	if c.OK && c.verifier != nil {
		if c.bundle != nil {
			c.sayBundle()
		} else {
			c.sayDirectory()
		}
	}
	c.sayKey()
	c.sayAnchor()
	if c.bundle != nil {
		c.sayNotBundle()
	}
	if c.Simulated {
		c.notProven("Some records were made under a simulated clock: they are a demonstration, not evidence.")
	}
	c.notProven("That what the cloud provider answered was true, and that the agent wrote down what it was answered: what it wrote down has not been changed since it was signed.")
	c.notProven("When the records were signed, beyond what the agent's own clock says: there are no time stamps of a third party.")
	c.notProven("That the verdicts follow from the observations: `tallystick replay` judges them anew.")
}

func (c *check) proven(format string, args ...any) {
	c.Proven = append(c.Proven, fmt.Sprintf(format, args...))
}

func (c *check) notProven(format string, args ...any) {
	c.NotProven = append(c.NotProven, fmt.Sprintf(format, args...))
}

func (c *check) sayKey() {
	switch {
	case c.verifier == nil:
	case c.KeyFrom == KeyGiven:
		if c.OK {
			c.proven("All of it was signed by the holder of the key that you gave, %s.", c.Key)
		}
	case c.OK:
		c.proven("All of it was signed with one key, %s.", c.Key)
		fallthrough
	default:
		c.notProven("Who signed it: the key was taken from the %s itself, and anyone can make a key. Give the key that you received at the start of the period (--key).", c.noun())
	}
}

func (c *check) noun() string {
	if c.bundle != nil {
		return "bundle"
	}
	return "directory"
}

func (c *check) sayDirectory() {
	c.proven("The %d records are those that the signed checkpoint commits to: none was changed, taken out, put in or moved since.", c.Records)
	c.proven("Each of the %d payloads has the bytes that its record names.", c.Payloads.Checked)
	c.proven("No stream of tasks has a hole in its numbers, and each slot that was due by the recorded schedules has a run or a record that says why not, but for the open tail.")
}

func (c *check) sayBundle() {
	b, r := c.bundle, c.Report.Bundle
	c.proven("Every one of the %d files is as it was when the bundle was made, and there is no other: the manifest says so, and the agent's signed statement, record %d of its ledger, is about that manifest.", r.Files, r.Statement)
	c.proven("The %d records are part of the ledger whose checkpoint over %d records is in the bundle: none was changed, moved or put in since it was signed.", c.Records, b.checkpoint.Size)
	if c.rules.extract.AsOf {
		c.proven("The records that belong to a report of this moment, and no others, are there as far as they can show it themselves.")
	} else {
		c.proven("From %s to %s (%s), no stream of tasks has a hole in its numbers, no configuration is missing, and each slot that was due by the recorded schedules has a run or a record that says why not, but for the open tail.",
			stamp(r.From), stamp(r.To), r.TimeZone)
	}
	c.proven("Nothing outside of the window is in the bundle but what was used to judge it.")
	c.proven("Each of the %d payloads has the bytes that its record names, and none is there that no record names.", c.Payloads.Checked)
	if r.Tables > 0 {
		c.proven("The %d tables are exactly what the records and payloads give.", r.Tables)
	}
}

// sayAnchor is about what only something from outside can show.
func (c *check) sayAnchor() {
	const alone = "That nothing was rewritten before it was handed out: whoever holds the agent's key could have written other records in the place of some and signed everything anew. Only a checkpoint that someone else kept from earlier shows that (--checkpoint)"
	newest := uint64(0)
	for _, size := range c.met {
		newest = max(newest, size)
	}
	covered := c.anchored(newest)
	if c.OK && covered > 0 {
		c.proven("The first %d records of the ledger are those of the checkpoint that you kept; %d of the %d records here are among them. They were not rewritten since you received it.", newest, covered, c.Records)
	}
	switch {
	case len(c.opts.Checkpoints) == 0:
		c.notProven(alone + "; none was given.")
	case covered == 0 && len(c.met) > 0:
		c.notProven(alone + "; those that were given are older than every record here.")
	case covered == 0:
		c.notProven(alone + "; none of those that were given could be compared.")
	case covered < c.Records:
		c.notProven("That the %d records after your newest checkpoint were not rewritten before this was handed out.", c.Records-covered)
	}
	if c.bundle == nil {
		return
	}
	for _, e := range c.bundle.unmet {
		c.notProven("That the ledger extends your checkpoint over %d records: this bundle has not the hashes for it. %s", e.Size, c.bundle.where(e))
	}
}

// where says what would do for an earlier checkpoint that could not be met.
func (b *bundleCheck) where(e seal.Checkpoint) string {
	switch {
	case b.root == nil:
		return "Its own tree could not be computed."
	case e.Size > b.checkpoint.Size:
		return "It is newer than the bundle: check a later bundle, or the ledger itself, with it."
	}
	return "A checkpoint of a moment within the window can be compared, or the ledger itself."
}

// anchored counts the records here that are among the first size of the ledger.
func (c *check) anchored(size uint64) uint64 {
	if c.bundle == nil {
		return min(size, c.Records)
	}
	n := uint64(0)
	for _, r := range c.bundle.proof.Records {
		if r.First < size {
			n += min(r.Count, size-r.First)
		}
	}
	return n
}

// sayNotBundle is about what a bundle leaves open.
func (c *check) sayNotBundle() {
	b, r := c.bundle, c.Report.Bundle
	if r == nil || c.rules.extract == nil {
		return
	}
	x := c.rules.extract
	if len(r.Controls) > 0 {
		c.notProven("Anything about controls other than %s: the bundle is narrowed to these, and payloads of other collectors may be absent.", strings.Join(r.Controls, ", "))
	}
	if x.AsOf {
		c.notProven("That nothing newer was left out, and that nothing was missed before: a report of one moment holds the newest look of each stream and no others.")
	} else if b.export != nil && b.export.At.Before(x.To) && !c.Simulated {
		c.notProven("Anything from %s on: the bundle was made before its window ended.", stamp(b.export.At))
	}
	if b.root != nil && r.Tables == 0 {
		c.notProven("That the tables follow from the records: they were not recomputed; they are as they were when the bundle was signed.")
	}
	c.notProven("That the pages, the workbook and the OSCAL file say what the records say: they are as they were when the bundle was signed, and nothing more was looked at.")
	c.notProven("That every sample and earlier export of the window is there, and every assessment that was made after it: these leave no hole in the bundle.")
	if n := x.unjudged(c.rules); n > 0 {
		c.notProven("What %d of the %d runs mean for the checks: no assessment in the bundle used them. Either no check reads what they hold, or an assessment is missing.", n, len(c.rules.runs))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
