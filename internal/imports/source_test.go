package imports_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const maxLines = 400

// parse reads one file of a package.
func parse(t *testing.T, fset *token.FileSet, p listed, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func importsOf(t *testing.T, p listed, file string) []string {
	t.Helper()
	f := parse(t, token.NewFileSet(), p, file)
	var out []string
	for _, imp := range f.Imports {
		s, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// TestPackageComments demands of every package a comment that says in its
// first words which package it is about.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		var docs []string
		var name string
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			f := parse(t, token.NewFileSet(), p, file)
			// Tests belong to a package that has its own comment, unless
			// there is nothing else.
			if len(p.GoFiles) > 0 && strings.HasSuffix(file, "_test.go") {
				continue
			}
			if ast.IsGenerated(f) { // templ writes its version above the package clause
				continue
			}
			name = f.Name.Name
			if f.Doc != nil && !ast.IsGenerated(f) {
				docs = append(docs, f.Doc.Text())
			}
		}
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + filepath.Base(p.ImportPath) + " "
		}
		switch {
		case len(docs) == 0:
			t.Errorf("%s has no package comment", p.name())
		case len(docs) > 1:
			t.Errorf("%s has %d package comments", p.name(), len(docs))
		case !strings.HasPrefix(docs[0], want):
			t.Errorf("%s: the package comment does not begin with %q", p.name(), want)
		}
	}
}

// TestNoInitNoGlobals: what a package does follows from the arguments of its
// functions. Nothing registers itself and nothing can be changed from afar.
func TestNoInitNoGlobals(t *testing.T) {
	for _, p := range packages(t) {
		fset := token.NewFileSet()
		var files []*ast.File
		for _, file := range p.GoFiles {
			files = append(files, parse(t, fset, p, file))
		}
		for _, problem := range globals(files) {
			t.Errorf("%s: %s", fset.Position(problem.pos), problem.text)
		}
	}
}

type problem struct {
	pos  token.Pos
	text string
}

// globals finds what the files of one package must not have.
func globals(files []*ast.File) []problem {
	var out []problem
	written := map[string]bool{}
	for _, f := range files {
		writes(f, written)
	}
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					out = append(out, problem{d.Pos(), "func init: call it from where it is needed"})
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, s := range d.Specs {
					spec := s.(*ast.ValueSpec)
					if !constant(f, d, spec, written) {
						out = append(out, problem{spec.Pos(), "package-level variable " + spec.Names[0].Name + ": make it a constant, a function or a field"})
					}
				}
			}
		}
	}
	return out
}

// constant reports whether a variable is one in name only: a sentinel error, a
// compiled pattern, an embedded file, a private table that nothing writes, an
// assertion that a type fits an interface, or the version that the linker sets.
func constant(f *ast.File, d *ast.GenDecl, spec *ast.ValueSpec, written map[string]bool) bool {
	for _, doc := range []*ast.CommentGroup{d.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	if f.Name.Name == "main" && len(spec.Names) == 1 && spec.Names[0].Name == "version" {
		return true
	}
	if !slices.ContainsFunc(spec.Names, func(n *ast.Ident) bool { return n.Name != "_" }) {
		return true
	}
	private := !slices.ContainsFunc(spec.Names, func(n *ast.Ident) bool { return n.IsExported() || written[n.Name] })
	return len(spec.Values) > 0 && !slices.ContainsFunc(spec.Values, func(v ast.Expr) bool {
		switch v := v.(type) {
		case *ast.CompositeLit:
			switch v.Type.(type) {
			case *ast.ArrayType, *ast.MapType:
				return !private
			}
		case *ast.CallExpr:
			if sel, ok := v.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok {
					return !slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}, pkg.Name+"."+sel.Sel.Name)
				}
			}
		}
		return true
	})
}

// writes adds the names that a file assigns to, takes the address of, or hands
// to a builtin that changes them. Names count whatever they stand for.
func writes(f *ast.File, names map[string]bool) {
	write := func(e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.Ident:
				names[x.Name] = true
				return
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.SliceExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			default:
				return
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					write(e)
				}
			}
		case *ast.IncDecStmt:
			write(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				write(n.X)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"append", "clear", "copy", "delete"}, id.Name) && len(n.Args) > 0 {
				write(n.Args[0])
			}
		}
		return true
	})
}

func TestGlobals(t *testing.T) {
	tests := []struct {
		name, source string
		want         int
	}{
		{"sentinels", `var ErrA, ErrB = errors.New("a"), fmt.Errorf("b")`, 0},
		{"pattern", `var p = regexp.MustCompile("x")`, 0},
		{"embedded", "//go:embed x\nvar files embed.FS", 0},
		{"embedded in a group", "var (\n//go:embed x\nfiles embed.FS\n)", 0},
		{"assertion", `var _ io.Reader = (*T)(nil)`, 0},
		{"init", `func init() {}`, 1},
		{"method called init", `func (T) init() {}`, 0},
		{"table", `var m = map[string]int{"a": 1}`, 0},
		{"public table", `var M = []string{"a"}`, 1},
		{"table that is written", `var m = map[string]int{}; func f() { m["a"] = 1 }`, 1},
		{"table that is emptied", `var m = map[string]int{}; func f() { clear(m) }`, 1},
		{"table whose element is lent", `var m = []int{1}; func f() *int { return &m[0] }`, 1},
		{"struct", `var p = pool{}`, 1},
		{"no value", `var n int`, 1},
		{"one of two", `var ErrA, n = errors.New("a"), 3`, 1},
		{"call", `var n = f()`, 1},
		{"version outside main", `var version = "x"`, 1},
	}
	for _, tt := range tests {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+tt.source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := globals([]*ast.File{f}); len(got) != tt.want {
			t.Errorf("%s: %d problems, want %d: %v", tt.name, len(got), tt.want, got)
		}
	}
}

// TestPure: the vocabulary and the checks take the time as a value.
func TestPure(t *testing.T) {
	for _, p := range packages(t) {
		if n := p.name(); n != "evidence" && n != "checks" {
			continue
		}
		for _, file := range p.GoFiles {
			fset := token.NewFileSet()
			f := parse(t, fset, p, file)
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Tick"}, sel.Sel.Name) {
					t.Errorf("%s: time.%s: take the time as an argument", fset.Position(sel.Pos()), sel.Sel.Name)
				}
				return true
			})
		}
	}
}

// TestFilesAreShort keeps files to what one can read at a sitting.
func TestFilesAreShort(t *testing.T) {
	for _, p := range packages(t) {
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			b, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(b, []byte("\n")); n > maxLines {
				if !ast.IsGenerated(parse(t, token.NewFileSet(), p, file)) {
					t.Errorf("%s/%s has %d lines, more than %d: split it", p.name(), file, n, maxLines)
				}
			}
		}
	}
}
