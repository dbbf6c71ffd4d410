package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documents whose commands are run. A command is what stands in a block
// that begins with ```sh; what is only indented is an example.
const (
	verifyDoc  = "../../docs/verify.md"
	auditorDoc = "../../docs/auditor.md"
	bundleDoc  = "VERIFY.md" // of each bundle
)

// block is one block of commands of a document.
type block struct{ heading, commands string }

// blocksOf gives the blocks of a document in order.
func blocksOf(t *testing.T, text string) []block {
	t.Helper()
	var out []block
	heading := ""
	for _, m := range regexp.MustCompile("(?m)^#+ ([^\n]*)$|(?s:^```sh\n(.*?)^```$)").FindAllStringSubmatch(text, -1) {
		if m[1] != "" { // a comment between commands is within a match of its own
			heading = m[1]
			continue
		}
		out = append(out, block{heading, m[2]})
	}
	if len(out) == 0 {
		t.Fatal("the document has no commands")
	}
	return out
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// desk is where an auditor sits: two bundles of the demo, one from the begin of
// its ledger on and one that leaves most of it out, the key, and the tools.
type desk struct {
	dir      string
	env      []string
	whole    string // path of a bundle
	part     string
	noCosign bool
}

func newDesk(t *testing.T) desk {
	t.Helper()
	for _, tool := range [][2]string{{"bash", "bash"}, {"sha256sum", "coreutils"}, {"openssl", "openssl"}, {"zstd", "zstd"}} {
		need(t, tool[0], "Debian package "+tool[1])
	}
	d := desk{dir: t.TempDir()}
	if _, err := exec.LookPath("cosign"); err != nil {
		d.noCosign = true
	}
	bin := filepath.Join(d.dir, "bin")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "tallystick-verify"), "../tallystick-verify").CombinedOutput(); err != nil {
		t.Fatalf("build tallystick-verify: %v\n%s", err, out)
	}
	tmp := filepath.Join(d.dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	d.env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+d.dir, "TMPDIR="+tmp)
	d.mustRun(t, d.dir, "tallystick demo --dir demo")
	d.whole, d.part = filepath.Join(d.dir, "bundle"), filepath.Join(d.dir, "part")
	d.mustRun(t, d.dir, "tallystick export -c demo/tallystick.yaml --from 2026-06-30 --out bundle")
	d.mustRun(t, d.dir, "tallystick export -c demo/tallystick.yaml --from 2026-07-01 --to 2026-07-01 --out part")
	d.env = append(d.env, "KEY="+strings.TrimSpace(readFile(t, filepath.Join(d.dir, "demo", "evidence", "ledger.vkey"))))
	return d
}

func (d desk) mustRun(t *testing.T, dir, commands string) {
	t.Helper()
	if out, code := d.bash(t, dir, commands); code != 0 {
		t.Fatalf("exit code %d of\n%s\nwhich printed\n%s", code, commands, out)
	}
}

// bash runs commands in a folder and gives what they print.
func (d desk) bash(t *testing.T, dir, commands string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-eu")
	cmd.Dir, cmd.Env, cmd.Stdin = dir, d.env, strings.NewReader(commands)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("run bash: %v", err)
	}
	return string(out), 0
}

// withoutCosign says whether a block cannot be run for want of cosign, which
// fails the test where everything is required.
func (d desk) withoutCosign(t *testing.T, b block) bool {
	t.Helper()
	if !d.noCosign || !strings.Contains(b.commands, "cosign ") {
		return false
	}
	if os.Getenv("TALLYSTICK_E2E") == "required" {
		t.Errorf("%s: cosign is not on the PATH and TALLYSTICK_E2E=required: .ci/run tools builds it", b.heading)
	} else {
		t.Logf("%s: not run, since cosign is not on the PATH: `.ci/run tools` builds it", b.heading)
	}
	return true
}

