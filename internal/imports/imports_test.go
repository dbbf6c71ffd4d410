// Package imports_test holds the shape of the module: which package may know
// which, and what no package may do.
//
// It promises that every rule carries its reason and that a new package is not
// overlooked: one that no rule names fails. It does not judge tests, which may
// import what they like.
package imports_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tallystick/tallystick"

// rule is about the packages that fit pkg: those that they may import, or must
// not reach.
type rule struct {
	pkg    string
	names  []string
	reason string
}

// mayImport says for each package of the module which others it may import,
// itself. A pattern that ends in /... names a package and those below it. The
// first rule whose pattern fits holds.
var mayImport = []rule{
	{"evidence", nil, "the vocabulary is values that everything else can use"},
	{"evidence/schedule", []string{"evidence"}, "agent and verifier derive slots by the same pure functions"},
	{"evidence/payload", []string{"evidence", "internal/durable"}, "bytes by digest know nothing of what they mean"},
	{"evidence/seal", []string{"evidence", "internal/durable"}, "signing knows records, not where they are kept"},
	{"evidence/ledger", []string{"evidence", "evidence/seal", "internal/durable"}, "the ledger keeps records and does not read them"},
	{"evidence/sample", []string{"evidence", "evidence/payload", "evidence/period", "evidence/schedule", "internal/capture"}, "a sample is pulled with the exchanges as capture keeps them"},
	{"evidence/bundle", []string{"evidence", "evidence/payload", "evidence/seal", "internal/durable"}, "the form of a bundle knows nothing of what was chosen for it, or whether it holds"},
	{"evidence/...", []string{"evidence/...", "internal/durable"}, "what verifies evidence must not depend on what made it"},
	{"checks", []string{"evidence"}, "a judgement follows from observations alone, so that an auditor can repeat it"},
	{"checks/catalogue", nil, "the catalogue is data"},
	{"config", []string{"evidence", "evidence/schedule"}, "a configuration is read without a cloud, a ledger or an agent"},
	{"internal/durable", nil, "durable writes know files, not evidence"},
	{"internal/capture", []string{"evidence", "collectors"}, "capture keeps exchanges of any provider"},
	{"internal/telemetry", []string{"evidence"}, "metrics are told what happened and decide nothing"},
	{"internal/web", nil, "pages show what they are lent"},
	{"internal/pages", []string{"evidence/...", "checks", "internal/capture"}, "the auditor's pages show evidence, whoever made it and wherever it lies"},
	{"internal/workbook", []string{"evidence/period"}, "a workbook is tables, whatever they are about"},
	{"internal/oscal", []string{"evidence", "evidence/period", "checks"}, "what a program reads follows from a report, not from how it was made"},
	{"collectors", []string{"evidence"}, "what a collector is does not depend on any of them"},
	{"collectors/...", []string{"collectors/...", "evidence", "internal/capture"}, "a collector reads and never judges, schedules or seals"},
	{"internal/agent", []string{
		"evidence/...", "checks", "checks/catalogue", "collectors", "config",
		"internal/capture", "internal/durable", "internal/telemetry", "internal/web",
	}, "the agent runs any collector, so it names none"},
	{"internal/preflight", []string{"evidence", "collectors", "internal/capture"}, "what is tried is not recorded, so it reaches neither ledger nor agent"},
	{"deploy", nil, "what is deployed is files"},
	{"internal/imports", nil, "it holds only this test"},
	{"cmd/tallystick-verify/...", []string{"cmd/tallystick-verify/...", "evidence/...", "checks", "checks/catalogue"}, "the auditor's program shares no code with a cloud"},
	{"cmd/...", []string{"..."}, "the command line wires everything together"},
	{"internal/...", []string{"evidence/...", "checks", "checks/catalogue", "collectors", "config", "internal/..."}, "only the command line names providers"},
}

