package config

import (
	"fmt"
	"strings"
)

// reader reads one file: it knows its places and gathers its problems.
type reader struct {
	name     string
	lines    []string
	env      func(string) (string, bool)
	problems Problems

	// places holds where each key's value is, by path.
	places map[string]place
	// keys holds where each key itself is, or the value for an item of a list.
	keys map[string]place
	// written holds the values that came from the environment, by path, as
	// they are written. They are shown instead of what stands in the variable.
	written map[string]string
	// spoilt holds the paths that have been found to be of no use. What lies
	// on or below them is not reported again.
	spoilt map[string]bool
}

func newReader(name, data string, env func(string) (string, bool)) *reader {
	return &reader{
		name: name, env: env, lines: strings.Split(strings.ReplaceAll(data, "\r\n", "\n"), "\n"),
		places: map[string]place{}, keys: map[string]place{}, written: map[string]string{}, spoilt: map[string]bool{},
	}
}

// line gives a line of the file as written.
func (r *reader) line(n int) string {
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return r.lines[n-1]
}

// report adds a problem at a place.
func (r *reader) report(at place, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: r.name, Line: at.line, Column: at.column, Key: key,
		Message: fmt.Sprintf(format, args...), Excerpt: r.line(at.line),
	})
}

// spoil adds a problem because of which the value is of no use.
func (r *reader) spoil(at place, key, format string, args ...any) {
	r.report(at, key, format, args...)
	r.spoilt[key] = true
}

// problem adds a problem with the value of a key, unless the key is spoilt.
// A key that is not in the file is reported at the nearest one around it.
func (r *reader) problem(key, format string, args ...any) {
	for path := key; path != ""; path = parent(path) {
		if r.spoilt[path] {
			return
		}
	}
	at, ok := r.find(key)
	r.report(at, key, format, args...)
	if !ok {
		r.problems[len(r.problems)-1].Excerpt = ""
	}
}

// find gives the place of a key's value, or the key of what is around it, or
// else the start of the file and false.
func (r *reader) find(key string) (place, bool) {
	if at, ok := r.places[key]; ok {
		return at, true
	}
	for path := parent(key); path != ""; path = parent(path) {
		if at, ok := r.keys[path]; ok {
			return at, true
		}
	}
	if len(r.lines) == 0 {
		return place{}, false
	}
	return place{1, 1}, false
}

// show gives a value for a message, quoted: as it is written, if it came from
// the environment.
func (r *reader) show(key, value string) string {
	if raw, ok := r.written[key]; ok {
		value = raw
	}
	return fmt.Sprintf("%q", value)
}

// cause gives an error for a message, or, if the value came from the
// environment, says only that it is wrong: the error could hold it.
func (r *reader) cause(key string, err error) string {
	if raw, ok := r.written[key]; ok {
		return fmt.Sprintf("the value of %q is not valid here", raw)
	}
	return err.Error()
}

// parent cuts the last part off a path.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// has says whether the file sets a key.
func (r *reader) has(key string) bool {
	_, ok := r.places[key]
	return ok
}

// problemAtKey adds a problem with a key itself rather than with its value.
func (r *reader) problemAtKey(key, format string, args ...any) {
	at, ok := r.keys[key]
	if !ok {
		at, _ = r.find(key)
	}
	r.report(at, key, format, args...)
}
