package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
)

var plainName = regexp.MustCompile(`^[a-z0-9_]+([.-][a-z0-9_]+)*$`)

// slug makes a part of a file name or an anchor from an id: the id itself where
// any file system and any browser takes it as it is, else a hash of it.
func slug(id string) string {
	if len(id) <= 80 && plainName.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "x" + hex.EncodeToString(sum[:8])
}

func controlName(id string) string { return "controls/" + slug(id) + ".html" }

func populationName(check string) func(int) string { return numbered("population/" + slug(check)) }

// streamName is unique for its number, whatever the rest comes to.
func (s *Site) streamName(folder string, stream int) func(int) string {
	st := s.r.Streams[stream].Stream
	return numbered(fmt.Sprintf("%s/%03d-%s-%s", folder, stream+1, slug(st.Collector), slug(strings.ToLower(st.Account))))
}

func (s *Site) observationsName(stream int) func(int) string {
	return s.streamName("observations", stream)
}

func (s *Site) exchangesName(stream int) func(int) string { return s.streamName("exchanges", stream) }

// calendarName is of one of the pages of the calendar.
func calendarName(page int) string { return numbered("calendar")(page) }

// deviationAnchor is where a deviation stands on its page.
func deviationAnchor(d *period.Deviation) string { return "d-" + slug(d.ID) }

// deviationLink is the page and place of the deviation with that number, from 0.
func deviationLink(number int, d *period.Deviation) string {
	return numbered("deviations")(number/entriesOnPage+1) + "#" + deviationAnchor(d)
}

// payloadPath is where the original of a payload lies in a bundle.
func payloadPath(d evidence.Digest) string {
	name, err := payload.Name(d)
	if err != nil {
		return ""
	}
	return evidence.PayloadDir + "/" + name
}

// checkLink is the place of a check on the page of its control. A check that
// the newest catalogue does not have any more has none, and the link is to the
// page; a control that it does not have gives "".
func (s *Site) checkLink(control, check string) string {
	i := slices.IndexFunc(s.r.Controls, func(c period.ControlCoverage) bool { return c.ID == control })
	if i < 0 {
		return ""
	}
	if !slices.ContainsFunc(s.r.Controls[i].Checks, func(k period.Check) bool { return k.ID == check }) {
		return controlName(control)
	}
	return controlName(control) + "#" + slug("check-"+check)
}
