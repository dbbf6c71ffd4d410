// Package pages shows a period report as pages for a browser: the auditor's
// way in, from the control matrix down to the exchange as it crossed the wire.
//
// It promises that the pages are a function of the report and the payloads:
// the same input gives the same bytes; that they work from a file system, with
// nothing loaded from anywhere else and without JavaScript; that whatever a
// provider, an operator or a file name says is shown as text and never becomes
// markup; that what could not be looked at, or is not in this export, is said
// in words where it would have stood; and that memory is bounded by a page and
// an index of about 100 bytes for each resource and exchange of the newest
// runs, not by the bodies.
//
// It does not compute coverage or deviations (package evidence/period does),
// does not verify, and has no clock. It never gives a score.
package pages

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/a-h/templ"

	"github.com/tallystick/tallystick/checks"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/period"
)

// The templates, *.templ, are compiled to Go by
//
//	go run github.com/a-h/templ/cmd/templ@v0.3.977 generate -path internal/pages
//
// and what that makes is committed.

//go:embed assets
var assets embed.FS

// Input is what the pages are made from.
type Input struct {
	Report *period.Report

	// Catalogue is the newest of the window: the words and rules of the
	// checks. Nil when its payload is not there; the pages then say so.
	Catalogue *checks.Catalogue

	// Payloads has the verdicts, observations and exchanges that the report
	// names. One that is not in it is said to be missing; it is no error.
	Payloads *payload.Store

	// Changes gives the change log in its order. It is called more than once,
	// and by ServeHTTP from several goroutines. Nil: there is none to show.
	Changes func() iter.Seq2[period.Change, error]

	// Live says that the running agent serves the pages. They then state up
	// to when they were computed, and do not point to the files of a bundle.
	Live bool
}

// Site is the pages of one report. Its methods may be called from several
// goroutines at once.
type Site struct {
	in Input
	r  *period.Report

	checks   map[string]checks.Check   // of the catalogue, by id
	controls map[string]checks.Control // of the catalogue, by id
	streams  map[evidence.Stream]int   // into r.Streams

	mu sync.Mutex
	ix *index // nil until someone asked; guarded by mu
}

// New prepares the pages. It reads no payload.
func New(in Input) (*Site, error) {
	switch {
	case in.Report == nil:
		return nil, errors.New("make pages: there is no report")
	case in.Payloads == nil:
		return nil, errors.New("make pages: there is no payload store")
	case in.Report.Window.Zone == nil:
		return nil, errors.New("make pages: the window of the report has no time zone")
	}
	if in.Changes == nil {
		in.Changes = func() iter.Seq2[period.Change, error] {
			return func(func(period.Change, error) bool) {}
		}
	}
	s := &Site{
		in: in, r: in.Report,
		checks: map[string]checks.Check{}, controls: map[string]checks.Control{}, streams: map[evidence.Stream]int{},
	}
	for i := range s.r.Streams {
		s.streams[s.r.Streams[i].Stream] = i
	}
	if in.Catalogue != nil {
		for _, c := range in.Catalogue.Controls() {
			s.controls[c.ID] = c
			for _, k := range c.Checks {
				s.checks[k.ID] = k
			}
		}
	}
	return s, nil
}

// section is a row of pages that are made in one pass, such as the parts of a
// population.
type section struct {
	name  func(page int) string
	pages int // at least 1

	// render hands out the pages in order, counted from 1; when only is not
	// 0, that one alone.
	render func(ctx context.Context, only int, out func(page int, c templ.Component) error) error
}

// Write makes every page and the two assets. The names use forward slashes and
// are relative: "index.html", "controls/mfa-root.html". Whoever provides
// create makes the folders. Names come in the same order each time. A writer
// is closed before the next is created. An error that create or a writer gives
// is passed on; so is a payload that is corrupt.
func (s *Site) Write(ctx context.Context, create func(name string) (io.WriteCloser, error)) error {
	ix, err := s.index(ctx)
	if err != nil {
		return err
	}
	for _, sec := range s.sections(ix) { //nolint:contextcheck // a component takes its context when it is rendered.
		err := sec.render(ctx, 0, func(page int, c templ.Component) error {
			return write(create, sec.name(page), func(w io.Writer) error { return c.Render(ctx, w) })
		})
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"assets/script.js", "assets/style.css"} {
		data, err := assets.ReadFile(name)
		if err != nil {
			return fmt.Errorf("write page %s: %w", name, err)
		}
		if err := write(create, name, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
			return err
		}
	}
	return nil
}

func write(create func(string) (io.WriteCloser, error), name string, fill func(io.Writer) error) error {
	w, err := create(name)
	if err != nil {
		return fmt.Errorf("create page %s: %w", name, err)
	}
	if err := fill(w); err != nil {
		return errors.Join(fmt.Errorf("write page %s: %w", name, err), w.Close())
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("close page %s: %w", name, err)
	}
	return nil
}
