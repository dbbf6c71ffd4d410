// Package oscal writes what a ledger shows of a period as OSCAL 1.2.1
// assessment results, for tools that read NIST's format.
//
// It promises a document that is valid against NIST's JSON schema, that the
// same report gives the same bytes and UUIDs, and that it claims no more than
// the verdicts do:
//
//   - OSCAL knows two outcomes of a finding only, satisfied and not-satisfied. A
//     control gets a finding where verdicts decide it. Something failed in the
//     window: not-satisfied. Every look that was due was made and read in full,
//     and everything passed: satisfied. In all other cases (something was
//     unknown, a look is missing, nothing was due, the control applied to
//     nothing) there is no finding, since a program that reads only the outcome
//     would take either one for a judgement that nobody made. There is an
//     observation of type undetermined in its place, that says why.
//   - Each deviation is a risk. It is closed when it was seen to have ended, and
//     open when it was not, also when the account or the check left the
//     configuration while it failed. Its bounds are facets.
//   - Each row of slots that was not run or not read in full is an observation,
//     and so is each interval in which a verdict was unknown.
//
// It does not score, does not judge, reads no clock and makes up no assessment
// plan: import-ap leads to a resource that describes the schedule and the
// catalogue that were in force.
//
// The document is streamed. Of the verdicts one is held at a time, and 16 bytes
// for each resource that failed or was unknown.
package oscal

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/period"
)

// Version is the version of OSCAL that documents are written in.
const Version = "1.2.1"

// Namespace qualifies the names of properties and facets that are ours.
const Namespace = "https://github.com/tallystick/tallystick/ns/oscal"

// Input is what a document is made from.
type Input struct {
	Report    *period.Report
	Catalogue *checks.Catalogue // where the texts of checks are; may be nil

	// Verdicts gives the verdicts that a judgement is about. Those of other
	// checks are passed over. It is called twice for each judgement and must
	// give the same both times.
	Verdicts func(period.Judgement) iter.Seq2[evidence.Verdict, error]

	Title   string // of the document; a default when empty
	Version string // of the document; that of the newest agent when empty
}

// Write writes the document. An error of the verdicts or of w is returned, and
// what was written by then is not a document.
func Write(w io.Writer, in Input) error {
	if in.Report == nil || in.Verdicts == nil {
		return errors.New("write OSCAL: a report and its verdicts are needed")
	}
	d := &document{Input: in, r: in.Report, out: newStream(w)}
	d.until = d.r.Until
	if d.until.IsZero() { // no record at all
		d.until = d.r.Window.From
	}
	d.judged = map[checkIn]string{}
	for _, j := range d.r.Judgements {
		d.judged[checkIn{j.Check, j.Scope}] = d.judgementID(j)
	}
	d.origins = []origin{{Actors: []actor{{Type: "assessment-platform", UUID: d.id("platform")}}}}
	d.write()
	if err := d.out.flush(); err != nil {
		return fmt.Errorf("write OSCAL: %w", err)
	}
	return nil
}

// document is a document while it is written.
type document struct {
	Input
	r       *period.Report
	out     *stream
	until   time.Time          // what nothing is said of later than; the document's own time
	judged  map[checkIn]string // UUID of the observation of each judgement
	origins []origin           // the same one for everything
}

// checkIn is a check in a scope.
type checkIn struct {
	check string
	scope evidence.Scope
}

// id makes a UUID that is the same whenever it is made of the same parts of the
// same ledger.
func (d *document) id(parts ...string) string {
	return newUUID(append([]string{d.r.Ledger}, parts...)...).String()
}

func (d *document) write() {
	o := d.out
	w := d.r.Window
	window := []string{stamp(w.From), stamp(w.To), fmt.Sprint(w.AsOf), fmt.Sprint(w.Controls), stamp(d.until)}
	plan := d.id(append([]string{"plan"}, window...)...)
	o.begin("")
	o.begin("assessment-results")
	o.value("uuid", d.id(append([]string{"document"}, window...)...))
	o.value("metadata", d.metadata())
	o.value("import-ap", link{Href: "#" + plan, Remarks: "There is no assessment plan in OSCAL. The resource describes what takes its place."})
	d.objectives()
	o.list("results")
	o.begin("")
	d.result(d.id(append([]string{"result"}, window...)...))
	o.end()
	o.endList()
	o.value("back-matter", map[string]any{"resources": []resource{d.plan(plan)}})
	o.end()
	o.end()
}

func (d *document) metadata() metadata {
	title, version := d.Title, d.Version
	if title == "" {
		title = fmt.Sprintf("%s: what the ledger shows, %s", d.r.Organization, d.r.Window)
	}
	if version == "" && len(d.r.Binaries) > 0 {
		version = d.r.Binaries[len(d.r.Binaries)-1].Version
	}
	m := metadata{
		Title: markupLine(d.banner(title)), LastModified: stamp(d.until),
		Version: orDash(line(version)), OSCAL: Version,
		Props: props("ledger", d.r.Ledger, "window-from", stamp(d.r.Window.From), "window-to", stamp(d.r.Window.To), "simulated", yes(d.r.Simulated)),
		Remarks: "This document reports what was seen and what could not be seen. It gives no opinion and no score. " +
			"The evidence is the signed records and payloads that it names; they can be verified without this document.",
	}
	if name := line(d.r.Organization); name != "" {
		m.Parties = []party{{UUID: d.id("organization", name), Type: "organization", Name: name}}
	}
	return m
}

// banner marks a title when this is not evidence.
func (d *document) banner(title string) string {
	if d.r.Simulated {
		return "SIMULATED, not evidence: " + title
	}
	return title
}

// plan describes what stands for an assessment plan.
func (d *document) plan(id string) resource {
	r := resource{
		UUID: id, Title: "Schedules and catalogue in force",
		Description: "What was to be looked at, how often and by which rule follows from the configuration records of the ledger: " +
			"each names the schedule and the catalogue that were in force from then on. The link leads to the newest catalogue of the window.",
		Props: props("ledger", d.r.Ledger, "catalogue-sha256", string(d.r.Catalogue)),
	}
	if href := payloadPath(d.r.Catalogue); href != "" {
		r.Links = []rlink{{Href: href, MediaType: "application/zstd"}}
	}
	return r
}

// payloadPath is where a payload lies in a bundle, beside this document.
func payloadPath(d evidence.Digest) string {
	if len(d) != 64 {
		return ""
	}
	return "payloads/" + string(d[:2]) + "/" + string(d) + ".zst"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

// yes is "true" or nothing, which props leaves out.
func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}
