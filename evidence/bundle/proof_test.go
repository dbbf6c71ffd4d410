package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/compact"
)

// recordOf gives the bytes of a record: its index.
func recordOf(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

// leafOf is its leaf hash.
func leafOf(i uint64) []byte {
	h := sha256.Sum256(slices.Concat([]byte{0}, recordOf(i)))
	return h[:]
}

func readLeaf(i uint64) ([]byte, error) { return leafOf(i), nil }

// mth is the Merkle tree hash over [begin, end) as RFC 6962 section 2.1 defines
// it, word for word.
func mth(begin, end uint64) []byte {
	switch n := end - begin; n {
	case 0:
		h := sha256.Sum256(nil)
		return h[:]
	case 1:
		return leafOf(begin)
	default:
		k := uint64(1)
		for k*2 < n {
			k *= 2
		}
		h := sha256.Sum256(slices.Concat([]byte{1}, mth(begin, begin+k), mth(begin+k, end)))
		return h[:]
	}
}

// selection gives ranges over [0, size) in which each record is with the given
// chance.
func selection(r *rand.Rand, size uint64, chance float64) []Range {
	var out []Range
	for i := range size {
		if r.Float64() < chance {
			out = AppendIndex(out, i)
		}
	}
	return out
}

func holds(ranges []Range, begin, end uint64) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool { return r.First < end && begin < r.First+r.Count })
}

func TestProveAgainstRFC6962(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for size := range uint64(71) {
		root := mth(0, size)
		for _, chance := range []float64{0, 0.03, 0.2, 0.5, 0.8, 0.97, 1} {
			for range 6 {
				p, err := Prove(size, leafOf, selection(r, size, chance))
				if err != nil {
					t.Fatal(err)
				}
				if p.Root != encodeHash(root) {
					t.Fatalf("size %d: root %s, RFC 6962 gives %x", size, p.Root, root)
				}
				data, err := EncodeProof(p)
				if err != nil {
					t.Fatal(err)
				}
				if p, err = DecodeProof(data); err != nil {
					t.Fatal(err)
				}
				if got, err := p.ComputeRoot(readLeaf); err != nil || !bytes.Equal(got, root) {
					t.Fatalf("size %d, records %v: root %x, %v", size, p.Records, got, err)
				}
				checkMaximal(t, p)
			}
		}
	}
}

// checkMaximal demands what the format says of the hashes: each is that of a
// perfect subtree without a record of the bundle, its parent is not such a one,
// and together with the records they are the whole tree, from left to right.
func checkMaximal(t *testing.T, p Proof) {
	t.Helper()
	at := uint64(0)
	skip := func() {
		for _, r := range p.Records {
			if r.First == at {
				at += r.Count
			}
		}
	}
	skip()
	for _, n := range p.Hashes {
		begin, end := n.Index<<n.Level, (n.Index+1)<<n.Level
		if begin != at || end > p.Size || holds(p.Records, begin, end) || n.Hash != encodeHash(mth(begin, end)) {
			t.Fatalf("size %d, records %v: hash %+v at %d", p.Size, p.Records, n, at)
		}
		begin, end = compact.NewNodeID(n.Level, n.Index).Parent().Coverage()
		if end <= p.Size && !holds(p.Records, begin, end) {
			t.Fatalf("size %d, records %v: the parent of %+v would do", p.Size, p.Records, n)
		}
		at = n.Index<<n.Level + 1<<n.Level
		skip()
	}
	if at != p.Size {
		t.Fatalf("size %d, records %v: the hashes end at %d", p.Size, p.Records, at)
	}
}

