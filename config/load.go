package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tallystick/tallystick/evidence"
)

// MaxBytes bounds a configuration file.
const MaxBytes = 256 << 10

// Known is what the program has, for the names in a configuration to be
// checked against. A nil list is not checked against.
type Known struct {
	Collectors []string // "aws.s3_buckets"
	Services   []string // "s3", or of one provider "gcp.iam": what limits.rate may name
}

// File is a configuration as it was read.
type File struct {
	Config Config

	Name   string          // as named by the caller
	Raw    []byte          // as written, with references instead of their values: this is evidence
	Digest evidence.Digest // of Raw

	reader *reader
}

// Problem makes a problem with the value of a key that only the caller can
// find, such as a parameter that no check has. The key is a path like
// "catalogue.parameters.aws-iam-access-key-age.max_days".
func (f *File) Problem(key, message string) Problem {
	at, _ := f.reader.find(key)
	return Problem{File: f.Name, Line: at.line, Column: at.column, Key: key, Message: message, Excerpt: f.reader.line(at.line)}
}

// Load reads the file at path, with the environment of the process. Relative
// paths in it become absolute, from the folder of the file. If the file can be
// read but is wrong, the error is of type Problems.
func Load(path string, known Known) (*File, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	data, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read configuration: %w; `tallystick init` writes one, --config names another", err)
	case err != nil:
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(path, filepath.Dir(absolute), data, known, os.LookupEnv)
}

// readFile gives the bytes of a file, up to one more than it may have.
func readFile(path string) (data []byte, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// Parse reads data as the file called name. env gives the value of an
// environment variable, or false. Relative paths in the file are taken from the
// folder of name. The error, if any, is of type Problems.
func Parse(name string, data []byte, known Known, env func(string) (string, bool)) (*File, error) {
	return parse(name, filepath.Dir(name), data, known, env)
}

func parse(name, base string, data []byte, known Known, env func(string) (string, bool)) (*File, error) {
	sum := sha256.Sum256(data)
	f := &File{Config: Default(), Name: name, Raw: data, Digest: evidence.Digest(hex.EncodeToString(sum[:]))}
	content := strings.TrimPrefix(string(data), "\ufeff") // a byte order mark, as some editors write it
	f.reader = newReader(name, content, env)
	f.reader.read(&f.Config, content, base, known)
	if problems := f.reader.problems; len(problems) > 0 {
		problems.sort()
		return nil, problems
	}
	return f, nil
}

// read does the whole of it: text, tree, values, rules.
func (r *reader) read(c *Config, content, base string, known Known) {
	if !r.readable(content) {
		return
	}
	r.secrets()
	root := r.grow(content)
	if root == nil {
		return
	}
	before := len(r.problems)
	r.decode(root, "", reflect.ValueOf(c).Elem())
	if root.kind != mapping && len(r.problems) > before {
		return // nothing of it is set, which would be a problem each
	}
	r.resolve("evidence.dir", &c.Evidence.Dir, base)
	r.resolve("evidence.key", &c.Evidence.Key, base)
	for i := range c.Catalogue.Dirs {
		r.resolve(fmt.Sprintf("catalogue.dirs[%d]", i), &c.Catalogue.Dirs[i], base)
	}
	r.validate(*c, known)
}

// readable says whether the bytes are text, and reports it if not.
func (r *reader) readable(content string) bool {
	if len(content) > MaxBytes {
		r.lines = nil // no excerpt of it
		r.report(place{1, 1}, "", "the file is longer than %d bytes; is it a configuration?", MaxBytes)
		return false
	}
	for i, line := range r.lines {
		if !utf8.ValidString(line) {
			r.lines = nil
			r.report(place{i + 1, 1}, "", "this line is not UTF-8 text")
			return false
		}
		if at := strings.IndexFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); at >= 0 {
			r.lines = nil
			r.report(place{i + 1, 1 + utf8.RuneCountInString(line[:at])}, "", "there is a control character (%U) in this line", line[at])
			return false
		}
	}
	return true
}

// secrets reports lines that hold what looks like a credential, comments too:
// the file is kept as evidence, for ever. It does not repeat them.
func (r *reader) secrets() {
	looks := regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|PRIVATE\+KEY\+|(?i:aws_secret_access_key\s*[:=])`)
	for i, line := range r.lines {
		if at := looks.FindStringIndex(line); at != nil {
			r.report(place{i + 1, 1 + utf8.RuneCountInString(line[:at[0]])}, "",
				"this looks like a credential, and the file becomes evidence; remove it, withdraw it, and give credentials through the environment")
			r.problems[len(r.problems)-1].Excerpt = ""
		}
	}
}

// resolve makes a path relative to the folder of the file.
func (r *reader) resolve(key string, path *string, base string) {
	switch {
	case *path == "":
		r.problem(key, "there is no path; write one, or remove the key")
	case strings.HasPrefix(*path, "~"):
		r.problem(key, "~ is not replaced here; write the whole path, or ${HOME}/...")
	case filepath.IsAbs(*path):
		*path = filepath.Clean(*path)
	default:
		*path = filepath.Join(base, *path)
	}
}
