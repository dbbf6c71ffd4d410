package sample

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

func numbered(n int) (*Population, []string) {
	var items []item
	for i := range n {
		items = append(items, item{Scope: evidence.Scope{Provider: "aws", Account: one}, kind: "aws.s3.bucket", id: fmt.Sprintf("b%04d, \"é", i)})
	}
	p := &Population{}
	p.freeze(resourceHeader, items)
	return p, p.Lines
}

// TestAsDocumented repeats choices by the scripts of docs/formats/sample.md,
// which use nothing of this program.
func TestAsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats/sample.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]string{}
	for _, part := range strings.Split(string(doc), "\n```")[1:] {
		language, code, _ := strings.Cut(part, "\n")
		blocks[language] = append(blocks[language], code)
	}
	if len(blocks["sh"]) != 1 || len(blocks["python"]) != 1 {
		t.Fatalf("the document has %d scripts for sh and %d for python", len(blocks["sh"]), len(blocks["python"]))
	}
	p, _ := numbered(19)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "population.csv"), p.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Choice{
		{Seed: "27 of May; 4 8 15", Method: Random, Size: 10},
		{Seed: "%s\\n$x", Method: Random, Size: 19},
		{Seed: "1", Method: Systematic, Size: 10},
		{Seed: "é", Method: Systematic, Size: 1},
	} {
		places, err := Choose(c, p.Digest, p.Lines)
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for _, place := range places {
			want.WriteString(p.Lines[place] + "\n")
		}
		for _, tool := range [][]string{{"sh", "sha256sum", "sort", "awk"}, {"python3"}} {
			t.Run(fmt.Sprintf("%s %s %s", tool[0], c.Method, c.Seed), func(t *testing.T) {
				for _, name := range tool {
					if _, err := exec.LookPath(name); err != nil {
						t.Skipf("there is no %s on this machine", name)
					}
				}
				language := strings.TrimSuffix(tool[0], "3")
				if language == "sh" && c.Method != Random {
					t.Skip("the script for the shell is of method random")
				}
				cmd := exec.Command(tool[0], "-c", blocks[language][0], tool[0], "population.csv", c.Seed, strconv.Itoa(c.Size), c.Method)
				if language == "python" {
					cmd.Args = slices.Delete(cmd.Args, 3, 4) // python3 has no $0 after -c
				}
				cmd.Dir, cmd.Stderr = dir, os.Stderr
				out, err := cmd.Output()
				if err != nil || string(out) != want.String() {
					t.Errorf("%v\n%s\nwant\n%s", err, out, want.String())
				}
			})
		}
	}
}

// By hand: sha256 of "s\nD\n<line>" with the digest D, in order.
func TestRandomByHand(t *testing.T) {
	lines := []string{"a", "b", "c", "d"}
	digest := evidence.Digest(strings.Repeat("0", 64))
	type keyed struct{ key, line string }
	var all []keyed
	for _, l := range lines {
		all = append(all, keyed{fmt.Sprintf("%x", sha256.Sum256([]byte("s\n"+string(digest)+"\n"+l))), l})
	}
	slices.SortFunc(all, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	got, err := Choose(Choice{Seed: "s", Method: Random, Size: 3}, digest, lines)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i, place := range got {
		if lines[place] != all[i].line {
			t.Errorf("choice %d is %s, want %s", i, lines[place], all[i].line)
		}
	}
}

func TestChooseProperties(t *testing.T) {
	_, lines := numbered(23)
	digest := evidence.Digest(strings.Repeat("ab", 32))
	for _, method := range []string{Random, Systematic} {
		hits := make([]int, len(lines))
		const seeds = 2300
		for seed := range seeds {
			places, err := Choose(Choice{Seed: strconv.Itoa(seed), Method: method, Size: 5}, digest, lines)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := Choose(Choice{Seed: strconv.Itoa(seed), Method: method, Size: 5}, digest, lines)
			if !slices.Equal(places, again) {
				t.Fatal("the same seed gives another choice")
			}
			if slices.Sort(places); len(slices.Compact(places)) != 5 {
				t.Fatalf("%s chose an item twice: %v", method, places)
			}
			for _, p := range places {
				hits[p]++
			}
		}
		// 500 each; the standard deviation is about 20.
		for i, n := range hits {
			if n < 400 || n > 600 {
				t.Errorf("%s: item %d was chosen %d times of %d, want about %d", method, i, n, seeds, seeds*5/23)
			}
		}
	}
}

func TestChoiceRefusals(t *testing.T) {
	_, lines := numbered(3)
	for _, test := range []struct {
		want   string
		choice Choice
	}{
		{"there is no seed", Choice{Method: Random, Size: 1}},
		{"printable text", Choice{Method: Random, Size: 1, Seed: "a\nb"}},
		{"begins nor ends with a space", Choice{Method: Random, Size: 1, Seed: " a"}},
		{"there is no size", Choice{Method: Systematic, Seed: "a"}},
		{"4 items can not be chosen from a population of 3", Choice{Method: Random, Size: 4, Seed: "a"}},
		{"there is no method", Choice{Method: "lucky", Size: 1, Seed: "a"}},
		{"no size and no seed", Choice{Method: All, Seed: "a"}},
		{"takes everything", Choice{Method: All, Size: 2}},
	} {
		if _, err := Choose(test.choice, "", lines); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.choice, err, test.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("=1+1", "a\nb", "\"x\",\xff")
	f.Fuzz(func(t *testing.T, account, id, kind string) {
		line := item{Scope: evidence.Scope{Provider: "aws", Account: account}, kind: kind + "k", id: id}.line()
		if strings.ContainsAny(line, "\n\r\x00") {
			t.Errorf("%q is more than a line", line)
		}
		for _, cell := range []string{account, id} {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) && !strings.Contains(line, "'"+cell[:1]) {
				t.Errorf("%q holds a formula", line)
			}
		}
	})
}