// TestChangesShow changes one thing of a proof and its records at a time: the
// root must become another, or the proof be refused. ComputeRoot compares with
// the stated root too, so what is tested is what it compares.
func TestChangesShow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1500 {
		size := 1 + r.Uint64N(70)
		p, err := Prove(size, leafOf, selection(r, size, r.Float64()))
		if err != nil {
			t.Fatal(err)
		}
		root, _ := decodeHash(p.Root)
		bad := Proof{p.Version, p.Size, p.Root, slices.Clone(p.Records), slices.Clone(p.Hashes)}
		var held []uint64
		for _, g := range p.Records {
			for i := range g.Count {
				held = append(held, g.First+i)
			}
		}
		lines := slices.Clone(held) // line i of records.jsonl is the record lines[i]
		what, n, h := "", r.IntN(13), len(p.Hashes)
		switch {
		case n == 0 && len(lines) > 0:
			what, lines[r.IntN(len(lines))] = "record changed", 1000
		case n == 1 && len(lines) > 0:
			i := r.IntN(len(lines))
			what, lines = "record removed", slices.Delete(lines, i, i+1)
		case n == 2 && len(lines) > 1:
			i := r.IntN(len(lines) - 1)
			what = "records swapped"
			lines[i], lines[i+1] = lines[i+1], lines[i]
		case n == 3:
			what, lines = "record added", slices.Insert(lines, r.IntN(len(lines)+1), 1000)
			bad.Records = nil
			for i := range len(lines) {
				bad.Records = AppendIndex(bad.Records, uint64(i))
			}
			bad.Size, bad.Hashes = uint64(len(lines)), nil
		case n == 4 && h > 0:
			i := r.IntN(h)
			what, bad.Hashes[i].Hash = "hash changed", encodeHash(leafOf(2000))
		case n == 5 && h > 0:
			i := r.IntN(h)
			what, bad.Hashes = "hash removed", slices.Delete(bad.Hashes, i, i+1)
		case n == 6 && h > 1:
			i := r.IntN(h - 1)
			what = "hashes swapped"
			bad.Hashes[i], bad.Hashes[i+1] = bad.Hashes[i+1], bad.Hashes[i]
		case n == 7:
			i := r.IntN(h + 1)
			what, bad.Hashes = "hash added", slices.Insert(bad.Hashes, i, Node{0, r.Uint64N(size), encodeHash(leafOf(1))})
		case n == 8 && h > 0:
			i := r.IntN(h)
			what, bad.Hashes[i].Level = "level changed", bad.Hashes[i].Level+1
		case n == 9 && h > 0:
			i := r.IntN(h)
			what, bad.Hashes[i].Index = "index changed", bad.Hashes[i].Index^1
		case n == 10 && len(held) > 0:
			i := r.IntN(len(bad.Records))
			what, bad.Records[i].First = "range moved", bad.Records[i].First+1
		case n == 11 && len(held) > 0:
			i := r.IntN(len(bad.Records))
			what, bad.Records[i].Count = "range grown", bad.Records[i].Count+1
		case n == 12:
			what, bad.Size = "size grown", bad.Size+1
		default:
			continue
		}
		next := 0
		got, err := bad.computeRoot(func(uint64) ([]byte, error) {
			if next == len(lines) {
				return nil, errors.New("no more records")
			}
			next++
			return leafOf(lines[next-1]), nil
		})
		if err == nil && bytes.Equal(got, root) && next == len(lines) {
			t.Fatalf("%s: the same root\nproof   %+v\nchanged %+v\nrecords %v, changed %v", what, p, bad, held, lines)
		}
	}
}