// mustNotReach says what a package must not reach through anything it imports,
// however far away. A pattern may name packages of other modules.
var mustNotReach = []rule{
	{"evidence", []string{"net", "os/exec", "github.com/...", "golang.org/...", "google.golang.org/..."}, "the vocabulary must build anywhere"},
	{"evidence/...", cloud, "the auditor's half must not carry the operator's"},
	{"evidence/bundle", []string{"net", "os/exec", "crypto/x509", "filippo.io/..."}, "the verifier opens bundles: no network, and no cipher, which the writer is lent"},
	{"checks/...", append([]string{"net", "net/http", "os/exec", "crypto/rand", "math/rand", "math/rand/v2"}, cloud...), "a verdict must come out the same everywhere and at any time"},
	{"config", append([]string{"net/http", "os/exec"}, cloud...), "reading a configuration must have no effect"},
	{"internal/durable", append([]string{"net"}, cloud...), "durable writes are for local disks"},
	{"internal/capture", cloud, "capture works beneath any SDK, so it must not need one"},
	{"internal/workbook", append([]string{"net/http", "os/exec"}, cloud...), "writing tables must not be able to fetch what they mention"},
	{"internal/oscal", append([]string{"net/http", "os/exec"}, cloud...), "writing a document must not be able to fetch what it mentions"},
	{"internal/pages", cloud, "what an auditor reads needs no cloud"},
	{"internal/agent", cloud, "the agent must not care which provider it runs"},
	{"internal/preflight", cloud, "it must not care which provider it tries"},
	{"internal/replay", cloud, "what is performed again is handed to it, and nothing of it may call anybody"},
	{"evidence/verify", []string{"net", "net/http", "os/exec", "crypto/x509"}, "verifying needs nothing but what is verified; crypto/x509 brings the network along"},
	{"cmd/tallystick-verify/...", append([]string{"net", "net/http", "os/exec"}, cloud...), "the verifier must be small and must not be able to reach a network"},
}

// cloud is every SDK of a provider.
var cloud = []string{"github.com/aws/...", "cloud.google.com/...", "google.golang.org/api/..."}

// onlyIn says which files alone may import a package.
var onlyIn = []struct {
	imported string
	files    []string
	reason   string
}{
	{"collectors/aws", []string{"cmd/tallystick/wire.go", "cmd/tallystick/wire_aws.go"}, "one place lists the providers"},
	{"collectors/gcp", []string{"cmd/tallystick/wire.go", "cmd/tallystick/wire_gcp.go"}, "one place lists the providers"},
}

type listed struct {
	ImportPath, Dir string
	Imports, Deps   []string
	GoFiles         []string
	TestGoFiles     []string
	XTestGoFiles    []string
}

// name is the path of the package inside the module, "." for its root.
func (l listed) name() string {
	if l.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(l.ImportPath, module+"/")
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,Deps,GoFiles,TestGoFiles,XTestGoFiles", module+"/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

// fits reports whether a package path fits a pattern.
func fits(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == below || strings.HasPrefix(pkg, below+"/")
	}
	return pkg == pattern
}

func TestFits(t *testing.T) {
	for _, tt := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"evidence", "evidence", true},
		{"evidence", "evidence/ledger", false},
		{"evidence/...", "evidence", true},
		{"evidence/...", "evidence/ledger", true},
		{"evidence/...", "evidences", false},
		{"...", "anything", true},
	} {
		if got := fits(tt.pattern, tt.pkg); got != tt.want {
			t.Errorf("fits(%q, %q) = %v", tt.pattern, tt.pkg, got)
		}
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := p.name()
		i := slices.IndexFunc(mayImport, func(r rule) bool { return fits(r.pkg, name) })
		if i < 0 {
			t.Errorf("%s: no rule says what it may import; add one to mayImport with its reason", name)
			continue
		}
		r := mayImport[i]
		for _, imp := range p.Imports {
			inside, ok := strings.CutPrefix(imp, module+"/")
			if ok && !slices.ContainsFunc(r.names, func(m string) bool { return fits(m, inside) }) {
				t.Errorf("%s must not import %s: %s", name, inside, r.reason)
			}
		}
	}
}

func TestFarImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, r := range mustNotReach {
			if !fits(r.pkg, p.name()) {
				continue
			}
			for _, dep := range p.Deps {
				if slices.ContainsFunc(r.names, func(n string) bool { return fits(n, dep) }) {
					t.Errorf("%s must not reach %s: %s (go list -deps shows the way)", p.name(), dep, r.reason)
				}
			}
		}
	}
}

func TestOneFileImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, only := range onlyIn {
			if fits(only.imported+"/...", p.name()) || !slices.Contains(p.Imports, module+"/"+only.imported) {
				continue
			}
			for _, file := range p.GoFiles {
				at := path.Join(p.name(), file)
				if !slices.Contains(only.files, at) && slices.Contains(importsOf(t, p, file), module+"/"+only.imported) {
					t.Errorf("%s must not import %s, only %s may: %s", at, only.imported, strings.Join(only.files, " and "), only.reason)
				}
			}
		}
	}
}

// TestNoMethodsByName: a package that calls methods by name makes the linker
// keep every method of every type that is reached, of all the SDKs too. The
// program was 115 MB with one use of text/template and is 42 MB without.
func TestNoMethodsByName(t *testing.T) {
	for _, p := range packages(t) {
		for _, by := range []string{"text/template", "html/template"} {
			if slices.Contains(p.Imports, by) {
				t.Errorf("%s must not import %s: it makes the program three times its size", p.name(), by)
			}
		}
	}
}