// TestAuditorsCommands runs every command that the auditor's documents tell
// them to run, in real bundles, and shows that each of those that check
// something fails when there is something to find.
func TestAuditorsCommands(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	text := readFile(t, filepath.Join(d.whole, bundleDoc))
	blocks := blocksOf(t, text)
	t.Run("the two documents have the same commands", func(t *testing.T) {
		if other := blocksOf(t, readFile(t, verifyDoc)); !slices.Equal(blocks, other) {
			t.Error("docs/verify.md and internal/export/VERIFY.md differ in their commands: a step must be changed in both")
		}
		if strings.Contains(text, "{{") {
			t.Error("a bundle's VERIFY.md has a place that was not filled in")
		}
	})
	t.Run("whole bundle", func(t *testing.T) { d.runAll(t, d.whole, blocks) })
	t.Run("bundle of a day", func(t *testing.T) { d.runAll(t, d.part, blocks) })
	t.Run("auditor.md", func(t *testing.T) { d.runAll(t, d.dir, blocksOf(t, readFile(t, auditorDoc))) })
	t.Run("tampered", func(t *testing.T) { d.tampered(t, blocks) })
}

// runAll runs blocks one after the other in one shell, as a reader does.
func (d desk) runAll(t *testing.T, dir string, blocks []block) {
	t.Helper()
	t.Parallel()
	var all strings.Builder
	for _, b := range blocks {
		if !d.withoutCosign(t, b) {
			all.WriteString("echo '== " + b.heading + "'\n" + b.commands)
		}
	}
	out, code := d.bash(t, dir, all.String())
	if code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if bad := regexp.MustCompile(`(?m)^.*(NOT (THE SAME|SIGNED|VERIFIED|what)|FAILED|Failure).*$`).FindString(out); bad != "" {
		t.Errorf("they say %q", bad)
	}
}

// tampering is something that was done to a bundle, and the block that must
// find it, whatever those before it say.
type tampering struct {
	heading string // of the block
	what    string
	how     string // commands, in the folder of the copy
	says    string // must be printed
}

func tamperings() []tampering {
	return []tampering{
		{"With tallystick-verify", "a byte of a table", `printf x >> tables/gaps.csv`, "tables/gaps.csv"},
		{"1. The key", "another key in PEM", `openssl genpkey -algorithm ed25519 | openssl pkey -pubout > trust/ledger.pem`, "differ"},
		{"1. The key", "another verifier key", `sed -i 's/+.*/+00000000+AQ==/' trust/ledger.vkey`, "the key: NOT THE SAME"},
		{"2. The files", "a byte of a page", `printf x >> index.html`, "index.html: FAILED"},
		{"2. The files", "a file more", `touch tables/more.csv`, "> tables/more.csv"},
		{"2. The files", "a file less", `rm tables/gaps.csv`, "tables/gaps.csv"},
		{"3. The statement over the bundle", "a forged manifest", forgedManifest, "the manifest that was signed: NOT THE SAME"},
		{"3. The statement over the bundle", "a statement about another manifest", otherStatement, "Signature Verification Failure"},
		{"4. The statement, by another program", "a forged manifest", forgedManifest, "do not match"},
		{"4. The statement, by another program", "another signature", `sed -i 's/"sig":"..../"sig":"AAAA/' statement/export.sigstore.json`, "could not verify envelope"},
		{"5. The records", "a letter of a record", `sed -i '3s/"payload":"eyJ/"payload":"eyK/' ledger/records.jsonl`, "record in line 3: NOT SIGNED"},
		{"5. The records", "the signature of another record", `sed -i "4s|\"sig\":\"[^\"]*|\"sig\":\"$(sed -n '5s/.*"sig":"\([^"]*\).*/\1/p' ledger/records.jsonl)|" ledger/records.jsonl`, "record in line 4: NOT SIGNED"},
		{"6. The payloads", "a swapped payload", `set -- payloads/*/*.zst; cp "$1" "$2"`, "NOT what its name says"},
		{"6. The payloads", "a removed payload", `set -- payloads/*/*.zst; rm "$2"`, "< "},
		{"6. The payloads", "a payload more", otherPayload, "> "},
		{"7. None taken out, put in or moved", "a removed record", `sed -i 3d ledger/records.jsonl`, "the root of the records: NOT THE SAME"},
		{"7. None taken out, put in or moved", "two records swapped", `sed -i -n '3{h;n;G};p' ledger/records.jsonl`, "the root of the records: NOT THE SAME"},
		{"7. None taken out, put in or moved", "a hash of what is not in the bundle", `sed -i 's/"hash":"..../"hash":"AAAA/' ledger/proof.json`, "the root of the records: NOT THE SAME"},
		{"8. The checkpoint", "another root", `sed -i '3s/^..../AAAA/' statement/checkpoint`, "Signature Verification Failure"},
		{"8. The checkpoint", "another place", `sed -i 's/"index":[0-9]*/"index":1/' statement/proof.json`, "the root of the checkpoint: NOT THE SAME"},
		{"8. The checkpoint", "a hash of the proof", `sed -i 's/"inclusion":\["..../"inclusion":["AAAA/' statement/proof.json`, "the root of the checkpoint: NOT THE SAME"},
	}
}

