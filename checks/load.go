package checks

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tallystick/tallystick/evidence"
)

// Problem is a fault of a catalogue, with its place. Lines and columns count
// from 1.
type Problem struct {
	File         string
	Line, Column int
	Message      string
}

// String gives "mfa-root.yaml:12:9: message".
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// LoadError is returned by Load with every problem of every file.
type LoadError struct{ Problems []Problem }

// Error gives one line for each problem.
func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the files NAME.yaml at the roots of the file systems, one control
// each, and compiles their checks. Later file systems add to earlier ones: a
// file with `extends: CONTROL` instead of `id` adds checks to a control. None
// replaces another: an id that comes twice is a problem. All problems are
// reported at once in a *LoadError.
func Load(fsys ...fs.FS) (*Catalogue, error) {
	l := loader{controls: map[string]*source{}, checks: map[string]string{}}
	for _, f := range fsys {
		names, err := fs.Glob(f, "*.yaml")
		if err != nil {
			return nil, fmt.Errorf("list catalogue: %w", err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(f, name)
			if err != nil {
				return nil, fmt.Errorf("read catalogue: %w", err)
			}
			l.add(name, data)
		}
	}
	return l.finish()
}

type loader struct {
	sources  []*source
	controls map[string]*source // by id
	checks   map[string]string  // id to the file and line that has it
	problems []Problem
}

func (l *loader) add(file string, data []byte) {
	s, problems := readSource(file, data)
	l.problems = append(l.problems, problems...)
	if s == nil {
		return
	}
	l.sources = append(l.sources, s)
	l.control(s)
	for i := range s.control.Checks {
		l.check(s, i)
	}
}

// fault notes a problem at a part of a file, or at the nearest part around it.
func (l *loader) fault(s *source, part, format string, args ...any) {
	p := Problem{File: s.file, Message: fmt.Sprintf(format, args...)}
	at := s.place(part)
	p.Line, p.Column = at.line, at.column
	l.problems = append(l.problems, p)
}

func (s *source) place(part string) position {
	for {
		if at, ok := s.places[part]; ok {
			return at
		}
		i := strings.LastIndexAny(part, ".[")
		if i < 0 {
			return position{1, 1}
		}
		part = part[:i]
	}
}

func (l *loader) need(s *source, part, value string) {
	if strings.TrimSpace(value) == "" {
		name := part[strings.LastIndex(part, ".")+1:]
		l.fault(s, part, "%s is missing", name)
	}
}

func idPattern() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`) }

func (l *loader) control(s *source) {
	c := s.control
	if c.Extends != "" {
		if c.ID != "" || c.Title != "" || c.Why != "" || len(c.Criteria) > 0 || c.Frequency != "" || c.Severity != "" {
			l.fault(s, "extends", "a file that extends a control holds extends and checks only")
		}
		return
	}
	if !idPattern().MatchString(c.ID) {
		l.fault(s, "id", "id %q is not of lower-case letters, digits and single hyphens", c.ID)
	}
	if other, taken := l.controls[c.ID]; taken {
		l.fault(s, "id", "control %s is already in %s; use extends to add checks to it", c.ID, other.file)
	} else {
		l.controls[c.ID] = s
	}
	l.need(s, "title", c.Title)
	l.need(s, "why", c.Why)
	if !slices.Contains([]string{"hourly", "daily", "weekly", "monthly", "quarterly", "annual"}, c.Frequency) {
		l.fault(s, "frequency", "frequency %q is not one of hourly, daily, weekly, monthly, quarterly, annual", c.Frequency)
	}
	if !slices.Contains([]string{"low", "medium", "high", "critical"}, c.Severity) {
		l.fault(s, "severity", "severity %q is not one of low, medium, high, critical", c.Severity)
	}
	if len(c.Criteria) == 0 {
		l.fault(s, "criteria", "criteria are missing")
	}
	for i, cr := range c.Criteria {
		part := fmt.Sprintf("criteria[%d]", i)
		if !regexp.MustCompile(`^(CC[1-9]|A1|C1|PI1|P[1-8])\.[0-9]+$`).MatchString(cr.ID) {
			l.fault(s, part, "criterion %q is not the id of a Trust Services Criterion, such as CC6.1", cr.ID)
		}
		l.need(s, part+".why", cr.Why)
	}
}

func (l *loader) check(s *source, i int) {
	c := s.control.Checks[i]
	at := fmt.Sprintf("checks[%d].", i)
	if !idPattern().MatchString(c.ID) {
		l.fault(s, at+"id", "id %q is not of lower-case letters, digits and single hyphens", c.ID)
	}
	place := s.place(at + "id")
	if other, taken := l.checks[c.ID]; taken {
		l.fault(s, at+"id", "check %s is already at %s; nothing is replaced silently", c.ID, other)
	} else {
		l.checks[c.ID] = fmt.Sprintf("%s:%d", s.file, place.line)
	}
	l.need(s, at+"title", c.Title)
	l.need(s, at+"provider", c.Provider)
	l.need(s, at+"remediation", c.Remediation)
	if !strings.HasPrefix(c.Documentation, "https://") {
		l.fault(s, at+"documentation", "documentation %q is not an https address", c.Documentation)
	}
	if len(c.Kinds) == 0 {
		l.fault(s, at+"kinds", "kinds are missing")
	}
	for k, kind := range c.Kinds {
		l.kind(s, fmt.Sprintf("%skinds[%d]", at, k), c.Provider, kind)
		if slices.Contains(c.Kinds[:k], kind) {
			l.fault(s, at+"kinds", "kind %s comes twice", kind)
		}
	}
	for k, j := range c.Joins {
		l.kind(s, fmt.Sprintf("%sjoins[%d].kind", at, k), c.Provider, j.Kind)
		if !regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(j.Name) {
			l.fault(s, fmt.Sprintf("%sjoins[%d].name", at, k), "name %q is not of lower-case letters and underscores", j.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		l.need(s, at+"parameters."+name+".description", c.Parameters[name].Description)
	}
	for k, b := range c.Basis {
		if !slices.Contains([]evidence.Basis{evidence.CustomerConfig, evidence.ProviderDefault, evidence.Compensating, evidence.Attested}, b.Basis) {
			l.fault(s, fmt.Sprintf("%sbasis[%d].basis", at, k), "basis %q is not one of customer_config, provider_default, compensating, attested", b.Basis)
		}
	}
	for k, e := range c.Examples {
		if !slices.Contains(evidence.Statuses(), e.Want) {
			l.fault(s, fmt.Sprintf("%sexamples[%d].want", at, k), "want %q is not one of pass, fail, unknown, not_applicable", e.Want)
		}
	}
}

func (l *loader) kind(s *source, part, provider, kind string) {
	if !strings.HasPrefix(kind, provider+".") {
		l.fault(s, part, "kind %q does not begin with %q", kind, provider+".")
	}
}

// finish puts extensions to their controls, compiles, and sorts the problems.
func (l *loader) finish() (*Catalogue, error) {
	type part struct {
		source *source
		prefix string
	}
	owners := map[string]part{} // of a check
	var controls []Control
	for _, s := range l.sources {
		for i, c := range s.control.Checks {
			owners[c.ID] = part{s, fmt.Sprintf("checks[%d].", i)}
		}
		if s.control.Extends != "" {
			if _, ok := l.controls[s.control.Extends]; !ok {
				l.fault(s, "extends", "there is no control %q to extend", s.control.Extends)
			}
			continue
		}
		c := s.control
		c.Checks = slices.Clone(c.Checks)
		for _, more := range l.sources {
			if more.control.Extends == c.ID && c.ID != "" {
				c.Checks = append(c.Checks, more.control.Checks...)
			}
		}
		controls = append(controls, c)
	}
	catalogue, faults, err := compileAll(controls)
	if err != nil {
		// Values that have no JSON form, in an example or a default.
		return nil, errors.Join(l.err(), err)
	}
	for _, f := range faults {
		o := owners[f.check]
		l.compileFault(o.source, o.prefix, f.fault)
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return catalogue, nil
}

// compileFault places a fault within an expression where that can be told.
func (l *loader) compileFault(s *source, prefix string, f fault) {
	part := prefix + f.part
	p := Problem{File: s.file, Message: f.part + ": " + f.message}
	at := s.place(part)
	if f.line > 0 && s.blocks[part] {
		at = s.within(at, f)
	}
	p.Line, p.Column = at.line, at.column
	l.problems = append(l.problems, p)
}

// within finds a fault in the lines of a block of text. Folding changes white
// space only, so what comes before the fault is counted without it.
func (s *source) within(block position, f fault) position {
	before := 0
	for i, line := range strings.Split(f.source, "\n") {
		if i+1 == f.line {
			before += visible(line[:min(f.column-1, len(line))])
			break
		}
		before += visible(line)
	}
	for n := block.line; n < len(s.lines); n++ {
		for i, r := range s.lines[n] {
			if unicode.IsSpace(r) {
				continue
			}
			if before == 0 {
				return position{line: n + 1, column: i + 1}
			}
			before--
		}
	}
	return block
}

// visible counts the runes that are not white space.
func visible(s string) int {
	n := 0
	for _, r := range s {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

func (l *loader) err() error {
	if len(l.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		if c := compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return &LoadError{Problems: l.problems}
}
