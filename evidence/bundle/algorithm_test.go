package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// algorithm computes the root as docs/formats/bundle.md says it, step by step,
// with nothing of this package or of another but SHA-256.
func algorithm(p Proof, lines [][]byte) ([]byte, error) {
	type entry struct {
		level uint
		hash  []byte
	}
	node := func(lower, upper []byte) []byte {
		h := sha256.Sum256(slices.Concat([]byte{1}, lower, upper))
		return h[:]
	}
	var stack []entry
	push := func(e entry) {
		stack = append(stack, e)
		for n := len(stack); n > 1 && stack[n-1].level == stack[n-2].level; n = len(stack) { // step 4
			stack = append(stack[:n-2], entry{stack[n-1].level + 1, node(stack[n-2].hash, stack[n-1].hash)})
		}
	}
	at, runs, hashes := uint64(0), p.Records, p.Hashes // step 1
	for at < p.Size {
		if len(runs) > 0 && runs[0].First == at { // step 2
			for range runs[0].Count {
				h := sha256.Sum256(slices.Concat([]byte{0}, lines[0]))
				push(entry{0, h[:]})
				lines = lines[1:]
			}
			at += runs[0].Count
			runs = runs[1:]
			continue
		}
		end := p.Size // step 3
		if len(runs) > 0 {
			end = runs[0].First
		}
		for at < end {
			l := uint(0)
			for at%(2<<l) == 0 && at+2<<l <= end {
				l++
			}
			if hashes[0].Level != l || hashes[0].Index != at>>l {
				return nil, errors.New("another hash is due")
			}
			h, err := decodeHash(hashes[0].Hash)
			if err != nil {
				return nil, err
			}
			push(entry{l, h})
			hashes, at = hashes[1:], at+1<<l
		}
	}
	if len(lines) > 0 || len(hashes) > 0 { // step 5
		return nil, errors.New("something is left")
	}
	for n := len(stack); n > 1; n = len(stack) {
		stack = append(stack[:n-2], entry{0, node(stack[n-2].hash, stack[n-1].hash)})
	}
	return stack[0].hash, nil
}

func TestAlgorithmOfTheDocumentation(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		size := 1 + r.Uint64N(300)
		p, err := Prove(size, leafOf, selection(r, size, r.Float64()))
		if err != nil {
			t.Fatal(err)
		}
		var lines [][]byte
		for _, g := range p.Records {
			for i := range g.Count {
				lines = append(lines, recordOf(g.First+i))
			}
		}
		if got, err := algorithm(p, lines); err != nil || !bytes.Equal(got, mth(0, size)) {
			t.Fatalf("size %d, records %v: %x, %v", size, p.Records, got, err)
		}
	}
}
