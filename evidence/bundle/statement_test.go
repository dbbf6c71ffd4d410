package bundle

import (
	"slices"
	"strings"
	"testing"
)

func TestStatementProof(t *testing.T) {
	for size := uint64(2); size <= 40; size++ {
		for index := uint64(1); index < size; index++ {
			for from := uint64(1); from <= index; from++ {
				p, err := ProveStatement(size, leafOf, index, from)
				if err != nil {
					t.Fatal(err)
				}
				data, err := EncodeStatementProof(p)
				if err != nil {
					t.Fatal(err)
				}
				if p, err = DecodeStatementProof(data); err != nil {
					t.Fatal(err)
				}
				if err := p.Check(leafOf(index), mth(0, from), size, mth(0, size)); err != nil {
					t.Fatalf("size %d, index %d, from %d: %v", size, index, from, err)
				}
			}
		}
	}
}

func TestStatementProofRefuses(t *testing.T) {
	const size, index, from = 29, 25, 21
	good, err := ProveStatement(size, leafOf, index, from)
	if err != nil {
		t.Fatal(err)
	}
	type given struct {
		leaf, rootFrom, root []byte
		size                 uint64
	}
	for name, change := range map[string]func(*StatementProof, *given){
		"version":             func(p *StatementProof, _ *given) { p.Version = 0 },
		"other record":        func(_ *StatementProof, g *given) { g.leaf = leafOf(24) },
		"other index":         func(p *StatementProof, _ *given) { p.Index = 24 },
		"index beyond":        func(p *StatementProof, _ *given) { p.Index = 29 },
		"index in the bundle": func(p *StatementProof, _ *given) { p.Index = 20 },
		"other bundle root":   func(_ *StatementProof, g *given) { g.rootFrom = mth(0, 20) },
		"other from":          func(p *StatementProof, _ *given) { p.From = 20 },
		"from nothing":        func(p *StatementProof, _ *given) { p.From, p.Consistency = 0, nil },
		"other checkpoint":    func(_ *StatementProof, g *given) { g.root = mth(0, 28) },
		"other size":          func(_ *StatementProof, g *given) { g.size = 28 },
		"size beyond reason":  func(p *StatementProof, g *given) { p.TreeSize, g.size = 1<<62, 1<<62 },
		"short leaf hash":     func(_ *StatementProof, g *given) { g.leaf = nil },
		"inclusion cut":       func(p *StatementProof, _ *given) { p.Inclusion = p.Inclusion[1:] },
		"inclusion grown":     func(p *StatementProof, _ *given) { p.Inclusion = append(p.Inclusion, p.Inclusion[0]) },
		"inclusion hash":      func(p *StatementProof, _ *given) { p.Inclusion[2] = p.Inclusion[0] },
		"inclusion text":      func(p *StatementProof, _ *given) { p.Inclusion[2] = "?" },
		"consistency cut":     func(p *StatementProof, _ *given) { p.Consistency = p.Consistency[1:] },
		"consistency hash":    func(p *StatementProof, _ *given) { p.Consistency[1] = p.Consistency[0] },
		"very long":           func(p *StatementProof, _ *given) { p.Inclusion = slices.Repeat(p.Inclusion, 100) },
	} {
		p := good
		p.Inclusion, p.Consistency = slices.Clone(good.Inclusion), slices.Clone(good.Consistency)
		g := given{leafOf(index), mth(0, from), mth(0, size), size}
		change(&p, &g)
		if err := p.Check(g.leaf, g.rootFrom, g.size, g.root); err == nil || !strings.HasPrefix(err.Error(), StatementProofFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range [][3]uint64{{0, 0, 0}, {5, 5, 1}, {5, 4, 0}, {5, 2, 3}} {
		if p, err := ProveStatement(bad[0], leafOf, bad[1], bad[2]); err == nil {
			t.Errorf("ProveStatement(%v) = %+v", bad, p)
		}
	}
}