const (
	// A table is changed, and the manifest with it.
	forgedManifest = `printf x >> tables/gaps.csv
sum=$(sha256sum tables/gaps.csv | cut -c 1-64)
sed -i "s|^.*  tables/gaps.csv$|$sum  tables/gaps.csv|" manifest-sha256.txt`

	// And the statement with the manifest, which only the key could sign.
	otherStatement = forgedManifest + `
body=$(sed 's/.*"payload":"\([^"]*\)".*/\1/' statement/export.dsse.json | base64 -d |
  sed "s/\"sha256\":\"[0-9a-f]*/\"sha256\":\"$(sha256sum manifest-sha256.txt | cut -c 1-64)/" | base64 -w 0)
sed -i "s|\"payload\":\"[^\"]*|\"payload\":\"$body|" statement/export.dsse.json`

	otherPayload = `printf more > more
sum=$(sha256sum more | cut -c 1-64)
mkdir -p "payloads/$(echo "$sum" | cut -c 1-2)"
zstd -q --rm more -o "payloads/$(echo "$sum" | cut -c 1-2)/$sum.zst"`
)

// judgesNothing are the headings of which no block checks anything.
func judgesNothing() []string { return []string{"Preparation"} }

// tampered runs each block that checks something in copies that were changed:
// in all of them where everything is required, otherwise in one for each block.
// The blocks before it are run too, for what they leave behind, and may fail.
func (d desk) tampered(t *testing.T, blocks []block) {
	t.Helper()
	found := map[string]bool{}
	for _, tt := range tamperings() {
		at := slices.IndexFunc(blocks, func(b block) bool { return b.heading == tt.heading })
		if at < 0 {
			t.Errorf("%s: there are no commands under this heading", tt.heading)
			continue
		}
		if found[tt.heading] && os.Getenv("TALLYSTICK_E2E") != "required" {
			continue
		}
		found[tt.heading] = true
		t.Run(tt.heading+"/"+tt.what, func(t *testing.T) {
			t.Parallel()
			if d.withoutCosign(t, blocks[at]) {
				t.Skip("cosign is not on the PATH")
			}
			copied := filepath.Join(t.TempDir(), "bundle")
			if err := os.CopyFS(copied, os.DirFS(d.part)); err != nil {
				t.Fatal(err)
			}
			d.mustRun(t, copied, tt.how)
			out, code := d.bash(t, copied, alone(blocks, at))
			if code == 0 || !strings.Contains(out, tt.says) {
				t.Errorf("exit code %d, and it must be another than 0 and print %q; it printed\n%s", code, tt.says, out)
			}
		})
	}
	for _, b := range blocks {
		if !found[b.heading] && !slices.Contains(judgesNothing(), b.heading) {
			t.Errorf("no tampering is shown to be found by %q: add one", b.heading)
		}
	}
}

// alone gives the commands of one block, behind those that it builds on: the
// ones that prepare, and the ones that write a file which it reads. These say
// nothing and may fail.
func alone(blocks []block, at int) string {
	var s, prepared strings.Builder
	for _, b := range blocks[:at] {
		switch {
		case slices.Contains(judgesNothing(), b.heading):
			s.WriteString(b.commands)
			prepared.WriteString(b.commands)
		case sharesFile(b.commands, blocks[at].commands, prepared.String()):
			s.WriteString("set +e\n{\n" + b.commands + "} > \"$tmp/quiet\" 2>&1\nset -e\n")
		}
	}
	return s.String() + blocks[at].commands
}

// sharesFile says whether two blocks name the same file in $tmp, other than
// those of the preparation.
func sharesFile(a, b, prepared string) bool {
	for _, name := range regexp.MustCompile(`\$tmp/[a-z.]+`).FindAllString(b, -1) {
		if strings.Contains(a, name+`"`) && !strings.Contains(prepared, name+`"`) {
			return true
		}
	}
	return false
}