func TestComputeRootRefuses(t *testing.T) {
	good, err := Prove(11, leafOf, []Range{{2, 3}, {10, 1}})
	if err != nil {
		t.Fatal(err)
	}
	huge := Proof{Version: 1, Size: 1 << 40, Root: good.Root, Records: []Range{{0, 1 << 40}}}
	for _, test := range []struct {
		name   string
		change func(*Proof)
		want   string
	}{
		{"version", func(p *Proof) { p.Version = 2 }, "version 2"},
		{"size", func(p *Proof) { p.Size = 1 << 63 }, "more than any ledger has"},
		{"empty range", func(p *Proof) { p.Records[0].Count = 0 }, "is empty"},
		{"range beyond", func(p *Proof) { p.Records[1].Count = 2 }, "goes beyond"},
		{"range around the end of numbers", func(p *Proof) { p.Records[1].Count = 1<<64 - 5 }, "goes beyond"},
		{"ranges touch", func(p *Proof) { p.Records = []Range{{2, 2}, {4, 1}, {10, 1}} }, "must begin above 4"},
		{"ranges overlap", func(p *Proof) { p.Records = []Range{{2, 9}, {10, 1}} }, "must begin above 11"},
		{"ranges out of order", func(p *Proof) { p.Records = []Range{{10, 1}, {2, 3}} }, "must begin above 11"},
		{"no hashes", func(p *Proof) { p.Hashes = nil }, "not all there"},
		{"superfluous hash", func(p *Proof) { p.Hashes = append(p.Hashes, p.Hashes[0]) }, "1 hashes too many"},
		{"other node", func(p *Proof) { p.Hashes[0].Index = 7 }, "index 7"},
		{"short hash", func(p *Proof) { p.Hashes[0].Hash = "AAAA" }, "not 32 bytes"},
		{"unused bits of base64", func(p *Proof) { p.Hashes[0].Hash = p.Hashes[0].Hash[:42] + "B=" }, "not 32 bytes"},
		{"line end in base64", func(p *Proof) { p.Hashes[0].Hash = "\n" + p.Hashes[0].Hash }, "not 32 bytes"},
		{"root", func(p *Proof) { p.Root = encodeHash(leafOf(0)) }, "it states"},
		{"more records than there are", func(p *Proof) { *p = huge }, "no more"},
	} {
		p := Proof{good.Version, good.Size, good.Root, slices.Clone(good.Records), slices.Clone(good.Hashes)}
		test.change(&p)
		n := 0
		_, err := p.ComputeRoot(func(i uint64) ([]byte, error) {
			if n++; n > 100 {
				return nil, errors.New("no more")
			}
			return leafOf(i), nil
		})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestDecodeProofRefuses(t *testing.T) {
	const good = `{"version":1,"size":2,"root":"x","records":[{"first":0,"count":2}],"hashes":[]}` + "\n"
	if _, err := DecodeProof([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{
		"", "{}", good + good, " " + good, strings.TrimSpace(good),
		strings.Replace(good, `"size":2`, `"size":2,"size":2`, 1),
		strings.Replace(good, `"size"`, `"Size"`, 1),
		strings.Replace(good, `"size":2`, `"size":2e0`, 1),
		strings.Replace(good, `"size":2`, `"size":-2`, 1),
		strings.Replace(good, `"size":2`, `"size":18446744073709551616`, 1),
		strings.Replace(good, `"hashes"`, `"more":1,"hashes"`, 1),
	} {
		if p, err := DecodeProof([]byte(data)); err == nil {
			t.Errorf("DecodeProof(%q) = %+v", data, p)
		}
	}
	newer := strings.NewReplacer(`"version":1`, `"version":2`, `"hashes"`, `"more":1,"hashes"`).Replace(good)
	if _, err := DecodeProof([]byte(newer)); err == nil || !strings.Contains(err.Error(), "version 2: this program knows version 1") {
		t.Errorf("a newer version: %v", err)
	}
}

func FuzzProof(f *testing.F) {
	for _, ranges := range [][]Range{nil, {{0, 11}}, {{2, 3}, {10, 1}}} {
		p, err := Prove(11, leafOf, ranges)
		if err != nil {
			f.Fatal(err)
		}
		data, err := EncodeProof(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodeProof(data)
		if err != nil {
			return
		}
		n := 0
		root, err := p.ComputeRoot(func(i uint64) ([]byte, error) {
			if n++; n > 1000 {
				return nil, fmt.Errorf("no record %d", i)
			}
			return leafOf(i), nil
		})
		// Every root that can be foreseen is that of the true tree.
		if err == nil && len(p.Hashes) == 0 && !bytes.Equal(root, mth(0, p.Size)) {
			t.Errorf("root %x of %+v", root, p)
		}
	})
}

func BenchmarkComputeRoot(b *testing.B) {
	const size = 100_000
	p, err := Prove(size, leafOf, selection(rand.New(rand.NewPCG(1, 1)), size, 0.5))
	if err != nil {
		b.Fatal(err)
	}
	data, _ := EncodeProof(p)
	b.ReportMetric(float64(len(data)), "proof-bytes")
	leaf := leafOf(0)
	for b.Loop() {
		if _, err := p.computeRoot(func(uint64) ([]byte, error) { return leaf, nil }); err != nil {
			b.Fatal(err)
		}
	}
}
