package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// collected takes what a collector emits in one task. It is the runner's side
// of collectors.Emit.
type collected struct {
	spec         collectors.Spec
	observations *spool
	gaps         *spool

	mu        sync.Mutex
	principal string             // guarded by mu, as is everything below
	regions   []string           // looked at
	leftOut   []string           // enabled, not configured
	listed    map[[2]string]bool // kind, region
	unlisted  map[[2]string]bool // kind, region: its list is a gap
	seen      int                // observations
	vanished  int
	misuse    error // the first fault of the collector's: the task is sealed, and not complete
	err       error // the first error of a spool: the task can not be sealed
}

func newCollected(spec collectors.Spec, dir string) *collected {
	return &collected{
		spec:         spec,
		observations: newSpool(dir),
		gaps:         newSpool(dir),
		listed:       make(map[[2]string]bool),
		unlisted:     make(map[[2]string]bool),
	}
}

func (c *collected) Principal(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.principal = name
}

func (c *collected) Regions(looked, leftOut []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.regions, c.leftOut = slices.Sorted(slices.Values(looked)), slices.Sorted(slices.Values(leftOut))
}

func (c *collected) Listed(kind, region string) {
	if c.declared(kind, "listed") != nil {
		return // kept, and told by misused
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed[[2]string{kind, region}] = true
}

func (c *collected) Observe(o evidence.Observation) error {
	if err := c.declared(o.Kind, "emitted"); err != nil {
		return err
	}
	line, err := encodeLine(o)
	if err != nil {
		return c.misuseOf(fmt.Errorf("collector %s emitted %s %q, which is not JSON: %w", c.spec.Name, o.Kind, o.ID, err))
	}
	if err := c.observations.add(line, o.Kind, o.Region, o.ID); err != nil {
		return c.fail(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	return c.err
}

func (c *collected) Gap(g evidence.Gap) {
	if c.declared(g.Kind, "left a gap for") != nil {
		return // kept, and told by misused
	}
	line, err := encodeLine(g)
	if err == nil {
		err = c.gaps.add(line, g.Kind, g.Region, g.Resource, g.Field, g.Operation, string(g.Class), g.Code)
	}
	if err != nil {
		_ = c.fail(err) // kept, and met by seal
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.Resource == "" && g.Field == "" {
		c.unlisted[[2]string{g.Kind, g.Region}] = true
	}
}

func (c *collected) Vanished(string, string, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.vanished++
}

// encodeLine gives JSON as it is kept: what the provider sent stays readable,
// "<root_account>" too.
func encodeLine(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// declared holds the collector to the kinds in its Spec: no check would look
// at another, and no list of it would be missed.
func (c *collected) declared(kind, did string) error {
	if slices.Contains(c.spec.Kinds, kind) {
		return nil
	}
	return c.misuseOf(fmt.Errorf("collector %s %s kind %q, which it does not declare", c.spec.Name, did, kind))
}

func (c *collected) misuseOf(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.misuse == nil {
		c.misuse = err
	}
	return err
}

// misused gives the first fault of the collector's, which it may have passed over.
func (c *collected) misused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.misuse
}

func (c *collected) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	return err
}

// complain turns every list that was neither read to its end nor declared a
// gap into a gap. No collector can hand over a shorter list as a whole one.
func (c *collected) complain() {
	c.mu.Lock()
	var missing [][2]string
	regions := []string{""}
	if c.spec.Reach == collectors.Regional {
		regions = c.regions
	}
	for _, kind := range c.spec.Kinds {
		if c.unlisted[[2]string{kind, ""}] {
			continue
		}
		if len(regions) == 0 && !c.anyUnlisted(kind) {
			missing = append(missing, [2]string{kind, ""})
		}
		for _, region := range regions {
			at := [2]string{kind, region}
			if !c.listed[at] && !c.unlisted[at] {
				missing = append(missing, at)
			}
		}
	}
	c.mu.Unlock()
	for _, at := range missing {
		c.Gap(evidence.Gap{
			Kind: at[0], Region: at[1], Operation: c.spec.Name, Class: evidence.Internal,
			Message: "the collector ended without having read this list to its end",
		})
	}
}

// anyUnlisted says whether some region's list of kind is a gap. Called with mu held.
func (c *collected) anyUnlisted(kind string) bool {
	for at := range c.unlisted {
		if at[0] == kind {
			return true
		}
	}
	return false
}

// giveUp records that the task was over before its lists were known to be whole.
func (c *collected) giveUp(why string) {
	for _, kind := range c.spec.Kinds {
		c.Gap(evidence.Gap{Kind: kind, Operation: c.spec.Name, Class: evidence.Internal, Message: why})
	}
}

// finish takes the end of the collector, whose failure may be nil, and seals.
func (c *collected) finish(failure error, create createFunc, run *evidence.Run) ([]evidence.Subject, error) {
	if failure = errors.Join(failure, c.misused()); failure != nil {
		run.Fault = shorten(failure.Error())
		c.giveUp(run.Fault)
	}
	c.complain()
	return c.seal(create, run)
}

// seal writes the observations and the gaps into payloads and fills the counts
// of the run, all sorted. The gaps' payload is not made when there are none.
func (c *collected) seal(create createFunc, run *evidence.Run) ([]evidence.Subject, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, errors.Join(c.err, c.discard())
	}
	run.Principal, run.Regions, run.RegionsLeftOut, run.Vanished = c.principal, c.regions, c.leftOut, c.vanished

	counts := make(map[[2]string]int)
	total := make(map[string]int)
	observations, err := put(create, evidence.PayloadObservations, c.observations, func(key string, _ []byte) error {
		parts := strings.SplitN(key, "\x00", 3)
		counts[[2]string{parts[0], parts[1]}]++
		total[parts[0]]++
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write observations: %w", err), c.gaps.close())
	}
	for at := range c.listed {
		if at[1] != "" || total[at[0]] == 0 {
			counts[at] += 0
		}
	}
	run.Observations = make([]evidence.KindCount, 0, len(counts))
	for at, n := range counts {
		run.Observations = append(run.Observations, evidence.KindCount{Kind: at[0], Region: at[1], Count: n})
	}
	slices.SortFunc(run.Observations, func(a, b evidence.KindCount) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Region, b.Region))
	})
	subjects := []evidence.Subject{evidence.SubjectOf(evidence.PayloadObservations, observations)}

	if c.gaps.empty() {
		run.Outcome = evidence.Complete
		return subjects, c.gaps.close()
	}
	alike := make(map[evidence.GapCount]int)
	gaps, err := put(create, evidence.PayloadGaps, c.gaps, func(_ string, line []byte) error {
		var g evidence.Gap
		if err := json.Unmarshal(line, &g); err != nil {
			return fmt.Errorf("read back gap: %w", err)
		}
		alike[evidence.GapCount{Class: g.Class, Operation: g.Operation, Permission: g.Permission, Code: g.Code, Policy: g.Policy}]++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write gaps: %w", err)
	}
	for g, n := range alike {
		g.Count = n
		run.Gaps = append(run.Gaps, g)
	}
	slices.SortFunc(run.Gaps, func(a, b evidence.GapCount) int {
		return cmp.Or(strings.Compare(a.Operation, b.Operation), strings.Compare(string(a.Class), string(b.Class)),
			strings.Compare(a.Code, b.Code), strings.Compare(a.Permission, b.Permission), strings.Compare(a.Policy, b.Policy))
	})
	run.Outcome = evidence.Partial
	if len(c.listed) == 0 && c.seen == 0 {
		run.Outcome = evidence.Failed
	}
	return append(subjects, evidence.SubjectOf(evidence.PayloadGaps, gaps)), nil
}

// discard lets go of what was collected.
func (c *collected) discard() error {
	return errors.Join(c.observations.close(), c.gaps.close())
}

// put writes a spool into a payload. An empty spool is an empty payload.
func put(create createFunc, name string, s *spool, each func(key string, line []byte) error) (evidence.Digest, error) {
	w, err := create(name)
	if err != nil {
		return "", errors.Join(err, s.close())
	}
	if err := s.write(w, each); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	digest, _, err := w.Commit()
	return digest, err
}
